//! The runtime of Anteroom.

#![warn(missing_docs)]

pub mod store;
