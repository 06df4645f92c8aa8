//! Messages that come by requests: posted to one node after another until one takes them.

use anteroom_core::id::{BotId, RequestId};
use anteroom_core::receipt::{Origin, Receipt};
use anteroom_core::time::Millis;

use super::{Happening, World};
use crate::checker::seen::{Seen, Told};
use crate::plan::{MessageName, PlannedMessage};

/// How long a request without an answer is waited for.
const PATIENCE: Millis = Millis::from_secs(15);

/// The messages that come by requests.
#[derive(Default)]
pub(super) struct Posts(Vec<Post>);

struct Post {
    message: PlannedMessage,
    done: bool,
    /// The last request, and where it went.
    request_id: Option<RequestId>,
    tries: usize,
    /// Grows with every step of it, so that what is out of date can be told.
    number: u64,
}

impl Posts {
    /// The messages that have no final receipt.
    pub fn kept(&self) -> impl Iterator<Item = MessageName> {
        self.0.iter().filter(|post| !post.done).map(|post| post.message.name())
    }
}

impl World {
    /// A message comes that is to be posted.
    pub(super) fn post(&mut self, message: PlannedMessage) {
        let post = Post { message, done: false, request_id: None, tries: 0, number: 0 };
        self.posts.0.push(post);
        self.look_at_post(self.posts.0.len() - 1, 0);
    }

    /// Posts a message once more, whatever was answered. False when it was not one that is posted.
    pub(super) fn posts_again(&mut self, name: &MessageName) -> bool {
        let Some(post) = self.posts.0.iter().position(|post| post.message.name() == *name) else {
            return false;
        };
        if self.posts.0[post].done {
            self.posts.0[post].done = false;
            let number = self.posts.0[post].number;
            self.look_at_post(post, number);
        }
        true
    }

    pub(super) fn look_at_post(&mut self, post: usize, number: u64) {
        let it = &mut self.posts.0[post];
        if it.done || it.number != number {
            return;
        }
        it.number += 1;
        it.tries += 1;
        let (tries, number, message) = (it.tries, it.number, it.message.clone());
        self.after(PATIENCE, Happening::Post { post, number });
        let node = tries / 3 % self.nodes.len();
        if !self.nodes[node].is_up() || !self.nodes[node].runs_bots {
            return;
        }
        let request_id = RequestId(self.number());
        self.posts.0[post].request_id = Some(request_id);
        self.bring_file(&message);
        let (bot_id, name) = (self.bot_id(message.bot), message.name());
        let draft = message.draft(self.now);
        self.show(&Seen::Offered { bot_id: &bot_id, name: &name, draft: &draft });
        self.hand_in(node, bot_id, request_id, Box::new(draft));
    }

    /// A node answers the request that brought a message.
    pub(super) fn post_told(
        &mut self,
        node: usize,
        bot_id: &BotId,
        request_id: RequestId,
        receipt: &Receipt,
    ) {
        let post = self.posts.0.iter().find(|post| post.request_id == Some(request_id));
        let Some(name) = post.map(|post| post.message.name()) else { return };
        let (origin, told) = (Origin::Request { request_id }, Told::from(receipt));
        self.show(&Seen::Receipted { node, bot_id, origin, name: &name, told });
    }

    /// The answer arrives.
    pub(super) fn post_hears(&mut self, request_id: RequestId, receipt: &Receipt) {
        let post = self.posts.0.iter().position(|post| post.request_id == Some(request_id));
        let Some(post) = post else { return };
        let it = &mut self.posts.0[post];
        it.number += 1;
        match receipt {
            Receipt::Accepted { .. } | Receipt::Duplicate { .. } => it.done = true,
            Receipt::Rejected { retry_after, .. } | Receipt::Evicted { retry_after, .. } => {
                let (wait, number) = (*retry_after, it.number);
                self.after(wait, Happening::Post { post, number });
            }
        }
    }
}
