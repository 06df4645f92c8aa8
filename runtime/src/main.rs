use std::env;
use std::process::ExitCode;

use anteroom_runtime::media::document::extract;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    match arguments.next() {
        Some(subcommand) if subcommand == extract::SUBCOMMAND => extract::main(arguments),
        Some(_) | None => ExitCode::SUCCESS,
    }
}
