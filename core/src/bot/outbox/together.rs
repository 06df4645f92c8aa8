//! Debounce: messages of one correspondent that come in a burst go out together.
//!
//! Owns when a burst is over and what goes out with what. A burst is over when nothing has come for
//! `window`, when its first message has waited `max_wait`, or when it is as large as it may be. What
//! has gone out together once stays together: whatever of it is still owed is tried again as a whole,
//! and nothing joins it. Each callback keeps its own id, attempt number and end.

use super::lane::{Entry, EntryState, OutboxLane};
use super::{Open, Outbox, OutboxContext, gate, passes_open_media};
use crate::bot::event::BotEffect;
use crate::deadline::Deadline;
use crate::id::{CorrespondentId, StreamId};
use crate::notice::Notice;
use crate::settings::Debounce;
use crate::time::Timestamp;

/// Why a lane sends nothing yet.
enum Waits {
    /// It has nothing to do.
    Idle,
    /// What is known of it may have a gap: a page has to come first.
    Page,
    /// Not before then.
    Until(Timestamp, Deadline),
}

impl OutboxLane {
    /// Whether what is open of it may be open: one callback, or one batch.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check_open(&self, together_max: usize) -> Result<(), String> {
        let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        let is_open = |entry: &&Entry| matches!(entry.state, EntryState::Open { .. });
        let open = self.entries.iter().filter(is_open).count();
        let together = self.entries.iter().filter(|entry| entry.together);
        ensure(open <= together_max, "a correspondent has one open callback or batch at most")?;
        ensure(
            open <= 1 || open <= together.clone().filter(is_open).count(),
            "what is open at once of a correspondent went out together",
        )?;
        ensure(together.count() <= together_max, "a batch is bounded")
    }

    /// The places of what goes out next: the batch that has gone out once, or what stands in front.
    /// Under gating a batch need not stand in front: a late medium may have passed it.
    fn next_together(&self, max: usize) -> Vec<usize> {
        let places = || 0..self.entries.len();
        let batch: Vec<_> = places().filter(|place| self.entries[*place].together).collect();
        if batch.is_empty() { places().take(max).collect() } else { batch }
    }

    /// When a burst that is not full is over.
    fn burst_ends(&self, debounce: Debounce) -> Option<Timestamp> {
        let first = self.entries.iter().map(|entry| entry.since).min()?;
        let last = self.entries.iter().map(|entry| entry.since).max()?;
        Some((last + debounce.window).min(first + debounce.max_wait))
    }
}

impl Outbox {
    /// One lane's turn, where bursts go out together. False when it needs more room than there is: a
    /// batch goes out as a whole, and nobody passes it meanwhile.
    pub(super) fn turn_together(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        stream_id: StreamId,
        correspondent_id: CorrespondentId,
        debounce: Debounce,
    ) -> bool {
        let Some(lane) = self.lanes.get_mut(&correspondent_id) else { return true };
        lane.listed = false;
        let places = match next_places(cx, lane, &correspondent_id, debounce) {
            Ok(places) => places,
            Err(waits) => {
                self.wait_together(waits, &correspondent_id);
                return true;
            }
        };
        if !self.circuit.lets_through(&correspondent_id) {
            self.list(&correspondent_id);
            return true;
        }
        if places.len() > cx.settings.callbacks.max_in_flight.saturating_sub(self.open.len()) {
            self.list_first(&correspondent_id);
            return false;
        }
        let Some(lane) = self.lanes.get_mut(&correspondent_id) else { return true };
        let spent = places.iter().map(|place| &lane.entries[*place]);
        let spent: Vec<_> =
            spent.filter(|entry| entry.state != EntryState::Ready).map(Entry::key).collect();
        if spent.is_empty() {
            self.send_together(cx, stream_id, &correspondent_id, &places);
        } else {
            spent.into_iter().for_each(|key| self.raise(key));
        }
        true
    }

    fn wait_together(&mut self, waits: Waits, correspondent_id: &CorrespondentId) {
        match waits {
            Waits::Idle => self.forget_if_empty(correspondent_id),
            Waits::Page => self.refill(correspondent_id),
            Waits::Until(until, Deadline::Debounce) => self.gather(until, correspondent_id),
            Waits::Until(until, why) => self.wait(until, why, correspondent_id),
        }
    }

    fn send_together(
        &mut self,
        cx: &mut OutboxContext<'_, '_>,
        stream_id: StreamId,
        correspondent_id: &CorrespondentId,
        places: &[usize],
    ) {
        let deadline = cx.cx.now + cx.settings.callbacks.ack_timeout;
        let Some(lane) = self.lanes.get_mut(correspondent_id) else { return };
        let mut callbacks = Vec::with_capacity(places.len());
        for place in places {
            let Some(entry) = lane.entries.get_mut(*place) else { continue };
            let order = self.next_order;
            self.next_order += 1;
            (entry.state, entry.together) = (EntryState::Open { order }, true);
            let key = entry.key();
            if passes_open_media(cx, &key) {
                let bot_id = cx.bot_id.clone();
                cx.cx.notice(Notice::GatingReleased { bot_id, key: key.clone() });
            }
            self.open.insert(order, Open { key, deadline });
            callbacks.push(entry.callback.clone());
        }
        let valid_until = cx.valid_until;
        cx.effect(BotEffect::Callbacks { stream_id, callbacks, valid_until });
    }

    /// The lane waits for the end of its burst, once: when that moment has come, it looks anew.
    fn gather(&mut self, until: Timestamp, correspondent_id: &CorrespondentId) {
        if let Some(lane) = self.lanes.get_mut(correspondent_id)
            && !lane.gathering
        {
            lane.gathering = true;
            self.wait(until, Deadline::Debounce, correspondent_id);
        }
    }

    /// The moment has come for which a lane waited.
    pub(super) fn gathered(&mut self, correspondent_id: &CorrespondentId) {
        if let Some(lane) = self.lanes.get_mut(correspondent_id) {
            lane.gathering = false;
        }
    }
}

/// The places of the entries that may go out together, or why none may.
fn next_places(
    cx: &OutboxContext<'_, '_>,
    lane: &OutboxLane,
    correspondent_id: &CorrespondentId,
    debounce: Debounce,
) -> Result<Vec<usize>, Waits> {
    if lane.entries.is_empty() || lane.entries.iter().any(Entry::is_underway) {
        return Err(Waits::Idle);
    }
    let max = cx.settings.callbacks.together_max();
    let mut places = lane.next_together(max);
    let begun = places.iter().any(|place| lane.entries[*place].together);
    // What has gone out once keeps its turn: a full page of lower ids would never reach it.
    if !begun && lane.spilled && cx.settings.is_gated(correspondent_id) {
        let known = |place: &usize| {
            let message_id = lane.entries[*place].callback.get().message.id;
            lane.complete_through.is_some_and(|through| message_id <= through)
        };
        places.truncate(places.iter().take_while(|place| known(place)).count());
        if places.is_empty() {
            return Err(Waits::Page);
        }
    }
    let refused = places.iter().filter_map(|place| match lane.entries[*place].state {
        EntryState::Refused { until } => Some(until),
        EntryState::Ready
        | EntryState::Spent
        | EntryState::Raising
        | EntryState::Open { .. }
        | EntryState::Ending => None,
    });
    if let Some(until) = refused.max().filter(|until| *until > cx.cx.now) {
        return Err(Waits::Until(until, Deadline::CallbackRetry));
    }
    let gated =
        |place: &usize| gate(cx, correspondent_id, lane.entries[*place].callback.get().message.id);
    if let Some((count, until)) =
        places.iter().enumerate().find_map(|(count, place)| Some((count, gated(place)?)))
    {
        if count == 0 {
            return Err(Waits::Until(until, Deadline::GatingMaxWait));
        }
        places.truncate(count);
    }
    if !begun
        && places.len() < max
        && let Some(until) = lane.burst_ends(debounce).filter(|until| *until > cx.cx.now)
    {
        return Err(Waits::Until(until, Deadline::Debounce));
    }
    Ok(places)
}
