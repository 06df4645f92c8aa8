//! A queue to be put through its rules, and what is put into it.

use uuid::Uuid;

use crate::draft::DraftMedia;
use crate::id::RequestId;
use crate::message::{Extracted, MediaKind, Participant};
use crate::queue::*;
use crate::settings::Overflow;
use crate::store::StoreReply;
use crate::time::Millis;

pub(super) const NOW: Timestamp = Timestamp::from_ms(1_000);

/// A queue under limits of its own, whose messages come from requests 1, 2, 3, …
pub(super) struct Bench {
    pub(super) queue: CorrespondentQueue,
    pub(super) limits: Limits,
    pub(super) now: Timestamp,
    additions: u64,
}

impl Bench {
    /// Ten messages, a hundred characters, `reject`.
    pub(super) fn new() -> Self {
        let limits = Limits {
            max_messages: 10,
            max_characters: 100,
            max_characters_single_message: 100,
            max_characters_media_text: 300,
            max_age: Millis::from_ms(10),
            max_placeholders: 8,
            overflow: Overflow::Reject,
            ..Limits::default()
        };
        let queue = CorrespondentQueue::new(MessageId::FIRST);
        Self { queue, limits, now: NOW, additions: 0 }
    }

    pub(super) fn bounded(messages: usize, characters: u64) -> Self {
        let mut bench = Self::new();
        bench.limits.overflow = Overflow::Bounded { messages, characters };
        bench
    }

    pub(super) fn add(&mut self, draft: Draft) -> Addition {
        self.additions += 1;
        let origin = from(self.additions);
        let added =
            self.queue.add_message(Box::new(draft), Source::User, origin, &self.limits, self.now);
        self.check();
        added
    }

    pub(super) fn text(&mut self, content: &str) -> Addition {
        let provider_message_id = format!("p{}", self.additions + 1);
        self.add(text(&provider_message_id, content))
    }

    pub(super) fn media(&mut self, number: u128, caption: &str) -> Addition {
        let provider_message_id = format!("p{}", self.additions + 1);
        self.add(media(&provider_message_id, number, caption))
    }

    pub(super) fn inject(&mut self, id: u64, number: u128, caption: &str) -> Injection {
        let message = durable(placeholder(id, number, caption));
        let injection = self.queue.inject_placeholder(message, &self.limits);
        self.check();
        injection
    }

    pub(super) fn complete(&mut self, number: u128, spoken: &str) -> Completion {
        let outcome = Outcome::Text(Extracted { text: spoken.to_owned(), ..Extracted::default() });
        let completion = self.queue.update_message_by_media_id(job(number), outcome, &self.limits);
        self.check();
        completion
    }

    pub(super) fn confirm_placeholder(
        &mut self,
        number: u128,
    ) -> Option<(Durable<MessageId>, Option<Origin>)> {
        self.queue.confirm_placeholder(durable(media_id(number)))
    }

    pub(super) fn pop(&mut self) -> Option<u64> {
        let popped = self.queue.pop_ready_message();
        self.check();
        popped.map(|popped| popped.message.id.get())
    }

    pub(super) fn check(&self) {
        assert_eq!(self.queue.check_invariants(&self.limits), Ok(()));
    }
}

pub(super) fn added(number: u64) -> Verdict {
    Verdict::Added { id: id(number), placeholder: false, overflow: false }
}

pub(super) fn rejected(reason: RejectReason) -> Addition {
    Addition { verdict: Verdict::Rejected { reason }, evicted: vec![] }
}

/// The eviction of the message that the request of the same number brought.
pub(super) fn evicted(number: u64, message_size: u64, reason: EvictReason) -> Evicted {
    Evicted { id: id(number), message_size, origin: from(number), reason }
}

pub(super) fn from(request: u64) -> Option<Origin> {
    Some(Origin::Request { request_id: RequestId(request) })
}

pub(super) fn id(number: u64) -> MessageId {
    MessageId::new(number).unwrap()
}

pub(super) fn media_id(number: u128) -> MediaId {
    Uuid::from_u128(number).into()
}

pub(super) fn job(number: u128) -> FinishedJob {
    FinishedJob { media_id: media_id(number), token: None, worked: None }
}

pub(super) fn durable<T>(value: T) -> Durable<T> {
    Durable::by(&StoreReply::MarkSent, value)
}

pub(super) fn text(provider_message_id: &str, content: &str) -> Draft {
    Draft {
        correspondent_id: "correspondent".into(),
        provider_message_id: provider_message_id.into(),
        content: content.to_owned(),
        sender: Participant::default(),
        direction: Direction::Incoming,
        send_id: None,
        originating_time: Timestamp::ZERO,
        group: None,
        replayed: false,
        media: None,
    }
}

pub(super) fn media(provider_message_id: &str, number: u128, caption: &str) -> Draft {
    let media = DraftMedia {
        media_id: media_id(number),
        kind: MediaKind::Audio,
        mime_type: "audio/ogg".to_owned(),
        original_filename: None,
        size_bytes: None,
        sha256: None,
        quota_exceeded: false,
        detail: None,
    };
    Draft { media: Some(media), ..text(provider_message_id, caption) }
}

pub(super) fn placeholder(number: u64, media: u128, caption: &str) -> Message {
    Message {
        id: id(number),
        content: caption.to_owned(),
        sender: Participant::default(),
        source: Source::User,
        accepted_time: NOW,
        message_size: size_of(caption),
        originating_time: Timestamp::ZERO,
        group: None,
        provider_message_id: format!("injected {number}").into(),
        replayed: false,
        truncated: false,
        media: Some(Box::new(Media {
            media_id: media_id(media),
            kind: MediaKind::Audio,
            mime_type: "audio/ogg".to_owned(),
            original_filename: None,
            caption: (!caption.is_empty()).then(|| caption.to_owned()),
            outcome: None,
        })),
    }
}
