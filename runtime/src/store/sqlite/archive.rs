//! Archiving messages: each with its owed callback and the end of its job, or not at all.
//!
//! **Invariant:** everything that can refuse a message is looked at before anything is written for it.
//! What is not new is rare: it is told apart only when a unique key of the archive is taken. A job that
//! succeeded on this node is not read: the condition of the statement that deletes it is the guard of its
//! transition.

use anteroom_core::id::{ArchiveSeq, BotId, MessageId, ProviderName};
use anteroom_core::job::{Applied, Command, Job};
use anteroom_core::store::{ArchiveAnswer, ArchiveItem, Fence, FinishedJob};
use rusqlite::{CachedStatement, params};

use super::archive_rows::CallbackState;
use super::columns::{AsBlob, message_number, moment, saturating, unsigned};
use super::failure::{Answer, Failure};
use super::work::Work;
use super::{archive_rows, bots, correspondents, job_rows};

/// Whether retention keeps a row of a bot as its correspondent's highest.
pub(super) const RETAINED: &str = "SELECT 1 FROM archive INDEXED BY archive_retained
     WHERE bot_id = ?1 AND retained = 1 LIMIT 1";

/// Lets the sweep look again at the row that it kept, when a higher one is archived. (Left to itself,
/// SQLite would look through all of the correspondent's messages.)
pub(super) const GIVE_UP_RETAINED: &str = "UPDATE archive INDEXED BY archive_retained
     SET retained = 0
     WHERE bot_id = ?1 AND provider_name = ?2 AND correspondent_id = ?3 AND retained = 1
        AND id < ?4";

/// Ends a job that is held under a token.
pub(super) const END_HELD: &str = "DELETE FROM jobs
     WHERE media_id = ?1 AND correspondent = ?2 AND message_id = ?3 AND provider_message_id = ?4
        AND revision = 0 AND status = 'processing' AND lease_token = ?5";

/// Writes a message, unless its id or its provider's message is known.
pub(super) const INSERT: &str = "INSERT INTO archive (bot_id, provider_name, correspondent_id, id,
        provider_message_id, media_id, seq, callback, attempts, archived_at, ended_at, body,
        worker_id, claimed_at, work_ended_at, correspondent, epoch)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
     ON CONFLICT DO NOTHING";

/// Archives messages in their order; `bodies` are theirs.
pub(super) fn archive(
    work: &Work<'_>,
    fence: &Fence,
    items: &[ArchiveItem],
    bodies: &[String],
) -> Answer<Vec<ArchiveAnswer>> {
    debug_assert_eq!(items.len(), bodies.len(), "each message has its body");
    bots::pass_fence(work, fence)?;
    let bot_id = &fence.bot_id;
    let mut shelf = Shelf {
        work,
        end_held: work.prepare(END_HELD)?,
        insert: work.prepare(INSERT)?,
        bot_id,
        epoch: saturating(fence.epoch.0),
        provider_name: bots::provider_name(work, bot_id)?,
        last_seq: bots::last_seq(work, bot_id)?,
        any_retained: work.exists(RETAINED, [bot_id.as_str()])?,
    };
    let answers = items.iter().zip(bodies).map(|(item, body)| shelf.add(item, body));
    let answers = answers.collect::<Answer<_>>()?;
    bots::put_last_seq(work, bot_id, shelf.last_seq)?;
    Ok(answers)
}

/// What is to become of a message's job.
enum JobEnd {
    /// The message has none.
    None,
    /// It ends with the message.
    Ends { job: Box<Job>, applied: Box<Applied> },
    /// It has ended already, in this transaction.
    Written,
    /// It is not held under the token, has no result, or is not there.
    Refused,
}

/// The archive of one bot.
struct Shelf<'w> {
    work: &'w Work<'w>,
    end_held: CachedStatement<'w>,
    insert: CachedStatement<'w>,
    bot_id: &'w BotId,
    epoch: i64,
    provider_name: ProviderName,
    last_seq: i64,
    any_retained: bool,
}

impl Shelf<'_> {
    fn add(&mut self, item: &ArchiveItem, body: &str) -> Answer<ArchiveAnswer> {
        if item.message.is_placeholder() {
            return Err(self.invalid(item, "is a placeholder"));
        }
        let end = if self.end_held(item)? { JobEnd::Written } else { self.job_end(item)? };
        if self.may_be_new(item, &end)? && self.insert(item, body)? {
            self.write_end(&end)?;
            return Ok(ArchiveAnswer::Stored { seq: ArchiveSeq(unsigned(self.last_seq)) });
        }
        match self.known(item)? {
            Some(answer) => {
                self.write_end(&end)?;
                Ok(answer)
            }
            None => Ok(ArchiveAnswer::StaleLease),
        }
    }

    /// Whether nothing outside the archive speaks against the message.
    fn may_be_new(&self, item: &ArchiveItem, end: &JobEnd) -> Answer<bool> {
        let provider_message_id = &item.message.provider_message_id;
        match end {
            JobEnd::Refused => Ok(false),
            JobEnd::Written => Ok(true),
            // There is one job for a provider's message, and it is the message's own.
            JobEnd::Ends { job, .. }
                if job.placeholder_message.provider_message_id == *provider_message_id =>
            {
                Ok(true)
            }
            JobEnd::Ends { .. } | JobEnd::None => Ok(self.waiting_elsewhere(item)?.is_none()),
        }
    }

    /// The answer for a message that is known, in the archive or in a job.
    fn known(&self, item: &ArchiveItem) -> Answer<Option<ArchiveAnswer>> {
        let message = &item.message;
        let (work, bot_id, correspondent_id) = (self.work, self.bot_id, &item.correspondent_id);
        let archived = archive_rows::find_by_provider_message(
            work,
            bot_id,
            correspondent_id,
            &message.provider_message_id,
        )?;
        let known_as = match archived {
            Some(row) => Some(row.id),
            None => self.waiting_elsewhere(item)?,
        };
        if let Some(message_id) = known_as.filter(|id| *id != message.id) {
            return Ok(Some(ArchiveAnswer::DuplicateProviderMessage { message_id }));
        }
        let row = archive_rows::find(work, bot_id, correspondent_id, message.id)?;
        let Some(row) = row else { return Ok(None) };
        if row.provider_message_id != message.provider_message_id {
            return Err(self.invalid(item, "has the id of another archived message"));
        }
        Ok(Some(ArchiveAnswer::AlreadyStored { seq: ArchiveSeq(unsigned(row.seq)) }))
    }

    /// The id under which the provider's message waits in a job, when it is not this one.
    fn waiting_elsewhere(&self, item: &ArchiveItem) -> Answer<Option<MessageId>> {
        let waiting = job_rows::find_by_provider_message(
            self.work,
            self.bot_id,
            &item.correspondent_id,
            &item.message.provider_message_id,
        )?;
        Ok(waiting.map(|(message_id, _)| message_id).filter(|id| *id != item.message.id))
    }

    /// What archiving makes of the message's job. Retries of an archived message are not the
    /// message's own job, and stay.
    fn job_end(&self, item: &ArchiveItem) -> Answer<JobEnd> {
        let Some(finished) = item.job else { return Ok(JobEnd::None) };
        let command = self.finish_command(item, finished)?;
        let Some(job) = job_rows::find(self.work, finished.media_id)? else {
            return Ok(JobEnd::Refused);
        };
        let own = job.bot_id == *self.bot_id
            && job.correspondent_id == item.correspondent_id
            && job.placeholder_message.id == item.message.id
            && job.revision == 0;
        Ok(match job.apply(&command, self.work.now) {
            Ok(applied) if own => JobEnd::Ends { job: Box::new(job), applied: Box::new(applied) },
            Ok(_) | Err(_) => JobEnd::Refused,
        })
    }

    fn finish_command(&self, item: &ArchiveItem, finished: FinishedJob) -> Answer<Command> {
        let Some(token) = finished.token else { return Ok(Command::Finish) };
        match item.message.media.as_ref().and_then(|media| media.outcome.as_ref()) {
            Some(outcome) => Ok(Command::FinishLeased { token, outcome: (**outcome).clone() }),
            None => Err(self.invalid(item, "ends a job but carries no media")),
        }
    }

    fn write_end(&self, end: &JobEnd) -> Answer<()> {
        match end {
            JobEnd::Ends { job, applied } => job_rows::write(self.work, job, applied),
            JobEnd::None | JobEnd::Written | JobEnd::Refused => Ok(()),
        }
    }

    /// Ends the message's own job, if it is held under the token and leaves no failed copy; says whether
    /// it did.
    fn end_held(&mut self, item: &ArchiveItem) -> Answer<bool> {
        let Some(FinishedJob { media_id, token: Some(token), .. }) = item.job else {
            return Ok(false);
        };
        let message = &item.message;
        let outcome = message.media.as_ref().and_then(|media| media.outcome.as_ref());
        if outcome.is_none_or(|outcome| outcome.is_failure()) {
            return Ok(false);
        }
        let ended = self.end_held.execute((
            media_id.blob(),
            correspondents::number(self.work, self.bot_id, &item.correspondent_id)?,
            message_number(message.id)?,
            message.provider_message_id.as_str(),
            token.blob(),
        ))?;
        Ok(ended > 0)
    }

    /// Writes the row, unless its id or its provider's message has one; says whether it did.
    fn insert(&mut self, item: &ArchiveItem, body: &str) -> Answer<bool> {
        let message = &item.message;
        let number = message_number(message.id)?;
        let seq = self.last_seq + 1;
        let (callback, attempts) = CallbackState::planned(item.callback);
        let now = moment(self.work.now);
        let ended_at = (callback != CallbackState::Owed).then_some(now);
        let worked = item.job.and_then(|job| job.worked);
        let (worker_id, claimed_at, work_ended_at) = archive_rows::worked(worked);
        let correspondent =
            correspondents::number_for_writing(self.work, self.bot_id, &item.correspondent_id)?;
        let inserted = self.insert.execute(params![
            self.bot_id.as_str(),
            self.provider_name.as_str(),
            item.correspondent_id.as_str(),
            number,
            message.provider_message_id.as_str(),
            message.media_id().map(|media_id| media_id.blob()),
            seq,
            callback,
            attempts,
            now,
            ended_at,
            body,
            worker_id,
            claimed_at,
            work_ended_at,
            correspondent,
            self.epoch,
        ])?;
        if inserted == 0 {
            return Ok(false);
        }
        self.last_seq = seq;
        self.give_up_retained(item, number)?;
        Ok(true)
    }

    /// A row that retention kept as its correspondent's highest is not that any longer.
    fn give_up_retained(&self, item: &ArchiveItem, number: i64) -> Answer<()> {
        if self.any_retained {
            let correspondent_id = item.correspondent_id.as_str();
            let provider_name = self.provider_name.as_str();
            let key = (self.bot_id.as_str(), provider_name, correspondent_id, number);
            self.work.run(GIVE_UP_RETAINED, key)?;
        }
        Ok(())
    }

    fn invalid(&self, item: &ArchiveItem, what: &str) -> Failure {
        let (bot, correspondent, id) = (self.bot_id, &item.correspondent_id, item.message.id);
        Failure::invalid(format!("the message {bot}/{correspondent}/{id} {what}"))
    }
}
