//! Settings so small that they bite.

use anteroom_core::settings::{
    BackOff, BotSettings, Debounce, Gating, JanitorSettings, LeaseSettings, Limits, NodeSettings,
    Overflow, OwnershipSettings,
};
use anteroom_core::time::Millis;
use std::num::NonZeroU32;

use super::BotPlan;
use crate::dice::Dice;

/// Settings of one node's process.
pub(super) fn node(dice: &mut Dice, bots: &[BotPlan]) -> NodeSettings {
    let mut settings = NodeSettings::new(uuid::Uuid::nil().into());
    settings.session.auto_create_bots = true;
    settings.session.window = NonZeroU32::MIN.saturating_add(small(dice, 20));
    settings.bot_defaults = bot(dice);
    for plan in bots {
        if dice.coin() {
            settings.bots.insert(plan.bot_id.clone(), bot(dice));
        }
    }
    let short_lived = dice.strikes(250);
    settings.janitor = JanitorSettings {
        files_every: Millis::from_minutes(1),
        orphan_after: Millis::from_minutes(5),
        expire_every: seconds(dice, 5, 30),
        active_ttl: if short_lived { seconds(dice, 1, 60) } else { Millis::from_hours(3) },
        holding_ttl: if short_lived { seconds(dice, 1, 60) } else { Millis::from_hours(24) },
        failed_media_retention: seconds(dice, 300, 7_200),
        batch_max: 1 + small(dice, 20),
        ..JanitorSettings::default()
    };
    settings.lease = LeaseSettings {
        ttl: seconds(dice, 20, 60),
        renew_every: seconds(dice, 3, 10),
        poll_every: seconds(dice, 2, 8),
    };
    for pool in &mut settings.pools {
        pool.slots = NonZeroU32::MIN.saturating_add(small(dice, 2));
        pool.buffer = small(dice, 2);
        pool.timeout = seconds(dice, 5, 90);
        pool.transient_back_off =
            BackOff { first: Millis::from_secs(1), most: seconds(dice, 2, 30) };
    }
    if dice.strikes(300) {
        settings.ownership = OwnershipSettings {
            ttl: seconds(dice, 10, 40),
            renew_every: seconds(dice, 1, 3),
            margin: seconds(dice, 1, 4),
        };
    }
    settings
}

fn bot(dice: &mut Dice) -> BotSettings {
    let mut bot = BotSettings { disconnect_grace: seconds(dice, 1, 60), ..BotSettings::default() };
    let overflow = if dice.coin() {
        Overflow::Reject
    } else {
        Overflow::Bounded { messages: dice.index(4), characters: dice.below(40) }
    };
    bot.limits = Limits {
        max_messages: 3 + dice.index(10),
        max_characters: 120 + dice.below(400),
        max_characters_single_message: 20 + dice.below(30),
        max_characters_media_text: 300,
        max_age: if dice.strikes(300) { seconds(dice, 2, 60) } else { Millis::from_hours(48) },
        max_placeholders: 1 + dice.index(6),
        dedupe_window: 1 + dice.index(20),
        max_waiting_for_id: 1 + dice.index(6),
        max_correspondents: match dice.index(8) {
            few @ 2..6 => few,
            _ => 1_000,
        },
        silent_after: seconds(dice, 1, 100),
        archive_batch_messages: 1 + dice.index(20),
        archive_batch_bytes: if dice.coin() { 1 + dice.index(200) } else { 1 << 20 },
        insert_batch_jobs: 1 + dice.index(5),
        overflow,
    };
    bot.gating = Gating { enabled: dice.strikes(333), max_wait: seconds(dice, 1, 600) };
    if dice.strikes(200) {
        bot.gating_overrides.insert("c0".into(), !bot.gating.enabled);
    }
    bot.callbacks.ack_timeout = seconds(dice, 3, 30);
    bot.callbacks.max_in_flight = 1 + dice.index(8);
    bot.callbacks.outbox_window = 2 + dice.index(20);
    bot.callbacks.correspondent_window = 1 + dice.index(5);
    bot.callbacks.refusals_max = 1 + small(dice, 4);
    bot.callbacks.unavailable_back_off =
        BackOff { first: Millis::from_ms(500), most: Millis::from_secs(20) };
    bot.callbacks.refused_back_off =
        BackOff { first: Millis::from_ms(500), most: Millis::from_secs(20) };
    bot.callbacks.debounce = dice.strikes(300).then(|| Debounce {
        window: Millis::from_ms(dice.between(50, 10_000)),
        max_wait: Millis::from_ms(dice.between(50, 30_000)),
        max_messages: NonZeroU32::MIN.saturating_add(small(dice, 5)),
    });
    bot
}

fn small(dice: &mut Dice, most: u32) -> u32 {
    u32::try_from(dice.below(u64::from(most) + 1)).unwrap_or(most)
}

fn seconds(dice: &mut Dice, least: u64, most: u64) -> Millis {
    Millis::from_secs(dice.between(least, most))
}
