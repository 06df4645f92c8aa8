//! Uploads: whole ones, however often the server dies meanwhile, and ones that break off.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use uuid::Uuid;

use crate::RECONNECT_AFTER;

/// How long an upload is tried again.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(90);

/// Uploads a file, again and again until the server says that it has it.
///
/// # Errors
/// When the server refuses it, or does not take it for too long.
pub async fn whole(url: &str, media_id: Uuid, file: &[u8]) -> Result<(), String> {
    let client = crate::http_client();
    let deadline = Instant::now() + UPLOAD_PATIENCE;
    while Instant::now() < deadline {
        let request = client.put(format!("{url}/v1/media/{media_id}")).body(file.to_vec());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            // A node that stops, or has no room, says so.
            Ok(answer) if answer.status().is_server_error() => {}
            Ok(answer) => {
                return Err(format!("the upload of {media_id} was answered {}", answer.status()));
            }
            // The line broke.
            Err(_) => {}
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
    Err(format!("the upload of {media_id} did not succeed within {UPLOAD_PATIENCE:?}"))
}

/// Begins an upload and breaks it off after `part` bytes.
pub async fn broken_off(url: &str, media_id: Uuid, file: &[u8], part: usize) {
    let authority = url.trim_start_matches("http://");
    // That the server is away is as good as any way of breaking off.
    let Ok(mut line) = TcpStream::connect(authority).await else { return };
    let head = format!(
        "PUT /v1/media/{media_id} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\n\r\n",
        file.len() + 1
    );
    if line.write_all(head.as_bytes()).await.is_ok() {
        let _ = line.write_all(&file[..part]).await;
    }
}
