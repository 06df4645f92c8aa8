//! Signatures by the [Standard Webhooks](https://www.standardwebhooks.com) scheme, symmetric, version 1.
//!
//! Owns both halves: [`signatures`] for who sends, [`verify`] for who receives. What is signed is
//! `id.timestamp.body`; signatures are compared in constant time.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header that names the webhook: what a receiver remembers in order to act once.
pub const ID: &str = "webhook-id";

/// The header that says when it was sent, in seconds since the epoch.
pub const TIMESTAMP: &str = "webhook-timestamp";

/// The header with the signatures, separated by spaces.
pub const SIGNATURE: &str = "webhook-signature";

/// Seconds by which the clocks of both sides may differ, the way included.
pub const TOLERANCE_SECONDS: u64 = 5 * 60;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// The version of the signatures.
const VERSION: &str = "v1,";

/// Bytes of a secret, as the specification bounds them.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What both sides know. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// Why something is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a webhook's secret is whsec_ and the base64 of 24 to 64 random bytes; `anteroom webhook secret` \
     makes one"
)]
pub struct NoSecret;

/// Why a webhook is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// A header is missing, or says nothing that makes sense.
    #[error("the header {0} is missing or makes no sense")]
    Header(&'static str),
    /// It was sent too long ago, or in the future.
    #[error("webhook-timestamp is more than five minutes away from this clock")]
    Timestamp,
    /// No signature is the secret's.
    #[error(
        "no signature in webhook-signature was made with the secret over this id, time and body"
    )]
    Signature,
}

/// The headers of a webhook, as they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`.
    pub signature: Option<&'a str>,
}

impl Secret {
    /// Reads a secret, with `whsec_` or without.
    ///
    /// # Errors
    /// When it is no base64 of 24 to 64 bytes.
    pub fn parse(text: &str) -> Result<Self, NoSecret> {
        let text = text.trim();
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text));
        let bytes = bytes.map_err(|_| NoSecret)?;
        if SECRET_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(NoSecret) }
    }

    /// The secret of these random bytes, as it is written down.
    pub fn written(random: [u8; 32]) -> String {
        format!("{PREFIX}{}", STANDARD.encode(random))
    }

    fn mac(&self, id: &str, timestamp: u64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The value of [`SIGNATURE`]: one signature of each secret.
pub fn signatures(secrets: &[Secret], id: &str, timestamp: u64, body: &[u8]) -> String {
    let sign = |secret: &Secret| {
        let mac = secret.mac(id, timestamp, body).finalize().into_bytes();
        format!("{VERSION}{}", STANDARD.encode(mac))
    };
    secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

/// Whether a webhook comes from somebody who knows the secret, and came about `now`, in seconds since the
/// epoch.
///
/// # Errors
/// Why it is not to be believed.
pub fn verify(
    secret: &Secret,
    headers: Headers<'_>,
    body: &[u8],
    now: u64,
) -> Result<(), NotVerified> {
    let id = headers.id.filter(|id| !id.is_empty()).ok_or(NotVerified::Header(ID))?;
    let timestamp = headers.timestamp.and_then(|time| time.parse::<u64>().ok());
    let timestamp = timestamp.ok_or(NotVerified::Header(TIMESTAMP))?;
    let given = headers.signature.ok_or(NotVerified::Header(SIGNATURE))?;
    if timestamp.abs_diff(now) > TOLERANCE_SECONDS {
        return Err(NotVerified::Timestamp);
    }
    let is_ours = |signature: &str| {
        let bytes = signature.strip_prefix(VERSION).map(|text| STANDARD.decode(text));
        let bytes = bytes.and_then(Result::ok);
        bytes.is_some_and(|bytes| secret.mac(id, timestamp, body).verify_slice(&bytes).is_ok())
    };
    if given.split(' ').any(is_ours) { Ok(()) } else { Err(NotVerified::Signature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret, an id, a time, a body and their signature.
    type Vector = (&'static str, &'static str, u64, &'static str, &'static str);

    /// As the specification's reference libraries have them.
    const VECTORS: [Vector; 2] = [
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ];

    fn secret(text: &str) -> Secret {
        Secret::parse(text).expect("a secret")
    }

    /// Goal: what is signed here is what the specification's own libraries sign, and is verified here.
    #[test]
    fn signatures_are_the_specifications() {
        for (text, id, timestamp, body, expected) in VECTORS {
            let secret = secret(text);
            let signed = signatures(std::slice::from_ref(&secret), id, timestamp, body.as_bytes());
            assert_eq!(signed, expected);
            let time = timestamp.to_string();
            let headers =
                Headers { id: Some(id), timestamp: Some(&time), signature: Some(expected) };
            assert_eq!(verify(&secret, headers, body.as_bytes(), timestamp), Ok(()));
        }
    }

    /// Goal: while secrets are being changed, a receiver that knows either of them believes; signatures
    /// of other versions are passed over.
    #[test]
    fn either_secret_is_enough_while_they_are_changed() {
        let [old, new] = VECTORS.map(|(text, ..)| secret(text));
        let both = signatures(&[new.clone(), old.clone()], "a", 7, b"{}");
        let given = format!("v1a,AAAA {both}");
        let headers = Headers { id: Some("a"), timestamp: Some("7"), signature: Some(&given) };
        assert_eq!(verify(&old, headers, b"{}", 7), Ok(()));
        assert_eq!(verify(&new, headers, b"{}", 7), Ok(()));
        let stranger = secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(verify(&stranger, headers, b"{}", 7), Err(NotVerified::Signature));
    }

    /// Goal: a changed id, time or body, a missing header and an old webhook are not believed.
    #[test]
    fn what_was_changed_is_not_believed() {
        let (text, id, timestamp, body, signature) = VECTORS[0];
        let (secret, time) = (secret(text), timestamp.to_string());
        let headers = Headers { id: Some(id), timestamp: Some(&time), signature: Some(signature) };
        let verified = |headers, body: &str, now| verify(&secret, headers, body.as_bytes(), now);
        let later = (timestamp + 1).to_string();
        for (changed, why) in [
            (Headers { id: Some("other"), ..headers }, NotVerified::Signature),
            (Headers { timestamp: Some(&later), ..headers }, NotVerified::Signature),
            (Headers { signature: Some("v1,"), ..headers }, NotVerified::Signature),
            (Headers { signature: Some("v1,====="), ..headers }, NotVerified::Signature),
            (Headers { signature: Some(""), ..headers }, NotVerified::Signature),
            (Headers { id: None, ..headers }, NotVerified::Header(ID)),
            (Headers { timestamp: Some("soon"), ..headers }, NotVerified::Header(TIMESTAMP)),
            (Headers { signature: None, ..headers }, NotVerified::Header(SIGNATURE)),
        ] {
            assert_eq!(verified(changed, body, timestamp), Err(why), "{changed:?}");
        }
        assert_eq!(verified(headers, "{}", timestamp), Err(NotVerified::Signature));
        let limit = TOLERANCE_SECONDS;
        assert_eq!(verified(headers, body, timestamp + limit), Ok(()));
        assert_eq!(verified(headers, body, timestamp + limit + 1), Err(NotVerified::Timestamp));
        assert_eq!(verified(headers, body, timestamp - limit - 1), Err(NotVerified::Timestamp));
    }

    /// Goal: a secret has the specification's form, and is never shown.
    #[test]
    fn a_secret_has_a_form_and_is_not_shown() {
        for text in ["", "whsec_", "whsec_short", "whsec_AAAA", "whsec_not base64 at all, but long"]
        {
            assert_eq!(Secret::parse(text), Err(NoSecret), "{text}");
        }
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        assert_eq!(Secret::parse(&long), Err(NoSecret));
        let made = Secret::written([7; 32]);
        assert_eq!(format!("{:?}", secret(&made)), "Secret(…)");
        assert_eq!(secret(made.trim_start_matches(PREFIX)), secret(&made));
    }
}
