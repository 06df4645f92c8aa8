//! `[media]`: where media files wait, and how much of them.

use std::path::{Path, PathBuf};

use super::section::{Faults, Keys, Section};
use super::value::{size, time};
use crate::media::staging::{Staging, StagingLimits};

/// Where media files wait, and how much of them.
#[derive(Debug, Clone, Default)]
pub struct Media {
    /// Where; none for the place in the data directory.
    pub staging_dir: Option<PathBuf>,
    /// How much.
    pub limits: StagingLimits,
}

impl Media {
    /// Where media files wait.
    pub(super) fn directory(&self, data_dir: &Path) -> PathBuf {
        self.staging_dir.clone().unwrap_or_else(|| Staging::default_directory(data_dir))
    }
}

impl Section for Media {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { staging_dir, limits } = self;
        let StagingLimits {
            quota_bytes,
            min_free_bytes,
            file_bytes_max,
            silence_max,
            part_age_max,
        } = limits;
        keys.key(
            "staging_dir",
            staging_dir,
            "Where media files wait; without it, within `data_dir`",
        );
        keys.key("quota_bytes", &mut size(quota_bytes), "Bytes of all files and uploads together");
        keys.key("min_free_bytes", &mut size(min_free_bytes), "Bytes that stay free on the disk");
        keys.key("max_file_bytes", &mut size(file_bytes_max), "Bytes of one file");
        keys.key(
            "upload_silence_max",
            &mut time(silence_max),
            "How long an upload may say nothing",
        );
        keys.key(
            "unfinished_after",
            &mut time(part_age_max),
            "How old an unfinished file must be to be deleted at the start",
        );
    }

    fn check(&self, faults: &mut Faults) {
        let StagingLimits { quota_bytes, file_bytes_max, .. } = self.limits;
        if file_bytes_max == 0 {
            faults.add(&["max_file_bytes"], "no file is smaller than nothing: give it a size");
        }
        if file_bytes_max > quota_bytes {
            let why = "max_file_bytes must not be more than quota_bytes: such a file never fits";
            faults.add(&["quota_bytes", "max_file_bytes"], why);
        }
    }
}
