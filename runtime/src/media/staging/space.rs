//! How much space staging has left, in the words that operators and providers are told.

use tokio::sync::watch;

/// From how much of the quota on operators are told that it gets tight, in percent.
const TIGHT_FROM_PERCENT: u64 = 90;

/// Below how much of it they are told that it is over, in percent: a little use more or less is not
/// worth a line each.
const ROOMY_BELOW_PERCENT: u64 = 85;

/// How staging stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// There is room.
    Roomy,
    /// Most of the quota is used.
    Tight,
    /// Files are refused, or the next one will be, until something is freed.
    Full(Limit),
}

impl Level {
    /// Whether files are refused.
    pub fn is_full(self) -> bool {
        matches!(self, Self::Full(_))
    }
}

/// What staging is out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The quota is used up.
    Quota,
    /// The disk is nearly full, whoever filled it.
    Disk,
}

/// How staging stands, as it changes.
///
/// It gives copies and never a borrow: staging changes the level under a lock of its own, so whoever held
/// a borrow while asking staging anything would wait for ever.
#[derive(Debug, Clone)]
pub struct Levels(watch::Receiver<Level>);

impl Levels {
    /// How staging stands; that counts as seen.
    pub fn current(&mut self) -> Level {
        *self.0.borrow_and_update()
    }

    /// Waits until staging stands otherwise than was seen last; none when there is no staging any more.
    /// Safe to cancel.
    pub async fn changed(&mut self) -> Option<Level> {
        self.0.changed().await.ok()?;
        Some(self.current())
    }
}

/// What has been refused since space was last freed, and how staging stands.
#[derive(Debug)]
pub(super) struct Space {
    /// How much was used when the quota refused something.
    refused_at: Option<u64>,
    disk_is_full: bool,
    level: watch::Sender<Level>,
}

impl Default for Space {
    fn default() -> Self {
        let level = watch::Sender::new(Level::Roomy);
        Self { refused_at: None, disk_is_full: false, level }
    }
}

impl Space {
    /// How staging stands, as it changes.
    pub fn watch(&self) -> Levels {
        Levels(self.level.subscribe())
    }

    /// The quota refused something while `used_bytes` were used by others.
    pub fn refused(&mut self, used_bytes: u64) {
        self.refused_at = Some(used_bytes);
    }

    /// The disk has, or has not, the space that must stay free.
    pub fn disk_is_full(&mut self, is_full: bool) {
        self.disk_is_full = is_full;
    }

    /// The use has changed, or something was refused.
    pub fn look(&mut self, used_bytes: u64, quota_bytes: u64) {
        if self.refused_at.is_some_and(|refused_at| used_bytes < refused_at) {
            self.refused_at = None;
        }
        let (refused, disk_is_full) = (self.refused_at.is_some(), self.disk_is_full);
        self.level.send_if_modified(|level| {
            let next = if used_bytes >= quota_bytes || refused {
                Level::Full(Limit::Quota)
            } else if disk_is_full {
                Level::Full(Limit::Disk)
            } else if used_bytes >= percent(quota_bytes, TIGHT_FROM_PERCENT)
                || *level != Level::Roomy && used_bytes >= percent(quota_bytes, ROOMY_BELOW_PERCENT)
            {
                Level::Tight
            } else {
                Level::Roomy
            };
            std::mem::replace(level, next) != next
        });
    }
}

/// So many percent, rounded up, whatever the size.
fn percent(bytes: u64, percent: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(percent);
    u64::try_from(part.div_ceil(100)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Goal: operators hear of ninety percent, of the limit, and of the end of both, once each.
    #[test]
    fn levels_change_once() {
        let mut space = Space::default();
        let mut watch = space.watch();
        for (used, expected) in [
            (89, None),
            (90, Some(Level::Tight)),
            (86, None),
            (99, None),
            (100, Some(Level::Full(Limit::Quota))),
            (120, None),
            (99, Some(Level::Tight)),
            (85, None),
            (84, Some(Level::Roomy)),
            (89, None),
        ] {
            space.look(used, 100);
            assert_eq!(watch.changed().now_or_never().flatten(), expected, "{used}");
        }
    }

    /// Goal: what did not fit makes staging full until something is freed, not until the next look; a
    /// full disk does so until the disk has space again.
    #[test]
    fn a_refusal_lasts_until_space_is_freed() {
        let mut space = Space::default();
        let mut watch = space.watch();
        space.refused(60);
        for (used, full) in [(60, true), (70, true), (59, false), (70, false)] {
            space.look(used, 100);
            assert_eq!(watch.current().is_full(), full, "{used}");
        }
        space.disk_is_full(true);
        space.look(10, 100);
        assert_eq!(watch.current(), Level::Full(Limit::Disk));
        space.disk_is_full(false);
        space.look(10, 100);
        assert_eq!(watch.current(), Level::Roomy);
    }

    /// Goal: no size overflows, and a quota of nothing is always used up.
    #[test]
    fn extreme_quotas_make_sense() {
        assert_eq!(percent(u64::MAX, 100), u64::MAX);
        assert_eq!(percent(1, 90), 1);
        let mut space = Space::default();
        space.look(0, 0);
        assert!(space.watch().current().is_full());
    }
}
