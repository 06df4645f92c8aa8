//! Whatever is asked, asking twice in a row is asking once.

use std::collections::BTreeSet;
use std::sync::Arc;

use anteroom_core::id::{Attempt, Epoch};
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::job::{Job, ReleaseReason};
use anteroom_core::message::{Message, Outcome};
use anteroom_core::store::{
    ArchiveAnswer, ArchiveItem, CallbackEnd, CallbackPlan, Completion, EnqueueAnswer, FinishedJob,
    JobCursor, Mark, NewJob, OwedOf, OwedScope, Release, Send, StoreReply, StoreRequest,
};
use anteroom_core::time::{Millis, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::support::{
    Bench, TTL, acquire, ask, claim, fence, heard, id, job, key, lease, media, media_message,
    media_message_of, node, placeholder_of, record, seq, text_message, token,
};
use crate::store::jobs::Jobs;
use crate::store::{ArchiveRow, StoreModel};

/// Larger than anything there is here, so that a sweep leaves nothing for its repetition.
const ALL: u32 = 1_000;

/// A number that names a message, its media and its token.
fn number() -> impl Strategy<Value = u128> {
    prop_oneof![2 => Just(1), 3 => 2..=4_u128]
}

/// A number that names a token; so few that a guess is often right.
fn token_number() -> impl Strategy<Value = u128> {
    1..=2_u128
}

/// A node's number; a second node is seldom met, for it takes all that depends on an epoch along.
fn node_number() -> impl Strategy<Value = u128> {
    prop_oneof![5 => Just(1), 1 => Just(2)]
}

/// Two numbers, most often the same.
fn numbers() -> impl Strategy<Value = (u128, u128)> {
    (number(), number(), 0..5)
        .prop_map(|(one, other, die)| (one, if die == 0 { other } else { one }))
}

fn bot() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("a"), 1 => Just("b")]
}

fn correspondent() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("c"), 1 => Just("d")]
}

fn epoch() -> impl Strategy<Value = u64> {
    prop_oneof![12 => Just(1), 4 => Just(2), 1 => Just(0)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    select(vec![heard("hello"), Outcome::Nothing, Outcome::TimedOut])
}

fn plan() -> impl Strategy<Value = CallbackPlan> {
    select(vec![CallbackPlan::None, CallbackPlan::Owed, CallbackPlan::OwedInWindow])
}

fn new_job() -> impl Strategy<Value = NewJob> {
    let leased = option::weighted(0.4, token_number());
    (bot(), correspondent(), numbers(), leased, any::<bool>()).prop_map(
        |(bot, correspondent, (media_number, message_number), leased, video)| NewJob {
            job: Job {
                placeholder_message: placeholder_of(media_number, message_number),
                pool: if video { "video" } else { "audio" }.into(),
                ..job(bot, correspondent, media_number)
            },
            lease: leased.map(lease),
        },
    )
}

/// A message to be archived. One that ends a job is that of the provider's that the job waits for.
fn archive_item() -> impl Strategy<Value = ArchiveItem> {
    let finished = option::weighted(0.7, option::weighted(0.6, token_number()));
    (correspondent(), numbers(), finished, outcome(), plan()).prop_map(
        |(correspondent, (number, message_number), finished, outcome, callback)| {
            let message = match &finished {
                None => Message { id: id(message_number), ..text_message(number) },
                Some(_) => media_message_of(number, message_number, outcome),
            };
            let job = finished.map(|token_number| FinishedJob {
                media_id: media(number),
                token: token_number.map(token),
                worked: None,
            });
            ArchiveItem {
                correspondent_id: correspondent.into(),
                message: Arc::new(message),
                callback,
                job,
            }
        },
    )
}

fn scope() -> impl Strategy<Value = OwedScope> {
    prop_oneof![
        (0..4_u64, vec(correspondent(), 0..2)).prop_map(|(after, except)| OwedScope::Bot {
            after: seq(after),
            except: except.into_iter().map(Into::into).collect(),
        }),
        (0..4_u64, 0..3_u32, 0..3_u32).prop_map(|(after, one, other)| {
            let of = |correspondent_id: &str, limit| OwedOf {
                correspondent_id: correspondent_id.into(),
                after: seq(after),
                limit,
            };
            OwedScope::Correspondents(vec![of("c", one), of("d", other)])
        }),
        (correspondent(), option::of(number())).prop_map(|(correspondent, after)| {
            OwedScope::CorrespondentById {
                correspondent_id: correspondent.into(),
                after: after.map(id),
            }
        }),
    ]
}

fn bot_side_request() -> BoxedStrategy<StoreRequest> {
    let by = || (bot(), epoch()).prop_map(|(bot, epoch)| fence(bot, epoch));
    let after = || option::of(number().prop_map(|number| JobCursor::of(&job("a", "c", number))));
    prop_oneof![
        1 => by().prop_map(StoreRequest::ReleaseBot),
        2 => by().prop_map(StoreRequest::HoldBot),
        3 => (by(), after(), 0..4_u32, option::of((number(), 0..3_u32))).prop_map(
            |(fence, after, limit, offer)| {
                let offer = offer.map(|(number, places)| LeaseOffer {
                    pool: "audio".into(),
                    lease: lease(number),
                    places,
                });
                let offers = offer.into_iter().collect();
                StoreRequest::RestoreBot { fence, after, limit, offers, routing: None }
            },
        ),
        2 => (by(), after(), 0..4_u32)
            .prop_map(|(fence, after, limit)| StoreRequest::CompletedJobs { fence, after, limit }),
        9 => (by(), vec(new_job(), 1..4)).prop_map(|(fence, mut jobs)| {
            jobs.iter_mut().for_each(|new| new.job.bot_id = fence.bot_id.clone());
            StoreRequest::InsertJobs { fence, jobs }
        }),
        9 => (by(), vec(archive_item(), 1..4))
            .prop_map(|(fence, items)| StoreRequest::Archive { fence, items }),
        6 => (by(), correspondent(), number(), 0..3_u32, outcome(), plan()).prop_map(
            |(fence, correspondent, number, revision, outcome, callback)| StoreRequest::Revise {
                fence,
                media_id: media(number),
                revision,
                message: Arc::new(media_message(number, outcome)),
                correspondent_id: correspondent.into(),
                callback,
            },
        ),
        3 => (by(), scope(), 0..4_u32)
            .prop_map(|(fence, scope, limit)| StoreRequest::OwedCallbacks { fence, scope, limit }),
        2 => (by(), correspondent(), number(), 0..2_u32, 0..3_u32).prop_map(
            |(fence, correspondent, number, revision, failures)| StoreRequest::RaiseAttempts {
                fence,
                callbacks: vec![(key(correspondent, number, revision), failures)],
            },
        ),
        6 => (by(), correspondent(), number(), 0..2_u32, any::<(bool, bool)>()).prop_map(
            |(fence, correspondent, number, revision, (replied, sent))| StoreRequest::MarkCalledBack {
                fence,
                marks: vec![Mark {
                    key: key(correspondent, number, revision),
                    end: CallbackEnd::Acknowledged,
                    reply: replied.then(|| "reply".to_owned()),
                    sent,
                }],
            },
        ),
        1 => (by(), 0..3_u32).prop_map(|(fence, limit)| StoreRequest::OwedSends { fence, limit }),
        2 => (by(), select(vec!["k", "a/c/1", "a/c/2"])).prop_map(|(fence, key)| {
            StoreRequest::MarkSent { fence, sent: vec![(key.into(), "x".into())] }
        }),
    ]
    .boxed()
}

fn other_request() -> BoxedStrategy<StoreRequest> {
    let held = || (number(), token_number()).prop_map(|(one, other)| (media(one), token(other)));
    let retention = || select(vec![Millis::ZERO, TTL]);
    prop_oneof![
        1 => bot().prop_map(|bot| StoreRequest::RegisterBot(record(bot))),
        2 => (bot(), node_number()).prop_map(|(bot, node_number)| acquire(bot, node_number)),
        1 => (bot(), epoch(), node_number()).prop_map(|(bot, epoch, node_number)| {
            let bots = vec![(bot.into(), Epoch(epoch))];
            StoreRequest::RenewBots { node_id: node(node_number), bots, ttl: TTL }
        }),
        1 => (bot(), correspondent()).prop_map(|(bot, correspondent)| StoreRequest::NextId {
            bot_id: bot.into(),
            correspondent_id: correspondent.into(),
        }),
        1 => (bot(), select(vec!["x", "y"])).prop_map(|(bot, message)| {
            let send = Send {
                send_id: "k".into(),
                correspondent_id: "c".into(),
                message: message.to_owned(),
            };
            StoreRequest::EnqueueSend { bot_id: bot.into(), send }
        }),
        7 => (select(vec!["audio", "video"]), option::of(bot()), token_number(), 0..4_u32)
            .prop_map(|(pool, after, number, limit)| claim(pool, after, number, limit)),
        2 => vec(held(), 1..3).prop_map(|leases| StoreRequest::Renew { leases, ttl: TTL }),
        2 => (held(), 0..20_u64).prop_map(|((media_id, token), delay_secs)| {
            let delay = Millis::from_secs(delay_secs);
            let reason = ReleaseReason::Transient;
            let releases = vec![Release { media_id, token, delay, reason }];
            StoreRequest::Release { releases }
        }),
        7 => (held(), outcome()).prop_map(|((media_id, token), outcome)| {
            let completions = vec![Completion { media_id, token, outcome }];
            StoreRequest::Complete { completions }
        }),
        1 => (1..3_u128).prop_map(|number| StoreRequest::AcquireSingleton {
            name: "janitor".to_owned(),
            node_id: node(number),
            ttl: TTL,
        }),
        2 => Just(StoreRequest::ReclaimLeases { limit: ALL }),
        2 => (bot(), epoch()).prop_map(|(bot, epoch)| StoreRequest::ExpireJobs {
            running: vec![(bot.into(), Epoch(epoch))],
            active_ttl: TTL,
            holding_ttl: TTL,
            limit: ALL,
        }),
        1 => vec(number(), 0..4).prop_map(|numbers| StoreRequest::KnownMedia {
            media_ids: numbers.into_iter().map(media).collect(),
        }),
        1 => retention()
            .prop_map(|retention| StoreRequest::ForgetFailed { retention, limit: ALL }),
        1 => retention()
            .prop_map(|retention| StoreRequest::ForgetArchived { retention, limit: ALL }),
        2 => number().prop_map(|number| StoreRequest::DiscardJob { media_id: media(number) }),
        4 => number().prop_map(|number| StoreRequest::RetryJob {
            media_id: media(number),
            routing: None,
        }),
    ]
    .boxed()
}

fn request() -> impl Strategy<Value = StoreRequest> {
    prop_oneof![bot_side_request(), other_request()]
}

/// Requests, each with the time that passes before it.
fn requests() -> impl Strategy<Value = Vec<(Millis, StoreRequest)>> {
    let wait = prop_oneof![12 => Just(0), 6 => 1..5_000_u64, 1 => Just(61_000)];
    vec((wait.prop_map(Millis::from_ms), request()), 1..80)
}

/// How far the message 1 is when a run begins: random requests alone seldom get this far.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Start {
    Unknown,
    FailedAndCalledBack,
    Retried,
    RetryCompleted,
}

impl Start {
    fn bench(self) -> Bench {
        let mut bench = Bench::new();
        if self >= Self::FailedAndCalledBack {
            bench.called_back_media(1, Outcome::TimedOut);
        }
        if self >= Self::Retried {
            ask!(bench, RetryJob, StoreRequest::RetryJob { media_id: media(1), routing: None });
        }
        if self >= Self::RetryCompleted {
            bench.claim(1, 1);
            bench.complete(1, heard("at last"));
        }
        bench
    }
}

fn start() -> impl Strategy<Value = Start> {
    select(vec![Start::Unknown, Start::FailedAndCalledBack, Start::Retried, Start::RetryCompleted])
}

/// The model with only this left of attempts: whether there was any. Numbers may skip.
fn but_for_attempts(model: &StoreModel) -> StoreModel {
    let capped = |row: ArchiveRow| ArchiveRow { attempts: row.attempts.min(Attempt(1)), ..row };
    StoreModel { archive: model.archive.rewritten(capped), ..model.clone() }
}

/// What the answer to a repetition is, given the first answer; none where it depends.
fn expected_again(reply: StoreReply) -> Option<StoreReply> {
    match reply {
        StoreReply::Archive(answers) => {
            let again = answers.into_iter().map(|answer| match answer {
                ArchiveAnswer::Stored { seq } => ArchiveAnswer::AlreadyStored { seq },
                other @ (ArchiveAnswer::AlreadyStored { .. }
                | ArchiveAnswer::DuplicateProviderMessage { .. }
                | ArchiveAnswer::StaleLease) => other,
            });
            Some(StoreReply::Archive(again.collect()))
        }
        StoreReply::EnqueueSend(EnqueueAnswer::Enqueued) => {
            Some(StoreReply::EnqueueSend(EnqueueAnswer::AlreadyPresent))
        }
        StoreReply::OwedCallbacks { .. }
        | StoreReply::RaiseAttempts(_)
        | StoreReply::Release(_)
        | StoreReply::ReclaimLeases(_)
        | StoreReply::ExpireJobs(_)
        | StoreReply::ForgetFailed(_)
        | StoreReply::ForgetArchived(_) => None,
        other => Some(other),
    }
}

/// Whether a request names nothing twice: within one call, what an earlier item was refused a later
/// one may take, and that is known when the call is repeated.
fn names_each_once(request: &StoreRequest) -> bool {
    match request {
        StoreRequest::Archive { items, .. } => {
            let of = |item: &ArchiveItem| (item.correspondent_id.clone(), item.message.clone());
            let messages = items.iter().map(of);
            distinct(messages.clone().map(|(correspondent, message)| (correspondent, message.id)))
                && distinct(messages.map(|(correspondent, message)| {
                    (correspondent, message.provider_message_id.clone())
                }))
        }
        StoreRequest::InsertJobs { jobs, .. } => distinct(jobs.iter().map(|new| new.job.media_id)),
        _ => true,
    }
}

fn distinct<T: Ord>(mut values: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    values.all(|value| seen.insert(value))
}

/// Says that every index is what the records make of it.
fn check_indices(model: &StoreModel) {
    assert_eq!(model.archive.rewritten(|row| row), model.archive);
    let mut jobs = model.jobs.clone();
    let mut fresh = Jobs::default();
    model.jobs().for_each(|job| fresh.put(Arc::new(job.clone())));
    // Looking for claimable jobs at the end of time ends every back-off in the indices.
    for pool in ["audio", "video"] {
        let lease = lease(99);
        jobs.claim(&pool.into(), None, lease, 0, Timestamp::MAX);
        fresh.claim(&pool.into(), None, lease, 0, Timestamp::MAX);
    }
    assert_eq!(fresh.indices, jobs.indices);
}

proptest! {
    /// Goal: a request applied twice in a row leaves what it leaves applied once, answers as if it had
    /// happened once, and no index ever differs from its records. Method: random requests in an id
    /// space so small that everything meets, to one model once and to another twice.
    #[test]
    fn asking_twice_is_asking_once(start in start(), requests in requests()) {
        let (mut once, mut twice) = (start.bench(), start.bench());
        for (wait, request) in &requests {
            once.pass(*wait);
            twice.pass(*wait);
            let before = once.model.clone();
            let reply = once.apply(request);
            if reply.is_err() {
                prop_assert_eq!(&once.model, &before, "a refusal changes nothing: {:?}", request);
            }
            let _first = twice.apply(request);
            let again = twice.apply(request);
            prop_assert_eq!(
                but_for_attempts(&once.model),
                but_for_attempts(&twice.model),
                "after {:?}",
                request
            );
            match reply {
                Err(error) => prop_assert_eq!(again, Err(error)),
                Ok(reply) => {
                    let expected = expected_again(reply).filter(|_| names_each_once(request));
                    if let Some(expected) = expected {
                        prop_assert_eq!(again, Ok(expected), "to {:?}", request);
                    }
                }
            }
        }
        check_indices(&twice.model);
    }
}
