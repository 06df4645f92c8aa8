//! Anteroom's core: the pure state machine between chat providers and bots.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod content;
pub mod draft;
pub mod durable;
pub mod id;
pub mod job;
pub mod message;
pub mod protocol;
pub mod settings;
pub mod store;
pub mod time;
