//! S5: a result comes from the lease that holds its job, and one job has one worker at a time.
//!
//! Keeps a table of leases of its own, from what the store was asked and answered: a lease begins
//! with a claim or a leased insert, and ends with its result, its release, an operator, or its time.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::{LeaseToken, MediaId, NodeId, PoolName};
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::message::Outcome;
use anteroom_core::store::{
    ArchiveAnswer, ArchiveItem, InsertAnswer, JobPage, OperatorAnswer, StoreReply, StoreRequest,
    TokenAnswer,
};
use anteroom_core::time::{Millis, Timestamp};

use super::Judge;
use super::seen::{Scene, Seen};

#[derive(Default)]
pub(super) struct Leases {
    /// The current leases.
    held: BTreeMap<MediaId, Lease>,
    /// Tokens that were given out, and for which claim.
    given: BTreeMap<LeaseToken, Claim>,
    /// How many places were offered under a token at the most.
    offered: BTreeMap<LeaseToken, u32>,
    /// Processors that run.
    running: BTreeSet<(MediaId, LeaseToken, usize)>,
    /// What processors came to.
    results: BTreeMap<(MediaId, LeaseToken), Outcome>,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    token: LeaseToken,
    expires_at: Timestamp,
}

/// A claim of a pool by a node's process; of no pool for an insert.
type Claim = (Option<NodeId>, Option<PoolName>);

impl Leases {
    fn begin(
        &mut self,
        media_id: MediaId,
        token: LeaseToken,
        expires_at: Timestamp,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<(), String> {
        let known = self.given.entry(token).or_insert_with(|| claim.clone());
        if known != claim {
            return Err(format!("the token {token} is given for {claim:?} and was for {known:?}"));
        }
        match self.held.get(&media_id) {
            Some(held) if held.token == token => Ok(()),
            Some(held) if now < held.expires_at => {
                Err(format!("job {media_id} is leased anew while {} holds it", held.token))
            }
            Some(_) | None => {
                self.held.insert(media_id, Lease { token, expires_at });
                Ok(())
            }
        }
    }

    /// A write under a lease was done.
    fn end_under(&mut self, media_id: MediaId, token: LeaseToken) -> Result<(), String> {
        match self.held.get(&media_id) {
            Some(held) if held.token == token => {
                self.held.remove(&media_id);
                Ok(())
            }
            held => Err(format!("job {media_id} was ended under {token}, held is {held:?}")),
        }
    }

    fn persisted(
        &self,
        media_id: MediaId,
        token: LeaseToken,
        outcome: Option<&Outcome>,
    ) -> Result<(), String> {
        // What a machine decides by itself (time-outs, exhausted retries) no processor has said.
        let Some(Outcome::Text(text)) = outcome else { return Ok(()) };
        match self.results.get(&(media_id, token)) {
            Some(Outcome::Text(said)) if said.text.starts_with(&text.text) => Ok(()),
            other => {
                Err(format!("job {media_id} has {text:?} under {token}, which said {other:?}"))
            }
        }
    }

    fn applied(
        &mut self,
        node: Option<NodeId>,
        request: &StoreRequest,
        reply: &StoreReply,
        now: Timestamp,
    ) -> Result<(), String> {
        match (request, reply) {
            (StoreRequest::Claim { pool, lease, .. }, StoreReply::Claim(claimed)) => {
                let claim = (node, Some(pool.clone()));
                for job in &claimed.jobs {
                    let end = job.lease().map_or(now + lease.ttl, |lease| lease.expires_at);
                    self.begin(job.media_id, lease.token, end, &claim, now)?;
                }
            }
            (StoreRequest::RestoreBot { offers, .. }, StoreReply::RestoreBot(page)) => {
                self.leased_with_a_page(node, offers, page, now)?;
            }
            (StoreRequest::InsertJobs { jobs, .. }, StoreReply::InsertJobs(answers)) => {
                for (new, answer) in jobs.iter().zip(answers) {
                    if let (Some(lease), InsertAnswer::Inserted { leased: true }) =
                        (new.lease, answer)
                    {
                        let end = now + lease.ttl;
                        self.begin(new.job.media_id, lease.token, end, &(node, None), now)?;
                    }
                }
            }
            (StoreRequest::Renew { leases, ttl }, StoreReply::Renew(lost)) => {
                let kept = leases.iter().filter(|(media_id, _)| !lost.contains(media_id));
                for (media_id, token) in kept {
                    self.renewed(*media_id, *token, *ttl, now)?;
                }
            }
            (StoreRequest::Release { releases }, StoreReply::Release(lost)) => {
                for release in releases {
                    let (media_id, token) = (release.media_id, release.token);
                    // Answers name media. Of two leases on one medium, only the current one is released.
                    let asked = releases.iter().filter(|it| it.media_id == media_id).count();
                    let refused = lost.iter().filter(|it| **it == media_id).count();
                    let is_held = self.held.get(&media_id).is_some_and(|it| it.token == token);
                    if refused == 0 || (refused < asked && is_held) {
                        self.end_under(media_id, token)?;
                    }
                }
            }
            (StoreRequest::Complete { completions }, StoreReply::Complete(answers)) => {
                for (completion, answer) in completions.iter().zip(answers) {
                    if let TokenAnswer::Ok = answer {
                        let (media_id, token) = (completion.media_id, completion.token);
                        self.completed(media_id, token, &completion.outcome)?;
                    }
                }
            }
            (StoreRequest::Archive { items, .. }, StoreReply::Archive(answers)) => {
                for (item, answer) in items.iter().zip(answers) {
                    if let (Some(job), ArchiveAnswer::Stored { .. }) = (item.job, answer)
                        && let Some(token) = job.token
                    {
                        let media = item.message.media.as_ref();
                        self.persisted(
                            job.media_id,
                            token,
                            media.and_then(|it| it.outcome.as_deref()),
                        )?;
                        // A result that was completed under the same token before is no lease any more.
                        if self.held.contains_key(&job.media_id) {
                            self.end_under(job.media_id, token)?;
                        }
                    }
                }
            }
            (StoreRequest::ReclaimLeases { .. }, StoreReply::ReclaimLeases(swept)) => {
                for job in swept {
                    let held = self.held.remove(&job.media_id);
                    if held.is_none_or(|held| now < held.expires_at) {
                        return Err(format!("job {} is reclaimed from {held:?}", job.media_id));
                    }
                }
            }
            (
                StoreRequest::DiscardJob { media_id },
                StoreReply::DiscardJob(OperatorAnswer::Done { .. }),
            ) => {
                self.held.remove(media_id);
            }
            _ => {}
        }
        Ok(())
    }

    /// Leases that come with a page of a restored bot: not more than were offered at any time, and of their
    /// pools.
    fn leased_with_a_page(
        &mut self,
        node: Option<NodeId>,
        offers: &[LeaseOffer],
        page: &JobPage,
        now: Timestamp,
    ) -> Result<(), String> {
        for LeaseOffer { pool, lease, places } in offers {
            let claim = (node, Some(pool.clone()));
            let offered = self.offered.entry(lease.token).or_default();
            *offered = (*places).max(*offered);
            let leases = page.jobs.iter().filter_map(|job| Some((job, job.lease()?)));
            let given: Vec<_> = leases.filter(|(_, held)| held.token == lease.token).collect();
            if given.len() > *offered as usize || given.iter().any(|(job, _)| job.pool != *pool) {
                return Err(format!(
                    "{offered} places in {pool} were offered, leased are {given:?}"
                ));
            }
            for (job, held) in given {
                self.begin(job.media_id, held.token, held.expires_at, &claim, now)?;
            }
        }
        Ok(())
    }

    /// The job of a message that was archived before goes with it, unless it is there to revise it.
    fn dropped(&mut self, items: &[ArchiveItem], scene: &Scene<'_>) {
        for job in items.iter().filter_map(|item| item.job) {
            if scene.store.job(job.media_id).is_none_or(|job| job.lease().is_none()) {
                self.held.remove(&job.media_id);
            }
        }
    }

    fn renewed(
        &mut self,
        media_id: MediaId,
        token: LeaseToken,
        ttl: Millis,
        now: Timestamp,
    ) -> Result<(), String> {
        match self.held.get_mut(&media_id) {
            Some(held) if held.token == token => {
                held.expires_at = held.expires_at.max(now + ttl);
                Ok(())
            }
            held => Err(format!("the lease {token} of {media_id} is renewed, held is {held:?}")),
        }
    }

    fn completed(
        &mut self,
        media_id: MediaId,
        token: LeaseToken,
        outcome: &Outcome,
    ) -> Result<(), String> {
        self.persisted(media_id, token, Some(outcome))?;
        match self.held.get(&media_id) {
            Some(_) => self.end_under(media_id, token),
            // The same completion, asked again.
            None if self.given.contains_key(&token) => Ok(()),
            None => Err(format!("job {media_id} was completed under {token}, which nobody gave")),
        }
    }

    fn started(
        &mut self,
        node: usize,
        media_id: MediaId,
        token: LeaseToken,
        zombie: bool,
        now: Timestamp,
    ) -> Result<(), String> {
        if !self.given.contains_key(&token) {
            return Err(format!(
                "a processor starts on {media_id} under {token}, which nobody gave"
            ));
        }
        let held = self.held.get(&media_id);
        let others = self.running.iter().filter(|(other, ..)| *other == media_id);
        // Of a node that stood still since its decision, the processor is as if it had run all the time.
        let outlived = zombie && held.is_none_or(|it| it.token != token || it.expires_at <= now);
        for (_, other, _) in others.filter(|_| !outlived) {
            // The earlier one goes on under a lease that has ended; nobody may still hold by it.
            if *other == token || held.is_some_and(|it| it.token == *other && now < it.expires_at) {
                return Err(format!("two processors work on {media_id} under {other} and {token}"));
            }
        }
        self.running.insert((media_id, token, node));
        Ok(())
    }
}

impl Judge for Leases {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), String> {
        match seen {
            Seen::Applied { by, request, result: Ok(reply), .. } => {
                self.applied(by.map(|(_, process)| process), request, reply, scene.now)?;
                if let StoreRequest::Archive { items, .. } = request {
                    self.dropped(items, scene);
                }
                Ok(())
            }
            Seen::ProcessorStarted { node, work, decided_at } => {
                let zombie = *decided_at < scene.now;
                self.started(*node, work.media_id, work.token, zombie, scene.now)
            }
            Seen::ProcessorEnded { node, media_id, token, result } => {
                self.running.remove(&(*media_id, *token, *node));
                if let Ok(outcome) = result {
                    self.results.insert((*media_id, *token), outcome.clone());
                }
                Ok(())
            }
            Seen::Died { node } => {
                self.running.retain(|(_, _, at)| at != node);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use anteroom_core::job::{Command, LeaseRequest};

    use super::super::stage::{Stage, media_id, node_id, token};
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_000);
    const END: Timestamp = Timestamp::from_ms(9_000);

    fn claim() -> Claim {
        (Some(node_id(1)), Some("audio".into()))
    }

    fn held() -> Leases {
        let mut rule = Leases::default();
        rule.begin(media_id(1), token(1), END, &claim(), NOW).expect("the first lease");
        rule
    }

    /// Goal: a job that is leased anew before its lease ended is found, and fine afterwards.
    #[test]
    fn a_lease_is_exclusive_until_it_ends() {
        assert!(held().begin(media_id(1), token(2), END, &claim(), NOW).is_err());
        let later = END + Millis::from_ms(1);
        assert_eq!(held().begin(media_id(1), token(2), later, &claim(), END), Ok(()));
    }

    /// Goal: a token that is given for another claim is found.
    #[test]
    fn a_token_is_given_once() {
        let other = (Some(node_id(2)), Some("audio".into()));
        assert!(held().begin(media_id(2), token(1), END, &other, NOW).is_err());
    }

    /// Goal: more leases with a page than places were offered are found, also where fewer are offered when it is
    /// asked for again; and leases of another pool.
    #[test]
    fn a_page_leases_no_more_than_was_offered() {
        let ttl = Millis::from_minutes(1);
        let lease = LeaseRequest { worker_id: node_id(1), token: token(9), ttl };
        let leased = |number: &u128| {
            let (request, _) = Stage::new().inserted("p", *number);
            let StoreRequest::InsertJobs { jobs, .. } = request else { panic!("{request:?}") };
            let applied = jobs[0].job.apply(&Command::Claim(lease), NOW);
            applied.expect("it can be claimed").job.expect("it stays")
        };
        let offer = |pool: &str, places| LeaseOffer { pool: pool.into(), lease, places };
        let judged = |rule: &mut Leases, offer: LeaseOffer, numbers: &[u128]| {
            let page = JobPage { jobs: numbers.iter().map(leased).collect(), more: false };
            rule.leased_with_a_page(None, &[offer], &page, NOW)
        };
        let mut rule = Leases::default();
        assert_eq!(judged(&mut rule, offer("audio", 2), &[1, 2]), Ok(()));
        assert_eq!(judged(&mut rule, offer("audio", 0), &[1, 2]), Ok(()));
        assert!(judged(&mut rule, offer("audio", 1), &[1, 2, 3]).is_err());
        assert!(judged(&mut Leases::default(), offer("video", 1), &[1]).is_err());
    }

    /// Goal: a result under a token that does not hold the job is found, as is another's text.
    #[test]
    fn a_result_comes_from_the_holder() {
        let outcome = Outcome::Nothing;
        assert_eq!(held().completed(media_id(1), token(1), &outcome), Ok(()));
        assert!(held().completed(media_id(1), token(2), &outcome).is_err());
        let text = Outcome::Text(anteroom_core::message::Extracted {
            text: "nobody said this".to_owned(),
            ..Default::default()
        });
        assert!(held().completed(media_id(1), token(1), &text).is_err());
    }

    /// Goal: two processors on one job are found while the first one's lease lasts.
    #[test]
    fn one_job_has_one_processor() {
        let mut rule = held();
        rule.started(0, media_id(1), token(1), false, NOW).expect("the first processor");
        assert!(rule.started(1, media_id(1), token(1), false, NOW).is_err());
        assert!(rule.started(1, media_id(1), token(3), false, END).is_err(), "nobody gave it");
        rule.begin(media_id(1), token(2), END + Millis::from_ms(1), &claim(), END)
            .expect("the first lease has ended");
        assert_eq!(rule.started(1, media_id(1), token(2), false, END), Ok(()));
    }

    /// Goal: what a node had decided before it stood still is no second processor when its lease has
    /// ended meanwhile; a decision of the moment is one.
    #[test]
    fn a_zombie_starts_what_it_had_decided() {
        let rule = || {
            let mut rule = held();
            rule.begin(media_id(1), token(2), END + Millis::from_ms(9), &claim(), END)
                .expect("the first lease has ended");
            rule.started(1, media_id(1), token(2), false, END).expect("the only processor");
            rule
        };
        assert_eq!(rule().started(0, media_id(1), token(1), true, END), Ok(()));
        assert!(rule().started(0, media_id(1), token(1), false, END).is_err());
    }

    /// Goal: a lease that is taken away, or prolonged, although it is not so is found.
    #[test]
    fn leases_end_by_their_time() {
        assert!(held().renewed(media_id(1), token(2), Millis::ZERO, NOW).is_err());
        let swept = anteroom_core::store::Swept {
            bot_id: "bot".into(),
            media_id: media_id(1),
            pool: "audio".into(),
            worker_id: None,
            completed: false,
        };
        let (request, reply) =
            (StoreRequest::ReclaimLeases { limit: 1 }, StoreReply::ReclaimLeases(vec![swept]));
        assert!(held().applied(None, &request, &reply, NOW).is_err());
        assert_eq!(held().applied(None, &request, &reply, END), Ok(()));
    }
}
