//! The reference: every key, its form, its default and what it means, as a page of Markdown.

use std::fmt::Write;

use super::listing::{Block, Key, described};
use super::reading::FILE_SUFFIX;
use super::section::Section;

const INTRODUCTION: &str = "\
# Configuration

<!-- Written by `anteroom config reference`: change the code, and write it again. -->

Nothing needs to be configured. What is configured comes in layers, each over the one before:

1. the defaults, which this page names;
2. the file: `anteroom.toml` where the node is started, if there is one, or what `--config FILE` (or
   `ANTEROOM_CONFIG`) names, which must be there;
3. the environment: `ANTEROOM_` and the key in capitals, with two underscores between a section and
   its key, as in `ANTEROOM_LEASE__TTL=90s` or `ANTEROOM_POOLS__AUDIO__SLOTS=3`. A variable that is
   empty says nothing;
4. the flags of `anteroom serve`.

```toml
listen = \"127.0.0.1:9000\"

[pools.audio]
slots = 3

[bots.demo]
run = \"always\"
```

What is not known is an error that names the nearest key and the place where it was written; so is a
value that is not understood, or makes no sense beside another. `anteroom config check` says all of it
at once, and `anteroom config print` shows every value and where it came from.

A secret is never shown. It can be kept in a file of its own, which the same key with `_file` at its
end names; spaces within it count, the end of its line does not.
";

/// The whole page.
pub(super) fn markdown(section: &mut dyn Section) -> String {
    let mut page = INTRODUCTION.to_owned();
    let blocks = described(section);
    for block in &blocks {
        let template = block.template.as_ref();
        match template.and_then(|path| blocks.iter().find(|other| other.path == *path)) {
            Some(template) => append_differences(&mut page, block, template),
            // A section within one that takes another's keys takes that one's as well.
            None if is_within_an_heir(block, &blocks) => {}
            None => append_block(&mut page, block),
        }
    }
    page
}

fn is_within_an_heir(block: &Block, blocks: &[Block]) -> bool {
    let above = block.path.rsplit_once('.').map(|(above, _)| above);
    block.inherits.is_some()
        && blocks.iter().any(|other| Some(&*other.path) == above && other.inherits.is_some())
}

fn append_block(page: &mut String, block: &Block) {
    let title = match block.path.as_str() {
        "" => "At the top".to_owned(),
        path => format!("`[{path}]`"),
    };
    append(page, &format!("\n## {title}\n"));
    if !block.about.is_empty() {
        append(page, &format!("{}.\n", block.about));
    }
    if let Some(inherited) = &block.inherits {
        append(
            page,
            &format!(
                "Takes the keys and sections of `[{inherited}]`, whose values count where none is \
                 given."
            ),
        );
        return;
    }
    if block.keys.is_empty() {
        return;
    }
    append(page, "| key | default | what it is | how it is written |\n|---|---|---|---|");
    for key in &block.keys {
        let Key { name, about, form, is_secret, .. } = key;
        let file = if *is_secret { format!(", or `{name}{FILE_SUFFIX}`") } else { String::new() };
        let default = default(key);
        append(page, &format!("| `{name}`{file} | {default} | {about} | {form} |"));
    }
}

/// What a section that is there by default has and a new one of its kind has not.
fn append_differences(page: &mut String, block: &Block, template: &Block) {
    let differs = |key: &&Key| {
        template.keys.iter().any(|other| other.name == key.name && other.shown != key.shown)
    };
    let differences = block.keys.iter().filter(differs);
    let differences: Vec<String> =
        differences.map(|key| format!("`{}` {}", key.name, default(key))).collect();
    if !differences.is_empty() {
        let path = &block.path;
        append(page, &format!("\n`[{path}]` is there: {}.", differences.join(", ")));
    }
}

fn default(key: &Key) -> String {
    match &key.shown {
        None => "not set".to_owned(),
        Some(value) => format!("`{value}`"),
    }
}

fn append(page: &mut String, line: &str) {
    writeln!(page, "{line}").expect("a text takes every line");
}
