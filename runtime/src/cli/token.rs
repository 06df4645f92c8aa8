//! `anteroom token`: a token for somebody, and the hash that the node needs.

use std::io::{self, BufRead};

use clap::Args;

use super::exit::Exit;
use crate::tokens::TokenHash;

/// A new token, or the hash of one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TokenArgs {
    /// Read a token from standard input and print its hash alone
    #[arg(long)]
    hash: bool,
}

const EXAMPLES: &str = "\
Examples:
  anteroom token                     prints a new token, and its hash for the configuration
  anteroom token --hash < my-token   prints the hash of a token that there is

A bot's hash belongs into [bots.BOT] tokens, an operator's into [tokens] operators, and one that may
only look into [tokens] readers.
The node keeps hashes only: a token that is lost is replaced, not looked up.";

/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;

/// Prints a new token and its hash, or the hash of the one on standard input.
pub(super) fn run(args: &TokenArgs) -> Exit {
    if args.hash {
        let mut line = String::new();
        return match io::stdin().lock().read_line(&mut line) {
            Ok(_) if line.trim().is_empty() => Exit::failed("no token on standard input"),
            Ok(_) => {
                println!("{}", TokenHash::of(line.trim()));
                Exit::Done
            }
            Err(error) => Exit::failed(format_args!("standard input cannot be read: {error}")),
        };
    }
    let mut bytes = [0; TOKEN_BYTES];
    if let Err(error) = getrandom::fill(&mut bytes) {
        return Exit::failed(format_args!("the system gives no randomness: {error}"));
    }
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("at_{digits}");
    println!("token  {token}");
    println!("hash   {}", TokenHash::of(&token));
    Exit::Done
}
