//! The runtime of Anteroom.

#![warn(missing_docs)]

#[cfg(not(madsim))]
pub mod cli;
pub mod clock;
#[cfg(not(madsim))]
pub mod config;
pub mod consumer;
pub mod driver;
#[cfg(not(madsim))]
pub mod http;
pub mod media;
#[cfg(not(madsim))]
pub mod observe;
#[cfg(not(madsim))]
pub mod priority;
#[cfg(not(madsim))]
pub mod record;
#[cfg(not(madsim))]
pub mod serve;
pub mod store;
#[cfg(not(madsim))]
pub mod telemetry;
#[cfg(not(madsim))]
pub mod tls;
#[cfg(not(madsim))]
pub mod tokens;
#[cfg(not(madsim))]
pub mod webhook;
