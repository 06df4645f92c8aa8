//! Shrinking: the smallest plan that still breaks the same rule.
//!
//! Delta debugging on the plan's lists: parts of them are left out, halves first, single items last,
//! for as long as the rule still breaks. Then what is left is made shorter.

use anteroom_core::time::Millis;

use crate::checker::rule::Rule;
use crate::plan::{Fault, Item, Plan};

/// Makes a plan smaller for as long as `fails` names the same rule; tries at most `tries_max` plans.
pub fn shrink(
    plan: &Plan,
    rule: Rule,
    tries_max: u32,
    fails: impl Fn(&Plan) -> Option<Rule>,
) -> Plan {
    let mut search = Search { best: plan.clone(), rule, left: tries_max, fails };
    loop {
        let before = (search.best.faults.len(), search.best.workload.len());
        search.thin(|plan| plan.faults.len(), |plan, keep| plan.faults = kept(&plan.faults, keep));
        search.thin(
            |plan| plan.workload.len(),
            |plan, keep| plan.workload = kept(&plan.workload, keep),
        );
        if before == (search.best.faults.len(), search.best.workload.len()) || search.left == 0 {
            break;
        }
    }
    search.shorten();
    let mut best = search.best;
    best.note = format!("{}, shrunk for {rule}", plan.note);
    best
}

struct Search<F> {
    best: Plan,
    rule: Rule,
    left: u32,
    fails: F,
}

impl<F: Fn(&Plan) -> Option<Rule>> Search<F> {
    /// Takes a plan for the best so far, if it breaks the rule.
    fn attempt(&mut self, plan: Plan) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let breaks = (self.fails)(&plan) == Some(self.rule);
        if breaks {
            self.best = plan;
        }
        breaks
    }

    /// Leaves parts of a list out: first large ones, then single items.
    fn thin(&mut self, length: fn(&Plan) -> usize, keep: fn(&mut Plan, &dyn Fn(usize) -> bool)) {
        let mut part = length(&self.best).div_ceil(2);
        while part > 0 {
            let mut from = 0;
            while from < length(&self.best) {
                let mut plan = self.best.clone();
                let left_out = from..from + part;
                keep(&mut plan, &|place| !left_out.contains(&place));
                if !self.attempt(plan) {
                    from += part;
                }
            }
            part /= 2;
        }
    }

    /// Makes the run, its faults and its waits shorter, and its settings fewer.
    fn shorten(&mut self) {
        let halves: [fn(&mut Plan); 4] = [
            |plan| plan.duration = half(plan.duration),
            |plan| plan.faults.iter_mut().for_each(|fault| fault.lasts = half(fault.lasts)),
            |plan| plan.settings.truncate(1),
            |plan| plan.nodes.iter_mut().for_each(|node| node.clock_ahead = Millis::ZERO),
        ];
        for change in halves {
            for _ in 0..8 {
                let mut plan = self.best.clone();
                change(&mut plan);
                let end = plan.duration;
                let due = plan.workload.iter().all(|item: &Item| item.at <= end)
                    && plan.faults.iter().all(|fault: &Fault| fault.at <= end);
                if plan == self.best || !due || !self.attempt(plan) {
                    break;
                }
            }
        }
    }
}

fn kept<T: Clone>(list: &[T], keep: &dyn Fn(usize) -> bool) -> Vec<T> {
    list.iter().enumerate().filter(|(place, _)| keep(*place)).map(|(_, it)| it.clone()).collect()
}

fn half(length: Millis) -> Millis {
    Millis::from_ms(length.as_ms() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Task;

    /// Goal: what does not matter is left out, and what matters stays. Method: a rule that breaks
    /// while two certain items are there.
    #[test]
    fn only_what_matters_stays() {
        let plan = (1..).map(Plan::from_seed).find(|plan| plan.workload.len() > 20);
        let plan = plan.expect("a seed with more than 20 items");
        let wanted = [plan.workload[3].clone(), plan.workload[17].clone()];
        let fails = |plan: &Plan| {
            let there = wanted.iter().all(|item| plan.workload.contains(item));
            there.then_some(Rule::S1)
        };
        let small = shrink(&plan, Rule::S1, 10_000, fails);
        assert_eq!(small.workload, wanted);
        assert!(small.faults.is_empty());
    }

    /// Goal: a plan that breaks another rule is not taken.
    #[test]
    fn the_rule_stays_the_same() {
        let plan = Plan::from_seed(1);
        let fails = |plan: &Plan| {
            let messages = plan.workload.iter().filter(|it| matches!(it.task, Task::Message(_)));
            if messages.count() > 3 { Some(Rule::S2) } else { Some(Rule::S1) }
        };
        let small = shrink(&plan, Rule::S2, 10_000, fails);
        assert_eq!(fails(&small), Some(Rule::S2));
    }
}
