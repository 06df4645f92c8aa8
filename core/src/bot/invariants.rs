//! What must hold of a bot after every step, checked the hard way.

use super::Bot;
use super::lifecycle::Phase;

impl Bot {
    /// Checks every invariant of the bot. Linear in what is in memory.
    ///
    /// # Errors
    /// The first broken one, in words.
    pub fn check_invariants(&self) -> Result<(), String> {
        let limits = self.settings.limits;
        let ensure = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(format!("bot {}: {what}", self.id)) }
        };
        let mut media = 0;
        for (correspondent_id, entry) in &self.correspondents {
            entry
                .queue
                .check_invariants(&limits)
                .map_err(|what| format!("bot {}, {correspondent_id}: {what}", self.id))?;
            media += entry.queue.media_entries().count();
        }
        ensure(self.media.len() == media, "the media index names the media of all queues")?;
        let active = match self.phase {
            Phase::Running | Phase::Draining { .. } | Phase::Restoring { .. } => true,
            Phase::Stopped | Phase::Registering | Phase::Acquiring | Phase::Holding { .. } => false,
        };
        ensure(active || self.correspondents.is_empty(), "a stopped bot holds no messages")?;
        ensure(active || self.joined.is_empty(), "a stopped bot owes no receipts")?;
        self.outbox
            .check_invariants(&self.settings)
            .map_err(|what| format!("bot {}: {what}", self.id))
    }
}
