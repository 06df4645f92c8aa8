//! The listeners on a real node: driver, embedded store and staging, reached over the loopback
//! interface as clients reach them.

mod callback_socket;
mod callbacks;
mod clients;
mod connections;
mod flood;
mod media;
mod messages;
mod provider;
mod receiver;
mod sends;
mod tokens;
mod webhook;
mod world;
