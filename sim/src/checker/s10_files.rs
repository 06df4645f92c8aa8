//! S10: a staged file is deleted only when no open job needs it and no failed copy keeps it.

use super::Judge;
use super::seen::{Scene, Seen};

#[derive(Default)]
pub(super) struct Files;

impl Judge for Files {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), String> {
        let Seen::Deleted { media_id } = seen else { return Ok(()) };
        if let Some(job) = scene.store.job(*media_id).filter(|job| job.outcome().is_none()) {
            return Err(format!("file {media_id} is deleted, its job is {:?}", job.status));
        }
        if scene.store.failed_copy(*media_id).is_some() {
            return Err(format!("file {media_id} is deleted, and a failed copy keeps it"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, media_id};
    use super::*;

    /// Goal: deleting the file of a job is found, deleting one that nobody knows is fine.
    #[test]
    fn the_file_of_a_job_stays() {
        let mut stage = Stage::new();
        stage.insert_placeholder("m1", 1);
        let deleted = |number| Seen::Deleted { media_id: media_id(number) };
        assert!(Files.see(&deleted(1), &stage.scene()).is_err());
        assert_eq!(Files.see(&deleted(2), &stage.scene()), Ok(()));
    }

    /// Goal: deleting the file of a failed copy is found, also when its job has ended.
    #[test]
    fn the_file_of_a_failed_copy_stays() {
        let mut stage = Stage::new();
        stage.insert_placeholder("m1", 1);
        stage.fail_and_archive(1);
        assert!(stage.store.job(media_id(1)).is_none());
        assert!(Files.see(&Seen::Deleted { media_id: media_id(1) }, &stage.scene()).is_err());
    }
}
