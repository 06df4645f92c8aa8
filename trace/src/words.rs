//! How events and effects read: a room and a summary, on one line.
//!
//! Media ids, tokens and session ids are shortened; nothing else is left out of what one side tells the
//! other.

use anteroom_core::bot::event::{BotEffect, BotEvent, Callback};
use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::{Attempt, CallbackKey, LeaseToken, MediaId, SessionId};
use anteroom_core::janitor::{JanitorEffect, JanitorEvent};
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::job::{Job, Status};
use anteroom_core::message::Message;
use anteroom_core::ownership::{OwnershipEffect, OwnershipEvent};
use anteroom_core::pool::event::{PoolEffect, PoolEvent};
use anteroom_core::protocol::ProviderFrame;
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::store::{OwedOf, OwedScope, StoreReply, StoreRequest, StoreResult};
use serde::Serialize;
use serde_json::Value;

/// The room that an event comes to, and what it is.
pub fn of_event(event: &Event) -> (String, String) {
    match event {
        Event::Tick => ("node".to_owned(), "tick".to_owned()),
        Event::Node(NodeEvent::Start { bots, runs_bots, runs_workers }) => {
            let bots: Vec<_> = bots.iter().map(|record| record.bot_id.as_str()).collect();
            let summary = format!("start {bots:?} bots={runs_bots} workers={runs_workers}");
            ("node".to_owned(), summary)
        }
        Event::Node(NodeEvent::Shutdown) => ("node".to_owned(), "shutdown".to_owned()),
        Event::Session(id, event) => (session(*id), of_session_event(event)),
        Event::Bot(bot_id, event) => (bot_id.to_string(), of_bot_event(event)),
        Event::Pools(event) => ("pools".to_owned(), of_pool_event(event)),
        Event::Ownership(OwnershipEvent::Store { op, result }) => {
            ("ownership".to_owned(), format!("#{op} {}", of_result(result)))
        }
        Event::Janitor(JanitorEvent::Store { op, result }) => {
            ("janitor".to_owned(), format!("#{op} {}", of_result(result)))
        }
        Event::Janitor(JanitorEvent::Staged { files }) => {
            ("janitor".to_owned(), format!("staged {}", all(files, |id| media(*id))))
        }
    }
}

pub(crate) fn of_session_event(event: &SessionEvent) -> String {
    match event {
        SessionEvent::Opened => "opened".to_owned(),
        SessionEvent::Heard => "heard".to_owned(),
        SessionEvent::Closed => "closed".to_owned(),
        SessionEvent::Malformed { error } => format!("malformed: {error}"),
        SessionEvent::Frame { frame, authorized } => match frame {
            ProviderFrame::Hello(hello) => {
                let instance = hello.provider_instance.as_ref().map_or("-", |it| it.as_str());
                let token = if *authorized { "authorized" } else { "unauthorized" };
                format!("hello {} {} {instance} {token}", hello.bot_id, hello.provider_name)
            }
            ProviderFrame::Message(frame) => {
                let draft = &frame.draft;
                let carried = draft.media.as_ref().map(|it| format!(" {}", media(it.media_id)));
                format!(
                    "message seq {} {} {}{} {:?}",
                    frame.seq,
                    draft.correspondent_id,
                    draft.provider_message_id,
                    carried.unwrap_or_default(),
                    draft.content
                )
            }
            ProviderFrame::Status(frame) => format!("status {}", words(&frame.status)),
            ProviderFrame::Sent(sent) => {
                format!("sent {} as {}", sent.send_id, sent.provider_message_id)
            }
            ProviderFrame::Ping(_) => "ping".to_owned(),
        },
    }
}

pub(crate) fn of_bot_event(event: &BotEvent) -> String {
    match event {
        BotEvent::Start => "start".to_owned(),
        BotEvent::Stop => "stop".to_owned(),
        BotEvent::Post { request_id, draft } => {
            format!("post request {request_id} {:?}", draft.content)
        }
        BotEvent::Store { op, result } => format!("#{op} {}", of_result(result)),
        BotEvent::ConsumerAttached { stream_id } => {
            format!("consumer attached: stream {stream_id}")
        }
        BotEvent::ConsumerDetached { stream_id } => {
            format!("consumer detached: stream {stream_id}")
        }
        BotEvent::Acknowledge { request_id, keys } => {
            format!("acknowledge request {request_id} {}", all(keys, callback_key))
        }
        BotEvent::Answered { key, attempt, answer } => {
            format!("answered {} attempt {}: {}", callback_key(key), attempt.0, words(answer))
        }
        BotEvent::AnsweredTogether { callbacks, answer } => {
            let callbacks = all(callbacks, |(key, attempt)| {
                format!("{} attempt {}", callback_key(key), attempt.0)
            });
            format!("answered together {callbacks}: {}", words(answer))
        }
        BotEvent::Enqueue { request_id, send } => {
            format!("enqueue request {request_id} {} {:?}", send.send_id, send.message)
        }
        BotEvent::ResultsWaiting => "results waiting".to_owned(),
        BotEvent::Register { record } => format!("register {}", words(record)),
        BotEvent::Redeliver { request_id, key, attempts } => {
            let Attempt(attempts) = attempts;
            format!("redeliver request {request_id} {} after attempt {attempts}", callback_key(key))
        }
    }
}

pub(crate) fn of_pool_event(event: &PoolEvent) -> String {
    match event {
        PoolEvent::Store { op, result } => format!("#{op} {}", of_result(result)),
        PoolEvent::Ended { media_id, token: lease, result } => {
            format!("ended {} {}: {}", media(*media_id), token(*lease), words(result))
        }
        PoolEvent::WorkWaiting { pool } => format!("work waiting: {pool}"),
    }
}

/// The room that an effect comes from, and what it is.
pub fn of_effect(effect: &Effect) -> (String, String) {
    match effect {
        Effect::Session(id, effect) => (session(*id), of_session_effect(effect)),
        Effect::Bot(bot_id, effect) => (bot_id.to_string(), of_bot_effect(effect)),
        Effect::Pools(PoolEffect::Store { op, request })
        | Effect::Ownership(OwnershipEffect::Store { op, request })
        | Effect::Janitor(JanitorEffect::Store { op, request }) => {
            let room = match effect {
                Effect::Pools(_) => "pools",
                Effect::Ownership(_) => "ownership",
                _ => "janitor",
            };
            (room.to_owned(), format!("#{op} {}", of_request(request)))
        }
        Effect::Pools(PoolEffect::Start(work)) => {
            let work = format!("run {} {} {}", work.pool, media(work.media_id), token(work.token));
            ("pools".to_owned(), work)
        }
        Effect::Pools(PoolEffect::Cancel { media_id, token: lease }) => {
            ("pools".to_owned(), format!("cancel {} {}", media(*media_id), token(*lease)))
        }
        Effect::Janitor(JanitorEffect::ListStaged) => {
            ("janitor".to_owned(), "list staged files".to_owned())
        }
        Effect::Janitor(JanitorEffect::DeleteMedia { media_id }) => {
            ("janitor".to_owned(), format!("delete file {}", media(*media_id.get())))
        }
        Effect::Notice(notice) => ("notice".to_owned(), words(notice)),
        Effect::Stopped => ("node".to_owned(), "stopped".to_owned()),
    }
}

pub(crate) fn of_session_effect(effect: &SessionEffect) -> String {
    match effect {
        SessionEffect::Welcome { bot_id, window, resume_after_seq } => {
            format!("welcome {bot_id} window {window} resume after {resume_after_seq:?}")
        }
        SessionEffect::Receipt { seq, receipt, .. } => {
            format!("receipt seq {seq} {}", words(receipt))
        }
        SessionEffect::Send { send, .. } => format!("send {} {:?}", send.send_id, send.message),
        SessionEffect::Error { error, expected } => match expected {
            Some(expected) => format!("error {error} (expected {expected})"),
            None => format!("error {error}"),
        },
        SessionEffect::Pong => "pong".to_owned(),
        SessionEffect::Ping => "ping".to_owned(),
        SessionEffect::Close => "close".to_owned(),
    }
}

pub(crate) fn of_bot_effect(effect: &BotEffect) -> String {
    match effect {
        BotEffect::Store { op, request } => format!("#{op} {}", of_request(request)),
        BotEffect::PostReceipt { request_id, receipt, .. } => {
            format!("receipt request {request_id} {}", words(receipt))
        }
        BotEffect::Callback { stream_id, callback, .. } => {
            let Callback { attempt, message, .. } = callback.get();
            let key = callback_key(&callback.get().key());
            format!("callback {key} attempt {} stream {stream_id} {:?}", attempt.0, message.content)
        }
        BotEffect::Callbacks { stream_id, callbacks, .. } => {
            let callbacks = all(callbacks, |callback| {
                let Callback { attempt, message, .. } = callback.get();
                let key = callback_key(&callback.get().key());
                format!("{key} attempt {} {:?}", attempt.0, message.content)
            });
            format!("callbacks stream {stream_id} {callbacks}")
        }
        BotEffect::AbortCallback { key, attempt } => {
            format!("abort callback {} attempt {}", callback_key(key), attempt.0)
        }
        BotEffect::StreamReplaced { stream_id } => format!("stream {stream_id} replaced"),
        BotEffect::AckAnswer { request_id, answer, .. } => {
            format!("ack answer request {request_id} {}", words(answer))
        }
        BotEffect::EnqueueAnswer { request_id, answer, .. } => {
            format!("enqueue answer request {request_id} {}", words(answer))
        }
        BotEffect::RedeliverAnswer { request_id, answer } => {
            format!("redeliver answer request {request_id} {}", words(answer))
        }
        BotEffect::DeleteMedia { media_id } => format!("delete file {}", media(*media_id.get())),
    }
}

/// What the store is asked for, with the details that a reader needs.
pub fn of_request(request: &StoreRequest) -> String {
    let details = match request {
        StoreRequest::AcquireBot { bot_id, .. } => bot_id.to_string(),
        StoreRequest::NextId { correspondent_id, .. } => correspondent_id.to_string(),
        StoreRequest::ReleaseBot(fence) | StoreRequest::HoldBot(fence) => {
            format!("epoch {}", fence.epoch)
        }
        StoreRequest::RestoreBot { fence, after, offers, .. } => {
            let offered = |LeaseOffer { pool, lease, places }: &LeaseOffer| {
                format!(" {places} of {pool} {}", token(lease.token))
            };
            let offered: String = offers.iter().map(offered).collect();
            format!(
                "epoch {} after {:?}{offered}",
                fence.epoch,
                after.map(|after| media(after.media_id))
            )
        }
        StoreRequest::InsertJobs { jobs, .. } => all(jobs, |new| {
            let lease = new.lease.map(|lease| token(lease.token));
            format!("{} lease {lease:?}", of_job(&new.job))
        }),
        StoreRequest::Archive { items, .. } => all(items, |item| {
            let job = item.job.map(|job| {
                let lease = job.token.map(token);
                format!(" job {} {lease:?}", media(job.media_id))
            });
            let (message, plan) = (of_message(&item.message), words(&item.callback));
            format!("{}/{message} {plan}{}", item.correspondent_id, job.unwrap_or_default())
        }),
        StoreRequest::OwedCallbacks { scope, .. } => match scope {
            OwedScope::Bot { after, .. } => format!("of the bot after seq {after}"),
            OwedScope::Correspondents(of) => {
                all(of, |OwedOf { correspondent_id, after, limit }| {
                    format!("of {correspondent_id} up to {limit} after seq {after}")
                })
            }
            OwedScope::CorrespondentById { correspondent_id, after } => {
                format!("of {correspondent_id} after id {after:?}")
            }
        },
        StoreRequest::RaiseAttempts { callbacks, .. } => {
            all(callbacks, |(key, failures)| format!("{} failures {failures}", callback_key(key)))
        }
        StoreRequest::MarkCalledBack { marks, .. } => {
            all(marks, |mark| format!("{} {}", callback_key(&mark.key), words(&mark.end)))
        }
        StoreRequest::Claim { pool, after_bot, limit, lease } => {
            let after = after_bot.as_ref().map(|bot_id| bot_id.as_str());
            format!("{pool} up to {limit} behind {after:?} {}", token(lease.token))
        }
        StoreRequest::Renew { leases, .. } => {
            all(leases, |(media_id, lease)| format!("{} {}", media(*media_id), token(*lease)))
        }
        StoreRequest::Release { releases } => all(releases, |release| {
            let (media_id, lease) = (media(release.media_id), token(release.token));
            format!("{media_id} {lease} in {} {}", release.delay, words(&release.reason))
        }),
        StoreRequest::Complete { completions } => all(completions, |completion| {
            let (media_id, lease) = (media(completion.media_id), token(completion.token));
            format!("{media_id} {lease} {}", words(&completion.outcome))
        }),
        StoreRequest::KnownMedia { media_ids } => all(media_ids, |id| media(*id)),
        StoreRequest::CompletedJobs { after, .. } => {
            format!("after {:?}", after.map(|after| media(after.media_id)))
        }
        StoreRequest::Redeliver { key, .. } => callback_key(key),
        StoreRequest::RegisterBot(_)
        | StoreRequest::RenewBots { .. }
        | StoreRequest::Revise { .. }
        | StoreRequest::EnqueueSend { .. }
        | StoreRequest::OwedSends { .. }
        | StoreRequest::MarkSent { .. }
        | StoreRequest::AcquireSingleton { .. }
        | StoreRequest::ReclaimLeases { .. }
        | StoreRequest::ExpireJobs { .. }
        | StoreRequest::ForgetFailed { .. }
        | StoreRequest::ForgetArchived { .. }
        | StoreRequest::DiscardJob { .. }
        | StoreRequest::RetryJob { .. } => String::new(),
    };
    format!("{} {details}", request_name(request)).trim_end().to_owned()
}

/// What the store answers.
pub fn of_result(result: &StoreResult) -> String {
    match result {
        Err(error) => format!("error: {error}"),
        Ok(StoreReply::RestoreBot(page) | StoreReply::CompletedJobs(page)) => {
            format!("jobs {} more={}", all(&page.jobs, of_job), page.more)
        }
        Ok(StoreReply::Claim(claimed)) => {
            format!("claimed {} more={}", all(&claimed.jobs, of_job), claimed.more)
        }
        Ok(StoreReply::OwedCallbacks { callbacks, more }) => {
            let owed = all(callbacks, |owed| {
                let (id, attempt) = (&owed.correspondent_id, owed.attempt.0);
                format!("{id}/{} attempt {attempt}", of_message(&owed.message))
            });
            format!("owed {owed} more={more}")
        }
        Ok(reply) => words(reply),
    }
}

fn of_job(job: &Job) -> String {
    let status = match &job.status {
        Status::Pending => "pending".to_owned(),
        Status::Processing { lease } => format!("processing under {}", token(lease.token)),
        Status::Completed { outcome, .. } => format!("completed {}", words(outcome)),
    };
    let (correspondent, id) = (&job.correspondent_id, job.placeholder_message.id);
    format!("{} of {correspondent}/{id} {status}", media(job.media_id))
}

fn of_message(message: &Message) -> String {
    format!("{} {:?}", message.id, message.content)
}

pub(crate) fn callback_key(key: &CallbackKey) -> String {
    format!("{}/{}/r{}", key.correspondent_id, key.message_id, key.revision)
}

pub(crate) fn session(id: SessionId) -> String {
    format!("session {:x}", id.as_uuid().as_u128())
}

pub(crate) fn media(id: MediaId) -> String {
    format!("media-{:x}", id.as_uuid().as_u128() & 0xffff)
}

pub(crate) fn token(token: LeaseToken) -> String {
    format!("lease-{:04x}", token.as_uuid().as_u128() & 0xffff)
}

fn all<T>(items: &[T], one: impl Fn(&T) -> String) -> String {
    let items: Vec<_> = items.iter().map(one).collect();
    format!("[{}]", items.join("; "))
}

/// A value in few words: its JSON without the punctuation.
pub(crate) fn words(value: &impl Serialize) -> String {
    fn write(value: &Value, into: &mut String) {
        match value {
            Value::Null => into.push('-'),
            Value::String(text) => match text.parse::<uuid::Uuid>() {
                Ok(id) => into.push_str(&format!("{:x}", id.as_u128() & 0xffff)),
                Err(_) => into.push_str(text),
            },
            Value::Bool(_) | Value::Number(_) => into.push_str(&value.to_string()),
            Value::Array(items) => {
                into.push('[');
                for (index, item) in items.iter().enumerate() {
                    into.push_str(if index > 0 { "; " } else { "" });
                    write(item, into);
                }
                into.push(']');
            }
            Value::Object(fields) => {
                for (index, (name, field)) in fields.iter().enumerate() {
                    into.push_str(if index > 0 { " " } else { "" });
                    if !["notice", "outcome", "kind", "reply", "answer"].contains(&name.as_str()) {
                        into.push_str(name);
                        into.push(' ');
                    }
                    write(field, into);
                }
            }
        }
    }
    let mut text = String::new();
    match serde_json::to_value(value) {
        Ok(value) => write(&value, &mut text),
        Err(error) => text.push_str(&error.to_string()),
    }
    text
}

/// The name of a request, as the design writes it.
pub fn request_name(request: &StoreRequest) -> String {
    let value = serde_json::to_value(request).unwrap_or_default();
    value["request"].as_str().unwrap_or("?").to_owned()
}
