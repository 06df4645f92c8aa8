//! The driver: one task that owns the [`Machine`](anteroom_core::machine::Machine), and the tasks that
//! carry out its effects.
//!
//! ```text
//! Handle ── command ────▶ inbox (bounded) ──┐
//! tasks ─── completion ─▶ completions ──────┼──▶ step ──▶ effects ──▶ outlets   (connections, streams,
//! clock ─── deadline ───▶ tick ─────────────┘                │                    waiting requests)
//!                ▲                                           └─────▶ tasks      (store, processors,
//!                └──────────────── completion ◀──────────────────────┘            staged files)
//! ```
//!
//! * [`handle`] is what listeners hold: the only way in from outside.
//! * `run` is the loop, `carry_out` what it does with effects.
//! * `outlets` are the ways out: one bounded channel a connection or stream, one answer a request.
//! * `calls` are the consumers that are called, and who waits for an answer.
//! * `tasks` runs whatever takes time and reports its end.
//! * `operating` is what operators ask for; `journal` remembers what happened lately, so that they can be told.
//! * [`recording`] is what is handed over of each step where a trace is asked for.
//! * [`ports`] are the world as the driver needs it. Nothing in here knows a socket, a database, a
//!   process or a file: all of it runs in the simulation as well.
//!
//! **Architecture invariant:** the loop waits for its inputs and for nothing else. What takes time runs
//! in a task; what is slow to read is closed, never buffered without a bound.
//!
//! **Architecture invariant:** every task ends in exactly one completion, also when it panics.
//! Completions therefore travel on a channel without a bound of its own (a task is what bounds it) and
//! never wait for room behind events from outside: the loop cannot block itself.
//!
//! **Architecture invariant:** what the machine says is handed over in the order in which it said it,
//! and, where it is valid only for a while, not later than that.

pub mod handle;
pub mod ports;
pub mod recording;

mod calls;
mod carry_out;
mod deletions;
mod journal;
mod notices;
mod operating;
mod outlets;
mod run;
mod tasks;
mod workers;

#[cfg(all(test, not(madsim)))]
mod tests;

#[cfg(madsim)]
pub use ports::Watch;

pub use handle::{Attached, Handle, Stopped, StreamItem};
pub use journal::{About, Happened, Remembered};
#[cfg(not(madsim))]
pub(crate) use notices::{KINDS as OUTCOME_KINDS, kind as outcome_kind};
pub use ports::{Node, Ports, StagedFiles};
pub use recording::Recording;
pub use run::{Onlookers, start, start_recorded, start_watched};
