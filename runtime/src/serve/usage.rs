//! How staging stands: measured anew from time to time, and said to operators when it changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::media::staging::{Level, Limit, Staging};

/// How often the staging directory is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(600);

/// How often the disk's free space is looked at while it is what is missing: nobody else says that it
/// has returned.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Measures the staging directory for as long as the node runs, and says how it stands. What providers
/// wrote into it without a word counts from the next measurement on.
pub(super) async fn keep_measured(staging: Arc<Staging>) {
    let mut levels = staging.level();
    let mut measure_at = Instant::now() + MEASURE_EVERY;
    let mut level = levels.current();
    say(level, &staging);
    loop {
        let disk_is_full = level == Level::Full(Limit::Disk);
        let next = if disk_is_full { Instant::now() + LOOK_EVERY } else { measure_at };
        tokio::select! {
            biased;
            Some(next) = levels.changed() => {
                level = next;
                say(level, &staging);
            }
            () = sleep_until(next.min(measure_at)) => {
                if let Err(error) = staging.look_at_disk().await {
                    warn!(%error, "the disk of the staging directory could not be looked at");
                }
            }
        }
        if Instant::now() >= measure_at {
            measure_at = Instant::now() + MEASURE_EVERY;
            if let Err(error) = staging.rescan().await {
                warn!(%error, "the staging directory could not be measured");
            }
        }
    }
}

/// One line for each change.
fn say(level: Level, staging: &Staging) {
    let (used_bytes, quota_bytes) = (staging.used_bytes(), staging.limits().quota_bytes);
    match level {
        Level::Roomy => info!(used_bytes, quota_bytes, "the media quota has room"),
        Level::Tight => warn!(used_bytes, quota_bytes, "the media quota is nearly used up"),
        Level::Full(Limit::Quota) => {
            warn!(used_bytes, quota_bytes, "the media quota is used up, files are refused");
        }
        Level::Full(Limit::Disk) => {
            let min_free_bytes = staging.limits().min_free_bytes;
            warn!(
                min_free_bytes,
                "the disk of the staging directory is nearly full, files are refused"
            );
        }
    }
}
