//! The webhook consumer: a bot's callbacks as signed POSTs to an address of its owner.
//!
//! Owns one call, from the signed request to what its answer means. When calls are made, in which order and
//! how often, is decided elsewhere; here nothing is repeated.
//!
//! | file | idea |
//! |---|---|
//! | [`signature`] | Standard Webhooks: signing, and the receiver's half |
//! | [`address`] | which addresses may be called, judged after the name is resolved |
//! | [`answer`] | what a status and a body mean |
//!
//! **Architecture invariants:** redirects are not followed; no proxy of the environment is used; the address
//! that was judged is the one that is connected to; an answer is read up to a bound and within the time that
//! the whole call has.

pub mod address;
pub mod answer;
pub mod signature;

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anteroom_core::bot::event::ConsumerAnswer;
use anteroom_core::protocol::CallbackBatch;
use axum::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tracing::warn;
use url::Url;

use self::address::{Allowed, Resolver};
use self::signature::{Secret, signatures};
use crate::consumer::{Call, Consumer, batch_id};
use crate::driver::ports::BoxFuture;

/// How long a connection may take to be there; the whole call has the bot's `ack_timeout`.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// How long an idle connection is kept for the next call.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// What one bot's webhook is set to.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Where it is: `https://…`, or `http://…`.
    pub url: Url,
    /// The secrets that requests are signed with: one, or two while they are being changed.
    pub secrets: Vec<Secret>,
    /// Whether addresses of this machine and of private networks may be called.
    pub allow_private_addresses: bool,
}

/// Why a webhook cannot be.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The address is none that can be called.
    #[error("the webhook's url {url}: {why}")]
    Url {
        /// The address, without what only its owner may know.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nothing could be signed, or by too many.
    #[error("a webhook has one secret, or two while they are being changed, not {0}")]
    Secrets(usize),
    /// There are no certificates to tell its server by.
    #[error("the webhook's url {url}: TLS cannot be used here: {why}")]
    Tls {
        /// The address, without what only its owner may know.
        url: String,
        /// What is wrong.
        why: String,
    },
}

/// A bot's webhook.
#[derive(Debug)]
pub struct Webhook {
    endpoint: Arc<Endpoint>,
}

#[derive(Debug)]
struct Endpoint {
    client: Client<Connector, Body>,
    uri: Uri,
    secrets: Vec<Secret>,
}

type Connector = HttpsConnector<HttpConnector<Resolver>>;

impl Webhook {
    /// A webhook that is set so.
    ///
    /// # Errors
    /// When the address can never be called, or there is no secret to sign with.
    pub fn new(settings: WebhookSettings) -> Result<Self, WebhookError> {
        let WebhookSettings { url, secrets, allow_private_addresses } = settings;
        let allowed = if allow_private_addresses { Allowed::All } else { Allowed::Public };
        if let Err(why) = address::judge_url(&url, allowed) {
            return Err(WebhookError::Url { url: shown(&url), why });
        }
        if !(1..=2).contains(&secrets.len()) {
            return Err(WebhookError::Secrets(secrets.len()));
        }
        let uri = url.as_str().parse::<Uri>().map_err(|_| WebhookError::Url {
            url: shown(&url),
            why: "it cannot be asked for over HTTP",
        })?;
        let connector = connector(&url, allowed)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { endpoint: Arc::new(Endpoint { client, uri, secrets }) })
    }
}

/// What connects to the webhook: to judged addresses only, and by TLS where its address says so.
fn connector(url: &Url, allowed: Allowed) -> Result<Connector, WebhookError> {
    let mut plain = HttpConnector::new_with_resolver(Resolver { allowed });
    plain.enforce_http(false);
    plain.set_nodelay(true);
    plain.set_connect_timeout(Some(CONNECT_TIME_MAX));
    let cryptography = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |why: String| WebhookError::Tls { url: shown(url), why };
    let builder = HttpsConnectorBuilder::new();
    let builder = if url.scheme() == "https" {
        builder
            .with_provider_and_platform_verifier(cryptography)
            .map_err(|error| failed(error.to_string()))?
    } else {
        // No certificate is looked at, so a machine without any will do.
        let config = ClientConfig::builder_with_provider(cryptography)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?;
        let config = config.with_root_certificates(RootCertStore::empty());
        builder.with_tls_config(config.with_no_client_auth())
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(plain))
}

impl Consumer for Webhook {
    fn call(&self, call: Call) -> BoxFuture<'static, ConsumerAnswer> {
        let endpoint = Arc::clone(&self.endpoint);
        Box::pin(async move { endpoint.call(call).await })
    }
}

impl Endpoint {
    async fn call(&self, call: Call) -> ConsumerAnswer {
        let unavailable = ConsumerAnswer::Unavailable { retry_after: None };
        let (time_max, bot_id) = (call.timeout, call.bot_id.clone());
        let Some(Posted { id, body }) = posted(call) else { return unavailable };
        let Some(headers) = headers(&self.secrets, &id, unix_now(), &body) else {
            warn!(bot_id = bot_id.as_str(), id, "a callback's id is no header: it is not called");
            return ConsumerAnswer::Refused;
        };
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let answered = async {
            let response = self.client.request(request).await.map_err(|error| sources(&error))?;
            answer::read(response).await.map_err(|error| sources(&error))
        };
        let why = match timeout(time_max, answered).await {
            Ok(Ok(answer)) => {
                if let Some(error) = &answer.spoilt {
                    warn!(bot_id = bot_id.as_str(), id, %error, "a webhook's reply is not sent");
                }
                return answer.into_consumer_answer();
            }
            Ok(Err(why)) => why,
            Err(_) => format!("no answer in {time_max:?}"),
        };
        // While it is unavailable there is one call at a time, ever more seldom.
        warn!(bot_id = bot_id.as_str(), id, why, "a webhook did not answer");
        unavailable
    }
}

/// What is POSTed, and its name.
struct Posted {
    id: String,
    body: String,
}

fn posted(call: Call) -> Option<Posted> {
    if call.together {
        let id = batch_id(&call.callbacks);
        let body = serde_json::to_string(&CallbackBatch { callbacks: call.callbacks }).ok()?;
        return Some(Posted { id, body });
    }
    let callback = call.callbacks.first()?;
    let body = serde_json::to_string(callback).ok()?;
    Some(Posted { id: callback.callback_id.to_string(), body })
}

fn headers(secrets: &[Secret], id: &str, timestamp: u64, body: &str) -> Option<HeaderMap> {
    const ID: HeaderName = HeaderName::from_static(signature::ID);
    const TIMESTAMP: HeaderName = HeaderName::from_static(signature::TIMESTAMP);
    const SIGNATURE: HeaderName = HeaderName::from_static(signature::SIGNATURE);
    let signatures = signatures(secrets, id, timestamp, body.as_bytes());
    Some(HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (USER_AGENT, HeaderValue::from_static(concat!("anteroom/", env!("CARGO_PKG_VERSION")))),
        (ID, HeaderValue::from_str(id).ok()?),
        (TIMESTAMP, HeaderValue::from(timestamp)),
        (SIGNATURE, HeaderValue::from_str(&signatures).ok()?),
    ]))
}

/// Seconds since the epoch by the wall clock: receivers compare it with theirs.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// An address without its user, password, query and fragment.
fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// An error with everything that led to it, for people.
fn sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        write!(words, ": {error}").expect("a string can always be written to");
        source = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, secrets: usize) -> WebhookSettings {
        let secret = || Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        WebhookSettings {
            url: url.parse().expect("a url"),
            secrets: (0..secrets).map(|_| secret()).collect(),
            allow_private_addresses: false,
        }
    }

    /// Goal: what can never be called is refused before the node runs, in words that keep the password.
    #[test]
    fn a_webhook_that_cannot_be_is_refused() {
        assert!(Webhook::new(settings("https://bot.example/hook", 1)).is_ok());
        assert!(Webhook::new(settings("https://bot.example/hook", 2)).is_ok());
        for (url, secrets) in [
            ("ftp://bot.example/hook", 1),
            ("https://127.0.0.1/hook", 1),
            ("https://bot.example/hook", 0),
            ("https://bot.example/hook", 3),
        ] {
            assert!(Webhook::new(settings(url, secrets)).is_err(), "{url} {secrets}");
        }
        let error = Webhook::new(settings("ftp://me:hidden@bot.example/hook?key=hidden", 1));
        let words = error.expect_err("it is refused").to_string();
        assert!(words.contains("ftp://bot.example/hook") && !words.contains("hidden"), "{words}");
    }

    /// Goal: a request carries a signature of each secret over the very bytes that are sent.
    #[test]
    fn a_request_is_signed_by_every_secret() {
        let secrets = settings("https://bot.example", 2).secrets;
        let headers = headers(&secrets, "demo/alice/1", 7, "{}").expect("headers");
        assert_eq!(headers[signature::ID], "demo/alice/1");
        assert_eq!(headers[signature::TIMESTAMP], "7");
        let signature = headers[signature::SIGNATURE].to_str().expect("ASCII");
        assert_eq!(signature.split(' ').count(), 2);
    }
}
