//! Who may speak for which bot.
//!
//! Owns the hashes of tokens; a token itself is held by nobody here. **Invariant:** a token that is shown is
//! hashed and compared in constant time, and an unknown bot is compared with as much as a known one, so that
//! no answer tells how near a guess was or which bots there are.

use std::collections::BTreeMap;
use std::fmt;

use anteroom_core::id::BotId;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What a written hash begins with.
const PREFIX: &str = "sha256:";

/// The SHA-256 of a token. Tokens are long and random, so a fast hash is enough.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

/// Why something is no hash of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token's hash is sha256: and 64 hexadecimal digits; `anteroom token` makes a token and its hash"
)]
pub struct NoTokenHash;

/// The tokens that open a listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    bots: BTreeMap<BotId, Vec<TokenHash>>,
    operators: Vec<TokenHash>,
    readers: Vec<TokenHash>,
}

/// What somebody may do who looks after a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Look, and nothing else.
    Reader,
    /// Everything but play a provider.
    Operator,
}

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads a hash as it is written down.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, NoTokenHash> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(NoTokenHash)?;
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() || !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(NoTokenHash);
        }
        for (place, byte) in hash.iter_mut().enumerate() {
            let pair = digits.get(2 * place..2 * place + 2).ok_or(NoTokenHash)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoTokenHash)?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

impl Tokens {
    /// A bot may be spoken for with this token; several may be good at once, while they are being changed.
    pub fn allow_bot(&mut self, bot_id: BotId, token: TokenHash) {
        self.bots.entry(bot_id).or_default().push(token);
    }

    /// An operator, who may do everything but play a provider, has this token.
    pub fn allow_operator(&mut self, token: TokenHash) {
        self.operators.push(token);
    }

    /// A reader, who may look at everything that operators see and change nothing, has this token.
    pub fn allow_reader(&mut self, token: TokenHash) {
        self.readers.push(token);
    }

    /// What the token allows of what operators do.
    pub fn role(&self, token: &str) -> Option<Role> {
        let shown = TokenHash::of(token);
        let (operator, reader) = (one_of(&self.operators, &shown), one_of(&self.readers, &shown));
        match (operator.into(), reader.into()) {
            (true, _) => Some(Role::Operator),
            (false, true) => Some(Role::Reader),
            (false, false) => None,
        }
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.bots.is_empty() && self.operators.is_empty() && self.readers.is_empty()
    }

    /// Whether there is one for operators.
    pub fn has_operator(&self) -> bool {
        !self.operators.is_empty()
    }

    /// Whether a token is the bot's.
    pub fn opens_bot(&self, bot_id: &BotId, token: &str) -> bool {
        let shown = TokenHash::of(token);
        let own = self.bots.get(bot_id).map_or(&[] as &[_], Vec::as_slice);
        one_of(own, &shown).into()
    }

    /// Whether a token is any bot's: enough to bring a file, which no bot's name is needed for.
    pub fn opens_any_bot(&self, token: &str) -> bool {
        let shown = TokenHash::of(token);
        let each = self.bots.values().map(|own| one_of(own, &shown));
        each.fold(Choice::from(0), |any, one| any | one).into()
    }

    /// Whether a token is an operator's.
    pub fn opens_everything(&self, token: &str) -> bool {
        one_of(&self.operators, &TokenHash::of(token)).into()
    }
}

/// Whether a hash is among some, each of which is looked at.
fn one_of(hashes: &[TokenHash], shown: &TokenHash) -> Choice {
    let nobodys = [TokenHash([0; 32])];
    let looked_at = if hashes.is_empty() { &nobodys[..] } else { hashes };
    let each = looked_at.iter().map(|hash| hash.0.ct_eq(&shown.0));
    let found = each.fold(Choice::from(0), |any, one| any | one);
    found & Choice::from(u8::from(!hashes.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let mut tokens = Tokens::default();
        tokens.allow_bot("wa".into(), TokenHash::of("one"));
        tokens.allow_bot("wa".into(), TokenHash::of("two"));
        tokens.allow_bot("wa-7".into(), TokenHash::of("three"));
        tokens.allow_operator(TokenHash::of("root"));
        tokens
    }

    /// Goal: a token opens its own bot only, and not one whose name begins like it (K50).
    #[test]
    fn a_token_opens_its_own_bot() {
        let tokens = tokens();
        for (bot, token, opens) in [
            ("wa", "one", true),
            ("wa", "two", true),
            ("wa", "three", false),
            ("wa-7", "three", true),
            ("wa-7", "one", false),
            ("wa-", "one", false),
            ("w.*", "one", false),
            ("wa", "", false),
            ("wa", "One", false),
            ("wa", "root", false),
            ("nobody", "one", false),
        ] {
            assert_eq!(tokens.opens_bot(&bot.into(), token), opens, "{bot} {token}");
        }
        assert!(tokens.opens_any_bot("three") && !tokens.opens_any_bot("root"));
        assert!(tokens.opens_everything("root") && !tokens.opens_everything("one"));
        assert!(!Tokens::default().opens_everything("") && Tokens::default().is_empty());
    }

    /// Goal: operators may do everything, readers may look, and a bot's token is neither's.
    #[test]
    fn a_token_has_a_role() {
        let mut tokens = tokens();
        tokens.allow_reader(TokenHash::of("eyes"));
        assert_eq!(tokens.role("root"), Some(Role::Operator));
        assert_eq!(tokens.role("eyes"), Some(Role::Reader));
        assert_eq!((tokens.role("one"), tokens.role("")), (None, None));
        assert!(!tokens.opens_everything("eyes") && !tokens.opens_bot(&"wa".into(), "eyes"));
    }

    /// Goal: a hash is written and read; what is none is refused, and no debug line holds one.
    #[test]
    fn a_hash_is_written_and_read() {
        let hash = TokenHash::of("abc");
        let written = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), written);
        assert_eq!(TokenHash::parse(written), Ok(hash.clone()));
        assert_eq!(
            TokenHash::parse(&written.to_uppercase().replace("SHA256", "sha256")),
            Ok(hash.clone())
        );
        assert_eq!(format!("{hash:?}"), "TokenHash(…)");
        for text in
            ["", "sha256:", "sha256:ba78", "md5:ba78", &written[1..], &format!("{written}0")]
        {
            assert_eq!(TokenHash::parse(text), Err(NoTokenHash), "{text}");
        }
        let strange = format!("sha256:{}", "é".repeat(32));
        assert_eq!(TokenHash::parse(&strange), Err(NoTokenHash));
    }
}
