//! Counts the instructions of the cases, under valgrind.
//!
//! Run by `cargo xtask bench core`, which brings the runner that this needs.

use std::hint::black_box;

use anteroom_instructions::{
    Additions, Case, Completions, Eviction, Pops, Window, any, eviction, oldest, texts,
    texts_behind, voice_notes, window,
};
use gungraun::Callgrind;
use gungraun::prelude::*;

#[library_benchmark]
#[bench::of_64(args = (64), setup = window)]
#[bench::of_1000(args = (1_000), setup = window)]
fn text_message(case: Window) -> Window {
    black_box(case.run())
}

#[library_benchmark]
#[bench::of_10(args = (10), setup = texts)]
#[bench::of_100000(args = (100_000), setup = texts)]
fn add_text(case: Additions) -> Additions {
    black_box(case.run())
}

#[library_benchmark]
#[bench::of_10(args = (10), setup = voice_notes)]
#[bench::of_100000(args = (100_000), setup = voice_notes)]
fn add_voice_note(case: Additions) -> Additions {
    black_box(case.run())
}

#[library_benchmark]
#[bench::of_10(args = (10), setup = oldest)]
#[bench::of_100000(args = (100_000), setup = oldest)]
fn complete_oldest(case: Completions) -> Completions {
    black_box(case.run())
}

#[library_benchmark]
#[bench::of_10(args = (10), setup = any)]
#[bench::of_100000(args = (100_000), setup = any)]
fn complete_any(case: Completions) -> Completions {
    black_box(case.run())
}

#[library_benchmark]
#[bench::of_10(args = (10), setup = texts_behind)]
#[bench::of_100000(args = (100_000), setup = texts_behind)]
fn pop_behind(case: Pops) -> Pops {
    black_box(case.run())
}

#[library_benchmark]
#[bench::of_1000(args = (1_000), setup = eviction)]
#[bench::of_100000(args = (100_000), setup = eviction)]
fn evict_700(case: Eviction) -> Eviction {
    black_box(case.run())
}

library_benchmark_group!(
    name = decisions,
    benchmarks = [
        text_message,
        add_text,
        add_voice_note,
        complete_oldest,
        complete_any,
        pop_behind,
        evict_700
    ]
);

// Only instructions are counted: a model of caches would not be this machine's.
main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = decisions
);
