//! Who is where on the simulated network, and which ways are cut.

use std::net::SocketAddr;

use madsim::net::NetSim;
use madsim::runtime::{Handle, NodeHandle};

use crate::world::weather::Weather;

/// Where the store listens.
pub(super) fn store() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 1))
}

/// Where a node listens.
pub(super) fn node(node: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, last(node)], 1))
}

/// From where a node asks the store.
pub(super) fn asker(node: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, last(node)], 2))
}

/// What a node is called.
pub(super) fn name(node: usize) -> String {
    format!("node {node}")
}

fn last(number: usize) -> u8 {
    u8::try_from(number + 1).unwrap_or(u8::MAX)
}

/// The simulated machines.
pub(super) struct Machines {
    pub store: NodeHandle,
    /// People and programs that ask nodes and the store for something.
    pub people: NodeHandle,
    pub nodes: Vec<NodeHandle>,
    pub consumers: Vec<NodeHandle>,
    pub providers: Vec<NodeHandle>,
    /// What was cut when it was last looked at: a node from the store, the store from it, a provider
    /// from everybody.
    cut: (Vec<(bool, bool)>, Vec<bool>),
}

impl Machines {
    /// Everything but nodes; those begin with what they run.
    pub fn new(consumers: usize) -> Self {
        let handle = Handle::current();
        let machine =
            |name: String, ip: [u8; 4]| handle.create_node().name(name).ip(ip.into()).build();
        Self {
            store: machine("store".to_owned(), [10, 0, 0, 1]),
            people: machine("people".to_owned(), [10, 0, 0, 2]),
            nodes: Vec::new(),
            consumers: (0..consumers)
                .map(|bot| machine(format!("consumer {bot}"), [10, 0, 2, last(bot)]))
                .collect(),
            providers: Vec::new(),
            cut: (Vec::new(), Vec::new()),
        }
    }

    /// A provider's machine, which is there from the first time it is needed.
    pub fn provider(&mut self, provider: usize) -> &NodeHandle {
        while self.providers.len() <= provider {
            let number = self.providers.len();
            let handle = Handle::current();
            let builder = handle.create_node().name(format!("provider {number}"));
            self.providers.push(builder.ip([10, 0, 3, last(number)].into()).build());
        }
        &self.providers[provider]
    }

    /// Cuts what the weather cuts, and mends the rest.
    pub fn follow(&mut self, weather: &Weather) {
        let nodes: Vec<_> = weather.nodes.iter().map(|it| (it.cut_there, it.cut_back)).collect();
        let providers: Vec<_> = weather.providers.iter().map(|it| it.cut).collect();
        if self.cut.0 == nodes && self.cut.1 == providers {
            return;
        }
        let network = NetSim::current();
        let store = self.store.id();
        for (node, (there, back)) in nodes.iter().enumerate() {
            let node = self.nodes[node].id();
            let set = |cut: bool, from, to| {
                if cut { network.clog_link(from, to) } else { network.unclog_link(from, to) }
            };
            set(*there, node, store);
            set(*back, store, node);
        }
        for (provider, cut) in providers.iter().enumerate() {
            let machine = self.provider(provider).id();
            if *cut { network.clog_node(machine) } else { network.unclog_node(machine) }
        }
        self.cut = (nodes, providers);
    }
}
