//! A store that answers in the right form and with the wrong content.

use anteroom_core::id::{ArchiveSeq, Attempt, Epoch, MessageId};
use anteroom_core::store::{
    Acquired, ArchiveAnswer, InsertAnswer, MarkAnswer, ReviseAnswer, StoreReply, Swept, TokenAnswer,
};
use anteroom_core::time::Millis;

use crate::script::{media, message_id, node_id};

/// The reply with something wrong about it, in one of eight ways.
pub fn distorted(reply: StoreReply, how: u8) -> StoreReply {
    let first = message_id(1);
    match reply {
        StoreReply::Archive(answers) => StoreReply::Archive(match how {
            0 => Vec::new(),
            1 => vec![ArchiveAnswer::StaleLease; answers.len()],
            2 => vec![ArchiveAnswer::DuplicateProviderMessage { message_id: first }; answers.len()],
            3 => vec![ArchiveAnswer::Stored { seq: ArchiveSeq(0) }; answers.len()],
            4 => vec![ArchiveAnswer::Stored { seq: ArchiveSeq(u64::MAX) }; answers.len()],
            _ => longer(answers),
        }),
        StoreReply::InsertJobs(answers) => StoreReply::InsertJobs(match how {
            0 => Vec::new(),
            1 => vec![InsertAnswer::MediaIdInUse; answers.len()],
            2 => vec![InsertAnswer::DuplicateProviderMessage { message_id: first }; answers.len()],
            3 => vec![InsertAnswer::Inserted { leased: false }; answers.len()],
            4 => vec![InsertAnswer::Inserted { leased: true }; answers.len()],
            _ => longer(answers),
        }),
        StoreReply::Claim(mut claimed) => {
            match how {
                0 => claimed.jobs.clear(),
                1 => claimed.jobs.iter_mut().for_each(|job| job.pool = "unsupported".into()),
                2 => claimed.jobs.iter_mut().for_each(|job| job.pool = "no such".into()),
                3 => claimed.jobs.iter_mut().for_each(|job| job.media_id = media(5)),
                4 => claimed.next_in = Some(Millis::ZERO),
                _ => claimed.jobs = longer(longer(claimed.jobs)),
            }
            claimed.more = how.is_multiple_of(2);
            StoreReply::Claim(claimed)
        }
        StoreReply::RestoreBot(mut page) => {
            page.more = how.is_multiple_of(2);
            page.jobs = if how == 0 { Vec::new() } else { longer(page.jobs) };
            StoreReply::RestoreBot(page)
        }
        StoreReply::CompletedJobs(mut page) => {
            page.more = how == 0;
            page.jobs.iter_mut().for_each(|job| job.revision += u32::from(how));
            page.jobs = longer(page.jobs);
            StoreReply::CompletedJobs(page)
        }
        StoreReply::OwedCallbacks { mut callbacks, more } => {
            match how {
                0 => callbacks.clear(),
                1 => callbacks.reverse(),
                2 => callbacks.iter_mut().for_each(|owed| owed.attempt = Attempt(u32::MAX)),
                3 => callbacks.iter_mut().for_each(|owed| owed.seq = ArchiveSeq(u64::MAX)),
                4 => callbacks.iter_mut().for_each(|owed| owed.failures = u32::MAX),
                _ => callbacks = longer(callbacks),
            }
            StoreReply::OwedCallbacks { callbacks, more: more ^ (how == 6) }
        }
        StoreReply::RaiseAttempts(attempts) => StoreReply::RaiseAttempts(match how {
            0 => Vec::new(),
            1 => vec![None; attempts.len()],
            2 => vec![Some(Attempt(0)); attempts.len()],
            3 => vec![Some(Attempt(u32::MAX)); attempts.len()],
            _ => longer(attempts),
        }),
        StoreReply::MarkCalledBack(answers) => StoreReply::MarkCalledBack(match how {
            0 => Vec::new(),
            1 => vec![MarkAnswer::Unknown; answers.len()],
            2 => vec![MarkAnswer::Ended; answers.len()],
            _ => longer(answers),
        }),
        StoreReply::NextId(_) if how == 0 => StoreReply::NextId(message_id(u64::MAX >> 1)),
        StoreReply::NextId(_) => StoreReply::NextId(MessageId::FIRST),
        StoreReply::AcquireBot(_) => StoreReply::AcquireBot(match how {
            0 => Acquired::HeldBy { node_id: node_id(1), remaining: Millis::ZERO },
            1 => Acquired::HeldBy { node_id: node_id(2), remaining: Millis::from_hours(u64::MAX) },
            _ => Acquired::Acquired { epoch: Epoch(u64::from(how)) },
        }),
        StoreReply::RenewBots(_) => StoreReply::RenewBots(vec!["a".into(), "nobody".into()]),
        StoreReply::Renew(_) => StoreReply::Renew((0..12).map(media).collect()),
        StoreReply::Complete(answers) => StoreReply::Complete(match how {
            0 => Vec::new(),
            1 => vec![TokenAnswer::Stale; answers.len()],
            _ => longer(answers),
        }),
        StoreReply::Revise(_) => StoreReply::Revise(match how {
            0 => ReviseAnswer::Revised { seq: ArchiveSeq(0) },
            1 => ReviseAnswer::Revised { seq: ArchiveSeq(u64::MAX) },
            _ => ReviseAnswer::NotFound,
        }),
        StoreReply::ReclaimLeases(_) => StoreReply::ReclaimLeases(swept(how)),
        StoreReply::ExpireJobs(_) => StoreReply::ExpireJobs(swept(how)),
        StoreReply::KnownMedia(_) => {
            StoreReply::KnownMedia((0..u128::from(how)).map(media).collect())
        }
        StoreReply::ForgetFailed(_) => StoreReply::ForgetFailed((0..12).map(media).collect()),
        StoreReply::RegisterBot(mut record) => {
            record.bot_id = "nobody".into();
            StoreReply::RegisterBot(record)
        }
        reply @ (StoreReply::ReleaseBot
        | StoreReply::EnqueueSend(_)
        | StoreReply::OwedSends(_)
        | StoreReply::MarkSent
        | StoreReply::HoldBot(_)
        | StoreReply::Release(_)
        | StoreReply::AcquireSingleton(_)
        | StoreReply::ForgetArchived(_)
        | StoreReply::DiscardJob(_)
        | StoreReply::RetryJob(_)
        | StoreReply::Redeliver(_)) => reply,
    }
}

fn swept(how: u8) -> Vec<Swept> {
    let swept = |number: u8| Swept {
        bot_id: ["a", "b", "nobody"][usize::from(number % 3)].into(),
        media_id: media(u128::from(number)),
        pool: if number == 0 { "no such" } else { "audio" }.into(),
        worker_id: None,
        completed: number.is_multiple_of(2),
    };
    (0..how).map(swept).collect()
}

fn longer<T: Clone>(mut items: Vec<T>) -> Vec<T> {
    items.extend_from_within(..);
    items
}
