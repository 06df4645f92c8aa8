//! What one operation of a correspondent's queue costs, whatever else waits in the queue.
//!
//! The operations are measured in groups of eight, for a single one is too short for a clock.
//! `xtask` compares the sizes; a queue of 100,000 is far beyond any limit that makes sense, and is
//! there to show the shape of the cost.

mod drafts;

use std::cell::RefCell;

use anteroom_core::id::{CorrespondentId, MediaId, MessageId};
use anteroom_core::message::{Extracted, Outcome, Source};
use anteroom_core::queue::{Completion, CorrespondentQueue, Verdict};
use anteroom_core::settings::{Limits, Overflow};
use anteroom_core::store::FinishedJob;
use anteroom_core::time::{Millis, Timestamp};
use divan::{Bencher, black_box};

/// Operations of one sample.
const GROUP: usize = 8;

/// What a voice note becomes: 200 characters.
const SPOKEN: &str = "Hello, this is me again, I wanted to ask whether the parcel has arrived, and \
                      if it has, whether somebody could bring it over in the afternoon, for I am \
                      at home until six and then I have to leave.";

/// The one of the `anteroom` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// Completing eight placeholders, taken at random from among so many.
#[divan::bench(args = [10, 100_000], sample_count = 2_000, sample_size = 1)]
fn complete(bencher: Bencher<'_, '_>, placeholders: u64) {
    let queue = RefCell::new(Queue::of_placeholders(placeholders));
    bencher
        .with_inputs(|| {
            let mut queue = queue.borrow_mut();
            while queue.inner.pop_ready_message().is_some() {}
            queue.fill_up(placeholders);
            queue.draw(GROUP).into_iter().map(|media_id| (media_id, spoken())).collect::<Vec<_>>()
        })
        .bench_local_values(|jobs| {
            let mut queue = queue.borrow_mut();
            for (media_id, outcome) in jobs {
                queue.complete(media_id, outcome);
            }
        });
}

/// Completing eight placeholders, the oldest of so many, as they are in life.
#[divan::bench(args = [10, 100_000], sample_count = 2_000, sample_size = 1)]
fn complete_oldest(bencher: Bencher<'_, '_>, placeholders: u64) {
    let queue = RefCell::new(Queue::of_placeholders(placeholders));
    bencher
        .with_inputs(|| {
            let mut queue = queue.borrow_mut();
            while queue.inner.pop_ready_message().is_some() {}
            queue.fill_up(placeholders);
            let oldest = queue.open.drain(..GROUP).collect::<Vec<_>>();
            oldest.into_iter().map(|media_id| (media_id, spoken())).collect::<Vec<_>>()
        })
        .bench_local_values(|jobs| {
            let mut queue = queue.borrow_mut();
            for (media_id, outcome) in jobs {
                queue.complete(media_id, outcome);
            }
        });
}

/// Popping eight texts from behind so many placeholders.
#[divan::bench(args = [10, 100_000], sample_count = 2_000, sample_size = 1)]
fn pop_behind(bencher: Bencher<'_, '_>, placeholders: u64) {
    let queue = RefCell::new(Queue::of_placeholders(placeholders));
    bencher
        .with_inputs(|| {
            for _ in 0..GROUP {
                queue.borrow_mut().add_text(drafts::TEXT);
            }
        })
        .bench_local_values(|()| {
            let mut queue = queue.borrow_mut();
            for _ in 0..GROUP {
                black_box(queue.inner.pop_ready_message()).expect("a text is ready");
            }
        });
}

/// Completing every placeholder of a queue of so many, in no order.
#[divan::bench(args = [10_000], sample_count = 30, sample_size = 1)]
fn complete_all(bencher: Bencher<'_, '_>, placeholders: u64) {
    bencher
        .with_inputs(|| {
            let mut queue = Queue::of_placeholders(placeholders);
            let drawn = queue.draw(placeholders as usize);
            let jobs = drawn.into_iter().map(|media_id| (media_id, spoken()));
            (jobs.collect::<Vec<_>>(), queue)
        })
        .bench_local_values(|(jobs, mut queue)| {
            for (media_id, outcome) in jobs {
                queue.complete(media_id, outcome);
            }
            queue
        });
}

/// One addition that evicts 700 of so many texts of one character.
#[divan::bench(args = [1_000, 100_000], sample_count = 50, sample_size = 1)]
fn evict_700(bencher: Bencher<'_, '_>, texts: u64) {
    evict(bencher, texts, 700);
}

/// One addition that evicts 70 of so many texts of one character.
#[divan::bench(args = [1_000, 100_000], sample_count = 50, sample_size = 1)]
fn evict_70(bencher: Bencher<'_, '_>, texts: u64) {
    evict(bencher, texts, 70);
}

fn evict(bencher: Bencher<'_, '_>, texts: u64, evicted: usize) {
    bencher
        .with_inputs(|| {
            let mut queue = Queue::empty();
            for _ in 0..texts {
                queue.add_text("a");
            }
            queue.limits.max_characters = texts;
            let draft = queue.draft("a".repeat(evicted).as_str());
            (queue, draft)
        })
        .bench_local_values(|(mut queue, draft)| {
            let now = Timestamp::from_ms(1);
            let source = Source::User;
            let addition =
                queue.inner.add_message(Box::new(draft), source, None, &queue.limits, now);
            assert_eq!(addition.evicted.len(), evicted);
            (queue, addition)
        });
}

fn spoken() -> Outcome {
    Outcome::Text(Extracted { text: SPOKEN.to_owned(), ..Extracted::default() })
}

/// A queue of which nothing is evicted unless its limits are lowered.
struct Queue {
    inner: CorrespondentQueue,
    limits: Limits,
    correspondent_id: CorrespondentId,
    next: u64,
    /// The media that have no text yet.
    open: Vec<MediaId>,
    /// The state of a xorshift generator: the same choices in every run.
    random: u64,
}

impl Queue {
    fn empty() -> Self {
        Self {
            inner: CorrespondentQueue::new(MessageId::FIRST),
            limits: Limits {
                max_messages: 1_000_000,
                max_characters: 1 << 40,
                max_placeholders: 1_000_000,
                max_age: Millis::from_hours(48),
                overflow: Overflow::Reject,
                ..Limits::default()
            },
            correspondent_id: drafts::correspondent(1),
            next: 0,
            open: Vec::new(),
            random: 0x2545_F491_4F6C_DD1D,
        }
    }

    fn of_placeholders(count: u64) -> Self {
        let mut queue = Self::empty();
        queue.fill_up(count);
        queue
    }

    fn fill_up(&mut self, placeholders: u64) {
        while (self.open.len() as u64) < placeholders {
            self.next += 1;
            self.open.push(drafts::media_id(self.next));
            let draft = drafts::voice_note(&self.correspondent_id, self.next);
            let now = Timestamp::from_ms(self.next);
            let addition =
                self.inner.add_message(Box::new(draft), Source::User, None, &self.limits, now);
            assert!(matches!(addition.verdict, Verdict::Added { placeholder: true, .. }));
        }
    }

    fn draft(&mut self, content: &str) -> anteroom_core::draft::Draft {
        self.next += 1;
        drafts::text(&self.correspondent_id, self.next, content)
    }

    fn add_text(&mut self, content: &str) {
        let (draft, now) = (self.draft(content), Timestamp::from_ms(1));
        let addition =
            self.inner.add_message(Box::new(draft), Source::User, None, &self.limits, now);
        assert!(matches!(addition.verdict, Verdict::Added { placeholder: false, .. }));
    }

    /// Takes open media at random.
    fn draw(&mut self, count: usize) -> Vec<MediaId> {
        let mut draw = || {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.open.swap_remove((self.random % self.open.len() as u64) as usize)
        };
        (0..count).map(|_| draw()).collect()
    }

    fn complete(&mut self, media_id: MediaId, outcome: Outcome) {
        let job = FinishedJob { media_id, token: None, worked: None };
        let completion = self.inner.update_message_by_media_id(job, outcome, &self.limits);
        assert!(matches!(completion, Completion::Updated { .. }));
    }
}
