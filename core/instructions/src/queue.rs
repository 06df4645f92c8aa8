//! Operations of one correspondent's queue, in groups of eight, whatever else waits in it.
//!
//! A queue of 100,000 is far beyond any limit that makes sense; it shows the shape of the cost.

use anteroom_core::draft::Draft;
use anteroom_core::id::{CorrespondentId, MessageId};
use anteroom_core::message::{Extracted, Outcome, Source};
use anteroom_core::queue::{Addition, Completion, CorrespondentQueue, Popped, Verdict};
use anteroom_core::settings::{Limits, Overflow};
use anteroom_core::store::FinishedJob;
use anteroom_core::time::{Millis, Timestamp};

use crate::{Case, drafts};

/// Operations of a group.
const GROUP: u64 = 8;

/// What an addition evicts.
const EVICTED: u64 = 700;

/// What a voice note becomes: 64 characters, as a text has.
const SPOKEN: &str = drafts::TEXT;

/// A queue in which a group of messages is put.
pub struct Additions {
    queue: Queue,
    #[expect(
        clippy::vec_box,
        reason = "a draft is boxed where it is parsed, which is not counted"
    )]
    drafts: Vec<Box<Draft>>,
    done: Vec<Addition>,
}

/// A queue of placeholders, and what a group of them becomes.
pub struct Completions {
    queue: Queue,
    jobs: Vec<(FinishedJob, Outcome)>,
    done: Vec<Completion>,
}

/// A queue from which a group of texts is popped.
pub struct Pops {
    queue: Queue,
    done: Vec<Popped>,
}

/// A queue that is full, and a text as long as 700 of its texts.
pub struct Eviction {
    queue: Queue,
    draft: Option<Box<Draft>>,
    done: Option<Addition>,
}

/// Texts for a queue of so many placeholders.
pub fn texts(placeholders: u64) -> Additions {
    let queue = Queue::of_placeholders(placeholders);
    let drafts = (0..GROUP).map(|number| queue.text(placeholders + number, drafts::TEXT)).collect();
    Additions { queue, drafts, done: Vec::with_capacity(GROUP as usize) }
}

/// Voice notes for a queue of so many placeholders.
pub fn voice_notes(placeholders: u64) -> Additions {
    let queue = Queue::of_placeholders(placeholders);
    let draft = |number| queue.voice_note(placeholders + number);
    let drafts = (0..GROUP).map(draft).collect();
    Additions { queue, drafts, done: Vec::with_capacity(GROUP as usize) }
}

/// The text of the oldest of so many placeholders, as it is in life.
pub fn oldest(placeholders: u64) -> Completions {
    completions(placeholders, (0..GROUP).collect())
}

/// The text of any of so many placeholders.
pub fn any(placeholders: u64) -> Completions {
    // A stride without a common divisor: no number comes twice, and the same ones in every run.
    let stride = (placeholders / 3) | 1;
    completions(placeholders, (0..GROUP).map(|step| step * stride % placeholders).collect())
}

fn completions(placeholders: u64, numbers: Vec<u64>) -> Completions {
    let job = |number| {
        let job = FinishedJob { media_id: drafts::media_id(number), token: None, worked: None };
        let extracted = Extracted { text: SPOKEN.to_owned(), ..Extracted::default() };
        (job, Outcome::Text(extracted))
    };
    Completions {
        queue: Queue::of_placeholders(placeholders),
        jobs: numbers.into_iter().map(job).collect(),
        done: Vec::with_capacity(GROUP as usize),
    }
}

/// Texts behind so many placeholders.
pub fn texts_behind(placeholders: u64) -> Pops {
    let Additions { queue, .. } = texts(placeholders).run();
    Pops { queue, done: Vec::with_capacity(GROUP as usize) }
}

/// A text for which 700 of so many texts of one character have to go.
pub fn eviction(texts: u64) -> Eviction {
    let mut queue = Queue::empty();
    for number in 0..texts {
        let draft = queue.text(number, "a");
        queue.add(draft);
    }
    queue.limits.max_characters = texts;
    let draft = queue.text(texts, &"a".repeat(EVICTED as usize));
    Eviction { queue, draft: Some(draft), done: None }
}

impl Case for Additions {
    fn run(mut self) -> Self {
        for draft in self.drafts.drain(..) {
            let addition = self.queue.add(draft);
            self.done.push(addition);
        }
        self
    }
}

impl Case for Completions {
    fn run(mut self) -> Self {
        for (job, outcome) in self.jobs.drain(..) {
            let Queue { inner, limits, .. } = &mut self.queue;
            let completion = inner.update_message_by_media_id(job, outcome, limits);
            assert!(matches!(completion, Completion::Updated { .. }));
            self.done.push(completion);
        }
        self
    }
}

impl Case for Pops {
    fn run(mut self) -> Self {
        for _ in 0..GROUP {
            self.done.extend(self.queue.inner.pop_ready_message());
        }
        assert_eq!(self.done.len() as u64, GROUP);
        self
    }
}

impl Case for Eviction {
    fn run(mut self) -> Self {
        self.done = self.draft.take().map(|draft| self.queue.add(draft));
        assert!(self.done.as_ref().is_some_and(|done| done.evicted.len() as u64 == EVICTED));
        self
    }
}

/// A queue of which nothing is evicted unless its limits are lowered.
struct Queue {
    inner: CorrespondentQueue,
    limits: Limits,
    correspondent_id: CorrespondentId,
}

impl Queue {
    fn empty() -> Self {
        let limits = Limits {
            max_messages: 1_000_000,
            max_characters: 1 << 40,
            max_placeholders: 1_000_000,
            max_age: Millis::from_hours(48),
            overflow: Overflow::Reject,
            ..Limits::default()
        };
        let correspondent_id = drafts::correspondent(1);
        Self { inner: CorrespondentQueue::new(MessageId::FIRST), limits, correspondent_id }
    }

    fn of_placeholders(count: u64) -> Self {
        let mut queue = Self::empty();
        for number in 0..count {
            queue.add(queue.voice_note(number));
        }
        queue
    }

    fn text(&self, number: u64, content: &str) -> Box<Draft> {
        Box::new(drafts::text(&self.correspondent_id, number, content))
    }

    fn voice_note(&self, number: u64) -> Box<Draft> {
        Box::new(drafts::voice_note(&self.correspondent_id, number))
    }

    fn add(&mut self, draft: Box<Draft>) -> Addition {
        let now = Timestamp::from_ms(1);
        let addition = self.inner.add_message(draft, Source::User, None, &self.limits, now);
        assert!(matches!(addition.verdict, Verdict::Added { .. }));
        addition
    }
}
