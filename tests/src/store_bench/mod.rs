//! What the store benchmark is made of: a whole node in this process, with the shipped driver and the
//! shipped store, a processor that needs no time, and a provider and a consumer of each bot.
//!
//! [`cases`]: media jobs as they arrive and as they wait. [`quiet`]: one message at a time, and none.
//! [`bed`]: where stores come from. [`watched`]: a store that is looked at. [`node`]: the node.
//! [`load`]: what it is given to do. [`held`]: what waits for it. [`raw`]: the same durable writes
//! without Anteroom. [`plain`]: a queue that shows how fast the machine is. [`agenda`]: a neighbour on the
//! same server.

#[cfg(unix)]
pub mod agenda;
pub mod bed;
pub mod cases;
pub mod held;
pub mod load;
pub mod node;
pub mod plain;
pub mod quiet;
pub mod raw;
pub mod watched;
