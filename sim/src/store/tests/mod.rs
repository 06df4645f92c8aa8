//! What the model answers: every request, repeated, and under an epoch that is not the bot's.

mod archiving;
mod bots;
mod callbacks;
mod claiming;
mod inserting;
mod moving;
mod operating;
mod repetition;
mod revising;
mod sending;
mod support;
mod sweeping;
mod working;
