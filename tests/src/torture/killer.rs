//! The killer: it ends the node at random moments and starts it again.
//!
//! Most moments are counted, not timed (so many more receipts, callbacks, confirmations, …), for
//! what breaks lies between two steps.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, sleep};

use crate::server::NotReady;
use crate::torture::dice::Dice;
use crate::torture::fleet::Fleet;
use crate::torture::ledger::{Counts, Death, Fact, Ledger, Victim};
use crate::torture::place::Place;
use crate::{PATIENCE, Server};

/// How long a stop may take that was asked for.
pub const STOP_PATIENCE: Duration = Duration::from_secs(50);

/// How long a counted moment is waited for.
const MOMENT_PATIENCE: Duration = Duration::from_secs(3);

/// What is called back between two nodes' turns.
const TURN_CALLBACKS: u64 = 60;

/// The killer.
#[derive(Debug)]
pub struct Killer {
    /// Its draws.
    pub dice: Dice,
    /// Where everything is entered.
    pub ledger: Ledger,
    /// What the node did wrong when it was started or stopped.
    pub complaints: Vec<String>,
}

impl Killer {
    /// Kills and restarts the node until a moment. It is running then.
    ///
    /// # Errors
    /// When the node does not start.
    pub async fn run(
        &mut self,
        fleet: &mut Fleet,
        place: &mut Place,
        until: Instant,
    ) -> Result<(), NotReady> {
        let is_one = fleet.is_one();
        while Instant::now() < until {
            self.moment().await;
            if is_one && place.can_be_killed() && self.dice.chance(40) {
                place.kill(&mut self.dice, &self.ledger).await;
                continue;
            }
            let server = fleet.pick(&mut self.dice);
            match self.dice.below(100) {
                0..20 => self.stop(server).await,
                20..75 => self.kill(server).await,
                _ => {
                    self.kill(server).await;
                    for _ in 0..=self.dice.below(3) {
                        self.kill_while_starting(server).await;
                    }
                }
            }
            // Now and then the clients have to wait.
            let rest = if self.dice.chance(20) { 1_500 } else { 50 };
            sleep(self.dice.millis(0..rest)).await;
            self.start(server).await?;
            if !is_one {
                // What it had has to move, or every node would wait for another's end.
                sleep(self.dice.millis(500..4_000)).await;
            }
        }
        Ok(())
    }

    /// Stops every node in its turn and starts it again, so many times, each after some more has been
    /// called back.
    ///
    /// # Errors
    /// When a node does not start.
    pub async fn roll(&mut self, fleet: &mut Fleet, rounds: usize) -> Result<(), NotReady> {
        for _ in 0..rounds {
            for server in fleet.servers() {
                let enough = self.ledger.counts().called_back + TURN_CALLBACKS;
                self.ledger.reaches(PATIENCE, |counts| counts.called_back >= enough).await;
                self.stop(server).await;
                self.start(server).await?;
            }
        }
        Ok(())
    }

    /// Starts all nodes, side by side.
    ///
    /// # Errors
    /// When one is not ready in time.
    pub async fn start_all(&self, fleet: &mut Fleet) -> Result<(), NotReady> {
        try_join_all(fleet.servers().iter_mut().map(|server| self.start(server))).await?;
        Ok(())
    }

    /// Stops all nodes in order, side by side.
    pub async fn stop_all(&mut self, fleet: &mut Fleet) {
        self.ledger.record(Fact::Ending(Victim::Node, Death::Stopped));
        let complaints = join_all(fleet.servers().iter_mut().map(stopped)).await;
        self.ledger.record(Fact::Ended(Victim::Node, Death::Stopped));
        self.complaints.extend(complaints.into_iter().flatten());
    }

    /// Starts the node and waits until it is ready.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub async fn start(&self, server: &mut Server) -> Result<(), NotReady> {
        server.try_start().await?;
        self.ledger.record(Fact::Ready);
        Ok(())
    }

    /// Waits for the next moment to kill at.
    async fn moment(&mut self) {
        let more = self.dice.between(1..60);
        let counter: fn(&Counts) -> u64 = match self.dice.below(6) {
            0 => |counts| counts.written,
            1 => |counts| counts.receipts,
            2 => |counts| counts.received,
            3 => |counts| counts.confirmed,
            4 => |counts| counts.media_called_back,
            _ => {
                sleep(self.dice.millis(0..2_500)).await;
                return;
            }
        };
        let enough = counter(&self.ledger.counts()) + more;
        self.ledger.reaches(MOMENT_PATIENCE, |counts| counter(counts) >= enough).await;
        sleep(self.dice.millis(0..9)).await;
    }

    async fn kill(&mut self, server: &mut Server) {
        self.ledger.record(Fact::Ending(Victim::Node, Death::Killed));
        server.kill().await;
        self.ledger.record(Fact::Ended(Victim::Node, Death::Killed));
    }

    async fn kill_while_starting(&mut self, server: &mut Server) {
        self.ledger.record(Fact::Ending(Victim::Node, Death::Killed));
        server.start_and_kill(self.dice.millis(0..400)).await;
        self.ledger.record(Fact::Ended(Victim::Node, Death::Killed));
    }

    /// Asks the node to stop and waits until it has.
    pub async fn stop(&mut self, server: &mut Server) {
        self.ledger.record(Fact::Ending(Victim::Node, Death::Stopped));
        let complaint = stopped(server).await;
        self.ledger.record(Fact::Ended(Victim::Node, Death::Stopped));
        self.complaints.extend(complaint);
    }
}

/// Asks a node to stop, and says what was wrong with that.
async fn stopped(server: &mut Server) -> Option<String> {
    match server.try_terminate(STOP_PATIENCE).await {
        Ok(Some(status)) if status.success() => None,
        Ok(Some(status)) => Some(format!("SIGTERM ended it with {status}")),
        Ok(None) => Some(format!("it went on {STOP_PATIENCE:?} after SIGTERM")),
        Err(error) => Some(format!("it cannot be waited for: {error}")),
    }
}
