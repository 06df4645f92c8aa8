//! The checker: outside observers who are told what happens in the world, one file a rule.
//!
//! Owns the verdict. A rule sees what providers sent and were told, what consumers got and said, what
//! was asked of the store, and what the store holds; never a machine's own word, but where a rule is
//! about that word. A rule breaks once, and is not asked again.
//!
//! Where an outcome is unknown (a request without an answer), no rule assumes one: it looks at what
//! the store holds, or waits until somebody says more.

pub mod marks;
pub mod rule;
pub mod seen;

mod l1_delivered;
mod l2_jobs_end;
mod l3_placeholders_end;
mod l4_no_orphans;
mod l5_receipts_come;
mod s10_files;
mod s12_lines;
mod s13_driver;
mod s1_once;
mod s2_conservation;
mod s3_ids;
mod s4_acknowledged;
mod s5_leases;
mod s6_owners;
mod s7_order;
mod s8_receipts;
mod s9_bounds;
#[cfg(test)]
mod stage;

use serde::{Deserialize, Serialize};

use self::marks::Marks;
use self::rule::Rule;
use self::seen::{Final, Scene, Seen};

/// A rule of safety: it judges everything that is seen.
trait Judge {
    /// Takes in what is seen.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), String>;
}

/// A rule of liveness: what must have come to its end.
trait Ends {
    /// Takes in what is seen.
    fn see(&mut self, seen: &Seen<'_>);

    /// Judges whether everything has come to its end.
    ///
    /// # Errors
    /// What has not, in words.
    fn judge(&self, world: &Final<'_>) -> Result<(), String>;
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// How, in words.
    pub what: String,
}

/// All rules, and what they have seen.
#[derive(Default)]
pub struct Checker {
    broken: Option<Broken>,
    marks: Marks,
    s1: s1_once::Once,
    s2: s2_conservation::Conservation,
    s3: s3_ids::Ids,
    s4: s4_acknowledged::Acknowledged,
    s5: s5_leases::Leases,
    s6: s6_owners::Owners,
    s7: s7_order::Order,
    s8: s8_receipts::Receipts,
    s9: s9_bounds::Bounds,
    s10: s10_files::Files,
    s12: s12_lines::Lines,
    s13: s13_driver::Drivers,
    l1: l1_delivered::Delivered,
    l2: l2_jobs_end::JobsEnd,
    l3: l3_placeholders_end::PlaceholdersEnd,
    l4: l4_no_orphans::NoOrphans,
    l5: l5_receipts_come::ReceiptsCome,
}

impl Checker {
    /// Shows every rule what has happened.
    pub fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) {
        self.marks.see(seen);
        let rules: [(Rule, &mut dyn Judge); 12] = [
            (Rule::S1, &mut self.s1),
            (Rule::S2, &mut self.s2),
            (Rule::S3, &mut self.s3),
            (Rule::S4, &mut self.s4),
            (Rule::S5, &mut self.s5),
            (Rule::S6, &mut self.s6),
            (Rule::S7, &mut self.s7),
            (Rule::S8, &mut self.s8),
            (Rule::S9, &mut self.s9),
            (Rule::S10, &mut self.s10),
            (Rule::S12, &mut self.s12),
            (Rule::S13, &mut self.s13),
        ];
        for (rule, judge) in rules {
            if let Err(what) = judge.see(seen, scene) {
                self.broken.get_or_insert(Broken { rule, what });
            }
        }
        let ends: [&mut dyn Ends; 5] =
            [&mut self.l1, &mut self.l2, &mut self.l3, &mut self.l4, &mut self.l5];
        for end in ends {
            end.see(seen);
        }
    }

    /// Judges whether everything has come to its end; the first rule that says no is named.
    ///
    /// # Errors
    /// What has not come to its end.
    pub fn judge_end(&self, world: &Final<'_>) -> Result<(), Broken> {
        let ends: [(Rule, &dyn Ends); 5] = [
            (Rule::L5, &self.l5),
            (Rule::L2, &self.l2),
            (Rule::L3, &self.l3),
            (Rule::L1, &self.l1),
            (Rule::L4, &self.l4),
        ];
        for (rule, end) in ends {
            end.judge(world).map_err(|what| Broken { rule, what })?;
        }
        Ok(())
    }

    /// A rule that is judged elsewhere is broken.
    pub fn break_rule(&mut self, rule: Rule, what: String) {
        self.broken.get_or_insert(Broken { rule, what });
    }

    /// The first broken rule.
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// The situations that have occurred.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// A situation has occurred that only the world can see.
    pub fn reach(&mut self, mark: marks::Mark) {
        self.marks.reach(mark);
    }

    /// Callbacks that were sent, and of them those that were sent again.
    pub fn callbacks(&self) -> (u64, u64) {
        self.s1.counts()
    }
}
