//! Waiting longer and longer for a server that is not there.

use std::time::Duration;

/// The waits between attempts: doubled each time, up to a bound that a restart is noticed within.
#[derive(Debug)]
pub(super) struct BackOff {
    next: Duration,
}

impl BackOff {
    const FIRST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(2);

    pub(super) fn new() -> Self {
        Self { next: Self::FIRST }
    }

    /// The wait before the next attempt.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(Self::MOST);
        wait
    }

    /// The server is there: the next trouble begins anew.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the waits double, stay within their bound, and begin anew after a success.
    #[test]
    fn waits_double_up_to_their_bound() {
        let mut back_off = BackOff::new();
        let waits: Vec<u128> = (0..7).map(|_| back_off.wait().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
        back_off.reset();
        assert_eq!(back_off.wait(), BackOff::FIRST);
    }
}
