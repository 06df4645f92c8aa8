//! What is wrong with a configuration: every problem at once, each with its key, where it was
//! written, and what to do.

use std::fmt;

use super::raw::Origin;

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigError(Vec<Problem>);

impl ConfigError {
    /// The problems; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written; a file that cannot be read has no line.
    pub origin: String,
    /// Which key, when it is one.
    pub key: Option<String>,
    /// What is wrong, and what to do.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{}: {key}: {}", self.origin, self.why),
            None => write!(f, "{}: {}", self.origin, self.why),
        }
    }
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub fn of_key(&mut self, origin: &Origin, key: &str, why: impl Into<String>) {
        let (origin, key) = (origin.to_string(), Some(key.to_owned()));
        self.0.push(Problem { origin, key, why: why.into() });
    }

    pub fn of_place(&mut self, origin: impl fmt::Display, why: impl Into<String>) {
        self.0.push(Problem { origin: origin.to_string(), key: None, why: why.into() });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An error when there is a problem.
    pub fn into_result(self) -> Result<(), ConfigError> {
        if self.0.is_empty() { Ok(()) } else { Err(ConfigError(self.0)) }
    }
}

/// The one of `known` that `given` was most likely meant to be, if any is near.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    let far = (given.chars().count() / 3).max(1);
    let distances = known.map(|known| (strsim::damerau_levenshtein(&given, known), known));
    distances.filter(|(distance, _)| *distance <= far).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a slip of the finger finds its key, and what is far from all finds none.
    #[test]
    fn the_nearest_is_near() {
        let known = ["ttl", "renew_every", "margin"];
        for (given, expected) in [
            ("tll", Some("ttl")),
            ("TTL", Some("ttl")),
            ("renew-every", Some("renew_every")),
            ("renewevery", Some("renew_every")),
            ("margni", Some("margin")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, known.into_iter()), expected, "{given}");
        }
    }
}
