//! The stage: how tasks reach the world, and the task that lets happen what is due.
//!
//! **Invariant:** the world is never held across an await, and what it wants done to tasks is done after
//! it was let go: ending a process drops its tasks, and those may have to tell the world.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anteroom_core::time::{Millis, Timestamp};
use madsim::runtime::Handle;
use madsim::time::{Instant, sleep_until};
use tokio::sync::Notify;

use super::network::Machines;
use super::{outside, process, store_node};
use crate::world::lines::Order;
use crate::world::{BEGINNING, Report, World};

/// How tasks reach the world.
#[derive(Clone)]
pub(super) struct Stage(Arc<Inner>);

struct Inner {
    begun: Instant,
    world: Mutex<World>,
    machines: Mutex<Machines>,
    /// Something is due earlier than it was.
    due: Notify,
    /// Until when the task of what is due sleeps.
    asleep_until: Mutex<Timestamp>,
}

impl Stage {
    /// Runs a world to its end.
    #[expect(clippy::disallowed_methods, reason = "in here it is the simulation's own time")]
    pub async fn run(world: World) -> Report {
        let (nodes, consumers) = (world.nodes.len(), world.consumers.len());
        let stage = Self(Arc::new(Inner {
            begun: Instant::now(),
            world: Mutex::new(world),
            machines: Mutex::new(Machines::new(consumers)),
            due: Notify::new(),
            asleep_until: Mutex::new(Timestamp::ZERO),
        }));
        for node in 0..nodes {
            stage.create_node(node);
        }
        let listening = stage.clone();
        held(&stage.0.machines).store.spawn(store_node::listen(listening));
        stage.let_happen().await;
        held(&stage.0.world).report()
    }

    fn create_node(&self, node: usize) {
        let stage = self.clone();
        let handle = Handle::current();
        let builder = handle.create_node().name(super::network::name(node));
        let builder = builder.ip(super::network::node(node).ip());
        let machine = builder.init(move || process::run(stage.clone(), node)).build();
        held(&self.0.machines).nodes.push(machine);
    }

    /// The world's time.
    pub fn now(&self) -> Timestamp {
        let passed = self.0.begun.elapsed().as_millis();
        BEGINNING + Millis::from_ms(u64::try_from(passed).unwrap_or(u64::MAX / 2))
    }

    /// When a moment of the world's time is there.
    pub fn instant(&self, at: Timestamp) -> Instant {
        self.0.begun + Duration::from(at.since(BEGINNING))
    }

    /// Waits for a moment of the world's time.
    pub async fn until(&self, at: Timestamp) {
        if at > self.now() {
            sleep_until(self.instant(at)).await;
        }
    }

    /// Does something in the world, then has done what the world wants of tasks.
    pub fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let (result, orders) = {
            let mut world = held(&self.0.world);
            world.now = self.now();
            let result = act(&mut world);
            let next = world.heap.next_at().unwrap_or(Timestamp::MAX);
            if next < *held(&self.0.asleep_until) || world.checker.broken().is_some() {
                self.0.due.notify_one();
            }
            (result, world.lines.take_orders())
        };
        orders.into_iter().for_each(|order| self.carry_out(order));
        result
    }

    /// Lets happen what is due, until the run is over.
    async fn let_happen(&self) {
        loop {
            let (over, next) = self.with(|world| {
                let mut over = world.is_over();
                while !over && world.heap.next_at().is_some_and(|at| at <= world.now) {
                    if let Some((_, happening)) = world.heap.pop() {
                        world.happen(happening);
                    }
                    over = world.is_over();
                }
                (over, world.heap.next_at().unwrap_or(Timestamp::MAX))
            });
            if over {
                return;
            }
            let weather = self.with(|world| world.weather.clone());
            held(&self.0.machines).follow(&weather);
            let next = next.min(self.now() + Millis::from_secs(60));
            *held(&self.0.asleep_until) = next;
            tokio::select! {
                biased;
                () = self.0.due.notified() => {}
                () = sleep_until(self.instant(next)) => {}
            }
            *held(&self.0.asleep_until) = Timestamp::ZERO;
        }
    }

    fn carry_out(&self, order: Order) {
        let mut machines = held(&self.0.machines);
        let handle = Handle::current();
        match order {
            Order::Boot { node } => {
                let id = machines.nodes[node].id();
                drop(machines);
                // A process that ended by itself has left its addresses behind.
                handle.kill(id);
                handle.restart(id);
            }
            Order::Kill { node } => {
                let id = machines.nodes[node].id();
                // Tasks that end with their process may have to tell the world.
                drop(machines);
                handle.kill(id);
            }
            Order::Pause { node } => handle.pause(machines.nodes[node].id()),
            Order::Resume { node } => handle.resume(machines.nodes[node].id()),
            Order::Connect { provider, node, session_id, said } => {
                let line = outside::provider_line(self.clone(), provider, node, session_id, said);
                machines.provider(provider).spawn(line);
            }
            Order::Stream { bot, node, number, end } => {
                let stream = outside::consumer_stream(self.clone(), bot, node, number, end);
                machines.consumers[bot].spawn(stream);
            }
            Order::Flood { node, session_id, with } => {
                machines.people.spawn(outside::flood(node, session_id, with));
            }
            Order::Ask { node, request } => {
                machines.people.spawn(outside::ask(self.clone(), node, request));
            }
            Order::AskStore { request } => {
                machines.people.spawn(outside::ask_store(request));
            }
            Order::Hint { node, hint } => {
                machines.store.spawn(store_node::hint(node, hint));
            }
        }
    }
}

/// What a lock guards: a run has one thread, and ends with the first panic.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
