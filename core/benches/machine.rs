//! A text message through the whole machine: frame → intake → archive → receipt → callback →
//! acknowledgement → mark.
//!
//! Windows of 256 messages over one connection, as many as a provider may have without a receipt.
//! Each sample takes one, whose frames are made right before, as a parser makes them. The node lives on
//! from sample to sample.

mod drafts;
mod node;

use std::cell::RefCell;

use anteroom_core::event::Event;
use anteroom_core::id::CorrespondentId;
use divan::Bencher;
use divan::counter::ItemsCount;

use crate::node::{Node, Told};

const WINDOW: u64 = 256;

/// The one of the `anteroom` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// One message in turn from each of so many correspondents.
#[divan::bench(args = [64, 1_000], sample_count = 3_000, sample_size = 1)]
fn text_message(bencher: Bencher<'_, '_>, correspondents: u64) {
    let source = RefCell::new(Source::new(correspondents));
    let node = RefCell::new(Node::running());
    // Each correspondent's first id is read from the store once; that is no part of a message.
    for _ in 0..=correspondents / WINDOW {
        let window = source.borrow_mut().window(&mut node.borrow_mut());
        node.borrow_mut().exchange(window);
    }
    bencher
        .counter(ItemsCount::new(WINDOW))
        .with_inputs(|| source.borrow_mut().window(&mut node.borrow_mut()))
        .bench_local_values(|window| node.borrow_mut().exchange(window));
    let messages = source.borrow().next;
    let expected =
        Told { receipts: messages, callbacks: messages, acknowledged: messages, notices: 0 };
    assert_eq!(node.borrow().told(), expected, "each message went the whole way, once");
}

/// Messages that have not been seen before, from all correspondents in turn.
struct Source {
    correspondents: Vec<CorrespondentId>,
    next: u64,
}

impl Source {
    fn new(correspondents: u64) -> Self {
        Self { correspondents: (0..correspondents).map(drafts::correspondent).collect(), next: 0 }
    }

    fn window(&mut self, node: &mut Node) -> Vec<Event> {
        (0..WINDOW).map(|_| self.frame(node)).collect()
    }

    fn frame(&mut self, node: &mut Node) -> Event {
        let index = self.next as usize % self.correspondents.len();
        self.next += 1;
        // Each provider has strings of its own; none is shared with what the machine holds.
        let correspondent_id = self.correspondents[index].as_str().into();
        node.frame(drafts::text(&correspondent_id, self.next, drafts::TEXT))
    }
}
