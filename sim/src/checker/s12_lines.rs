//! S12: no complaint is logged that the plan does not explain.
//!
//! A world of this kind never refuses an operation as invalid, and never holds a record that cannot be
//! used. Late and unknown events are explained by deaths, stops and lost answers; an answer of the
//! wrong kind, or a job that nobody asked for, is explained by nothing.

use anteroom_core::notice::Notice;

use super::Judge;
use super::seen::{Scene, Seen};

#[derive(Default)]
pub(super) struct Lines;

/// What an unexpected event says when nothing explains it.
const NEVER: [&str; 8] = [
    "no answer to",
    "was not asked for",
    "a stale lease of a text",
    "of unknown pool",
    "is held already",
    "opened twice",
    "started twice",
    " fenced",
];

impl Judge for Lines {
    fn see(&mut self, seen: &Seen<'_>, _scene: &Scene<'_>) -> Result<(), String> {
        let Seen::Noticed { node, notice } = seen else { return Ok(()) };
        let unexplained = match notice {
            Notice::StoreRefused { .. } | Notice::RecordSkipped { .. } => true,
            Notice::UnexpectedEvent { what } => NEVER.iter().any(|never| what.contains(never)),
            _ => false,
        };
        if unexplained { Err(format!("node {node}: {notice:?}")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    fn judged(notice: &Notice) -> Result<(), String> {
        Lines.see(&Seen::Noticed { node: 0, notice }, &Stage::new().scene())
    }

    /// Goal: what only a mistake explains is found, what a fault explains is fine.
    #[test]
    fn only_mistakes_are_found() {
        let unexpected = |what: &str| Notice::UnexpectedEvent { what: what.to_owned() };
        assert_eq!(judged(&unexpected("pools: reply to unknown operation 7")), Ok(()));
        assert!(judged(&unexpected("pools: no answer to a claim")).is_err());
        let (operation, detail) = ("archive".to_owned(), "a placeholder".to_owned());
        assert!(judged(&Notice::StoreRefused { operation, detail }).is_err());
    }
}
