//! What is said of a failure: one line for programs, one paragraph and one command for people.

use std::path::Path;
use std::process::ExitCode;

use anteroom_sim::campaign::Subject;
use anteroom_sim::checker::Broken;
use anteroom_sim::checker::rule::{Kind, Rule};
use anteroom_sim::plan::Plan;
use anteroom_sim::shrink::shrink;
use anteroom_sim::world::Looks;

use crate::TIER;

/// Plans that shrinking tries at the most.
const TRIES_MAX: u32 = 2_000;

/// The exit code of a broken rule.
pub(crate) fn exit_code(rule: Rule) -> ExitCode {
    ExitCode::from(match rule.kind() {
        Kind::Crash => 10,
        Kind::Safety => 11,
        Kind::Liveness => 12,
    })
}

/// The line that a program reads.
pub(crate) fn tell_programs(seed: u64, broken: &Broken) {
    println!("FAILED rule={} seed={seed}", broken.rule);
}

/// Where a plan came from, as the words that bring it back.
pub(crate) enum Source<'a> {
    /// A seed.
    Seed(u64),
    /// A file.
    File(&'a Path),
}

/// The paragraph and the command that people read; with a folder, the plan of a seed is shrunk and kept
/// there.
pub(crate) fn tell_people(source: &Source<'_>, plan: &Plan, broken: &Broken, keep: Option<&Path>) {
    let Broken { rule, what } = broken;
    let canary = if plan.sabotage.is_some() { " --canary" } else { "" };
    let (named, again) = match source {
        Source::Seed(seed) => (format!("Seed {seed}"), format!("--seed {seed}{canary}")),
        Source::File(path) => (format!("{}", path.display()), format!("--plan {}", path.display())),
    };
    print!("\n{named} broke {rule}, by which {}. {what}.", rule.sentence());
    let (Some(folder), Source::Seed(seed)) = (keep, source) else {
        println!("\n\n    cargo xtask sim{TIER} {again} --trace trace.jsonl\n");
        return;
    };
    std::panic::set_hook(Box::new(|_| {}));
    let small = shrink(plan, *rule, TRIES_MAX, |plan| {
        let report = crate::run_one(Subject::Plan(plan), looks_for(*rule));
        report.broken.map(|broken| broken.rule)
    });
    let tier = if cfg!(madsim) { "-tier-2" } else { "" };
    let name = format!("{}{tier}-seed-{seed}.json", rule.to_string().to_lowercase());
    let named = folder.join(name);
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&named, format!("{}\n", small.to_json())));
    if let Err(error) = written {
        println!(" The shrunk plan cannot be kept in {}: {error}.", named.display());
        return;
    }
    println!(
        " It was shrunk from {} items and {} faults to {} and {}, and is kept in {}.\n\n    cargo \
         xtask sim{TIER} --plan {}\n",
        plan.workload.len(),
        plan.faults.len(),
        small.workload.len(),
        small.faults.len(),
        named.display(),
        named.display()
    );
}

/// How a plan is looked at so that the rule can break.
pub(crate) fn looks_for(rule: Rule) -> Looks {
    Looks { replay: rule == Rule::S11, ..Looks::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a run that broke down, a promise that was broken and one that was never kept have exit codes
    /// of their own.
    #[test]
    fn each_kind_of_failure_has_its_code() {
        assert_eq!(exit_code(Rule::Panic), ExitCode::from(10));
        assert_eq!(exit_code(Rule::S1), ExitCode::from(11));
        assert_eq!(exit_code(Rule::L1), ExitCode::from(12));
    }
}
