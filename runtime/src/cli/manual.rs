//! `anteroom man`: the manual's pages.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use clap_mangen::{Man, generate_to};

use super::completions::print;
use super::exit::Exit;

/// Where the pages go.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ManArgs {
    /// Write a page for each command into this directory, which is made where it is missing
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  anteroom man | man -l -
  anteroom man --dir ~/.local/share/man/man1";

/// Prints the page of the command as a whole, or writes every page into a directory.
pub(super) fn run(args: ManArgs, command_line: clap::Command) -> Exit {
    let Some(directory) = args.dir else {
        let mut page = Vec::new();
        return match Man::new(command_line).render(&mut page) {
            Ok(()) => print(&page),
            Err(error) => Exit::failed(error),
        };
    };
    let written =
        fs::create_dir_all(&directory).and_then(|()| generate_to(command_line, &directory));
    match written {
        Ok(()) => Exit::Done,
        Err(error) => Exit::failed(format_args!("{}: {error}", directory.display())),
    }
}
