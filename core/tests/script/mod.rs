//! A machine driven by hand: what happens to it, and the answers of a store that the test plays.
//!
//! [`node`] owns the machine, its clock and the operations it waits for; [`vocabulary`] the things
//! that tests talk about; [`trace`] how a run reads.

pub mod node;
pub mod trace;
pub mod vocabulary;

pub use self::node::{Asked, Asker, Node};
pub use self::vocabulary::*;
