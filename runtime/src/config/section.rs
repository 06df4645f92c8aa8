//! What a section of the configuration is: its keys, described once.
//!
//! A section names its keys in one place, [`Section::visit`]; reading, checking, printing, the
//! reference and the search for the nearest key are all visitors of that one description. The
//! defaults are the values that the section has before it is read.

use super::value::Value;

/// Keys that belong together.
pub trait Section {
    /// Shows every key, with its value, and every section within, to `keys`.
    ///
    /// It is to take `self` apart without `..`, so that a new field does not compile until it is a key.
    fn visit(&mut self, keys: &mut dyn Keys);

    /// Says which values make no sense together. Called when all keys were read.
    fn check(&self, _faults: &mut Faults) {}
}

/// What walks through a section.
pub trait Keys {
    /// A key, its value, and what it means in one sentence without a full stop.
    fn key(&mut self, name: &'static str, value: &mut dyn Value, about: &'static str);

    /// A section within.
    fn section(&mut self, name: &'static str, section: &mut dyn Section, about: &'static str);

    /// Sections within that are alike, and have names.
    fn sections(&mut self, name: &'static str, sections: &mut dyn Sections, about: &'static str);
}

/// Sections that are alike, and have names: `[pools.audio]`, `[bots.demo]`.
pub trait Sections {
    /// How the name is written in the reference: `POOL`.
    fn placeholder(&self) -> &'static str;

    /// The names there are.
    fn names(&self) -> Vec<String>;

    /// The section of that name, made when there is none.
    ///
    /// # Errors
    /// What is wrong with the name, in words.
    fn entry(&mut self, name: &str) -> Result<&mut dyn Section, String>;

    /// A section that was just made.
    fn template(&self) -> Box<dyn Section + '_>;

    /// The section whose values are taken for those that are not given.
    fn inherits(&self) -> Option<&'static str> {
        None
    }

    /// Says which sections make no sense together.
    fn check(&self, _faults: &mut Faults) {}
}

/// Values that make no sense together.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

/// Some values that make no sense together.
#[derive(Debug)]
pub(super) struct Fault {
    /// The keys, relative to their section. The first one is the one to change.
    pub keys: Vec<String>,
    /// What is wrong.
    pub why: String,
}

impl Faults {
    /// Says that `keys`, relative to the section, make no sense together.
    pub fn add(&mut self, keys: &[&str], why: impl Into<String>) {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        self.0.push(Fault { keys, why: why.into() });
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.0
    }
}
