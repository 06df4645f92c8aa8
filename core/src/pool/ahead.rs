//! Whether jobs are claimed before there is a slot for them.
//!
//! A slot that has become free is empty until the store has given out the next job. Beside a short job that is
//! a good part of its time, so while a pool's jobs are short, some wait here, claimed. Beside a long one it
//! is nothing, and a claimed job would wait for as long as the one in front of it takes, while another node
//! may have a free slot.

use serde::{Deserialize, Serialize};

use super::Pools;
use crate::context::Context;
use crate::id::PoolName;
use crate::time::Millis;

/// Up to which length jobs are short. A claim takes some milliseconds, a hundred on a busy store: beside
/// this that is a twentieth.
const SHORT_MAX: Millis = Millis::from_secs(2);

/// How much of what was usual before stays when another job has ended, in quarters.
const QUARTERS_KEPT: u64 = 3;

/// How long the latest jobs took: a mean in which older ones weigh less. None before the first has
/// ended, and after one has used up its time.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct UsualLength(Option<Millis>);

impl UsualLength {
    fn note(&mut self, took: Millis) {
        let took = took.as_ms();
        let mean = match self.0 {
            None => took,
            Some(usual) => usual.as_ms() / 4 * QUARTERS_KEPT + took / 4,
        };
        self.0 = Some(Millis::from_ms(mean));
    }

    fn is_short(self) -> bool {
        self.0.is_some_and(|usual| usual <= SHORT_MAX)
    }
}

impl Pools {
    /// A job of a pool has ended by itself, after it `took` so long.
    pub(super) fn note_length(&mut self, cx: &mut Context<'_>, name: &PoolName, took: Millis) {
        if let Some(pool) = self.pools.get_mut(name) {
            pool.usual.note(took);
            cx.board.set_ahead(name, pool.usual.is_short());
        }
    }

    /// A job of a pool has used up its time: what was usual before is not any more.
    pub(super) fn forget_lengths(&mut self, cx: &mut Context<'_>, name: &PoolName) {
        if let Some(pool) = self.pools.get_mut(name) {
            pool.usual = UsualLength::default();
            cx.board.set_ahead(name, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_short_after(lengths_ms: &[u64]) -> bool {
        let mut usual = UsualLength::default();
        for ms in lengths_ms {
            usual.note(Millis::from_ms(*ms));
        }
        usual.is_short()
    }

    /// Goal: nothing is taken ahead before a job has ended, nor while jobs are long; one long job among short
    /// ones counts for a while, and no length overflows.
    #[test]
    fn short_jobs_are_told_from_long_ones() {
        for (lengths_ms, expected) in [
            (&[][..], false),
            (&[0], true),
            (&[2_000], true),
            (&[2_004], false),
            (&[100, 100, 60_000], false),
            (&[100, 7_000], true),
            (&[60_000, 10, 10, 10], false),
            (&[u64::MAX, u64::MAX, 0], false),
        ] {
            assert_eq!(is_short_after(lengths_ms), expected, "{lengths_ms:?}");
        }
        let recovering = [&[60_000][..], &[10; 20]].concat();
        assert!(is_short_after(&recovering));
    }
}
