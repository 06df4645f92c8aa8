//! Hashes of tokens, and `[tokens]`: those of operators.

use serde_json::{Value as Json, json};

use super::raw::Raw;
use super::section::{Keys, Section};
use super::value::Value;
use crate::tokens::TokenHash;

/// The operators' tokens.
#[derive(Debug, Clone, Default)]
pub struct TokensSection {
    /// Their hashes.
    pub operators: Vec<TokenHash>,
    /// Those of readers, who look and change nothing.
    pub readers: Vec<TokenHash>,
}

impl Section for TokensSection {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { operators, readers } = self;
        keys.key(
            "operators",
            &mut Hashes(operators),
            "Hashes of the tokens that open everything but a provider's connection",
        );
        keys.key(
            "readers",
            &mut Hashes(readers),
            "Hashes of the tokens that may look at what operators see, and change nothing",
        );
    }
}

/// Hashes of tokens.
pub(super) struct Hashes<'a>(pub &'a mut Vec<TokenHash>);

impl Value for Hashes<'_> {
    fn form(&self) -> String {
        "a list of hashes, as in [\"sha256:…\"]; `anteroom token` makes them".to_owned()
    }

    fn set(&mut self, raw: &Raw) -> Result<(), String> {
        // What was written is not repeated: it may be a token where its hash should be.
        let list =
            raw.list().ok_or_else(|| format!("it is not understood: expected {}", self.form()))?;
        let hash = |raw: &Raw| {
            let parsed = raw.text().map(TokenHash::parse);
            parsed.and_then(Result::ok).ok_or_else(|| crate::tokens::NoTokenHash.to_string())
        };
        *self.0 = list.iter().map(hash).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn shown(&self) -> Option<Json> {
        let hashes: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        Some(json!(hashes))
    }
}
