//! Tier 2: the tasks around the world.
//!
//! Each node is a simulated process in which the runtime's own driver runs, composed as the shipped
//! binary composes it ([`process`], [`listener`]); its ports lead onto the simulated network
//! ([`store_client`]) or into the world ([`ports`]). The store is a node ([`store_node`]), and so are
//! each provider and each consumer ([`outside`]). [`stage`] is how all of them reach the world, and the
//! one task that lets happen what is due.
//!
//! **Architecture invariant:** whatever a node does reaches the world only as something that could be
//! seen from outside: on the network, at a port, or through the driver's watch.

mod listener;
mod network;
mod outside;
mod ports;
mod process;
mod stage;
mod store_client;
mod store_node;

use madsim::net::Config as NetConfig;
use madsim::runtime::Runtime;

use self::stage::Stage;
use super::{Report, World};

impl World {
    /// Runs to the end: faults, then healing, then everything has to come to its end. A process may run
    /// one world only: what a library counts for itself would go on counting in a second one.
    pub fn run(self) -> Report {
        let config = madsim::Config { net: NetConfig::default(), ..Default::default() };
        let runtime = Runtime::with_seed_and_config(self.plan.draws, config);
        let report = runtime.block_on(async { Stage::run(self).await });
        // The process ends soon, and with it whatever still runs in here.
        std::mem::forget(runtime);
        report
    }
}

#[cfg(not(madsim))]
compile_error!(
    "tier 2 is built with RUSTFLAGS=\"--cfg madsim\"; `cargo xtask sim --tier 2` does so"
);
