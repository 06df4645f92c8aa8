//! The lanes of a drawing: one a provider, node, store and consumer, from left to right as messages go.

use std::collections::BTreeMap;

use super::{Party, Story};

/// All lanes of a story.
#[derive(Debug, Clone)]
pub struct Lanes {
    names: Vec<(&'static str, String)>,
    places: BTreeMap<Party, usize>,
}

impl Lanes {
    /// The lanes of everybody who takes part.
    pub fn of(story: &Story) -> Self {
        let mut by_name: BTreeMap<(u8, String), (&'static str, Vec<Party>)> = BTreeMap::new();
        let parties = story.beats().iter().flat_map(|beat| [&beat.from, &beat.to]);
        for party in parties.flatten() {
            let (rank, kind) = rank(party);
            // Connections of one provider, one after the other, are one lane.
            let lane = by_name.entry((rank, story.name_of(party))).or_insert((kind, Vec::new()));
            if !lane.1.contains(party) {
                lane.1.push(party.clone());
            }
        }
        let mut lanes = Self { names: Vec::new(), places: BTreeMap::new() };
        for (place, ((_, name), (kind, parties))) in by_name.into_iter().enumerate() {
            lanes.names.push((kind, name));
            lanes.places.extend(parties.into_iter().map(|party| (party, place)));
        }
        lanes
    }

    /// The kind and the name of each, in their order.
    pub fn names(&self) -> &[(&'static str, String)] {
        &self.names
    }

    /// Which lane is somebody's.
    pub fn place_of(&self, party: &Party) -> Option<usize> {
        self.places.get(party).copied()
    }
}

/// Where a lane stands, and what it is.
fn rank(party: &Party) -> (u8, &'static str) {
    match party {
        Party::Session(_) | Party::Requests(_) => (0, "provider"),
        Party::Node(_) => (1, "node"),
        Party::Workers(_) => (2, "workers"),
        Party::Store => (3, "store"),
        Party::Consumer(_) => (4, "consumer"),
    }
}
