//! Tier 0: every interleaving of tiny worlds.
//!
//! A tiny world is made of real machines and the store's model, with a few acts of a provider, an
//! operator, the clock and a killer that may come at any moment. [`explore()`] visits every state that
//! any order can lead to, each once, judges every step by the rules of the simulation, and lets every
//! end come to rest: then all promises must have been kept.
//!
//! * [`worlds()`]: which races are explored. `scenario`: what such a world is made of.
//! * `world`: what is under way, and what may happen next; with `node`, `provider`, `consumer`.
//! * `rules`, `rest`: what must hold at every step, and in the end.
//! * `fingerprint`: when two worlds are the same. `explore`: the search. `words`: how a way reads.

mod consumer;
mod explore;
mod fingerprint;
mod node;
pub(crate) mod provider;
mod rest;
mod rules;
pub(crate) mod scenario;
#[cfg(test)]
mod tests;
mod words;
pub(crate) mod world;
mod worlds;

pub use explore::{Failure, Visited, explore};
pub use rules::Broken;
pub use scenario::Scenario;
pub use worlds::worlds;
