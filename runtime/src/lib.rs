//! The runtime of Anteroom.

pub mod media;
