//! What must be gone: jobs, files, and records that nobody can read.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::{About, Violation};
use crate::torture::account::{Account, At};
use crate::torture::ledger::{Fact, Verdict, Way};

/// How long the deletion of a file may take after it is no longer needed, or its upload was broken off. A
/// process that dies meanwhile leaves the file to the sweep for orphans, hours later.
const DELETION_TIME_MAX: Duration = Duration::from_secs(2);

/// No media job is left when everybody has had all the time they need.
///
/// # Errors
/// The first that is.
pub fn no_job_is_left(account: &Account) -> Result<(), Violation> {
    let Some(job) = account.remains.jobs.first() else { return Ok(()) };
    let what = format!("its job {} is left: {}", job.media_id, job.state);
    let number = account.number(&job.provider_message_id);
    Err(Violation::new(number.map_or(About::Nothing, About::Message), what))
}

/// Every record could be read.
///
/// # Errors
/// The first that could not.
pub fn every_record_can_be_read(account: &Account) -> Result<(), Violation> {
    match account.remains.unreadable.first() {
        Some(record) => Err(Violation::new(About::Nothing, format!("set aside: {record}"))),
        None => Ok(()),
    }
}

/// No staged file is left but those of failed copies, which are kept for their operator, and those
/// whose process died while it deleted or received them.
///
/// # Errors
/// The first file that is left for another reason.
pub fn no_file_is_left(account: &Account) -> Result<(), Violation> {
    for name in &account.remains.files {
        // An unfinished upload is named after its file.
        let (id, is_part) = match name.split_once(".part") {
            Some((id, _)) => (id, true),
            None => (name.as_str(), false),
        };
        let Ok(media_id) = Uuid::parse_str(id) else {
            return Err(Violation::new(About::Nothing, format!("a file is left: {name}")));
        };
        let excused = match is_part {
            true => died_during_an_upload(account, media_id),
            false => {
                account.remains.failed.contains(&media_id)
                    || died_before_deletion(account, media_id)
            }
        };
        if !excused {
            return Err(Violation::new(About::File(media_id), format!("a file is left: {name}")));
        }
    }
    Ok(())
}

/// The sweep for orphans finds every file that is left, failed copies' included once their time is
/// over.
///
/// # Errors
/// The first file that it does not find.
pub fn the_sweep_leaves_no_file(account: &Account) -> Result<(), Violation> {
    let Some(name) = account.remains.unswept.first() else { return Ok(()) };
    let media_id = Uuid::parse_str(name).map_or(About::Nothing, About::File);
    Err(Violation::new(media_id, format!("the sweep has left a file: {name}")))
}

/// Whether something died when the file was no longer needed, and before it can have been deleted.
fn died_before_deletion(account: &Account, media_id: Uuid) -> bool {
    let archived = account.remains.archive.iter().filter(|row| row.media_id == Some(media_id));
    let archived = archived.map(|row| account.moment(row.archived_at_ms)).map(|at| (at, at));
    let unneeded = archived.chain(duplicates(account, media_id)).max_by_key(|(_, known)| *known);
    unneeded.is_some_and(|(from, known)| account.died_between(from, known + DELETION_TIME_MAX))
}

/// The file of a duplicate is unneeded as soon as the node knows: after the frame was written, and
/// before its receipt was read, which may be after a death.
fn duplicates(account: &Account, media_id: Uuid) -> impl Iterator<Item = (Duration, Duration)> {
    let mut written = BTreeMap::new();
    account.all(Some).filter_map(move |At { at, what, .. }| match what {
        Fact::Written { line, media_id: Some(id), .. } if *id == media_id => {
            written.insert(*line, at);
            None
        }
        Fact::Receipt { line, media_id: Some(id), verdict: Verdict::Durable { .. }, .. }
            if *id == media_id =>
        {
            Some((written.get(line).copied().unwrap_or(at), at))
        }
        _ => None,
    })
}

/// Whether something died while the file was uploaded, or before the end of an upload that was broken off
/// can have been noticed.
fn died_during_an_upload(account: &Account, media_id: Uuid) -> bool {
    let uploads = account.all(|fact| match fact {
        Fact::Staging { media_id: id, way: way @ (Way::Uploaded | Way::BrokenOff), .. } => {
            (*id == media_id).then_some(*way)
        }
        _ => None,
    });
    let uploads: Vec<At<Way>> = uploads.collect();
    let mut broken_off = uploads.iter().filter(|upload| upload.what == Way::BrokenOff);
    if broken_off.any(|At { at, .. }| account.died_between(*at, *at + DELETION_TIME_MAX)) {
        return true;
    }
    let staged = account.all(|fact| match fact {
        Fact::Staged { media_id: id, .. } => (*id == media_id).then_some(()),
        _ => None,
    });
    let first = uploads.iter().map(|upload| upload.at).min();
    let last = staged.map(|staged| staged.at).max();
    first.zip(last).is_some_and(|(first, last)| account.died_between(first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::remains::LeftJob;
    use crate::torture::rules::story::{Story, broken_by};

    /// Goal: a job and a record that are left are found.
    #[test]
    fn a_job_or_record_that_is_left_is_found() {
        let mut story = Story::new();
        let medium = story.medium("m");
        story.keeps(no_job_is_left);
        story.keeps(every_record_can_be_read);
        story.remains.jobs.push(LeftJob {
            media_id: story.media_id(medium),
            provider_message_id: "m".to_owned(),
            state: "active, pending".to_owned(),
        });
        story.remains.unreadable.push("jobs: no JSON".to_owned());
        assert!(broken_by(&story, no_job_is_left).ends_with("is left: active, pending"));
        assert_eq!(broken_by(&story, every_record_can_be_read), "set aside: jobs: no JSON");
    }

    /// Goal: a file that is left is found, unless it is a failed copy's, or something died when it was
    /// to be deleted. A death much later is no excuse.
    #[test]
    fn a_file_that_is_left_is_found() {
        let mut story = Story::new();
        let medium = story.medium("m");
        let media_id = story.media_id(medium);
        story.pass(10);
        story.row(medium, 1);
        story.rows()[0].media_id = Some(media_id);
        story.keeps(no_file_is_left);
        story.remains.files.push(media_id.to_string());

        let mut failed = story.clone();
        failed.remains.failed.push(media_id);
        failed.keeps(no_file_is_left);

        let mut soon = story.clone();
        soon.pass(1);
        soon.death();
        soon.keeps(no_file_is_left);

        story.pass(10);
        story.death();
        assert_eq!(broken_by(&story, no_file_is_left), format!("a file is left: {media_id}"));
        let mut again = story.clone();
        again.written(medium);
        again.duplicate(medium, 1);
        assert_eq!(broken_by(&again, no_file_is_left), format!("a file is left: {media_id}"));
        again.death();
        again.keeps(no_file_is_left);
        story.written(medium);
        story.death();
        story.duplicate(medium, 1);
        story.keeps(no_file_is_left);
    }

    /// Goal: an unfinished upload that is left is found, unless something died during the upload, or soon after
    /// it was broken off (seed 77007 of three nodes); a file with a name of its own always is.
    #[test]
    fn an_unfinished_file_that_is_left_is_found() {
        let mut story = Story::new();
        let medium = story.medium("m");
        let name = format!("{}.part-x", story.media_id(medium));
        story.remains.files.push(name.clone());
        story.uploading(medium);
        let mut died = story.clone();
        died.death();
        died.staged(medium);
        died.keeps(no_file_is_left);
        let mut broken_off = story.clone();
        broken_off.breaking_off(medium);
        for story in [&mut story, &mut broken_off] {
            story.staged(medium);
        }
        let mut late = broken_off.clone();
        late.pass(10);
        for story in [&mut story, &mut broken_off, &mut late] {
            story.death();
        }
        broken_off.keeps(no_file_is_left);
        for story in [&story, &late] {
            assert_eq!(broken_by(story, no_file_is_left), format!("a file is left: {name}"));
        }
        died.keeps(the_sweep_leaves_no_file);
        died.remains.unswept.push("core.1234".to_owned());
        let what = "the sweep has left a file: core.1234";
        assert_eq!(broken_by(&died, the_sweep_leaves_no_file), what);
        died.remains.files.push("core.1234".to_owned());
        assert_eq!(broken_by(&died, no_file_is_left), "a file is left: core.1234");
    }
}
