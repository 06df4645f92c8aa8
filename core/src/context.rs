//! What a room may use during a step: the time, the outlets, and the shared boards.

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::id::{BotId, LeaseToken, OpId, PoolName, SessionId};
use crate::job::LeaseRequest;
use crate::notice::Notice;
use crate::pool::board::Board;
use crate::settings::NodeSettings;
use crate::signal::{BotSignal, OwnershipSignal, PoolSignal, SessionSignal, Signal};
use crate::time::{Millis, Timestamp};

/// What a room may use during a step.
pub(crate) struct Context<'a> {
    pub now: Timestamp,
    pub settings: &'a NodeSettings,
    pub effects: &'a mut Vec<Effect>,
    pub signals: &'a mut VecDeque<Signal>,
    pub source: &'a mut Source,
    pub board: &'a mut Board,
}

/// The machine's own source of fresh names: operation ids, and tokens and jitter from a seed that
/// comes from outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Source {
    last_op: u64,
    #[serde(with = "place_in_the_stream")]
    random: ChaCha8Rng,
}

/// The seed of a machine's tokens and jitter: from the operating system in production, from the plan
/// in a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub [u8; 32]);

impl Source {
    pub fn new(seed: Seed) -> Self {
        use rand_chacha::rand_core::SeedableRng;
        Self { last_op: 0, random: ChaCha8Rng::from_seed(seed.0) }
    }

    /// An operation id that this machine has never used.
    pub fn op(&mut self) -> OpId {
        self.last_op += 1;
        OpId(self.last_op)
    }

    /// A token that nobody has ever used.
    pub fn token(&mut self) -> LeaseToken {
        let mut bytes = [0; 16];
        self.random.fill_bytes(&mut bytes);
        LeaseToken::from(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// `length`, shortened at random by up to a quarter, so that many waits do not end together.
    pub fn jittered(&mut self, length: Millis) -> Millis {
        let spread = length.as_ms() / 4;
        if spread == 0 {
            return length;
        }
        Millis::from_ms(length.as_ms() - self.random.next_u64() % (spread + 1))
    }
}

/// How the source of tokens and jitter stands in a snapshot: its seed, and how much of it is used up.
mod place_in_the_stream {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Seed;

    pub fn serialize<S: Serializer>(random: &ChaCha8Rng, serializer: S) -> Result<S::Ok, S::Error> {
        (Seed(random.get_seed()), random.get_word_pos()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChaCha8Rng, D::Error> {
        let (Seed(seed), place) = <(Seed, u128)>::deserialize(deserializer)?;
        let mut random = ChaCha8Rng::from_seed(seed);
        random.set_word_pos(place);
        Ok(random)
    }
}

impl Context<'_> {
    pub fn effect(&mut self, effect: impl Into<Effect>) {
        self.effects.push(effect.into());
    }

    pub fn notice(&mut self, notice: Notice) {
        self.effects.push(Effect::Notice(notice));
    }

    pub fn unexpected(&mut self, what: impl Into<String>) {
        self.notice(Notice::UnexpectedEvent { what: what.into() });
    }

    pub fn tell_session(&mut self, session_id: SessionId, signal: SessionSignal) {
        self.signals.push_back(Signal::Session(session_id, signal));
    }

    pub fn tell_bot(&mut self, bot_id: &BotId, signal: BotSignal) {
        self.signals.push_back(Signal::Bot(bot_id.clone(), signal));
    }

    pub fn tell_pools(&mut self, signal: PoolSignal) {
        self.signals.push_back(Signal::Pools(signal));
    }

    pub fn tell_ownership(&mut self, signal: OwnershipSignal) {
        self.signals.push_back(Signal::Ownership(signal));
    }

    /// What a worker of this node asks for when it takes a job.
    pub fn lease_request(&mut self) -> LeaseRequest {
        LeaseRequest {
            worker_id: self.settings.node_id,
            token: self.source.token(),
            ttl: self.settings.lease.ttl,
        }
    }

    /// Whether half of the time of a lease that was asked for at `asked_at` is over.
    pub fn is_half_spent(&self, asked_at: Timestamp) -> bool {
        self.now.since(asked_at).as_ms() > self.settings.lease.ttl.as_ms() / 2
    }

    /// Gives places back that were reserved and are not needed: what waits may have them.
    pub fn unreserve(&mut self, pool: &PoolName, places: usize) {
        self.board.give_back(pool, places);
        self.tell_pools(PoolSignal::PlacesFree);
    }

    /// Tells a pool that work of it is waiting in the store.
    pub fn hint_work(&mut self, pool: &PoolName) {
        self.tell_pools(PoolSignal::WorkWaiting { pool: pool.clone() });
    }
}
