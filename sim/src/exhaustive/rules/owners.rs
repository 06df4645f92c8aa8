//! Who may write for a bot: S6.

use anteroom_core::store::{Acquired, Fence, StoreReply, StoreRequest, StoreResult};

use super::Rules;
use crate::store::StoreModel;

impl Rules {
    /// A node gives a bot up, and will not write for it under this epoch again.
    pub fn giving_up(&mut self, fence: &Fence) {
        self.given_up.insert((fence.bot_id.clone(), fence.epoch));
    }

    /// S6: a write under an epoch that is not the bot's is refused, and an epoch is given once.
    pub(super) fn owned(
        &mut self,
        before: &StoreModel,
        request: &StoreRequest,
        result: &StoreResult,
    ) {
        if let (Some(fence), Ok(_)) = (fence_of(request), result) {
            let mut bots = before.ownerships().filter(|(bot_id, _)| **bot_id == fence.bot_id);
            let epoch = bots.next().map(|(_, ownership)| ownership.epoch);
            if epoch != Some(fence.epoch) {
                self.break_rule("S6", format!("{fence:?} writes, and {epoch:?} owns the bot"));
            }
        }
        if let (
            StoreRequest::AcquireBot { bot_id, node_id, .. },
            Ok(StoreReply::AcquireBot(Acquired::Acquired { epoch })),
        ) = (request, result)
        {
            let known = *self.epochs.entry((bot_id.clone(), *epoch)).or_insert(*node_id);
            if self.given_up.contains(&(bot_id.clone(), *epoch)) {
                self.break_rule("S6", format!("{epoch:?} of {bot_id} was given up, and is given"));
            }
            if known != *node_id {
                self.break_rule("S6", format!("{epoch:?} of {bot_id} is given twice"));
            }
        }
    }
}

fn fence_of(request: &StoreRequest) -> Option<&Fence> {
    match request {
        StoreRequest::HoldBot(fence)
        | StoreRequest::RestoreBot { fence, .. }
        | StoreRequest::InsertJobs { fence, .. }
        | StoreRequest::Archive { fence, .. }
        | StoreRequest::Revise { fence, .. }
        | StoreRequest::OwedCallbacks { fence, .. }
        | StoreRequest::RaiseAttempts { fence, .. }
        | StoreRequest::MarkCalledBack { fence, .. }
        | StoreRequest::MarkSent { fence, .. } => Some(fence),
        _ => None,
    }
}
