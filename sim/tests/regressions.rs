//! Plans that failed once run clean for ever.

use std::path::Path;

use anteroom_sim::campaign;
use anteroom_sim::plan::Plan;
use anteroom_sim::world::Looks;

/// Goal: no failure that was found by the simulation comes back. Method: every plan that is kept in
/// `regressions/`, with all that can be looked at.
#[test]
fn plans_that_failed_run_clean() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let looks = Looks { replay: true, digest: true, ..Looks::default() };
    let mut plans = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is in the tree") {
        let path = entry.expect("the folder can be read").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a plan can be read");
        let plan = Plan::from_json(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let report = campaign::run(plan, looks);
        assert_eq!(report.broken, None, "{}", path.display());
        plans += 1;
    }
    assert!(plans > 0, "no plan is kept");
}
