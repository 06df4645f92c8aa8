//! The name of callbacks that travel together.

use std::fmt::Write;

use anteroom_core::protocol::CallbackFrame;
use sha2::{Digest, Sha256};

/// `batch_` and the SHA-256 of the callbacks' ids, each with a line end, in hexadecimal: the `webhook-id`, and
/// the id of an event. The same callbacks have the same name, whichever attempt it is.
pub fn batch_id(callbacks: &[CallbackFrame]) -> String {
    id_of(callbacks.iter().map(|callback| callback.callback_id.to_string()))
}

fn id_of(callback_ids: impl IntoIterator<Item = String>) -> String {
    let mut hash = Sha256::new();
    for id in callback_ids {
        hash.update(id.as_bytes());
        hash.update(b"\n");
    }
    let mut id = "batch_".to_owned();
    for byte in hash.finalize() {
        write!(id, "{byte:02x}").expect("a string can always be written to");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a batch is named by the ids of its callbacks and nothing else.
    #[test]
    fn a_batch_is_named_by_its_callbacks() {
        let id = |ids: &[&str]| id_of(ids.iter().map(|&id| id.to_owned()));
        // printf 'wa-7/a/1\nwa-7/a/2\n' | sha256sum
        assert_eq!(
            id(&["wa-7/a/1", "wa-7/a/2"]),
            "batch_ee984b0688d09ccddc2d6fbbfb2b0fe43afaea102b1d9c57fa7784b8e2ac24cc"
        );
        assert_ne!(id(&["wa-7/a/1", "wa-7/a/2"]), id(&["wa-7/a/1wa-7/a/2"]));
    }
}
