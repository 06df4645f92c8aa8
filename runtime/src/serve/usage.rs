//! How much of the media quota is used: measured anew from time to time, and said when it gets tight.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use crate::media::staging::Staging;

/// How often the staging directory is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(600);

/// Of the quota, from where on operators are told, in percent.
const TIGHT_FROM_PERCENT: u64 = 90;

/// Measures the staging directory for as long as the node runs. What providers wrote into it by
/// themselves counts from then on.
pub(super) async fn keep_measured(staging: Arc<Staging>) {
    loop {
        let quota_bytes = staging.limits().quota_bytes;
        let used_bytes = staging.used_bytes();
        if is_tight(used_bytes, quota_bytes) {
            warn!(used_bytes, quota_bytes, "the media quota is nearly used up");
        }
        sleep(MEASURE_EVERY).await;
        if let Err(error) = staging.rescan().await {
            warn!(%error, "the staging directory could not be measured");
        }
    }
}

fn is_tight(used_bytes: u64, quota_bytes: u64) -> bool {
    used_bytes >= quota_bytes / 100 * TIGHT_FROM_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: operators are told from ninety percent on, whatever the size.
    #[test]
    fn a_quota_is_tight_from_ninety_percent_on() {
        assert!(!is_tight(899, 1_000));
        assert!(is_tight(900, 1_000));
        assert!(is_tight(u64::MAX, u64::MAX));
        assert!(!is_tight(0, u64::MAX));
    }
}
