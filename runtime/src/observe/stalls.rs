//! Whether what must get on gets on: claims, archives and ownerships that the store does not answer.
//!
//! Owns one moment a duty: since when it is asked for in vain. A duty that nobody asks for any more has no
//! work; a retry comes sooner than a stall is called one.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anteroom_core::store::{StoreError, StoreRequest};

use crate::config::value::written;

/// What a node has to get done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Jobs are claimed.
    Claim,
    /// Messages are archived, and their jobs made durable.
    Archive,
    /// Bots are owned.
    Own,
}

/// A duty that does not get on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// Which.
    pub duty: Duty,
    /// For how long it has been asked for in vain.
    pub lasts: Duration,
}

/// How the duties stand.
#[derive(Debug)]
pub struct Stalls {
    after: Duration,
    claim: Mutex<Standing>,
    archive: Mutex<Standing>,
    own: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    /// Since when it has been asked for in vain; none when the last thing that was heard is an answer.
    in_vain_since: Option<Instant>,
    /// How many questions are not answered yet.
    open: usize,
    /// When the last one ended.
    last_end: Option<Instant>,
}

/// A question under way. One that is dropped has ended without an answer.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    standing: &'a Mutex<Standing>,
    answered: bool,
}

impl Duty {
    /// The duty that a request is part of.
    pub(super) fn of(request: &StoreRequest) -> Option<Self> {
        match request {
            StoreRequest::Claim { .. } => Some(Self::Claim),
            StoreRequest::Archive { .. } | StoreRequest::InsertJobs { .. } => Some(Self::Archive),
            StoreRequest::AcquireBot { .. } | StoreRequest::RenewBots { .. } => Some(Self::Own),
            _ => None,
        }
    }
}

impl Stalls {
    /// A duty counts as stalled after so long.
    pub fn new(after: Duration) -> Self {
        let (claim, archive, own) = Default::default();
        Self { after, claim, archive, own }
    }

    /// A question is about to be asked.
    pub(super) fn asks(&self, duty: Duty) -> Asked<'_> {
        self.asks_at(duty, Instant::now())
    }

    fn asks_at(&self, duty: Duty, now: Instant) -> Asked<'_> {
        let standing = match duty {
            Duty::Claim => &self.claim,
            Duty::Archive => &self.archive,
            Duty::Own => &self.own,
        };
        let mut locked = standing.lock().expect("nothing panics while it holds it");
        locked.in_vain_since.get_or_insert(now);
        locked.open += 1;
        drop(locked);
        Asked { standing, answered: false }
    }

    /// The duty that has been asked for in vain for too long, if there is one.
    pub fn worst(&self) -> Option<Stall> {
        self.worst_at(Instant::now())
    }

    fn worst_at(&self, now: Instant) -> Option<Stall> {
        let stalled = |duty, standing: &Mutex<Standing>| {
            let standing = standing.lock().expect("nothing panics while it holds it");
            let lasts = now.saturating_duration_since(standing.in_vain_since?);
            let has_work = standing.open > 0
                || standing.last_end.is_some_and(|end| now.duration_since(end) < self.after);
            (lasts >= self.after && has_work).then_some(Stall { duty, lasts })
        };
        let stalls = [
            stalled(Duty::Own, &self.own),
            stalled(Duty::Claim, &self.claim),
            stalled(Duty::Archive, &self.archive),
        ];
        stalls.into_iter().flatten().max_by_key(|stall| stall.lasts)
    }
}

impl Asked<'_> {
    /// The store has answered, whatever it said, or could not.
    pub(super) fn ends<T>(mut self, result: &Result<T, StoreError>) {
        self.answered = !matches!(result, Err(StoreError::Unavailable { .. }));
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut standing = self.standing.lock().expect("nothing panics while it holds it");
        standing.open -= 1;
        standing.last_end = Some(Instant::now());
        if self.answered {
            standing.in_vain_since = None;
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.duty {
            Duty::Claim => "no job could be claimed",
            Duty::Archive => "no message could be made durable",
            Duty::Own => "no bot could be kept",
        };
        let whole_seconds = Duration::from_secs(self.lasts.as_secs());
        write!(f, "{what} for {}: the store does not answer", written(whole_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(60);

    fn unavailable() -> Result<(), StoreError> {
        Err(StoreError::Unavailable { detail: "away".to_owned() })
    }

    /// Goal: a duty stalls when it has been asked for in vain long enough, and only for as long as it is
    /// asked for. Method: answers, failures and open questions, judged at moments around the bound.
    #[test]
    fn a_duty_stalls_that_is_asked_for_in_vain() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let stalls = Stalls::new(AFTER);
        assert_eq!(stalls.worst_at(at(600)), None, "nobody has asked");

        stalls.asks_at(Duty::Archive, at(0)).ends(&unavailable());
        let open = stalls.asks_at(Duty::Archive, at(30));
        assert_eq!(stalls.worst_at(at(59)), None);
        let stall = stalls.worst_at(at(60)).expect("asked for in vain for a minute");
        assert_eq!(stall, Stall { duty: Duty::Archive, lasts: AFTER });
        let words = "no message could be made durable for 1m: the store does not answer";
        assert_eq!(stall.to_string(), words);

        open.ends(&Err::<(), _>(StoreError::Fenced));
        assert_eq!(stalls.worst_at(at(600)), None, "a refusal is an answer");
    }

    /// Goal: work that went away without an answer does not keep a node from being ready. Method: the only
    /// question fails, and is not asked again.
    #[test]
    fn a_duty_without_work_does_not_stall() {
        let stalls = Stalls::new(AFTER);
        let begun = Instant::now();
        stalls.asks_at(Duty::Claim, begun).ends(&unavailable());
        let ended = Instant::now();
        assert_eq!(stalls.worst_at(ended + 2 * AFTER), None, "it was not asked again");
        stalls.asks_at(Duty::Claim, ended + AFTER).ends(&unavailable());
        assert!(stalls.worst_at(ended + AFTER).is_some(), "it was asked again, in vain");
    }

    /// Goal: a question that is dropped has ended without an answer.
    #[test]
    fn a_dropped_question_is_no_answer() {
        let stalls = Stalls::new(AFTER);
        let begun = Instant::now();
        drop(stalls.asks_at(Duty::Claim, begun));
        let _open = stalls.asks_at(Duty::Claim, begun);
        assert_eq!(stalls.worst_at(begun + AFTER).map(|stall| stall.duty), Some(Duty::Claim));
    }
}
