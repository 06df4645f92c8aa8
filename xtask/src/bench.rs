//! `cargo xtask bench …`: measures, and asserts nothing.

pub(crate) mod core;
mod divan;
pub(crate) mod instructions;
pub(crate) mod program;
mod results;
pub(crate) mod sim;
pub(crate) mod store;
