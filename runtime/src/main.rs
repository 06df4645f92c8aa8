//! The `anteroom` binary.

/// A message is two dozen small allocations: the system's allocator would take a third of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    anteroom_runtime::cli::main()
}
