//! Traces: what happened to machines and what they did, written down, replayed and drawn.
//!
//! Owns the one format of all traces, whoever writes them: a node in production, the simulation, a
//! script. Nothing here does I/O: lines go in and come out.
//!
//! * [`line`]: the format. [`blanked`]: how contents are left out of it.
//! * [`replay`]: a trace through the core again, and the first thing that differs.
//! * [`story`]: who told whom what, and what it was about; from it come [`page`], a self-contained page to
//!   look at, and [`flow`], a sequence diagram.
//! * [`words`] and [`columns`]: events and effects as text.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod blanked;
pub mod columns;
pub mod flow;
pub mod line;
pub mod page;
pub mod replay;
pub mod story;
pub mod words;
