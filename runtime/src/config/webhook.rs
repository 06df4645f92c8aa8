//! `[bots.BOT.webhook]`: where a bot's callbacks are POSTed.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};
use url::Url;

use super::raw::Raw;
use super::section::{Faults, Keys, Section};
use super::value::Value;
use crate::webhook::address::{Allowed, judge_url};
use crate::webhook::signature::Secret;
use crate::webhook::{Webhook, WebhookError, WebhookSettings};

/// Where a bot's callbacks are POSTed, if they are.
#[derive(Debug, Clone, Default)]
pub struct WebhookSection {
    url: Option<SecretString>,
    secret: Option<SecretString>,
    previous_secret: Option<SecretString>,
    allow_private_addresses: bool,
}

impl WebhookSection {
    /// The webhook; none where there is no address.
    ///
    /// # Errors
    /// When it cannot be called.
    pub fn webhook(&self) -> Result<Option<Webhook>, WebhookError> {
        let Some(url) = self.url.as_ref().and_then(|url| parsed(url.expose_secret())) else {
            return Ok(None);
        };
        let secrets = [&self.secret, &self.previous_secret].into_iter().flatten();
        let secrets = secrets.filter_map(|it| Secret::parse(it.expose_secret()).ok()).collect();
        let allow_private_addresses = self.allow_private_addresses;
        Webhook::new(WebhookSettings { url, secrets, allow_private_addresses }).map(Some)
    }
}

fn parsed(url: &str) -> Option<Url> {
    url.parse().ok()
}

impl Section for WebhookSection {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { url, secret, previous_secret, allow_private_addresses } = self;
        keys.key(
            "url",
            &mut Address(url),
            "Where callbacks are POSTed; without it, the bot's consumer opens a stream",
        );
        keys.key(
            "secret",
            &mut SigningSecret(secret),
            "What requests are signed with by Standard Webhooks; `anteroom webhook secret` makes one",
        );
        keys.key(
            "previous_secret",
            &mut SigningSecret(previous_secret),
            "What they are signed with besides, while the receiver still knows the one before",
        );
        keys.key(
            "allow_private_addresses",
            allow_private_addresses,
            "Whether addresses of this machine and of private networks may be called",
        );
    }

    fn check(&self, faults: &mut Faults) {
        let Some(url) = self.url.as_ref().and_then(|url| parsed(url.expose_secret())) else {
            return;
        };
        if self.secret.is_none() {
            faults.add(&["url", "secret"], "a webhook needs a secret to sign its requests with");
        }
        let allowed = if self.allow_private_addresses { Allowed::All } else { Allowed::Public };
        if let Err(why) = judge_url(&url, allowed) {
            faults.add(&["url", "allow_private_addresses"], why);
        }
    }
}

/// The address of a webhook. It is never shown as a whole: a query may hold a key.
struct Address<'a>(&'a mut Option<SecretString>);

impl Value for Address<'_> {
    fn form(&self) -> String {
        "an address that begins with https:// or http://, as in \"https://bot.example/hook\""
            .to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        let url = raw.text().and_then(parsed);
        if url.is_none_or(|url| !matches!(url.scheme(), "http" | "https")) {
            return Err(format!("it is not understood: expected {}", self.form()));
        }
        self.0.set(raw)
    }

    fn shown(&self) -> Option<Json> {
        let url = parsed(self.0.as_ref()?.expose_secret())?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = url.host_str().unwrap_or_default();
        let rest = if url.query().is_some() { "?…" } else { "" };
        Some(json!(format!("{}://{host}{port}{}{rest}", url.scheme(), url.path())))
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// A secret of a webhook.
struct SigningSecret<'a>(&'a mut Option<SecretString>);

impl Value for SigningSecret<'_> {
    fn form(&self) -> String {
        "whsec_ and base64, which is never shown".to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        if let Some(text) = raw.text() {
            Secret::parse(text).map_err(|error| error.to_string())?;
        }
        self.0.set(raw)
    }

    fn shown(&self) -> Option<Json> {
        self.0.shown()
    }

    fn is_secret(&self) -> bool {
        true
    }
}
