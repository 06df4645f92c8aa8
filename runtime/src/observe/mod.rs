//! What a node says of itself: its metrics, and whether it gets on.
//!
//! Owns the series, and how they are fed. Everything is seen from outside: the driver's events and
//! effects, and the store's requests and replies, on their way. Nothing in here decides anything.
//!
//! | file | idea |
//! |---|---|
//! | [`labels`] | what series are told apart by |
//! | [`series`] | every series, with its name, its meaning and its buckets |
//! | [`steps`] | what the driver's steps say |
//! | [`store`] | what the store is asked, and how long it takes |
//! | [`stalls`] | whether claims and archives succeed |
//! | [`vitals`] | what is asked when somebody looks |
//!
//! **Architecture invariants:** no label is a bot, a correspondent, a message or a file, so the number of
//! series is bounded by the configuration and the code; what is kept to measure a length of time is bounded
//! by what is open; nobody who looks makes a message wait.

mod labels;
mod series;
mod stalls;
mod steps;
mod store;
mod vitals;

pub use self::stalls::{Duty, Stall, Stalls};
pub use self::steps::Steps;
pub use self::vitals::{Exposition, ObserveOptions, Vitals};
