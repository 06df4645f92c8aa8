//! The `anteroom` binary.

/// A node's work is small pieces that are made in one thread and given back in another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    anteroom_runtime::cli::main()
}
