//! One seed or one plan: run, looked at closely, and told.

use std::path::Path;
use std::process::ExitCode;

use anteroom_sim::campaign;
use anteroom_sim::plan::Plan;
use anteroom_sim::world::{Looks, Report};
use anteroom_trace::page::Pages;
use anteroom_trace::replay::Replay;

use crate::{Arguments, failure};

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let plan = match plan(arguments) {
        Ok(plan) => plan,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    let traced = arguments.trace.is_some() || arguments.html.is_some();
    let looks = Looks { digest: true, replay: true, trace: traced };
    let report = campaign::run(plan.clone(), looks);
    let seed = arguments.seed.unwrap_or(plan.draws);
    let name = format!("seed {seed} of the simulation");
    let written = write(arguments.trace.as_deref(), || Ok(report.trace.clone()))
        .and_then(|()| write(arguments.html.as_deref(), || page(&report, name)))
        .and_then(|()| write(arguments.write_plan.as_deref(), || Ok(plan.to_json() + "\n")));
    if let Err(what) = written {
        eprintln!("{what}");
        return ExitCode::from(2);
    }
    if arguments.digest {
        println!("DIGEST seed={seed} {:016x}", report.digest);
    }
    match &report.broken {
        None => {
            println!(
                "PASSED events={} simulated={} callbacks={} again={} hash={:016x}",
                report.steps, report.lasted, report.callbacks, report.repeated, report.digest
            );
            ExitCode::SUCCESS
        }
        Some(broken) => {
            failure::tell_programs(seed, broken);
            if !arguments.quiet {
                let source = match &arguments.plan {
                    Some(path) => failure::Source::File(path),
                    None => failure::Source::Seed(seed),
                };
                failure::tell_people(&source, &plan, broken, arguments.keep.as_deref());
            }
            failure::exit_code(broken.rule)
        }
    }
}

/// Writes a text, where it is asked for.
fn write(path: Option<&Path>, text: impl FnOnce() -> Result<String, String>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let written =
        text().and_then(|text| std::fs::write(path, text).map_err(|error| error.to_string()));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The trace as a page, replayed on the way.
fn page(report: &Report, name: String) -> Result<String, String> {
    let mut pages = Pages::default();
    let mut replay = Replay::default();
    for line in report.trace.lines() {
        let replayed = replay.line(line).map_err(|error| error.to_string())?;
        pages.line(replay.lines(), replayed);
    }
    Ok(pages.page(name))
}

fn plan(arguments: &Arguments) -> Result<Plan, String> {
    if let Some(seed) = arguments.seed {
        return Ok(if arguments.canary { Plan::canary(seed) } else { Plan::from_seed(seed) });
    }
    let Some(path) = &arguments.plan else { return Err("neither a seed nor a plan".to_owned()) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Plan::from_json(&text).map_err(|error| format!("{}: {error}", path.display()))
}
