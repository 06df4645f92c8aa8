//! The `anteroom` binary.

fn main() -> std::process::ExitCode {
    anteroom_runtime::cli::main()
}
