//! How a file gets to the server: written into its staging directory, or uploaded.

use std::io;
use std::path::Path;

use anteroom_core::protocol::server::WelcomeMedia;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::fs;
use uuid::Uuid;

use super::message::OutgoingFile;
use crate::cli::ClientArgs;
use crate::cli::answer::{self, Answered};

/// Why a file is not at the server.
#[derive(Debug)]
pub(super) enum NotStaged {
    /// It never will be.
    Refused(String),
    /// It may be, later.
    Trouble(String),
}

/// Brings the file to where `welcome` says.
pub(super) async fn stage(
    file: &OutgoingFile,
    client: &ClientArgs,
    welcome: &WelcomeMedia,
) -> Result<(), NotStaged> {
    if file.size_bytes > welcome.max_file_bytes {
        let (size, most) = (file.size_bytes, welcome.max_file_bytes);
        return Err(NotStaged::Refused(format!(
            "the file has {size} bytes, the server takes {most}"
        )));
    }
    if let Some(directory) = shared_directory(file, client, welcome)
        && write_to(Path::new(directory), file).await.is_ok()
    {
        return Ok(());
    }
    upload(file, client, &welcome.upload_url).await
}

/// The staging directory, when it can only be the server's own.
fn shared_directory<'a>(
    file: &OutgoingFile,
    client: &ClientArgs,
    welcome: &'a WelcomeMedia,
) -> Option<&'a str> {
    let room = welcome.quota_bytes.saturating_sub(welcome.used_bytes) >= file.size_bytes;
    // The same path on another machine is another directory.
    welcome.staging_dir.as_deref().filter(|_| !file.upload && room && client.server.is_loopback())
}

/// Writes the file so that it is there as a whole, and durably, or not at all.
async fn write_to(directory: &Path, file: &OutgoingFile) -> io::Result<()> {
    let whole = directory.join(file.media_id.to_string());
    // The janitor knows such a name for an unfinished file, should this process be killed.
    let part = directory.join(format!("{}.part-{}", file.media_id, Uuid::new_v4().simple()));
    let written = async {
        // Not `fs::copy`, which would carry the permissions of a file that only its owner may read.
        let mut from = fs::File::open(&file.path).await?;
        let mut to = fs::OpenOptions::new().write(true).create_new(true).open(&part).await?;
        tokio::io::copy(&mut from, &mut to).await?;
        to.sync_all().await?;
        fs::rename(&part, &whole).await
    };
    let written = written.await;
    if written.is_err() {
        // Nothing is left behind; what is not there needs no deleting.
        let _ = fs::remove_file(&part).await;
    }
    written
}

async fn upload(
    file: &OutgoingFile,
    client: &ClientArgs,
    upload_url: &str,
) -> Result<(), NotStaged> {
    let body = fs::File::open(&file.path).await.map_err(|error| {
        NotStaged::Refused(format!("the file {} cannot be read: {error}", file.path.display()))
    })?;
    let url = client.server.at_path(upload_url, &file.media_id.to_string());
    let request = answer::http_client()
        .map_err(|error| NotStaged::Refused(error.to_string()))?
        .put(url)
        .header(CONTENT_LENGTH, file.size_bytes)
        .header(CONTENT_TYPE, &file.mime_type)
        .body(body);
    match answer::answered(client.authorized(request)).await {
        Answered::Well(_) => Ok(()),
        Answered::Badly { status, detail, .. } if is_for_ever(status) => {
            Err(NotStaged::Refused(format!("the file was not taken: {detail}")))
        }
        Answered::Badly { detail, .. } => Err(NotStaged::Trouble(detail)),
        Answered::Not(error) => Err(NotStaged::Trouble(format!("the upload broke off: {error}"))),
    }
}

/// Whether asking again is of no use.
fn is_for_ever(status: StatusCode) -> bool {
    let patience = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    status == StatusCode::INSUFFICIENT_STORAGE
        || status.is_client_error() && !patience.contains(&status)
}
