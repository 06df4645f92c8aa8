//! What operators see listed: cases for stores that list. The model does not, so they are in no list of
//! the contract; each store that does has a test that runs them.

use anteroom_runtime::store::views::{
    JobFilter, JobQuery, JobState, Question, StatusName, View, Views,
};

use super::fixtures::media;
use super::moves::five_jobs;
use super::{Rig, TestClock};

/// Goal: lists and counts have jobs that are worked on in their places among the others, active and holding,
/// in either order. Method: pages of two, of five jobs of which the second and the fourth are leased.
pub async fn leased_jobs_are_listed_in_their_places(store: &impl Views, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = five_jobs(&rig, clock).await;
    for state in [JobState::Active, JobState::Holding] {
        let listed = async |status, newest_first| {
            let filter = JobFilter { status, ..all(state) };
            let listed = pages_of_two(store, &filter, newest_first).await;
            let View::Count(count) = look(store, Question::Count(filter)).await else {
                panic!("asked for a count, told of something else")
            };
            assert_eq!(count, listed.len() as u64);
            listed
        };
        assert_eq!(listed(None, false).await, [1, 2, 3, 4, 5]);
        assert_eq!(listed(None, true).await, [5, 4, 3, 2, 1]);
        assert_eq!(listed(Some(StatusName::Processing), false).await, [2, 4]);
        assert_eq!(listed(Some(StatusName::Pending), true).await, [5, 3, 1]);
        rig.hold(&fence).await;
    }
}

fn all(state: JobState) -> JobFilter {
    JobFilter { state, bot_id: None, pool: None, status: None, reason: None, before: None }
}

/// The numbers of the jobs that a filter finds.
async fn pages_of_two(store: &impl Views, filter: &JobFilter, newest_first: bool) -> Vec<u64> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let query = JobQuery { filter: filter.clone(), newest_first, after, limit: 2 };
        let View::Jobs(jobs, more) = look(store, Question::Jobs(query)).await else {
            panic!("asked for jobs, told of something else")
        };
        found.extend(jobs.iter().map(|listed| listed.job.media_id));
        after = jobs.last().map(|last| (last.job.created_at, last.job.media_id));
        if !more {
            break;
        }
    }
    let number = |media_id| (1..=5).find(|n| media(*n) == media_id).unwrap_or_default();
    found.into_iter().map(number).collect()
}

async fn look(store: &impl Views, question: Question) -> View {
    store.look(question).await.expect("the store answers")
}
