//! Media: where files wait, and what turns them into text.
//!
//! * [`staging`] owns the directory in which media files wait for their jobs, and nothing else writes
//!   or deletes there.
//! * [`processor`] is the port: one file in, one outcome or failure out, isolated and cancellable.
//! * [`document`], [`command`], [`explain`] and [`stub`] are the processors that need no network,
//!   [`openai`] asks a server.
//! * [`sound`] and [`video`] take files apart with [`ffmpeg`] for other processors, in [`scratch`].
//! * [`engines`] finds out which of them each pool uses on this machine.
//!
//! **Architecture invariant:** a processor never touches queues, jobs, captions or formatting, never
//! deletes the file it reads, and never outlives the call that started it. What reads hostile input
//! reads it in a child process.

pub mod explain;
pub mod processor;
pub mod stub;

#[cfg(not(madsim))]
pub mod by_type;
#[cfg(not(madsim))]
mod child;
#[cfg(not(madsim))]
pub mod command;
#[cfg(not(madsim))]
pub mod confine;
#[cfg(not(madsim))]
pub mod document;
#[cfg(not(madsim))]
pub mod engines;
#[cfg(not(madsim))]
pub mod ffmpeg;
#[cfg(not(madsim))]
pub mod openai;
#[cfg(not(madsim))]
mod parts;
#[cfg(not(madsim))]
mod programs;
#[cfg(not(madsim))]
pub mod scratch;
#[cfg(not(madsim))]
pub mod settings;
#[cfg(not(madsim))]
pub mod sound;
#[cfg(not(madsim))]
pub mod staging;
#[cfg(not(madsim))]
pub mod video;
