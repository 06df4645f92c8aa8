//! Anteroom's core: the pure state machine between chat providers and bots.
//!
//! **Architecture invariant:** no I/O, no clock, no thread, no randomness of its own, no hash order. Events
//! and times come in, effects go out; the same events give the same effects, byte for byte.
//!
//! ```text
//!            event ──▶ machine ──▶ effects
//!                         │
//!   session ◀─▶ bot ◀─▶ pool          ownership   janitor
//! (a provider)   │   (workers)      (which bots)  (sweeps)
//!   intake ▶ queue ▶ archive ▶ outbox
//! ```
//!
//! * [`machine`]: the one entry, [`machine::Machine::step`]; it only routes. What comes in and goes out is in
//!   [`event`] and [`effect`], when to come back in [`deadline`], what operators should know in [`notice`].
//! * [`session`]: one provider connection: `hello`, windows, receipts, pings. Its frames are in
//!   [`protocol`], what they bring is a [`draft`].
//! * [`bot`]: one bot: intake, the [`queue`]s of its correspondents, media jobs, archive, outbox, sends.
//! * [`pool`]: the workers: routing, claims, leases, results. [`job`] is the life of a media job, as pure
//!   functions that every store applies.
//! * [`ownership`]: which bots this node owns. [`janitor`]: what time alone ends.
//! * [`store`]: the store's port, as data. [`durable`]: the witness that something is durable, without which no
//!   receipt, callback or deletion can be written.
//! * [`view`]: what is in memory, for operators to look at.
//! * [`message`], [`content`], [`receipt`], [`id`], [`time`], [`settings`]: the words that all rooms share.
//!   Which of them people wrote, and so are not for a trace, is marked by [`contents`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::iter_over_hash_type)]

mod ascending;
pub mod bot;
pub mod content;
pub mod contents;
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
pub mod view;

pub use context::Seed;
