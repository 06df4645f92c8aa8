//! What is said while a run goes on: a line every few seconds.

use std::fmt;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::torture::ledger::{Counts, Ledger};

/// Prints a line every so often, until it is aborted.
pub async fn report(ledger: Ledger, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one is at once.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        println!("{:>5} s  {}", ledger.elapsed().as_secs(), ledger.counts());
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeats = self.received - self.called_back;
        let waiting = self.messages - self.called_back;
        write!(
            f,
            "{} messages ({} with media), {waiting} under way; {} kills, {} stops",
            self.messages, self.media, self.kills, self.stops
        )?;
        if self.store_kills > 0 {
            write!(f, ", {} kills of the store", self.store_kills)?;
        }
        let resent = self.written.saturating_sub(self.messages);
        write!(f, "; {} callbacks, {repeats} repeats; {resent} frames sent again", self.called_back)
    }
}
