//! Where the steps come from: few names and tiny limits, so that they meet.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Addend, AddendMedia, Placeholder};
use crate::message::{Extracted, Outcome};
use crate::settings::{Limits, Overflow};
use crate::time::Millis;

pub(super) const MEDIA: std::ops::Range<u8> = 0..6;
pub(super) const PROVIDERS: std::ops::Range<u8> = 0..12;

pub(super) fn limits() -> impl Strategy<Value = Limits> {
    let overflow = prop_oneof![
        Just(Overflow::Reject),
        (0..4usize, 0..40u64)
            .prop_map(|(messages, characters)| Overflow::Bounded { messages, characters }),
    ];
    (1..7usize, 0..90u64, 0..9u64, 40..60u64, 1..25u64, 0..5usize, overflow, 0..4usize).prop_map(
        |(messages, characters, single, media_text, age, placeholders, overflow, dedupe)| Limits {
            max_messages: messages,
            max_characters: characters,
            max_characters_single_message: single,
            max_characters_media_text: media_text,
            max_age: Millis::from_ms(age),
            max_placeholders: placeholders,
            overflow,
            dedupe_window: dedupe,
            ..Limits::default()
        },
    )
}

/// Letters of one, two, three and four bytes.
fn text(most: usize) -> impl Strategy<Value = String> {
    vec(select(vec!['a', 'é', '語', '🦀']), 0..=most).prop_map(String::from_iter)
}

pub(super) fn addend() -> impl Strategy<Value = Addend> {
    let media = (MEDIA, any::<bool>(), 0..4u8).prop_map(|(number, quota_exceeded, die)| {
        AddendMedia { number, outgoing: die == 0, quota_exceeded }
    });
    (PROVIDERS, text(12), option::weighted(0.45, media))
        .prop_map(|(provider, text, media)| Addend { provider, text, media })
}

pub(super) fn placeholder(id: BoxedStrategy<u64>) -> impl Strategy<Value = Placeholder> {
    // Captions may be longer than a single message may be: the settings were lowered since.
    (id, PROVIDERS, MEDIA, option::of(text(40)), 900..1_100u64).prop_map(
        |(id, provider, media, caption, accepted_ms)| Placeholder {
            id,
            provider,
            media,
            caption,
            accepted_ms,
        },
    )
}

pub(super) fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => text(60).prop_map(|text| Outcome::Text(Extracted { text, ..Extracted::default() })),
        1 => Just(Outcome::Nothing),
        1 => Just(Outcome::Expired),
    ]
}
