//! The queue against a naive model of it, step by step, over all operations and tiny limits.
//!
//! Failing cases are kept in `proptest-regressions/` at the workspace's root. The path is given in
//! full (`Direct`), because `SourceParallel` would put it beside the crate.

mod ledger;
mod model;
mod steps;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, FileFailurePersistence};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use uuid::Uuid;

use self::ledger::Ledger;
use self::model::{Entry, Model, State};
use self::steps::{MEDIA, PROVIDERS, addend, limits, outcome, placeholder};
use super::*;
use crate::draft::DraftMedia;
use crate::id::LeaseToken;
use crate::job::Worked;
use crate::message::{MediaKind, Participant};
use crate::settings::Overflow;
use crate::store::FinishedJob;
use crate::store::StoreReply;
use crate::time::Millis;

const REGRESSIONS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/core/queue/model_tests.txt");

prop_state_machine! {
    #![proptest_config(Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..Config::default()
    })]

    /// Goal: whatever is asked of it, the queue answers and holds what its table says; nothing in it
    /// is lost, counted twice, or evicted once it is acknowledged.
    /// Method: sequences of all operations against the model, both overflow policies, limits so
    /// tiny that every path is taken.
    #[test]
    fn the_queue_does_what_the_naive_queue_does(sequential 1..80 => Checked);
}

/// One operation on the queue, or on the clock. Small numbers name media and provider messages.
#[derive(Debug, Clone)]
enum Step {
    Add(Addend),
    Inject(Placeholder),
    Complete { media: u8, outcome: Outcome },
    Pop,
    Remove { media: u8 },
    ConfirmPlaceholder { media: u8 },
    Confirm { provider: u8 },
    Abandon { provider: u8 },
    AbandonUnacknowledged,
    RaiseNextId { to: u64 },
    Pass { ms: u64 },
    Rewind { ms: u64 },
}

#[derive(Debug, Clone)]
struct Addend {
    provider: u8,
    text: String,
    media: Option<AddendMedia>,
}

#[derive(Debug, Clone)]
struct AddendMedia {
    number: u8,
    outgoing: bool,
    quota_exceeded: bool,
}

#[derive(Debug, Clone)]
struct Placeholder {
    id: u64,
    provider: u8,
    media: u8,
    caption: Option<String>,
    accepted_ms: u64,
}

/// What a step answered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Added(Addition),
    Injected(Injection),
    Completed(Completion),
    Popped(Option<Popped>),
    Removed(Option<Removed>),
    PlaceholderConfirmed(Option<(MessageId, Option<Origin>)>),
    GivenUp(Vec<(MessageId, Option<Origin>)>),
    Nothing,
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        (limits(), 1..4u64).prop_map(|(limits, next_id)| Self::new(limits, next_id)).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let id = prop_oneof![1..=state.next_id, Just(state.next_id + 3)];
        let in_flight: Vec<u8> = PROVIDERS
            .filter(|number| {
                let provider = provider_message_id(*number);
                state.in_flight.iter().any(|(known, _)| *known == provider)
            })
            .collect();
        let landing = if in_flight.is_empty() {
            Just(Step::Pop).boxed()
        } else {
            prop_oneof![
                3 => select(in_flight.clone()).prop_map(|provider| Step::Confirm { provider }),
                1 => select(in_flight).prop_map(|provider| Step::Abandon { provider }),
            ]
            .boxed()
        };
        prop_oneof![
            12 => addend().prop_map(Step::Add),
            2 => placeholder(id.boxed()).prop_map(Step::Inject),
            4 => (MEDIA, outcome()).prop_map(|(media, outcome)| Step::Complete { media, outcome }),
            2 => Just(Step::Pop),
            3 => landing,
            1 => MEDIA.prop_map(|media| Step::Remove { media }),
            3 => MEDIA.prop_map(|media| Step::ConfirmPlaceholder { media }),
            3 => (1..12u64).prop_map(|ms| Step::Pass { ms }),
            1 => prop_oneof![
                2 => Just(Step::AbandonUnacknowledged),
                1 => (1..40u64).prop_map(|to| Step::RaiseNextId { to }),
                1 => (1..12u64).prop_map(|ms| Step::Rewind { ms }),
            ],
        ]
        .boxed()
    }

    /// Only what was popped is confirmed or abandoned.
    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::Confirm { provider } | Step::Abandon { provider } => {
                let provider = provider_message_id(*provider);
                state.in_flight.iter().any(|(known, _)| *known == provider)
            }
            Step::Add(_)
            | Step::Inject(_)
            | Step::Complete { .. }
            | Step::Pop
            | Step::Remove { .. }
            | Step::ConfirmPlaceholder { .. }
            | Step::AbandonUnacknowledged
            | Step::RaiseNextId { .. }
            | Step::Pass { .. }
            | Step::Rewind { .. } => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.step(step);
        state
    }
}

/// The queue, and what can be said of its answers without any model.
struct Checked {
    queue: CorrespondentQueue,
    limits: Limits,
    now: Timestamp,
    additions: u64,
    /// Popped and not landed, with the id each is to be confirmed under.
    in_flight: Vec<(ProviderMessageId, MessageId)>,
    ledger: Ledger,
    /// Something was injected, which no limit bounds.
    injected: bool,
}

impl StateMachineTest for Checked {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        Self {
            queue: CorrespondentQueue::new(MessageId::new(model.next_id).unwrap()),
            limits: model.limits,
            now: model.now,
            additions: 0,
            in_flight: Vec::new(),
            ledger: Ledger::default(),
            injected: false,
        }
    }

    fn apply(mut checked: Self, model: &Model, step: Step) -> Self {
        let before = sizes(&checked.queue);
        let first_ready = entries(&checked.queue)
            .into_iter()
            .find(|entry| !entry.message.is_placeholder())
            .map(|entry| entry.message.id);
        let answer = checked.step(step);
        assert_eq!(answer, model.answer, "the queue's answer, and the model's");
        if let Answer::Popped(popped) = &answer {
            let id = popped.as_ref().map(|popped| popped.message.id);
            assert_eq!(id, first_ready, "a pop gives the lowest ready id");
            assert!(popped.as_ref().is_none_or(|popped| !popped.message.is_placeholder()));
        }
        checked.injected |= answer == Answer::Injected(Injection::Injected);
        checked.ledger.enter(&before, &sizes(&checked.queue), &answer);
        checked
    }

    fn check_invariants(checked: &Self, model: &Model) {
        let queue = &checked.queue;
        assert_eq!(queue.check_invariants(&checked.limits), Ok(()));
        assert_eq!(entries(queue), model.entries, "the queue's entries, and the model's");
        assert_eq!(queue.len(), model.entries.len());
        assert_eq!(queue.is_empty(), model.entries.is_empty());
        assert_eq!(queue.total_chars(), model.total_chars());
        assert_eq!(queue.next_id().get(), model.next_id);
        assert_eq!(queue.has_ready(), model.has_ready());
        let media = model.entries.iter().filter(|entry| entry.state != State::Text);
        assert!(
            queue
                .media_entries()
                .eq(media.map(|entry| (entry.message.id, entry.message.accepted_time)))
        );
        for number in MEDIA {
            let unconfirmed = model.entries.iter().find(|entry| {
                entry.state == State::Unconfirmed
                    && entry.message.media_id() == Some(media_id(number))
            });
            assert_eq!(
                queue.unconfirmed(media_id(number)),
                unconfirmed.map(|entry| (&entry.message, &entry.excuse))
            );
        }
        if !checked.injected {
            checked.assert_hard_bounds();
        }
        let ledger = &checked.ledger;
        assert_eq!(ledger.messages_in, ledger.messages_out + queue.len() as u64);
        assert_eq!(ledger.characters_in, ledger.characters_out + queue.total_chars());
    }
}

impl Checked {
    fn step(&mut self, step: Step) -> Answer {
        let Self { queue, limits, .. } = self;
        match step {
            Step::Add(addend) => {
                self.additions += 1;
                let origin = origin(self.additions);
                Answer::Added(queue.add_message(
                    Box::new(draft(addend)),
                    Source::User,
                    origin,
                    limits,
                    self.now,
                ))
            }
            Step::Inject(placeholder) => {
                let message = durable(placeholder_message(&placeholder));
                Answer::Injected(queue.inject_placeholder(message, limits))
            }
            Step::Complete { media, outcome } => {
                Answer::Completed(queue.update_message_by_media_id(job(media), outcome, limits))
            }
            Step::Pop => {
                let popped = queue.pop_ready_message();
                if let Some(Popped { message, .. }) = &popped {
                    self.in_flight.push((message.provider_message_id.clone(), message.id));
                }
                Answer::Popped(popped)
            }
            Step::Remove { media } => Answer::Removed(queue.remove_placeholder(media_id(media))),
            Step::ConfirmPlaceholder { media } => {
                let confirmed = queue.confirm_placeholder(durable(media_id(media)));
                Answer::PlaceholderConfirmed(
                    confirmed.map(|(id, origin)| (id.into_inner(), origin)),
                )
            }
            Step::Confirm { provider } => {
                let (provider, id) = self.land(provider);
                self.queue.confirm(&provider, durable(id), &self.limits);
                Answer::Nothing
            }
            Step::Abandon { provider } => {
                let (provider, _) = self.land(provider);
                self.queue.abandon(&provider);
                Answer::Nothing
            }
            Step::AbandonUnacknowledged => Answer::GivenUp(queue.abandon_unacknowledged()),
            Step::RaiseNextId { to } => {
                queue.raise_next_id(MessageId::new(to).unwrap());
                Answer::Nothing
            }
            Step::Pass { ms } => {
                self.now = self.now + Millis::from_ms(ms);
                Answer::Nothing
            }
            Step::Rewind { ms } => {
                self.now = self.now.minus(Millis::from_ms(ms));
                Answer::Nothing
            }
        }
    }

    fn assert_hard_bounds(&self) {
        let (messages, characters) = match self.limits.overflow {
            Overflow::Reject => (0, 0),
            Overflow::Bounded { messages, characters } => (messages, characters),
        };
        let grown = self.limits.max_placeholders as u64 * self.limits.max_characters_media_text;
        assert!(self.queue.len() <= self.limits.max_messages + messages);
        assert!(self.queue.total_chars() <= self.limits.max_characters + characters + grown);
        assert!(self.queue.media_entries().count() <= self.limits.max_placeholders);
    }

    fn land(&mut self, provider: u8) -> (ProviderMessageId, MessageId) {
        let provider = provider_message_id(provider);
        let at = self.in_flight.iter().position(|(known, _)| *known == provider);
        self.in_flight.remove(at.expect("a precondition"))
    }
}

/// What the queue holds, by id, as the model writes it.
fn entries(queue: &CorrespondentQueue) -> Vec<Entry> {
    let texts = queue.texts.iter().map(|text| Entry {
        message: (*text.message).clone(),
        origin: text.origin,
        state: State::Text,
        excuse: Excuse::default(),
    });
    let media = queue.media_ids.values().map(|media_id| &queue.media[media_id]);
    let media = media.map(|entry| Entry {
        message: (*entry.message).clone(),
        origin: entry.unconfirmed.as_ref().and_then(|unconfirmed| unconfirmed.origin),
        state: match &entry.state {
            MediaState::Waiting if entry.unconfirmed.is_some() => State::Unconfirmed,
            MediaState::Waiting => State::Waiting,
            MediaState::Ready(job) => State::Ready(**job),
        },
        excuse: entry.unconfirmed.as_ref().map_or_else(Excuse::default, |it| it.excuse.clone()),
    });
    let mut entries: Vec<_> = texts.chain(media).collect();
    entries.sort_by_key(Entry::id);
    entries
}

/// The size of each entry, counted anew.
fn sizes(queue: &CorrespondentQueue) -> BTreeMap<MessageId, u64> {
    entries(queue)
        .into_iter()
        .map(|entry| (entry.message.id, entry.message.content.chars().count() as u64))
        .collect()
}

fn draft(addend: Addend) -> Draft {
    let outgoing = addend.media.as_ref().is_some_and(|media| media.outgoing);
    Draft {
        correspondent_id: "correspondent".into(),
        provider_message_id: provider_message_id(addend.provider),
        content: addend.text,
        sender: Participant::default(),
        direction: if outgoing { Direction::Outgoing } else { Direction::Incoming },
        send_id: None,
        originating_time: Timestamp::ZERO,
        group: None,
        replayed: false,
        media: addend.media.map(|media| DraftMedia {
            media_id: media_id(media.number),
            kind: MediaKind::Audio,
            mime_type: "audio/ogg".to_owned(),
            original_filename: None,
            size_bytes: None,
            sha256: None,
            quota_exceeded: media.quota_exceeded,
            detail: None,
        }),
    }
}

fn placeholder_message(placeholder: &Placeholder) -> Message {
    let content = placeholder.caption.clone().unwrap_or_default();
    Message {
        id: MessageId::new(placeholder.id).unwrap(),
        message_size: content.chars().count() as u64,
        sender: Participant::default(),
        source: Source::User,
        accepted_time: Timestamp::from_ms(placeholder.accepted_ms),
        originating_time: Timestamp::ZERO,
        group: None,
        provider_message_id: provider_message_id(placeholder.provider),
        replayed: false,
        truncated: false,
        media: Some(Box::new(Media {
            media_id: media_id(placeholder.media),
            kind: MediaKind::Audio,
            mime_type: "audio/ogg".to_owned(),
            original_filename: None,
            caption: (!content.is_empty()).then(|| content.clone()),
            outcome: None,
        })),
        content,
    }
}

fn job(number: u8) -> FinishedJob {
    let (media_id, token) = (media_id(number), Some(token(number)));
    let (claimed_at, ended_at) = (Timestamp::from_ms(number.into()), Timestamp::from_ms(1_000));
    let worked = Some(Worked { worker_id: Uuid::from_u128(1).into(), claimed_at, ended_at });
    FinishedJob { media_id, token, worked }
}

fn token(number: u8) -> LeaseToken {
    Uuid::from_u128(u128::from(number)).into()
}

fn media_id(number: u8) -> MediaId {
    Uuid::from_u128(u128::from(number)).into()
}

fn provider_message_id(number: u8) -> ProviderMessageId {
    format!("p{number}").into()
}

fn origin(addition: u64) -> Option<Origin> {
    Some(Origin::Request { request_id: crate::id::RequestId(addition) })
}

fn durable<T>(value: T) -> Durable<T> {
    Durable::by(&StoreReply::MarkSent, value)
}
