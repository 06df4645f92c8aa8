//! L4: staging holds no file but those of failed copies.

use super::Ends;
use super::seen::{Final, Seen};

#[derive(Default)]
pub(super) struct NoOrphans;

impl Ends for NoOrphans {
    fn see(&mut self, _seen: &Seen<'_>) {}

    fn judge(&self, world: &Final<'_>) -> Result<(), String> {
        let mut staged = world.staged.iter();
        match staged.find(|media_id| world.store.failed_copy(**media_id).is_none()) {
            None => Ok(()),
            Some(media_id) => Err(format!("file {media_id} is left, and nobody needs it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, media_id};
    use super::*;

    /// Goal: a file that nobody needs is found, one that a failed copy keeps is fine.
    #[test]
    fn orphans_are_found() {
        let mut stage = Stage::new();
        stage.staged.insert(media_id(1));
        assert!(NoOrphans.judge(&stage.ends()).is_err());
        stage.insert_placeholder("m1", 1);
        stage.fail_and_archive(1);
        assert_eq!(NoOrphans.judge(&stage.ends()), Ok(()));
    }
}
