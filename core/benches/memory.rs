//! What a waiting placeholder costs in memory beyond its own strings.
//!
//! Counts the bytes asked of the allocator; the allocator's own overhead is not in them. A
//! placeholder's strings are those that its message holds, without the headers and spare bytes
//! around them. Prints one line a case: its name, the bytes of one placeholder,
//! and what they may be at most where the design says it.

mod drafts;
mod node;

use std::alloc::System;

use anteroom_core::draft::Draft;
use anteroom_core::id::MessageId;
use anteroom_core::message::Source;
use anteroom_core::queue::{CorrespondentQueue, Verdict};
use anteroom_core::settings::Limits;
use anteroom_core::time::Timestamp;
use cap::Cap;

use crate::node::Node;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// As many as queues of 64 hold, about 100,000.
const PLACEHOLDERS: u64 = 64 * 1_563;

fn main() {
    let queues = [("in one queue", PLACEHOLDERS), ("in queues of 64", 64), ("in queues of 1", 1)];
    for (name, each) in queues {
        println!("{name} | {} | {}", in_queues(each), if each == 1 { "-" } else { "600" });
    }
    let machines = [("in the machine, 64 a correspondent", 64), ("in the machine, 1 each", 1)];
    for (name, each) in machines {
        println!("{name} | {} | -", in_machine(each));
    }
}

/// Bytes of one of all placeholders that stand in queues of their own, so many in each.
fn in_queues(each: u64) -> usize {
    let limits = Limits {
        max_messages: PLACEHOLDERS as usize,
        max_placeholders: PLACEHOLDERS as usize,
        ..Limits::default()
    };
    let before = ALLOCATOR.allocated();
    let mut strings = 0;
    let mut queues = Vec::with_capacity((PLACEHOLDERS / each) as usize);
    for correspondent in 0..PLACEHOLDERS / each {
        let correspondent_id = drafts::correspondent(correspondent);
        let mut queue = CorrespondentQueue::new(MessageId::FIRST);
        for number in 0..each {
            let draft = drafts::voice_note(&correspondent_id, correspondent * each + number);
            strings += bytes_of_strings(&draft);
            let now = Timestamp::from_ms(number);
            let addition = queue.add_message(Box::new(draft), Source::User, None, &limits, now);
            assert!(matches!(addition.verdict, Verdict::Added { placeholder: true, .. }));
        }
        queues.push(queue);
    }
    (ALLOCATOR.allocated() - before - strings) / PLACEHOLDERS as usize
}

/// Bytes of one of all placeholders that wait in a node, their jobs durable, so many of each
/// correspondent.
fn in_machine(each: u64) -> usize {
    let mut node = Node::running();
    let before = ALLOCATOR.allocated();
    let mut strings = 0;
    for correspondent in 0..PLACEHOLDERS / each {
        let correspondent_id = drafts::correspondent(correspondent);
        let first = correspondent * each;
        let window = (first..first + each).map(|number| {
            let draft = drafts::voice_note(&correspondent_id, number);
            strings += bytes_of_strings(&draft);
            node.frame(draft)
        });
        let window = window.collect::<Vec<_>>();
        node.exchange(window);
    }
    assert_eq!(node.told().receipts, PLACEHOLDERS, "each job is durable");
    (ALLOCATOR.allocated() - before - strings) / PLACEHOLDERS as usize
}

/// The strings that a voice note's message keeps.
fn bytes_of_strings(draft: &Draft) -> usize {
    let sender = &draft.sender;
    let name = sender.display_name.as_ref().map_or(0, String::len);
    let mime_type = draft.media.as_ref().map_or(0, |media| media.mime_type.len());
    draft.content.len()
        + sender.identifier.len()
        + name
        + draft.provider_message_id.as_str().len()
        + mime_type
}
