//! The simulation: worlds in which the whole of Anteroom runs, faults and all, seed by seed.
//!
//! A seed becomes a [`plan`], the plan is run in a [`world`] of real machines around the [`store`]'s
//! model, and the [`checker`] judges what can be seen from outside. [`campaign`] runs many seeds,
//! [`shrink`] makes a failing plan small.
//!
//! Built as it is, this is tier 1: the machines by themselves. Built with `--cfg madsim` it is tier 2: the
//! runtime's driver in simulated processes, one world a process.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(madsim)]
pub mod apart;
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
