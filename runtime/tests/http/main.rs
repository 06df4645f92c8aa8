//! The listeners on a real node: driver, embedded store and staging, reached over the loopback
//! interface as clients reach them.

mod callbacks;
mod clients;
mod connections;
mod flood;
mod media;
mod messages;
mod provider;
mod sends;
mod world;
