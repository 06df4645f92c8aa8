//! The bots that were acquired here, and their providers as they were found then.
//!
//! A bot's provider changes only if the bot is removed and registered anew, and then it is acquired anew
//! before anyone acts for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anteroom_core::id::{BotId, ProviderName};

/// The bots that were acquired here.
#[derive(Debug, Default)]
pub(super) struct KnownBots(Mutex<BTreeMap<BotId, Option<ProviderName>>>);

impl KnownBots {
    /// Remembers a bot, and its provider if it has been registered.
    pub(super) fn add(&self, bot_id: &BotId, provider_name: Option<ProviderName>) {
        self.lock().insert(bot_id.clone(), provider_name);
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<BotId> {
        self.lock().keys().cloned().collect()
    }

    /// Whether a bot was acquired here.
    pub(super) fn contains(&self, bot_id: &BotId) -> bool {
        self.lock().contains_key(bot_id)
    }

    /// A bot's provider, if it is known.
    pub(super) fn provider_name(&self, bot_id: &BotId) -> Option<ProviderName> {
        self.lock().get(bot_id).cloned().flatten()
    }

    /// Forgets the provider of a bot that is registered anew.
    pub(super) fn forget_provider(&self, bot_id: &BotId) {
        if let Some(provider_name) = self.lock().get_mut(bot_id) {
            *provider_name = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BotId, Option<ProviderName>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
