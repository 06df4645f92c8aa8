//! Consumers that are called: a webhook, or Rust in the same process.
//!
//! Owns the trait that both fulfil, and [`Remembering`], which makes an effect happen exactly once while the
//! process lives. Who is called when, and that a correspondent has one open call at most, is the driver's.
//!
//! ```
//! use anteroom_core::bot::event::ConsumerAnswer;
//! use anteroom_runtime::consumer::{Call, Consumer};
//! use anteroom_runtime::driver::ports::BoxFuture;
//!
//! /// Says everything back.
//! struct Echo;
//!
//! impl Consumer for Echo {
//!     fn call(&self, call: Call) -> BoxFuture<'static, ConsumerAnswer> {
//!         Box::pin(async move {
//!             let said = call.callbacks.iter().map(|it| it.message.content.as_str());
//!             let reply = said.collect::<Vec<_>>().join("\n");
//!             ConsumerAnswer::Acknowledged { reply: Some(reply) }
//!         })
//!     }
//! }
//! ```

mod batch;
mod remembering;

use std::time::Duration;

use anteroom_core::bot::event::ConsumerAnswer;
use anteroom_core::id::{BotId, CorrespondentId};
use anteroom_core::protocol::CallbackFrame;

pub use batch::batch_id;
pub use remembering::Remembering;

use crate::driver::ports::BoxFuture;

/// Somebody who is called back and answers.
pub trait Consumer: Send + Sync + 'static {
    /// Takes callbacks of one correspondent, in their order, and answers them all at once.
    ///
    /// The future is dropped when its time is over, and the next call of the correspondent begins only
    /// when it has been: whatever the call has started has to end with it. An answer that did not become
    /// durable makes the callbacks come again, under the same ids with higher attempts.
    fn call(&self, call: Call) -> BoxFuture<'static, ConsumerAnswer>;
}

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Whose bot.
    pub bot_id: BotId,
    /// Whose correspondent.
    pub correspondent_id: CorrespondentId,
    /// The callbacks: one, or those of a burst.
    pub callbacks: Vec<CallbackFrame>,
    /// Whether the bot debounces: then one callback is a burst of one.
    pub together: bool,
    /// How long the answer may take.
    pub timeout: Duration,
}
