//! The simulation: worlds in which the whole of Anteroom runs, faults and all, seed by seed.
//!
//! A seed becomes a [`plan`], the plan is run in a [`world`] of real machines around the [`store`]'s
//! model, and the [`checker`] judges what can be seen from outside. [`campaign`] runs many seeds,
//! [`shrink`] makes a failing plan small.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod campaign;
pub mod checker;
pub mod crash_points;
pub mod dice;
pub mod digest;
pub mod exhaustive;
pub mod plan;
pub mod shrink;
pub mod store;
pub mod world;
