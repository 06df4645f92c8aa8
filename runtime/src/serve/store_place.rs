//! Which store a node uses, as it is written in a configuration.

use std::path::{Path, PathBuf};

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum StorePlace {
    /// The embedded one.
    Sqlite {
        /// The directory of its files.
        directory: PathBuf,
    },
    /// A MongoDB.
    Mongodb {
        /// Its address, which may hold a password.
        uri: String,
    },
}

/// Why a store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorePlaceError {
    /// No directory.
    #[error("sqlite: needs a directory, as in sqlite:./anteroom-data")]
    NoDirectory,
    /// Slashes as in an address.
    #[error(
        "sqlite: takes a directory and no address: sqlite:./anteroom-data or sqlite:/srv/anteroom"
    )]
    NoAddress,
    /// Something else. It is not repeated, since it may hold a password.
    #[error(
        "the store is not understood: write sqlite:DIRECTORY, mongodb://HOST/DATABASE, or leave it out"
    )]
    Unknown,
}

impl StorePlace {
    /// The place that `store` names; without it, the embedded store in the data directory.
    pub fn parse(store: Option<&str>, data_dir: &Path) -> Result<Self, StorePlaceError> {
        let Some(store) = store else { return Ok(Self::Sqlite { directory: data_dir.to_owned() }) };
        match store.split_once(':') {
            Some(("sqlite", "")) => Err(StorePlaceError::NoDirectory),
            // As an address it would name a host; as a path, the root of the file system.
            Some(("sqlite", address)) if address.starts_with("//") => {
                Err(StorePlaceError::NoAddress)
            }
            Some(("sqlite", directory)) => Ok(Self::Sqlite { directory: directory.into() }),
            Some(("mongodb" | "mongodb+srv", _)) => Ok(Self::Mongodb { uri: store.to_owned() }),
            Some(_) | None => Err(StorePlaceError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every way to name a store is understood or refused with a reason, and no password is
    /// repeated.
    #[test]
    fn stores_are_understood_or_refused() {
        let sqlite = |directory: &str| Ok(StorePlace::Sqlite { directory: directory.into() });
        let mongodb = |uri: &str| Ok(StorePlace::Mongodb { uri: uri.to_owned() });
        for (given, expected) in [
            (None, sqlite("./anteroom-data")),
            (Some("sqlite:./elsewhere"), sqlite("./elsewhere")),
            (Some("sqlite:/srv/anteroom"), sqlite("/srv/anteroom")),
            (Some("sqlite:"), Err(StorePlaceError::NoDirectory)),
            (Some("sqlite://./elsewhere"), Err(StorePlaceError::NoAddress)),
            (Some("sqlite:///srv/anteroom"), Err(StorePlaceError::NoAddress)),
            (
                Some("mongodb://user:secret@db/anteroom"),
                mongodb("mongodb://user:secret@db/anteroom"),
            ),
            (Some("mongodb+srv://db/anteroom"), mongodb("mongodb+srv://db/anteroom")),
            (Some("postgres://user:secret@db/anteroom"), Err(StorePlaceError::Unknown)),
            (Some("anteroom.db"), Err(StorePlaceError::Unknown)),
        ] {
            let parsed = StorePlace::parse(given, Path::new("./anteroom-data"));
            assert_eq!(parsed, expected, "{given:?}");
            if let Err(error) = parsed {
                assert!(!error.to_string().contains("secret"));
            }
        }
    }
}
