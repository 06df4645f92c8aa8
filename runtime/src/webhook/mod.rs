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
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anteroom_core::bot::event::ConsumerAnswer;
use anteroom_core::protocol::CallbackBatch;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tracing::{debug, warn};

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
    /// The HTTP client could not be made.
    #[error("the webhook's client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A bot's webhook.
#[derive(Debug)]
pub struct Webhook {
    endpoint: Arc<Endpoint>,
}

#[derive(Debug)]
struct Endpoint {
    client: Client,
    url: Url,
    secrets: Vec<Secret>,
}

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
        choose_cryptography();
        let client = Client::builder()
            .user_agent(concat!("anteroom/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .dns_resolver(Arc::new(Resolver { allowed }))
            .connect_timeout(CONNECT_TIME_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .build()?;
        Ok(Self { endpoint: Arc::new(Endpoint { client, url, secrets }) })
    }
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
        let (timeout, bot_id) = (call.timeout, call.bot_id.clone());
        let Some(Request { id, body }) = request(call) else { return unavailable };
        let Some(headers) = headers(&self.secrets, &id, unix_now(), &body) else {
            warn!(bot_id = bot_id.as_str(), id, "a callback's id is no header: it is not called");
            return ConsumerAnswer::Refused;
        };
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        let answered = async {
            let response = request.timeout(timeout).send().await?;
            answer::read(response).await
        };
        match answered.await {
            Ok(answer) => {
                if let Some(error) = &answer.spoilt {
                    warn!(bot_id = bot_id.as_str(), id, %error, "a webhook's reply is not sent");
                }
                answer.into_consumer_answer()
            }
            Err(error) => {
                let error = error.without_url();
                let why = sources(&error);
                debug!(bot_id = bot_id.as_str(), id, why, "a webhook did not answer");
                unavailable
            }
        }
    }
}

/// What is POSTed, and its name.
struct Request {
    id: String,
    body: String,
}

fn request(call: Call) -> Option<Request> {
    if call.together {
        let id = batch_id(&call.callbacks);
        let body = serde_json::to_string(&CallbackBatch { callbacks: call.callbacks }).ok()?;
        return Some(Request { id, body });
    }
    let callback = call.callbacks.first()?;
    let body = serde_json::to_string(callback).ok()?;
    Some(Request { id: callback.callback_id.to_string(), body })
}

fn headers(secrets: &[Secret], id: &str, timestamp: u64, body: &str) -> Option<HeaderMap> {
    const ID: HeaderName = HeaderName::from_static(signature::ID);
    const TIMESTAMP: HeaderName = HeaderName::from_static(signature::TIMESTAMP);
    const SIGNATURE: HeaderName = HeaderName::from_static(signature::SIGNATURE);
    let signatures = signatures(secrets, id, timestamp, body.as_bytes());
    Some(HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
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

/// Says once which implementation of cryptography TLS uses, before the first client is made.
fn choose_cryptography() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody who embeds the library may have chosen before.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
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
