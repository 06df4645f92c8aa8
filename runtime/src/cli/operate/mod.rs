//! What operators type: `bots`, `jobs`, `callbacks`, `explain`, `nodes`, `top`.
//!
//! Clients of the operators' API, and of nothing else: what they print is what it answers, as tables for
//! people or as it came, with `--json`, for programs.
//!
//! | file | idea |
//! |---|---|
//! | [`api`] | asking, and what a refusal means |
//! | [`table`] | columns, ages, times |
//! | the others | one command each |

mod api;
mod bots;
mod callbacks;
mod explain;
mod jobs;
mod nodes;
mod table;
mod top;

pub(super) use bots::{BotsCommand, run as bots};
pub(super) use callbacks::{CallbacksCommand, run as callbacks};
pub(super) use explain::{ExplainArgs, run as explain};
pub(super) use jobs::{JobsCommand, run as jobs};
pub(super) use nodes::{NodesCommand, run as nodes};
pub(super) use top::{TopArgs, run as top};

/// How every command here ends, for its help.
const EXITS: &str = "Exit codes: 0 done, 1 refused or not found, 2 wrong usage, 3 no server";
