//! The simulation: worlds in which the whole of Anteroom runs, faults and all, seed by seed.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod store;
pub mod world;
