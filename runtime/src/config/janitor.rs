//! `[janitor]`: how the sweeps of the store and of staging are done.

use anteroom_core::settings::JanitorSettings;

use super::section::{Keys, Section};
use super::value::{count, time};

impl Section for JanitorSettings {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self {
            reclaim_every,
            expire_every,
            files_every,
            active_ttl,
            holding_ttl,
            orphan_after,
            failed_media_retention,
            archive_retention,
            batch_max,
        } = self;
        keys.key(
            "reclaim_every",
            &mut time(reclaim_every),
            "How often expired leases are taken away",
        );
        keys.key(
            "expire_every",
            &mut time(expire_every),
            "How often jobs that waited too long are ended",
        );
        keys.key(
            "files_every",
            &mut time(files_every),
            "How often staged files, failed copies and old archive rows are looked through",
        );
        keys.key("active_ttl", &mut time(active_ttl), "How long a job of a running bot may wait");
        keys.key("holding_ttl", &mut time(holding_ttl), "How long a job of a stopped bot may wait");
        keys.key(
            "orphan_after",
            &mut time(orphan_after),
            "How long a file must have been seen unknown before it is deleted",
        );
        keys.key(
            "failed_media_retention",
            &mut time(failed_media_retention),
            "How long a failed job keeps its file, to be retried",
        );
        keys.key(
            "archive_retention",
            &mut time(archive_retention),
            "How long an archived message is kept after its callback ended",
        );
        keys.key("batch_max", &mut count(batch_max), "Records that one sweep operation may change");
    }
}
