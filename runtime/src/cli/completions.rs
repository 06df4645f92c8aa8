//! `anteroom completions`: what a shell needs to complete the command line.

use std::io::{self, Write};

use clap::Args;
use clap_complete::{Shell, generate};

use super::exit::Exit;

/// Which shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  anteroom completions bash > ~/.local/share/bash-completion/completions/anteroom
  anteroom completions zsh > \"${fpath[1]}/_anteroom\"
  anteroom completions fish > ~/.config/fish/completions/anteroom.fish";

/// Prints the script for a command line.
pub(super) fn run(args: &CompletionsArgs, mut command_line: clap::Command) -> Exit {
    let mut script = Vec::new();
    generate(args.shell, &mut command_line, "anteroom", &mut script);
    print(&script)
}

/// Writes to standard output; what nobody reads to its end is no failure of ours.
pub(super) fn print(bytes: &[u8]) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => Exit::failed(error),
    }
}
