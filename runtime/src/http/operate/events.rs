//! `GET /v1/events`: notices as they come, as server-sent events.
//!
//! The stream begins with what comes next and keeps nothing for anybody: a reader that is too slow is told
//! how many notices it missed, and is cut off.

use std::convert::Infallible;
use std::sync::Arc;

use anteroom_core::notice::Notice;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::driver::outcome_kind;
use crate::http::HttpState;
use crate::http::listener::KeptPlace;

/// Opens the stream; it lasts until the reader goes, is too slow, or the node stops.
pub(super) async fn stream(State(state): State<HttpState>, place: KeptPlace) -> Response {
    let keep_alive = KeepAlive::new().interval(state.limits.keep_alive_every);
    let notices = state.driver.notices();
    let events = events(Open { state, notices, ended: false, _kept: place });
    let unbuffered = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (unbuffered, Sse::new(events).keep_alive(keep_alive)).into_response()
}

struct Open {
    state: HttpState,
    notices: Receiver<Arc<Notice>>,
    ended: bool,
    _kept: KeptPlace,
}

fn events(open: Open) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(open, async |mut open| {
        if open.ended {
            return None;
        }
        let told = tokio::select! {
            biased;
            () = open.state.shutdown.cancelled() => return None,
            told = next(&mut open.notices) => told?,
        };
        open.ended = matches!(told, Told::Cut { .. });
        let (name, data) = match told {
            Told::Notice(data) => ("notice", data),
            Told::Cut { missed } => ("cut", json!({ "missed": missed })),
        };
        Some((Ok(Event::default().event(name).data(data.to_string())), open))
    })
}

/// What a reader is told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// What was noticed.
    Notice(Value),
    /// The last thing: the reader was too slow, and so many notices are gone.
    Cut { missed: u64 },
}

async fn next(notices: &mut Receiver<Arc<Notice>>) -> Option<Told> {
    match notices.recv().await {
        Ok(notice) => Some(Told::Notice(shown(&notice))),
        Err(RecvError::Lagged(missed)) => Some(Told::Cut { missed }),
        Err(RecvError::Closed) => None,
    }
}

/// A notice without what anybody wrote, and without what a processor said, which may quote it.
fn shown(notice: &Notice) -> Value {
    match notice {
        Notice::MediaEnded { bot_id, media_id, outcome } => json!({
            "notice": "media_ended",
            "bot_id": bot_id,
            "media_id": media_id,
            "outcome": outcome_kind(outcome),
        }),
        Notice::TransientFailure { media_id, detail: _ } => {
            json!({ "notice": "transient_failure", "media_id": media_id })
        }
        other => serde_json::to_value(other).unwrap_or(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use anteroom_core::message::{Extracted, Outcome};

    use super::*;

    /// Goal: a notice is told by ids and kinds, never by contents.
    #[test]
    fn a_notice_holds_no_contents() {
        let media_id = uuid::Uuid::nil().into();
        let text = Extracted { text: "secret words".to_owned(), ..Extracted::default() };
        let ended =
            Notice::MediaEnded { bot_id: "b".into(), media_id, outcome: Outcome::Text(text) };
        let failed = Notice::TransientFailure { media_id, detail: "secret words".to_owned() };
        for notice in [ended, failed] {
            let shown = shown(&notice).to_string();
            assert!(!shown.contains("secret"), "{shown}");
            assert!(shown.contains("media_id"), "{shown}");
        }
        let stopped = shown(&Notice::BotStopped { bot_id: "b".into() });
        assert_eq!(stopped, json!({ "notice": "bot_stopped", "bot_id": "b" }));
    }
    /// Goal: a reader that keeps up is told everything in order; one that does not is told how much it missed.
    /// Method: a channel for two, and five notices.
    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed() {
        let (sender, mut notices) = tokio::sync::broadcast::channel(2);
        let tell = |bot: &str| sender.send(Arc::new(Notice::BotStopped { bot_id: bot.into() }));
        for bot in ["a", "b"] {
            tell(bot).expect("somebody reads");
            let told = Told::Notice(json!({ "notice": "bot_stopped", "bot_id": bot }));
            assert_eq!(next(&mut notices).await, Some(told));
        }
        for bot in ["c", "d", "e", "f", "g"] {
            tell(bot).expect("somebody reads");
        }
        assert_eq!(next(&mut notices).await, Some(Told::Cut { missed: 3 }));
        drop(sender);
    }
}
