//! The whole core, from outside: one program, so that it is compiled and linked once.

mod script;

mod claimed_ahead;
mod consumers;
mod debounce;
mod effects;
mod held_up;
mod known_failures;
mod known_failures_page;
mod lifecycle;
mod operating;
mod outbox;
mod ownership;
mod paging;
mod restored_leases;
mod scenarios;
mod sessions;
mod total;
