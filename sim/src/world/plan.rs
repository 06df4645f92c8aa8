//! What a run is made of, decided before it begins.

use anteroom_core::settings::{BackOff, Gating, Limits, NodeSettings, Overflow};
use anteroom_core::time::Millis;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the rest came from, and the seed of all draws in the run.
    pub seed: u64,
    /// How many nodes share the store.
    pub nodes: usize,
    /// How many bots there are.
    pub bots: usize,
    /// How many correspondents a bot has.
    pub correspondents: u64,
    /// How many messages a bot's provider has.
    pub messages: u64,
    /// Of a thousand messages, how many carry media.
    pub media_per_mille: u64,
    /// How long messages come and faults strike.
    pub duration: Millis,
    /// What goes wrong.
    pub faults: Faults,
    /// What the nodes are set to.
    pub settings: NodeSettings,
}

/// What goes wrong; rates in a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Deaths of each node.
    pub kills: u64,
    /// A node dies between two effects.
    pub kill_between_effects: u64,
    /// A store operation fails before it is applied.
    pub store_before: u64,
    /// A store operation's answer is lost.
    pub store_after: u64,
    /// A store operation is slow.
    pub store_slow: u64,
    /// Connections that end, of each provider and consumer.
    pub disconnects: u64,
    /// A message is sent twice.
    pub resends: u64,
    /// A callback is lost on its way, or not acknowledged.
    pub callback_lost: u64,
    /// A processor fails transiently.
    pub transient: u64,
    /// A processor hangs.
    pub hang: u64,
}

impl Plan {
    /// The plan of a seed: a random subset of faults is off, the rest have random rates.
    pub fn from_seed(seed: u64) -> Self {
        let mut bytes = [0x5a; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut random = ChaCha8Rng::from_seed(bytes);
        let mut draw = move |most: u64| random.next_u64() % (most + 1);
        let mut rate = {
            let mut draw = draw.clone();
            move |most: u64| if draw(1) == 0 { 0 } else { draw(most) }
        };
        let faults = Faults {
            kills: rate(4),
            kill_between_effects: rate(4),
            store_before: rate(150),
            store_after: rate(150),
            store_slow: rate(60),
            disconnects: rate(6),
            resends: rate(200),
            callback_lost: rate(200),
            transient: rate(300),
            hang: rate(100),
        };
        for _ in 0..16 {
            draw(1);
        }
        let mut settings = NodeSettings::new(uuid::Uuid::nil().into());
        settings.session.auto_create_bots = true;
        settings.session.window = std::num::NonZeroU32::MIN.saturating_add(draw(20) as u32);
        let bot = &mut settings.bot_defaults;
        let overflow = if draw(1) == 0 {
            Overflow::Reject
        } else {
            Overflow::Bounded { messages: draw(3) as usize, characters: draw(40) }
        };
        bot.limits = Limits {
            max_messages: 3 + draw(10) as usize,
            max_characters: 60 + draw(400),
            max_characters_single_message: 20 + draw(30),
            max_characters_media_text: 300,
            max_placeholders: 1 + draw(6) as usize,
            dedupe_window: 1 + draw(20) as usize,
            max_waiting_for_id: 1 + draw(6) as usize,
            silent_after: Millis::from_secs(1 + draw(100)),
            archive_batch_messages: 1 + draw(20) as usize,
            insert_batch_jobs: 1 + draw(5) as usize,
            overflow,
            ..Limits::default()
        };
        bot.gating = Gating { enabled: draw(2) == 0, max_wait: Millis::from_secs(1 + draw(600)) };
        bot.callbacks.max_in_flight = 1 + draw(8) as usize;
        bot.callbacks.outbox_window = 2 + draw(20) as usize;
        bot.callbacks.correspondent_window = 1 + draw(5) as usize;
        bot.callbacks.unavailable_back_off =
            BackOff { first: Millis::from_ms(500), most: Millis::from_secs(20) };
        settings.janitor.files_every = Millis::from_minutes(1);
        settings.janitor.orphan_after = Millis::from_minutes(5);
        settings.janitor.expire_every = Millis::from_secs(30);
        for pool in &mut settings.pools {
            pool.buffer = draw(2) as u32;
        }
        Self {
            seed,
            nodes: 1 + draw(1) as usize,
            bots: 1 + draw(2) as usize,
            correspondents: 1 + draw(4),
            messages: 5 + draw(60),
            media_per_mille: draw(700),
            duration: Millis::from_secs(60 + draw(600)),
            faults,
            settings,
        }
    }
}
