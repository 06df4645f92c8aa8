//! The queue's rules one by one, with exact answers.

mod bench;

use self::bench::{
    Bench, NOW, added, durable, evicted, from, id, job, media, media_id, rejected, text,
};
use super::*;
use crate::time::Millis;

/// Goal (age, something evictable; K1): the entries that are too old go, not the front one.
/// Method: a placeholder stands in front; behind it two old texts and a young one.
#[test]
fn age_evicts_the_old_texts_behind_an_older_placeholder() {
    let mut bench = Bench::new();
    bench.media(1, "");
    bench.text("old");
    bench.text("older than it looks");
    bench.now = NOW + Millis::from_ms(1);
    bench.text("young");
    bench.now = NOW + Millis::from_ms(11);
    let expected = vec![evicted(2, 3, EvictReason::Age), evicted(3, 19, EvictReason::Age)];
    assert_eq!(bench.text("new"), Addition { verdict: added(5), evicted: expected });
    assert_eq!(bench.queue.len(), 3);
}

/// Goal (age): a text exactly `max_age` old stays.
#[test]
fn a_text_of_the_highest_age_stays() {
    let mut bench = Bench::new();
    bench.text("a");
    bench.now = NOW + Millis::from_ms(10);
    assert_eq!(bench.text("b"), Addition { verdict: added(2), evicted: vec![] });
}

/// Goal (age, nothing evictable): age alone never rejects, and no placeholder ends by it.
#[test]
fn age_alone_never_rejects() {
    let mut bench = Bench::new();
    bench.media(1, "");
    bench.now = NOW + Millis::from_hours(1_000);
    assert_eq!(bench.text("b"), Addition { verdict: added(2), evicted: vec![] });
    assert_eq!(bench.queue.len(), 2);
}

/// Goal (characters, something evictable): the oldest texts go until it fits, and no more.
#[test]
fn characters_evict_the_oldest_until_it_fits() {
    for mut bench in [Bench::new(), Bench::bounded(5, 50)] {
        for _ in 0..4 {
            bench.text(&"é".repeat(25));
        }
        let evicted =
            vec![evicted(1, 25, EvictReason::Characters), evicted(2, 25, EvictReason::Characters)];
        let addition = Addition { verdict: added(5), evicted };
        assert_eq!(bench.text(&"🦀".repeat(50)), addition);
        assert_eq!(bench.queue.total_chars(), 100);
    }
}

/// Goal (count, something evictable): every entry counts, and the oldest text goes.
#[test]
fn count_evicts_the_oldest() {
    for mut bench in [Bench::new(), Bench::bounded(5, 50)] {
        bench.media(1, "");
        for _ in 0..9 {
            bench.text("");
        }
        let addition =
            Addition { verdict: added(11), evicted: vec![evicted(2, 0, EvictReason::Count)] };
        assert_eq!(bench.text(""), addition);
        assert_eq!(bench.queue.len(), 10);
    }
}

/// Goal: the paths are taken in the order age, characters, count, each seeing what the one before it
/// left.
#[test]
fn the_paths_are_taken_in_order() {
    let mut bench = Bench::new();
    bench.limits.max_messages = 3;
    bench.text("12345");
    bench.now = NOW + Millis::from_ms(5);
    bench.text(&"x".repeat(60));
    bench.text("1234567");
    bench.now = NOW + Millis::from_ms(11);
    let expected = vec![evicted(1, 5, EvictReason::Age), evicted(2, 60, EvictReason::Characters)];
    assert_eq!(bench.text(&"y".repeat(40)), Addition { verdict: added(4), evicted: expected });
    bench.text("");
    assert_eq!(
        bench.text(""),
        Addition { verdict: added(6), evicted: vec![evicted(3, 7, EvictReason::Count)] }
    );
}

/// Goal (characters, nothing evictable, `reject`): refused, without an id, and nothing is evicted for
/// a message that would not fit anyway.
#[test]
fn characters_reject_when_only_placeholders_are_there() {
    let mut bench = Bench::new();
    bench.media(1, &"c".repeat(60));
    bench.text("a text that could go");
    assert_eq!(bench.text(&"x".repeat(41)), rejected(RejectReason::Overflow));
    assert_eq!(bench.queue.len(), 2);
    assert_eq!(bench.queue.next_id(), id(3));
    let evicted = vec![evicted(2, 20, EvictReason::Characters)];
    let addition = Addition { verdict: added(3), evicted };
    assert_eq!(bench.text(&"x".repeat(40)), addition);
}

/// Goal (count, nothing evictable, `reject`): refused, without an id.
#[test]
fn count_rejects_when_only_placeholders_are_there() {
    let mut bench = Bench::new();
    bench.limits.max_messages = 2;
    bench.media(1, "");
    bench.media(2, "");
    assert_eq!(bench.text(""), rejected(RejectReason::Overflow));
    assert_eq!(bench.media(3, ""), rejected(RejectReason::Overflow));
    assert_eq!(bench.queue.next_id(), id(3));
}

/// Goal (characters, nothing evictable, `bounded`): so much above the limit is taken and said to be
/// above it; one character more is refused.
#[test]
fn characters_overflow_up_to_the_bound() {
    let mut bench = Bench::bounded(5, 50);
    bench.media(1, &"c".repeat(100));
    assert_eq!(bench.media(2, &"c".repeat(51)), rejected(RejectReason::Overflow));
    let verdict = Verdict::Added { id: id(2), placeholder: true, overflow: true };
    assert_eq!(bench.media(2, &"c".repeat(50)), Addition { verdict, evicted: vec![] });
    assert_eq!(bench.text("x"), rejected(RejectReason::Overflow));
}

/// Goal (count, nothing evictable, `bounded`): the same for messages.
#[test]
fn count_overflows_up_to_the_bound() {
    let mut bench = Bench::bounded(1, 50);
    bench.limits.max_messages = 2;
    bench.media(1, "");
    assert_eq!(
        bench.media(2, "").verdict,
        Verdict::Added { id: id(2), placeholder: true, overflow: false }
    );
    assert_eq!(
        bench.media(3, "").verdict,
        Verdict::Added { id: id(3), placeholder: true, overflow: true }
    );
    assert_eq!(bench.media(4, ""), rejected(RejectReason::Overflow));
}

/// Goal: a message of size 0 is no way around the bounds: refused at the bound of messages, and above
/// that of characters. At the bound of characters it takes nothing, so it is taken.
#[test]
fn a_message_without_characters_is_bounded_too() {
    let mut bench = Bench::bounded(5, 50);
    bench.media(1, &"c".repeat(100));
    bench.media(2, &"c".repeat(50));
    assert_eq!(
        bench.text("").verdict,
        Verdict::Added { id: id(3), placeholder: false, overflow: true }
    );
    bench.complete(1, "and it grows");
    assert_eq!(bench.text(""), rejected(RejectReason::Overflow));

    let mut bench = Bench::bounded(1, 50);
    bench.limits.max_messages = 1;
    bench.media(1, "");
    bench.media(2, "");
    assert_eq!(bench.text(""), rejected(RejectReason::Overflow));
}

/// Goal (K3): open placeholders have a limit of their own, which texts do not count against.
#[test]
fn placeholders_are_refused_at_their_own_limit() {
    let mut bench = Bench::bounded(5, 50);
    bench.limits.max_placeholders = 1;
    bench.media(1, "");
    assert_eq!(bench.media(2, ""), rejected(RejectReason::PlaceholderLimit));
    assert_eq!(bench.text("t").verdict, added(2));
}

/// Goal (K2): a completion enforces the limit of characters on the others at once, evicting texts
/// and never another medium.
#[test]
fn a_completion_evicts_texts_until_it_fits() {
    let mut bench = Bench::new();
    bench.text(&"x".repeat(40));
    bench.media(1, "");
    bench.text(&"y".repeat(40));
    let completion = Completion::Updated {
        id: id(2),
        old_size: 0,
        new_size: 80,
        truncated: false,
        evicted: vec![
            evicted(1, 40, EvictReason::Characters),
            evicted(3, 40, EvictReason::Characters),
        ],
    };
    assert_eq!(bench.complete(1, &"é".repeat(60)), completion);
    assert_eq!(bench.queue.total_chars(), 80);
}

/// Goal: a completion is never refused, and only the first one counts.
#[test]
fn a_completion_above_the_limit_stands_and_a_second_finds_nothing() {
    let mut bench = Bench::new();
    bench.media(1, "caption");
    let completion = Completion::Updated {
        id: id(1),
        old_size: 7,
        new_size: 300,
        truncated: true,
        evicted: vec![],
    };
    assert_eq!(bench.complete(1, &"é".repeat(500)), completion);
    assert_eq!(bench.complete(1, "again"), Completion::NotFound);
    assert_eq!(bench.queue.total_chars(), 300);
    assert_eq!(bench.text(""), rejected(RejectReason::Overflow));
    let message = bench.queue.pop_ready_message().unwrap().message;
    assert_eq!(message.content, format!("[Audio transcript: {}]\ncaption", "é".repeat(272)));
    assert_eq!(bench.complete(1, "again"), Completion::NotFound);
}

/// Goal: texts and captions are cut in scalar values, never within one, and marked.
#[test]
fn a_text_or_caption_is_cut_in_scalar_values_and_marked() {
    let mut bench = Bench::new();
    bench.limits.max_characters_single_message = 3;
    bench.text("é語🦀x");
    bench.text("é語🦀");
    let cut = bench.queue.pop_ready_message().unwrap().message;
    assert_eq!((cut.content.as_str(), cut.message_size, cut.truncated), ("é語🦀", 3, true));
    let whole = bench.queue.pop_ready_message().unwrap().message;
    assert_eq!((whole.content.as_str(), whole.message_size, whole.truncated), ("é語🦀", 3, false));

    bench.media(1, "🦀🦀🦀🦀");
    bench.complete(1, "t");
    let media = bench.queue.pop_ready_message().unwrap().message;
    assert_eq!(media.content, "[Audio transcript: t]\n🦀🦀🦀");
    assert!(media.truncated);
}

/// Goal: a pop gives the lowest ready id whatever stands in front, in whatever order media become
/// text, and never a placeholder.
#[test]
fn a_pop_gives_the_lowest_ready_id() {
    let mut bench = Bench::new();
    bench.media(1, "");
    bench.text("two");
    bench.media(3, "");
    bench.text("four");
    bench.complete(3, "three");
    assert_eq!((bench.pop(), bench.pop()), (Some(2), Some(3)));
    bench.complete(1, "one");
    assert_eq!((bench.pop(), bench.pop(), bench.pop()), (Some(1), Some(4), None));
    bench.media(5, "");
    assert!(!bench.queue.has_ready());
    assert_eq!(bench.pop(), None);
}

/// Goal: what is popped brings the job that ends with it, and its origin as long as it has no
/// receipt.
#[test]
fn a_popped_message_brings_its_job_and_its_origin() {
    let mut bench = Bench::new();
    bench.media(1, "");
    bench.media(2, "");
    let confirmed = bench.confirm_placeholder(2);
    assert_eq!(confirmed, Some((durable(id(2)), from(2))));
    bench.complete(1, "one");
    bench.complete(2, "two");
    let first = bench.queue.pop_ready_message().unwrap();
    assert_eq!((first.job, first.origin), (Some(job(1)), from(1)));
    let second = bench.queue.pop_ready_message().unwrap();
    assert_eq!((second.job, second.origin), (Some(job(2)), None));
}

/// Goal: own outgoing media is no placeholder: ready at once, under no placeholder limit, evictable.
#[test]
fn outgoing_media_is_a_text() {
    let mut bench = Bench::new();
    bench.limits.max_placeholders = 0;
    let draft = Draft { direction: Direction::Outgoing, ..media("p1", 1, "look") };
    assert_eq!(bench.add(draft), Addition { verdict: added(1), evicted: vec![] });
    assert_eq!(bench.complete(1, "t"), Completion::NotFound);
    let message = bench.queue.pop_ready_message().unwrap().message;
    assert_eq!(message.content, "[Audio not processed]\nlook");
    assert_eq!(message.media.as_ref().unwrap().outcome.as_deref(), Some(&Outcome::NotProcessed));

    let draft = Draft { direction: Direction::Outgoing, ..media("p2", 2, "") };
    bench.add(draft);
    assert_eq!(
        bench.text(&"x".repeat(100)).evicted,
        vec![Evicted {
            id: id(2),
            message_size: 21,
            origin: from(2),
            reason: EvictReason::Characters
        }]
    );
}

/// Goal (K6): an injection keeps its id, takes its place in front of what came later, and no id at or
/// below it is given again.
#[test]
fn an_injection_keeps_its_id_and_raises_the_next_one() {
    let mut bench = Bench::new();
    bench.text("first");
    assert_eq!(bench.inject(5, 5, ""), Injection::Injected);
    assert_eq!(bench.inject(3, 3, ""), Injection::Injected);
    assert_eq!(bench.queue.next_id(), id(6));
    assert_eq!(bench.text("sixth").verdict, added(6));
    bench.complete(5, "five");
    bench.complete(3, "three");
    assert_eq!(
        (bench.pop(), bench.pop(), bench.pop(), bench.pop()),
        (Some(1), Some(3), Some(5), Some(6))
    );
}

/// Goal: an injection whose media or id is there already changes nothing, whatever holds the id.
#[test]
fn an_injection_of_what_is_there_changes_nothing() {
    let mut bench = Bench::new();
    bench.text("one");
    bench.media(2, "");
    assert_eq!(bench.inject(9, 2, ""), Injection::AlreadyPresent);
    assert_eq!(bench.inject(2, 7, ""), Injection::AlreadyPresent);
    assert_eq!(bench.inject(1, 8, ""), Injection::AlreadyPresent);
    assert_eq!((bench.queue.len(), bench.queue.next_id()), (2, id(3)));
}

/// Goal: no limit applies to an injection; what it brings over the limits is refused again until it
/// has gone, and its caption is kept whole.
#[test]
fn an_injection_is_taken_over_every_limit() {
    let mut bench = Bench::new();
    bench.limits.max_messages = 1;
    bench.limits.max_placeholders = 1;
    bench.inject(1, 1, &"c".repeat(200));
    assert_eq!(bench.inject(2, 2, ""), Injection::Injected);
    assert_eq!(bench.text(""), rejected(RejectReason::Overflow));
    for number in [1, 2] {
        bench.queue.remove_placeholder(media_id(number)).unwrap();
    }
    assert_eq!(bench.text("").verdict, added(3));
}

/// Goal: captions from before the settings were lowered may grow over the hard bounds with their
/// text without that being taken for a broken invariant.
#[test]
fn a_long_injected_caption_may_grow_over_the_bounds() {
    let mut bench = Bench::new();
    bench.limits.max_placeholders = 1;
    bench.inject(1, 1, &"c".repeat(390));
    bench.complete(1, "t");
    assert_eq!(bench.queue.total_chars(), 411);
}

/// Goal: a resend of a message whose fate is open joins it; once it is durable it is a duplicate
/// (and of nothing else is that said).
#[test]
fn a_resend_joins_and_then_is_a_duplicate() {
    let mut bench = Bench::new();
    bench.text("a");
    assert_eq!(bench.add(text("p1", "a")).verdict, Verdict::Joined { id: id(1) });
    bench.pop();
    assert_eq!(bench.add(text("p1", "a")).verdict, Verdict::Joined { id: id(1) });
    bench.queue.confirm(&"p1".into(), durable(id(1)), &bench.limits);
    let duplicate = Verdict::Duplicate { id: durable(id(1)) };
    assert_eq!(bench.add(text("p1", "a")), Addition { verdict: duplicate, evicted: vec![] });
    assert_eq!(bench.queue.next_id(), id(2));
}

/// Goal (K4, K10): eviction, rejection, a refused job and a failed archive forget the message in the
/// same step: its resend is a new message under a new id.
#[test]
fn what_was_given_up_may_come_again() {
    let mut bench = Bench::new();
    bench.text(&"x".repeat(100));
    assert_eq!(bench.text(&"y".repeat(100)).evicted.len(), 1);
    assert_eq!(bench.add(text("p1", "")).verdict, added(3));

    bench.media(5, "");
    assert!(bench.queue.remove_placeholder(media_id(5)).is_some());
    assert_eq!(
        bench.add(media("p4", 5, "")).verdict,
        Verdict::Added { id: id(5), placeholder: true, overflow: false }
    );

    assert_eq!(bench.pop(), Some(2));
    bench.queue.abandon(&"p2".into());
    assert_eq!(bench.add(text("p2", "")).verdict, added(6));

    bench.limits.max_placeholders = 1;
    assert_eq!(bench.add(media("q", 9, "")), rejected(RejectReason::PlaceholderLimit));
    bench.limits.max_placeholders = 8;
    assert_eq!(
        bench.add(media("q", 9, "")).verdict,
        Verdict::Added { id: id(7), placeholder: true, overflow: false }
    );
}

/// Goal: another message with the media id of one that is there is invalid, evicts nothing, and
/// leaves the first alone.
#[test]
fn a_media_id_of_another_message_is_invalid() {
    let mut bench = Bench::new();
    bench.text("old");
    bench.media(1, "");
    bench.now = NOW + Millis::from_hours(1);
    assert_eq!(bench.media(1, ""), rejected(RejectReason::Invalid));
    assert_eq!(bench.queue.len(), 2);
}

/// Goal: the stop of a bot gives up exactly what is not acknowledged.
#[test]
fn giving_up_spares_what_is_acknowledged() {
    let mut bench = Bench::new();
    bench.text("text");
    bench.media(2, "unconfirmed");
    bench.media(3, "confirmed");
    bench.confirm_placeholder(3);
    bench.media(4, "completed");
    bench.complete(4, "t");
    let given_up = bench.queue.abandon_unacknowledged();
    bench.check();
    assert_eq!(given_up, vec![(id(1), from(1)), (id(2), from(2))]);
    let left: Vec<_> = bench.queue.media_entries().map(|(id, _)| id.get()).collect();
    assert_eq!(left, [3, 4]);
    assert_eq!(bench.add(text("p1", "text")).verdict, added(5));
}

/// Goal: texts stand in the order of acceptance though the clock steps back, so that the oldest is
/// always the first.
#[test]
fn acceptance_never_runs_backwards() {
    let mut bench = Bench::new();
    bench.text("a");
    bench.now = NOW.minus(Millis::from_ms(500));
    bench.text("b");
    bench.pop();
    assert_eq!(bench.queue.pop_ready_message().unwrap().message.accepted_time, NOW);
}
