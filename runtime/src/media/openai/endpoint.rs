//! One server: its address, its key, and how it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::answer::{self, Refusal};
use crate::media::processor::{BoxFuture, Failure};
use crate::tls;

/// How long a connection may take to come about.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// How often a server that broke on a request is asked again at once: it may have stumbled, or the
/// file may be what breaks it.
const BROKEN_RETRIES_MAX: u32 = 1;

/// How long the server gets to recover before that.
const BROKEN_PAUSE: Duration = Duration::from_secs(1);

/// A server, and the key for it.
#[derive(Clone)]
pub struct Endpoint {
    client: Client,
    base_url: Url,
    authorization: Option<HeaderValue>,
    key: Option<Arc<str>>,
}

/// The server cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address is none.
    #[error(
        "the base URL {base_url:?} is not understood ({reason}): give one such as https://api.openai.com/v1"
    )]
    BaseUrl {
        /// What was given.
        base_url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key cannot be sent.
    #[error("the key holds characters that no header can carry")]
    Key,
    /// There is no client: the system has no trusted certificates, for example.
    #[error("no HTTP client could be made: {0}")]
    Client(#[from] reqwest::Error),
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Endpoint")
            .field("base_url", &self.shown_url())
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The server at `base_url`, such as `https://api.openai.com/v1`, asked with `key` where there is
    /// one.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn new(base_url: &str, key: Option<&str>) -> Result<Self, EndpointError> {
        let not_understood = |reason: String| EndpointError::BaseUrl {
            // It may hold a password.
            base_url: base_url.rsplit_once('@').map_or(base_url, |(_, rest)| rest).to_owned(),
            reason,
        };
        let mut base =
            Url::parse(base_url.trim()).map_err(|error| not_understood(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(not_understood("it is neither http:// nor https://".to_owned()));
        }
        // What follows is put behind the last slash.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let key = key.map(str::trim).filter(|key| !key.is_empty());
        let authorization = key.map(authorization).transpose()?;
        if authorization.is_some() {
            // A request carries one authorization, and the key is the one that was meant.
            without_credentials(&mut base);
        }
        let client = match base.scheme() {
            "https" => tls::client_builder(),
            _ => tls::plain_client_builder(),
        };
        let client = client
            .connect_timeout(CONNECT_TIME_MAX)
            // A kept connection may be closed under a request that cannot be repeated.
            .pool_max_idle_per_host(0)
            .redirect(Policy::none())
            .build()?;
        Ok(Self { client, base_url: base, authorization, key: key.map(Arc::from) })
    }

    /// The address, for people: without user and password.
    pub fn shown_url(&self) -> String {
        let mut url = self.base_url.clone();
        without_credentials(&mut url);
        url.as_str().trim_end_matches('/').to_owned()
    }

    /// A request to `path` below the base.
    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{path}", url.path()));
        let request = self.client.post(url);
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    /// Sends what `request` makes and returns the body of a success.
    ///
    /// # Errors
    /// As [`answer`] classifies them. A server that broke (500) is asked once more, with a request
    /// made anew.
    pub(super) async fn ask<'a>(
        &self,
        cancel: &CancellationToken,
        request: impl Fn() -> BoxFuture<'a, Result<Request, Failure>>,
    ) -> Result<Vec<u8>, Failure> {
        let asking = async {
            let mut broken = 0;
            loop {
                match self.ask_once(request().await?).await {
                    Ok(body) => return Ok(body),
                    Err(Refusal::Broken { .. }) if broken < BROKEN_RETRIES_MAX => {
                        broken += 1;
                        tokio::time::sleep(BROKEN_PAUSE).await;
                    }
                    Err(refusal) => return Err(refusal.into()),
                }
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Failure::Cancelled),
            answer = asking => answer,
        }
    }

    async fn ask_once(&self, request: Request) -> Result<Vec<u8>, Refusal> {
        let Request { builder, all_sent } = request;
        let answer = match builder.send().await {
            Ok(response) => answer::read(response).await,
            Err(error) => Err(answer::unsent(&error, all_sent.0.load(Ordering::Acquire))),
        };
        answer.map_err(|refusal| refusal.without(self.key.as_deref()))
    }
}

/// A request, and whether all of it has been handed to the line.
pub(super) struct Request {
    pub builder: RequestBuilder,
    pub all_sent: AllSent,
}

/// Set when the last byte of a body has been handed over: from then on the server may have done the
/// work.
#[derive(Debug, Clone, Default)]
pub(super) struct AllSent(Arc<AtomicBool>);

impl AllSent {
    /// For a body that is in memory: it counts as sent once the request is.
    pub fn at_once() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Takes user and password out of an address.
fn without_credentials(url: &mut Url) {
    // Fails only for addresses that have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

fn authorization(key: &str) -> Result<HeaderValue, EndpointError> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| EndpointError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: paths are put behind the base whatever its end, and nobody is shown a password or a key.
    #[test]
    fn requests_go_below_the_base_and_secrets_stay_secret() {
        for base in ["http://user:pass@127.0.0.1:9/v1", "http://user:pass@127.0.0.1:9/v1/"] {
            let endpoint = Endpoint::new(base, Some(" sk-secret ")).expect("an endpoint");
            let request = endpoint.post("audio/transcriptions").build().expect("a request");
            assert_eq!(request.url().path(), "/v1/audio/transcriptions");
            let sent: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().collect();
            assert_eq!(sent, ["Bearer sk-secret"]);
            assert_eq!(endpoint.shown_url(), "http://127.0.0.1:9/v1");
            for shown in [format!("{endpoint:?}"), format!("{:?}", request.headers())] {
                assert!(!shown.contains("secret") && !shown.contains("pass"), "{shown}");
            }
        }
    }

    /// Goal: an address or a key that cannot work is refused when it is configured.
    #[test]
    fn what_cannot_work_is_refused() {
        for base in ["", "api.openai.com/v1", "ftp://x/v1", "http://"] {
            let refused = Endpoint::new(base, None);
            assert!(matches!(refused, Err(EndpointError::BaseUrl { .. })), "{base}");
        }
        assert!(matches!(Endpoint::new("http://x", Some("a\nb")), Err(EndpointError::Key)));
    }
}
