//! The driver against a real machine and a scripted world.

mod calls;
mod limits;
mod messages;
mod shutdown;
mod workers;
mod world;
