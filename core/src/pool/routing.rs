//! Which pool takes which MIME type.
//!
//! Parameters such as `; codecs=opus` and case are ignored; `audio/*` matches a whole type; exactly
//! one pool takes everything that no other takes.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::id::PoolName;
use crate::settings::PoolSettings;

/// Which pool takes which MIME type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    /// Never iterated.
    #[serde(with = "crate::lookup::sorted")]
    exact: HashMap<String, PoolName>,
    /// By the part before the slash. Never iterated.
    #[serde(with = "crate::lookup::sorted")]
    whole: HashMap<String, PoolName>,
    catch_all: PoolName,
}

/// Why pools make no routing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    /// Two pools claim the same type.
    #[error("{mime_type} is in two pools, {first} and {second}: a type belongs to one pool")]
    Twice {
        /// The type.
        mime_type: String,
        /// The first pool.
        first: PoolName,
        /// The second pool.
        second: PoolName,
    },
    /// No pool takes everything else.
    #[error("no pool is the catch-all: give exactly one pool the type `*`")]
    NoCatchAll,
    /// Two pools have one name.
    #[error("two pools are called {name}")]
    SameName {
        /// The name.
        name: PoolName,
    },
}

impl Routing {
    /// The routing of these pools.
    ///
    /// # Errors
    /// When a type is in two pools, two pools have one name, or there is not exactly one catch-all.
    pub fn new(pools: &[PoolSettings]) -> Result<Self, RoutingError> {
        let mut exact = HashMap::new();
        let mut whole = HashMap::new();
        let mut catch_all = None;
        for (index, pool) in pools.iter().enumerate() {
            if pools[..index].iter().any(|other| other.name == pool.name) {
                return Err(RoutingError::SameName { name: pool.name.clone() });
            }
            for mime_type in &pool.mime_types {
                let pattern = essence(mime_type);
                let before = if pattern == "*" || pattern == "*/*" {
                    catch_all.replace(pool.name.clone())
                } else if let Some(kind) = pattern.strip_suffix("/*") {
                    whole.insert(kind.to_owned(), pool.name.clone())
                } else {
                    exact.insert(pattern, pool.name.clone())
                };
                if let Some(first) = before {
                    let (mime_type, second) = (mime_type.clone(), pool.name.clone());
                    return Err(RoutingError::Twice { mime_type, first, second });
                }
            }
        }
        let catch_all = catch_all.ok_or(RoutingError::NoCatchAll)?;
        Ok(Self { exact, whole, catch_all })
    }

    /// The pool for a declared MIME type. The most particular pattern wins.
    pub fn route(&self, mime_type: &str) -> &PoolName {
        let essence = essence(mime_type);
        if let Some(pool) = self.exact.get(&essence) {
            return pool;
        }
        let kind = essence.split_once('/').map(|(kind, _)| kind);
        kind.and_then(|kind| self.whole.get(kind)).unwrap_or(&self.catch_all)
    }
}

/// The type without parameters and case.
fn essence(mime_type: &str) -> String {
    let end = mime_type.find(';').unwrap_or(mime_type.len());
    mime_type[..end].trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::default_pools;

    /// Goal: every voice note finds the audio pool, whatever its parameters and case (K29).
    #[test]
    fn routing_ignores_parameters_and_case() {
        let routing = Routing::new(&default_pools()).expect("the default pools are a routing");
        for (mime_type, pool) in [
            ("audio/ogg; codecs=opus", "audio"),
            ("AUDIO/OGG", "audio"),
            (" image/webp ;x=y", "image"),
            ("video/mp4", "video"),
            ("application/pdf", "document"),
            ("text/calendar", "unsupported"),
            ("media_corrupt_audio", "corrupt"),
            ("media_corrupt_nonsense", "unsupported"),
            ("", "unsupported"),
            ("/", "unsupported"),
        ] {
            assert_eq!(routing.route(mime_type).as_str(), pool, "{mime_type}");
        }
    }

    /// Goal: pools that make no sense are refused with words that say what to do.
    #[test]
    fn routing_refuses_overlaps_and_needs_one_catch_all() {
        let pools = default_pools();
        let mut doubled = pools.clone();
        doubled[1].mime_types.push("Audio/*".to_owned());
        assert!(matches!(Routing::new(&doubled), Err(RoutingError::Twice { .. })));
        let mut two = pools.clone();
        two[0].mime_types.push("*".to_owned());
        assert!(matches!(Routing::new(&two), Err(RoutingError::Twice { .. })));
        let last = pools.len() - 1;
        assert_eq!(Routing::new(&pools[..last]).err(), Some(RoutingError::NoCatchAll));
        let mut same = pools;
        same[1].name = same[0].name.clone();
        assert!(matches!(Routing::new(&same), Err(RoutingError::SameName { .. })));
    }
}
