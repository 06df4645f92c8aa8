//! Anteroom's core: the pure state machine between chat providers and bots.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod bot;
pub mod content;
pub mod context;
pub mod deadline;
pub mod draft;
pub mod durable;
pub mod effect;
pub mod event;
pub mod id;
pub mod janitor;
pub mod job;
mod lane;
mod lookup;
pub mod machine;
pub mod message;
pub mod notice;
pub mod ownership;
pub mod pool;
pub mod protocol;
pub mod queue;
pub mod receipt;
pub mod session;
pub mod settings;
mod signal;
pub mod store;
pub mod time;

pub use context::Seed;
