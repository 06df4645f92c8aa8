//! A page of what a replay goes through.

use super::{Title, html};
use crate::replay::{Difference, Replayed};
use crate::story::Story;

/// How many rows a page has at the most: the last ones.
const ROWS_MAX: usize = 50_000;

/// What is to be seen on the page.
#[derive(Debug, Default)]
pub struct Pages {
    story: Story,
    rows: usize,
}

impl Pages {
    /// Takes in a line of the trace, which has this number.
    pub fn line(&mut self, number: usize, replayed: Replayed) {
        self.story.at_line(number);
        let before = self.story.beats().len();
        match replayed {
            Replayed::Header(header) => {
                if header.missing > 0 {
                    self.story.chapter(&format!("{} steps are missing here", header.missing));
                }
            }
            Replayed::Machine(when) => self.story.booted(when.node, when.at),
            Replayed::Step(step) => {
                self.story.step(step.when.node, step.when.at, &step.event, &step.effects);
            }
            Replayed::Fault(it) => self.story.fault(it.now, it.node, &it.fault, it.lasts),
            Replayed::Applied(it) => self.story.applied(it.now, it.node, &it.applied),
            Replayed::Broken(it) => {
                let what = format!("{}: {}", it.broken.rule, it.broken.what);
                self.story.broken(it.now, &what);
            }
        }
        self.rows += self.story.beats().len() - before;
        // Now and then, so that it costs little.
        if self.story.beats().len() > 2 * ROWS_MAX {
            self.story.keep_last(ROWS_MAX);
        }
    }

    /// Takes in the step that does something else than it did.
    pub fn difference(&mut self, difference: &Difference) {
        self.story.at_line(difference.line);
        let step = &difference.step;
        self.story.broken(step.when.at, &format!("the replay does something else: {difference}"));
        self.story.step(step.when.node, step.when.at, &step.event, &step.effects);
    }

    /// The page, under a name.
    pub fn page(mut self, name: String) -> String {
        self.story.keep_last(ROWS_MAX);
        let rows = self.story.beats().len();
        let note = match self.rows > rows {
            true => format!("the last {rows} of {} rows", self.rows),
            false => format!("{rows} rows"),
        };
        html(&self.story, &Title { name, note })
    }
}
