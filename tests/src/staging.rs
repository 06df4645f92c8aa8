//! The two ways in which a provider's files reach the server.

use std::path::{Path, PathBuf};

use serde_json::Value;
use uuid::Uuid;

use crate::Server;

/// The staging directory that a `welcome` names.
///
/// # Panics
/// When it names none, or none that a process elsewhere on the machine could use.
pub fn directory(welcome: &Value) -> PathBuf {
    let directory = welcome["media"]["staging_dir"].as_str().expect("welcome names the directory");
    let directory = PathBuf::from(directory);
    assert!(directory.is_absolute(), "a relative path means nothing to a provider: {directory:?}");
    directory
}

/// Puts a file into the staging directory as a provider on the same machine does: under a temporary
/// name, then renamed.
///
/// # Panics
/// When the directory cannot be written to.
pub fn share(directory: &Path, media_id: Uuid, bytes: &[u8]) {
    let temporary = directory.join(format!("{media_id}.part"));
    std::fs::write(&temporary, bytes).expect("the staging directory can be written to");
    std::fs::rename(temporary, directory.join(media_id.to_string())).expect("a rename in place");
}

/// Uploads a file and returns the answer's status.
///
/// # Panics
/// When the server does not answer.
pub async fn upload(server: &Server, media_id: &str, bytes: Vec<u8>) -> u16 {
    let address = format!("{}/v1/media/{media_id}", server.url());
    let answer = crate::http_client().put(address).body(bytes).send().await;
    answer.expect("the server answers an upload").status().as_u16()
}
