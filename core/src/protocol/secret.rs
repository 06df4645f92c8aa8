//! A token that is not shown.

use std::fmt;

/// What a peer proves itself with.
///
/// Neither `Debug` nor `Display` prints it and it has no `Serialize` of its own, so that no log line
/// and no trace holds it; only [`ProviderFrame::to_wire`](super::ProviderFrame::to_wire) writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What stands in a secret's place.
pub(super) const REDACTED: &str = "[redacted]";

impl Secret {
    /// The secret itself, for whoever compares or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}
