//! What is said of a failure: one line for programs, one paragraph and one command for people.

use std::path::Path;
use std::process::ExitCode;

use anteroom_sim::campaign;
use anteroom_sim::checker::Broken;
use anteroom_sim::checker::rule::{Kind, Rule};
use anteroom_sim::plan::Plan;
use anteroom_sim::shrink::shrink;
use anteroom_sim::world::Looks;

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

/// The paragraph and the command that people read; with a folder, the plan is shrunk and kept there.
pub(crate) fn tell_people(seed: u64, plan: &Plan, broken: &Broken, keep: Option<&Path>) {
    let Broken { rule, what } = broken;
    print!("\nSeed {seed} broke {rule}, by which {}. {what}.", rule.sentence());
    let Some(folder) = keep else {
        println!("\n\n    anteroom-sim --seed {seed} --trace trace.jsonl\n");
        return;
    };
    std::panic::set_hook(Box::new(|_| {}));
    let small = shrink(plan, *rule, TRIES_MAX, |plan| {
        let report = campaign::run(plan.clone(), looks_for(*rule));
        report.broken.map(|broken| broken.rule)
    });
    let named = folder.join(format!("{}-seed-{seed}.json", rule.to_string().to_lowercase()));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&named, format!("{}\n", small.to_json())));
    if let Err(error) = written {
        println!(" The shrunk plan cannot be kept in {}: {error}.", named.display());
        return;
    }
    println!(
        " It was shrunk from {} items and {} faults to {} and {}, and is kept in {}.\n\n    cargo \
         xtask sim --plan {}\n",
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
