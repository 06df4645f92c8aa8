//! L2: no job is left, and so no lease.

use super::Ends;
use super::seen::{Final, Seen};

#[derive(Default)]
pub(super) struct JobsEnd;

impl Ends for JobsEnd {
    fn see(&mut self, _seen: &Seen<'_>) {}

    fn judge(&self, world: &Final<'_>) -> Result<(), String> {
        match world.store.jobs().next() {
            None => Ok(()),
            Some(job) => Err(format!(
                "job {} of {} is left: {:?}, {:?}, revision {}",
                job.media_id, job.bot_id, job.place, job.status, job.revision
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    /// Goal: a job that is left is found.
    #[test]
    fn a_job_that_is_left_is_found() {
        let mut stage = Stage::new();
        assert_eq!(JobsEnd.judge(&stage.ends()), Ok(()));
        stage.insert_placeholder("m1", 1);
        assert!(JobsEnd.judge(&stage.ends()).is_err());
    }
}
