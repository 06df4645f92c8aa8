//! S11: the events of a process, replayed on a fresh machine, give the same effects.

use anteroom_core::context::Seed;
use anteroom_core::deadline::Deadline;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::machine::Machine;
use anteroom_core::settings::NodeSettings;
use anteroom_core::time::Timestamp;

use crate::digest::Digest;

/// What one process of a node was told, and a hash of what it did at each step.
pub(super) struct Process {
    pub node: usize,
    number: u32,
    settings: NodeSettings,
    seed: Seed,
    pub events: Vec<(Timestamp, Event)>,
    pub digests: Vec<u64>,
}

impl Process {
    pub fn new(node: usize, number: u32, settings: NodeSettings, seed: Seed) -> Self {
        Self { node, number, settings, seed, events: Vec::new(), digests: Vec::new() }
    }

    /// A hash of what a step did.
    pub fn digest_of(effects: &[Effect], deadline: Option<(Timestamp, Deadline)>) -> u64 {
        let mut digest = Digest::default();
        digest.feed(&(effects, deadline));
        digest.value()
    }

    /// Does it all again.
    ///
    /// # Errors
    /// The first step that is not the same.
    pub fn replay(&self) -> Result<(), String> {
        let mut machine = Machine::new(self.settings.clone(), self.seed)
            .map_err(|error| format!("the process cannot be made again: {error}"))?;
        let mut effects = Vec::new();
        for (step, ((now, event), digest)) in self.events.iter().zip(&self.digests).enumerate() {
            effects.clear();
            machine.step(*now, event.clone(), &mut effects);
            if Self::digest_of(&effects, machine.next_deadline()) != *digest {
                return Err(format!(
                    "node {}, process {}: step {step} does other things when it is replayed: \
                     {event:?} gives {effects:?}",
                    self.node, self.number
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a step that did something else is found.
    #[test]
    fn a_difference_is_found() {
        let settings = NodeSettings::new(uuid::Uuid::nil().into());
        let mut process = Process::new(0, 1, settings, Seed([0; 32]));
        process.events.push((Timestamp::from_ms(1), Event::Tick));
        process.digests.push(Process::digest_of(&[], None));
        assert_eq!(process.replay(), Ok(()));
        process.digests[0] ^= 1;
        assert!(process.replay().is_err());
    }
}
