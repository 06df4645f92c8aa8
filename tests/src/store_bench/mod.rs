//! What the store benchmark is made of: a whole node in this process, with the shipped driver and the
//! shipped store, a processor that needs no time, and a provider and a consumer of each bot.
//!
//! [`cases`]: what is measured. [`bed`]: where stores come from. [`watched`]: a store that is looked at.
//! [`node`]: the node. [`load`]: what it is given to do. [`raw`]: the same durable writes without
//! Anteroom.

pub mod bed;
pub mod cases;
pub mod load;
pub mod node;
pub mod raw;
pub mod watched;
