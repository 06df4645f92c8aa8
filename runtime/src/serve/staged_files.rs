//! The staging directory as the driver's port.

use std::path::PathBuf;
use std::sync::Arc;

use anteroom_core::id::MediaId;

use crate::driver::StagedFiles;
use crate::driver::ports::{BoxFuture, FileError};
use crate::media::staging::Staging;

/// Staged files in their directory.
pub(super) struct OnDisk(pub Arc<Staging>);

impl StagedFiles for OnDisk {
    fn path(&self, media_id: MediaId) -> PathBuf {
        self.0.path(media_id)
    }

    fn delete(&self, media_ids: Vec<MediaId>) -> BoxFuture<'_, Vec<(MediaId, FileError)>> {
        Box::pin(async move {
            let mut failed = Vec::new();
            for media_id in media_ids {
                if let Err(error) = self.0.delete(media_id).await {
                    failed.push((media_id, error.into()));
                }
            }
            failed
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<MediaId>, FileError>> {
        Box::pin(async { Ok(self.0.list().await?) })
    }
}
