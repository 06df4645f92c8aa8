//! A text message through the whole machine: frame → intake → archive → receipt → callback →
//! acknowledgement → mark.
//!
//! Windows of 256 messages over one connection, as many as a provider may have without a receipt.
//! Each sample takes 16 of them, which are made beforehand. The node lives on from sample to sample.

mod drafts;
mod node;

use std::cell::RefCell;

use anteroom_core::event::Event;
use divan::Bencher;
use divan::counter::ItemsCount;

use crate::node::{Node, Told};

const WINDOW: u64 = 256;
const WINDOWS: u64 = 16;

fn main() {
    divan::main();
}

/// One message in turn from each of so many correspondents.
#[divan::bench(args = [64, 1_000], sample_count = 200, sample_size = 1)]
fn text_message(bencher: Bencher<'_, '_>, correspondents: u64) {
    let source = RefCell::new(Source::new(correspondents));
    let node = RefCell::new(Node::running());
    // Each correspondent's first id is read from the store once; that is no part of a message.
    for _ in 0..=(correspondents / (WINDOW * WINDOWS)) {
        let windows = source.borrow_mut().windows(&mut node.borrow_mut());
        take_in(&mut node.borrow_mut(), windows);
    }
    bencher
        .counter(ItemsCount::new(WINDOW * WINDOWS))
        .with_inputs(|| source.borrow_mut().windows(&mut node.borrow_mut()))
        .bench_local_values(|windows| take_in(&mut node.borrow_mut(), windows));
    let messages = source.borrow().next;
    let expected =
        Told { receipts: messages, callbacks: messages, acknowledged: messages, notices: 0 };
    assert_eq!(node.borrow().told(), expected, "each message went the whole way, once");
}

fn take_in(node: &mut Node, windows: Vec<Vec<Event>>) {
    for window in windows {
        node.exchange(window);
    }
}

/// Messages that have not been seen before, from all correspondents in turn.
struct Source {
    correspondents: Vec<anteroom_core::id::CorrespondentId>,
    next: u64,
}

impl Source {
    fn new(correspondents: u64) -> Self {
        Self { correspondents: (0..correspondents).map(drafts::correspondent).collect(), next: 0 }
    }

    fn windows(&mut self, node: &mut Node) -> Vec<Vec<Event>> {
        (0..WINDOWS).map(|_| (0..WINDOW).map(|_| self.frame(node)).collect()).collect()
    }

    fn frame(&mut self, node: &mut Node) -> Event {
        let index = self.next as usize % self.correspondents.len();
        self.next += 1;
        // Each provider has strings of its own; none is shared with what the machine holds.
        let correspondent_id = self.correspondents[index].as_str().into();
        node.frame(drafts::text(&correspondent_id, self.next, drafts::TEXT))
    }
}
