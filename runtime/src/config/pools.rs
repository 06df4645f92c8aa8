//! `[pools.POOL]`: the pools of workers.

use std::collections::BTreeSet;

use anteroom_core::pool::routing::{Routing, RoutingError};
use anteroom_core::settings::{PoolSettings, default_pools};
use anteroom_core::time::Millis;

use super::named::check_name;
use super::section::{Faults, Keys, Section, Sections};
use super::value::{count_or_none, text_checked, time};

/// A pool of workers, and what they work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// What the core knows of it.
    pub settings: PoolSettings,
    /// The engine; none for the usual one of a pool of this name.
    pub engine: Option<String>,
}

impl From<PoolSettings> for Pool {
    fn from(settings: PoolSettings) -> Self {
        Self { settings, engine: None }
    }
}

impl Section for Pool {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { settings, engine } = self;
        let PoolSettings {
            name: _,
            mime_types,
            slots,
            buffer,
            timeout,
            transient_retries_max,
            transient_back_off,
        } = settings;
        keys.key(
            "mime_types",
            mime_types,
            "The MIME types it takes: `type/subtype`, `type/*`, or `*` for all that no other takes",
        );
        keys.key(
            "engine",
            &mut text_checked(engine, "the name of an engine", check_name),
            "The engine: a section of `[engines]`, or one that needs none; without it, the usual one of \
             a pool of this name",
        );
        keys.key("slots", slots, "Jobs at a time");
        keys.key(
            "buffer",
            &mut count_or_none(buffer),
            "Claimed jobs that may wait for a slot, so that it is not empty until the next has been claimed; \
             only while jobs take two seconds or less",
        );
        keys.key("timeout", &mut time(timeout), "How long one job may take");
        keys.key(
            "transient_retries_max",
            &mut count_or_none(transient_retries_max),
            "How often a failure that may pass is retried",
        );
        keys.section("transient_back_off", transient_back_off, "How long such a failure waits");
    }

    fn check(&self, faults: &mut Faults) {
        for mime_type in self.settings.mime_types.iter().filter(|mime_type| !is_pattern(mime_type))
        {
            let why = format!("{mime_type:?} is no MIME type: write type/subtype, type/*, or *");
            faults.add(&["mime_types"], why);
        }
    }
}

/// Whether a text can match the type of a medium. The types that providers report for broken media
/// have no slash.
fn is_pattern(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence == "*" || essence.starts_with("media_corrupt_") {
        return true;
    }
    let is_name = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    essence.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

/// The pools by their names, in the order in which they are there.
pub(super) struct Pools<'a>(pub &'a mut Vec<Pool>);

impl Sections for Pools<'_> {
    fn placeholder(&self) -> &'static str {
        "POOL"
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|pool| pool.settings.name.to_string()).collect()
    }

    fn entry(&mut self, name: &str) -> Result<&mut dyn Section, String> {
        check_name(name)?;
        let known = self.0.iter().position(|pool| pool.settings.name.as_str() == name);
        let index = known.unwrap_or_else(|| {
            self.0.push(new_pool(name));
            self.0.len() - 1
        });
        Ok(&mut self.0[index])
    }

    fn template(&self) -> Box<dyn Section + '_> {
        Box::new(new_pool("POOL"))
    }

    fn check(&self, faults: &mut Faults) {
        let mut pools: Vec<_> = self.0.iter().map(|pool| pool.settings.clone()).collect();
        let mut reported = BTreeSet::new();
        // A routing names one fault; without that type it names the next.
        loop {
            match Routing::new(&pools) {
                Ok(_) => return,
                Err(RoutingError::Twice { mime_type, first, second }) => {
                    if reported.insert(mime_type.clone()) {
                        let why = format!(
                            "{mime_type} is in {first} and in {second}: a type belongs to one pool"
                        );
                        let keys = [format!("{second}.mime_types"), format!("{first}.mime_types")];
                        faults.add(&keys.each_ref().map(String::as_str), why);
                    }
                    let pool = pools.iter_mut().rfind(|pool| pool.name == second);
                    let Some(pool) = pool else { return };
                    let Some(at) = pool.mime_types.iter().rposition(|other| *other == mime_type)
                    else {
                        return;
                    };
                    pool.mime_types.remove(at);
                }
                Err(error @ (RoutingError::NoCatchAll | RoutingError::SameName { .. })) => {
                    let keys: Vec<String> = pools
                        .iter()
                        .rev()
                        .map(|pool| format!("{}.mime_types", pool.name))
                        .collect();
                    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                    faults.add(&keys, error.to_string());
                    return;
                }
            }
        }
    }
}

/// A pool that takes nothing yet.
fn new_pool(name: &str) -> Pool {
    let like = default_pools().pop().expect("the design has pools");
    let timeout = Millis::from_minutes(2);
    PoolSettings { name: name.into(), mime_types: Vec::new(), timeout, ..like }.into()
}
