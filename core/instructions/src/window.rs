//! Texts through the whole machine, in a window of as many as a provider may have without a receipt.

use anteroom_core::event::Event;

use crate::node::Node;
use crate::{Case, drafts};

/// Texts of a window.
const TEXTS: u64 = 256;

/// Windows that are taken in before: buffers have their size, and all correspondents are known.
const WINDOWS_BEFORE: u64 = 8;

/// A running node, and a window of texts.
pub struct Window {
    node: Node,
    texts: Vec<Event>,
}

/// A window of texts, from each of so many correspondents in turn.
///
/// The node's provider, store and consumer are part of what is counted; they do next to nothing.
pub fn window(correspondents: u64) -> Window {
    let mut node = Node::running();
    for number in 0..WINDOWS_BEFORE {
        let texts = frames(&mut node, correspondents, number);
        node.exchange(texts);
    }
    let texts = frames(&mut node, correspondents, WINDOWS_BEFORE);
    Window { node, texts }
}

fn frames(node: &mut Node, correspondents: u64, window: u64) -> Vec<Event> {
    let numbers = window * TEXTS..(window + 1) * TEXTS;
    let frame = |number| {
        let correspondent_id = drafts::correspondent(number % correspondents);
        node.frame(drafts::text(&correspondent_id, number, drafts::TEXT))
    };
    numbers.map(frame).collect()
}

impl Case for Window {
    fn run(mut self) -> Self {
        let before = self.node.told();
        self.node.exchange(self.texts.drain(..));
        let after = self.node.told();
        assert_eq!(after.acknowledged - before.acknowledged, TEXTS, "each text went the whole way");
        self
    }
}
