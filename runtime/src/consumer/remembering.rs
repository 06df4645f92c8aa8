//! A consumer that acts once on what comes again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use anteroom_core::bot::event::ConsumerAnswer;
use anteroom_core::id::CallbackId;

use super::{Call, Consumer};
use crate::driver::ports::BoxFuture;

/// Acknowledged callbacks that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Passes on what its consumer has not acknowledged yet, and acknowledges the rest by itself, with the
/// reply that it had. It remembers the last 10,000 callbacks, and nothing across a restart of the process:
/// there a reply is exactly once all the same, because it becomes durable with its acknowledgement.
pub struct Remembering<C> {
    consumer: Arc<C>,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    replies: BTreeMap<CallbackId, Option<String>>,
    order: VecDeque<CallbackId>,
}

impl<C: Consumer> Remembering<C> {
    /// Remembers for `consumer`.
    pub fn new(consumer: C) -> Self {
        Self { consumer: Arc::new(consumer), memory: Arc::default() }
    }
}

impl Memory {
    fn remember(&mut self, callback_id: CallbackId, reply: Option<String>) {
        if self.replies.insert(callback_id.clone(), reply).is_some() {
            return;
        }
        self.order.push_back(callback_id);
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.replies.remove(&oldest);
        }
    }
}

impl<C: Consumer> Consumer for Remembering<C> {
    fn call(&self, mut call: Call) -> BoxFuture<'static, ConsumerAnswer> {
        let (consumer, memory) = (Arc::clone(&self.consumer), Arc::clone(&self.memory));
        Box::pin(async move {
            let mut known = None;
            call.callbacks.retain(|callback| {
                let remembered = memory_of(&memory).replies.get(&callback.callback_id).cloned();
                let is_new = remembered.is_none();
                known = remembered.or(known.take());
                is_new
            });
            if call.callbacks.is_empty() {
                return ConsumerAnswer::Acknowledged { reply: known.flatten() };
            }
            let ids: Vec<_> = call.callbacks.iter().map(|it| it.callback_id.clone()).collect();
            let answer = consumer.call(call).await;
            if let ConsumerAnswer::Acknowledged { reply } = &answer {
                let mut memory = memory_of(&memory);
                let last = ids.len().saturating_sub(1);
                for (place, id) in ids.into_iter().enumerate() {
                    memory.remember(id, reply.clone().filter(|_| place == last));
                }
            }
            answer
        })
    }
}

fn memory_of(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().expect("nothing panics while it holds the memory")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use anteroom_core::id::{Attempt, CallbackKey, MessageId};
    use anteroom_core::message::{Message, Participant, Source};
    use anteroom_core::protocol::CallbackFrame;
    use anteroom_core::time::Timestamp;

    use super::*;

    /// Counts what it is called for, and says so.
    #[derive(Default)]
    struct Counting(Arc<AtomicU32>);

    impl Consumer for Counting {
        fn call(&self, call: Call) -> BoxFuture<'static, ConsumerAnswer> {
            let more = u32::try_from(call.callbacks.len()).expect("they are few");
            let count = self.0.fetch_add(more, Ordering::SeqCst) + more;
            Box::pin(async move { ConsumerAnswer::Acknowledged { reply: Some(count.to_string()) } })
        }
    }

    fn call(ids: &[u64]) -> Call {
        let callback = |id: &u64| {
            let message_id = MessageId::new(*id).expect("ids count from 1");
            let key = CallbackKey { correspondent_id: "ada".into(), message_id, revision: 0 };
            let message = Message {
                id: message_id,
                content: "hello".to_owned(),
                sender: Participant::default(),
                source: Source::User,
                accepted_time: Timestamp::ZERO,
                message_size: 5,
                originating_time: Timestamp::ZERO,
                group: None,
                provider_message_id: "p".into(),
                replayed: false,
                truncated: false,
                media: None,
            };
            let callback_id = CallbackId { bot_id: "demo".into(), key };
            CallbackFrame::new(callback_id, Attempt(1), message.into())
        };
        Call {
            bot_id: "demo".into(),
            correspondent_id: "ada".into(),
            callbacks: ids.iter().map(callback).collect(),
            together: false,
            timeout: Duration::from_secs(30),
        }
    }

    fn acknowledged(reply: &str) -> ConsumerAnswer {
        ConsumerAnswer::Acknowledged { reply: Some(reply.to_owned()) }
    }

    /// Goal: what comes again is acknowledged with the reply that it had, and only what is new is passed
    /// on. Method: a consumer that counts what it is called for.
    #[tokio::test]
    async fn what_comes_again_is_acted_upon_once() {
        let counting = Counting::default();
        let count = Arc::clone(&counting.0);
        let remembering = Remembering::new(counting);
        assert_eq!(remembering.call(call(&[1])).await, acknowledged("1"));
        assert_eq!(remembering.call(call(&[1])).await, acknowledged("1"));
        assert_eq!(remembering.call(call(&[1, 2, 3])).await, acknowledged("3"));
        assert_eq!(remembering.call(call(&[2, 3])).await, acknowledged("3"));
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }
}
