//! `anteroom serve --record …`: what is recorded, and where.

use std::path::PathBuf;

use anteroom_trace::line::Contents;
use clap::Args;

use crate::record::RecordOptions;

/// Smaller files would hold little besides their machine.
const FILE_BYTES_MIN: u64 = 64 * 1024;

/// A trace of all that the node decides.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recording a trace (see docs/traces.md)")]
pub(super) struct RecordArgs {
    /// Record a trace into this file, to be looked at with `anteroom replay`; older files get numbers
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How large a file of the trace becomes, in bytes, before a new one is begun
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 64 * 1024 * 1024,
        value_parser = clap::value_parser!(u64).range(FILE_BYTES_MIN..),
        requires = "record"
    )]
    record_max_bytes: u64,
    /// How many files of the trace are kept, the current one included
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(1..=1_000),
        requires = "record"
    )]
    record_files: u32,
    /// Record what people write as it is; otherwise each character is replaced
    #[arg(long, requires = "record")]
    record_contents: bool,
}

impl From<RecordArgs> for Option<RecordOptions> {
    fn from(args: RecordArgs) -> Self {
        let contents = if args.record_contents { Contents::Kept } else { Contents::Blanked };
        Some(RecordOptions {
            file: args.record?,
            file_bytes_max: args.record_max_bytes,
            files_max: args.record_files,
            contents,
        })
    }
}
