//! Sections that have names and begin as a copy of one.

use std::collections::BTreeMap;

use super::section::{Section, Sections};

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 256;

/// Sections by their names, each of which begins as a copy of `template`.
#[derive(Debug)]
pub struct Named<'a, S> {
    placeholder: &'static str,
    entries: &'a mut BTreeMap<String, S>,
    template: &'a S,
    inherits: Option<&'static str>,
}

impl<'a, S> Named<'a, S> {
    /// The sections `entries`. `placeholder` stands for a name in the reference.
    pub fn new(
        placeholder: &'static str,
        entries: &'a mut BTreeMap<String, S>,
        template: &'a S,
    ) -> Self {
        Self { placeholder, entries, template, inherits: None }
    }

    /// Says that the template is what the section `inherits` holds; it must be visited before.
    pub fn inheriting(mut self, inherits: &'static str) -> Self {
        self.inherits = Some(inherits);
        self
    }
}

impl<S: Section + Clone> Sections for Named<'_, S> {
    fn placeholder(&self) -> &'static str {
        self.placeholder
    }

    fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    fn entry(&mut self, name: &str) -> Result<&mut dyn Section, String> {
        check_name(name)?;
        let template = self.template;
        Ok(self.entries.entry(name.to_owned()).or_insert_with(|| template.clone()))
    }

    fn template(&self) -> Box<dyn Section + '_> {
        Box::new(self.template.clone())
    }

    fn inherits(&self) -> Option<&'static str> {
        self.inherits
    }
}

/// Whether a name can be one.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    match name.len() {
        0 => Err("the name is empty".to_owned()),
        bytes if bytes > NAME_BYTES_MAX => {
            Err(format!("the name is longer than {NAME_BYTES_MAX} bytes"))
        }
        _ => Ok(()),
    }
}
