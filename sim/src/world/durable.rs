//! What the store does with a request, and what gets lost in a world that is wrong on purpose.

use std::sync::Arc;

use anteroom_core::id::{ArchiveSeq, Epoch, MediaId, NodeId};
use anteroom_core::store::{
    Acquired, ArchiveAnswer, ArchiveItem, StoreError, StoreReply, StoreRequest, StoreResult,
};

use super::World;
use crate::checker::marks::Mark;
use crate::checker::seen::Seen;
use crate::plan::Sabotage;

impl World {
    /// The store executes a request, and everybody sees it; `lost` is whether the answer will be.
    pub(super) fn execute(
        &mut self,
        by: Option<(usize, NodeId)>,
        request: &StoreRequest,
        lost: bool,
    ) -> StoreResult {
        let owner = self.owner_asked_for(request);
        let result = self.sabotaged_apply(request);
        if owner.is_some() && owner != self.owner_asked_for(request) {
            self.reach(Mark::BotTakenOver);
        }
        self.show(&Seen::Applied { by, request, result: &result, lost });
        let node = by.map(|(node, _)| node);
        self.recorder.applied((self.now, node), request, &result, &self.store);
        result
    }

    /// A staged file is to be deleted, which may fail.
    pub(super) fn delete(&mut self, media_id: MediaId) {
        self.show(&Seen::Deleted { media_id });
        let rate = self.weather.deletion_fails;
        if !self.dice.node.strikes(rate) {
            self.staged.remove(&media_id);
        }
    }

    /// A provider brings a file.
    pub(super) fn stage(&mut self, media_id: MediaId) {
        self.staged.insert(media_id);
    }

    /// Who owns the bot that a request wants to own.
    fn owner_asked_for(&self, request: &StoreRequest) -> Option<NodeId> {
        let StoreRequest::AcquireBot { bot_id, .. } = request else { return None };
        self.store.ownership(bot_id)?.owner.map(|hold| hold.node_id)
    }

    /// The store, unless the plan says that it gets something wrong.
    fn sabotaged_apply(&mut self, request: &StoreRequest) -> StoreResult {
        if let StoreRequest::Archive { fence, items } = request {
            if self.is_sabotaged(Sabotage::LoseArchived) {
                let seq = ArchiveSeq(self.number());
                let stored = ArchiveAnswer::Stored { seq };
                return Ok(StoreReply::Archive(vec![stored; items.len()]));
            }
            if self.is_sabotaged(Sabotage::GarbleText) {
                let (fence, items) = (fence.clone(), items.iter().map(garbled).collect());
                return self.store.apply(self.now, &StoreRequest::Archive { fence, items });
            }
        }
        let shorter = self.shorter_page(request);
        let result = self.store.apply(self.now, shorter.as_ref().unwrap_or(request));
        if self.is_sabotaged(Sabotage::ResetEpochs)
            && let Ok(StoreReply::AcquireBot(Acquired::Acquired { epoch })) = &result
        {
            let earlier = Epoch(1_000_000_u64.saturating_sub(epoch.0));
            let acquired = Acquired::Acquired { epoch: earlier };
            return Ok(StoreReply::AcquireBot(acquired));
        }
        result
    }

    /// The question for a page of a bot's jobs, of fewer: worlds have too few jobs to fill a page, and a store
    /// may give less than it is asked for.
    fn shorter_page(&self, request: &StoreRequest) -> Option<StoreRequest> {
        let is_page =
            matches!(request, StoreRequest::RestoreBot { .. } | StoreRequest::CompletedJobs { .. });
        let jobs = self.plan.settings.first()?.bot_defaults.limits.insert_batch_jobs;
        let mut shorter = is_page.then(|| request.clone())?;
        if let StoreRequest::RestoreBot { limit, .. } | StoreRequest::CompletedJobs { limit, .. } =
            &mut shorter
        {
            *limit = u32::try_from(jobs).map_or(*limit, |jobs| jobs.min(*limit));
        }
        Some(shorter)
    }
}

fn garbled(item: &ArchiveItem) -> ArchiveItem {
    let mut item = item.clone();
    Arc::make_mut(&mut item.message).content.push('?');
    item
}

pub(super) fn unavailable(detail: &str) -> StoreError {
    StoreError::Unavailable { detail: detail.to_owned() }
}
