//! The board on which pools show their free slots, so that a job can be inserted already leased.
//!
//! A place is taken by a job that runs, that waits here for a slot, or that has been asked for. New
//! jobs may not overtake: while jobs of a pool wait in the store, none is inserted already leased.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::routing::{Routing, RoutingError};
use crate::id::PoolName;
use crate::settings::PoolSettings;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Board {
    routing: Arc<Routing>,
    places: BTreeMap<PoolName, Places>,
    /// Whether this node runs workers, and has not begun to stop.
    open: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Places {
    slots: usize,
    /// Jobs that may wait here for a slot.
    buffer: usize,
    /// Whether they may do so for the time being.
    ahead: bool,
    taken: usize,
    work_waiting: bool,
    /// Work was spoken of since the last claim was asked for, which may not have seen it.
    spoken_of: bool,
}

impl Places {
    fn free(&self) -> usize {
        let ahead = if self.ahead { self.buffer } else { 0 };
        (self.slots + ahead).saturating_sub(self.taken)
    }
}

impl Board {
    pub fn new(pools: &[PoolSettings]) -> Result<Self, RoutingError> {
        let routing = Arc::new(Routing::new(pools)?);
        let places = pools.iter().map(|pool| {
            let places = Places {
                slots: pool.slots.get() as usize,
                buffer: pool.buffer as usize,
                ahead: false,
                taken: 0,
                work_waiting: true,
                spoken_of: false,
            };
            (pool.name.clone(), places)
        });
        Ok(Self { routing, places: places.collect(), open: false })
    }

    pub fn open(&mut self) {
        self.open = true;
    }

    pub fn close(&mut self) {
        self.open = false;
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Which pool takes what.
    pub fn routing(&self) -> Arc<Routing> {
        Arc::clone(&self.routing)
    }

    /// The pool for a declared MIME type.
    pub fn route(&self, mime_type: &str) -> &PoolName {
        self.routing.route(mime_type)
    }

    /// Takes a place for a job that is about to be inserted, if one is free and nothing waits for it.
    pub fn reserve(&mut self, pool: &PoolName) -> bool {
        let Some(places) = self.places.get_mut(pool) else { return false };
        let free = self.open && !places.work_waiting && places.free() > 0;
        places.taken += usize::from(free);
        free
    }

    /// Takes places for jobs that are about to be restored, at most `most` of a pool and not more than half of
    /// what is free, so that the next bot finds some as well. What waits is not overtaken: a claim asks for it
    /// as soon as a place is free, so these are places that no claim asks for.
    pub fn offer(&mut self, most: usize) -> Vec<(PoolName, usize)> {
        let mut offered = Vec::new();
        for (pool, places) in self.places.iter_mut().filter(|_| self.open) {
            let count = places.free().div_ceil(2).min(most);
            if count > 0 {
                places.taken += count;
                offered.push((pool.clone(), count));
            }
        }
        offered
    }

    /// How many places are free.
    pub fn free(&self, pool: &PoolName) -> usize {
        self.places.get(pool).map_or(0, Places::free)
    }

    /// Whether places may be taken ahead of a slot from here on. What is taken stays taken.
    pub fn set_ahead(&mut self, pool: &PoolName, ahead: bool) {
        if let Some(places) = self.places.get_mut(pool) {
            places.ahead = ahead;
        }
    }

    /// Takes `count` places.
    fn take(&mut self, pool: &PoolName, count: usize) {
        if let Some(places) = self.places.get_mut(pool) {
            places.taken += count;
        }
    }

    /// Gives `count` places back.
    pub fn give_back(&mut self, pool: &PoolName, count: usize) {
        if let Some(places) = self.places.get_mut(pool) {
            debug_assert!(places.taken >= count, "no place is given back twice");
            places.taken = places.taken.saturating_sub(count);
        }
    }

    pub fn set_work_waiting(&mut self, pool: &PoolName, waiting: bool) {
        if let Some(places) = self.places.get_mut(pool) {
            places.work_waiting = waiting;
            places.spoken_of = waiting;
        }
    }

    /// A claim for `count` places is asked for.
    pub fn begin_claim(&mut self, pool: &PoolName, count: usize) {
        self.take(pool, count);
        if let Some(places) = self.places.get_mut(pool) {
            places.spoken_of = false;
        }
    }

    /// A claim has found all there was, or `more`. What was spoken of meanwhile may have come behind it,
    /// and waits.
    pub fn end_claim(&mut self, pool: &PoolName, more: bool) {
        if let Some(places) = self.places.get_mut(pool) {
            places.work_waiting = more || places.spoken_of;
        }
    }

    pub fn is_work_waiting(&self, pool: &PoolName) -> bool {
        self.places.get(pool).is_some_and(|places| places.work_waiting)
    }

    /// How many places are taken, over all pools.
    pub fn taken(&self) -> usize {
        self.places.values().map(|places| places.taken).sum()
    }
}
