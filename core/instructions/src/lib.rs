//! What the core's decisions cost in instructions: the cases that `benches/instructions.rs` counts.
//!
//! Instructions are the same in every run and on every load, so they show the shape of a cost where
//! times do not. A case is made by its function and then run once: only [`Case::run`] is counted,
//! neither its making nor its end. What counts is a feature; the cases are built and linted with
//! everything else, so that they do not rot.

#![forbid(unsafe_code)]

#[path = "../../benches/drafts/mod.rs"]
mod drafts;
#[path = "../../benches/node/mod.rs"]
mod node;
mod queue;
mod window;

pub use self::queue::{
    Additions, Completions, Eviction, Pops, any, eviction, oldest, texts, texts_behind, voice_notes,
};
pub use self::window::{Window, window};

/// Something whose instructions are counted.
pub trait Case: Sized {
    /// Does it, and returns all that it had, so that nothing is dropped while it is counted.
    fn run(self) -> Self;
}
