//! The listener of a node: provider connections, streams of callbacks, requests. What the shipped
//! listeners do over HTTP is done here over plain connections of the simulated network, with the same
//! handle, in the same order, and with the same care for what is true only for a while.

use std::sync::Arc;
use std::time::Duration;

use anteroom_core::bot::event::Callback;
use anteroom_core::id::{BotId, SessionId};
use anteroom_core::receipt::Receipt;
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::store::EnqueueAnswer;
use anteroom_core::time::Timestamp;
use anteroom_runtime::driver::{Handle, StreamItem};
use madsim::net::{Endpoint, Receiver, Sender};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::network;
use super::ports::Place;
use crate::checker::marks::Mark;
use crate::checker::seen::Seen;
use crate::world::lines::Request;

/// How long a line may say nothing before it says what it is.
const OPENING_MAX: Duration = Duration::from_secs(10);

/// How long a peer may read nothing.
const STALL_MAX: Duration = Duration::from_secs(30);

/// The first thing said over a line.
pub(super) enum Opening {
    /// A provider connects.
    Provider(SessionId, Room),
    /// A consumer wants a bot's callbacks.
    Stream(BotId, Room),
    /// Somebody asks for something.
    Request(Request),
}

/// How much more fits into the line before somebody reads from it: what is written takes a place, what
/// is read gives it back.
pub(super) type Room = Arc<Semaphore>;

/// What a provider hears, and when it was written.
pub(super) struct Heard(pub Timestamp, pub SessionEffect);

/// What a stream carries.
pub(super) enum OnStream {
    /// One callback, or several together.
    Callbacks(Vec<Callback>),
    Replaced,
}

/// The answer to a request.
pub(super) enum Answer {
    Post(Receipt),
    Enqueue(Option<EnqueueAnswer>),
    Acknowledge,
}

/// Takes lines until it is told to end, and ends when the last of them has.
pub(super) async fn listen(place: Place, handle: Handle, stop: CancellationToken) {
    let endpoint = Endpoint::bind(network::node(place.node)).await.expect("the address is free");
    let lines = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = endpoint.accept1() => accepted,
        };
        let Ok((to_peer, from_peer, _)) = accepted else { break };
        let line = Line {
            place: place.clone(),
            handle: handle.clone(),
            stop: stop.clone(),
            to_peer,
            from_peer,
        };
        tokio::spawn(lines.track_future(line.serve()));
    }
    lines.close();
    lines.wait().await;
}

struct Line {
    place: Place,
    handle: Handle,
    stop: CancellationToken,
    to_peer: Sender,
    from_peer: Receiver,
}

impl Line {
    async fn serve(mut self) {
        let opening = timeout(OPENING_MAX, self.from_peer.recv()).await;
        let Ok(Ok(opening)) = opening else { return };
        match *opening.downcast::<Opening>().expect("a line begins with its opening") {
            Opening::Provider(session_id, room) => self.provider(session_id, &room).await,
            Opening::Stream(bot_id, room) => self.stream(bot_id, &room).await,
            Opening::Request(request) => self.request(request).await,
        }
    }

    async fn provider(mut self, session_id: SessionId, room: &Room) {
        let Ok(effects) = self.handle.open_session(session_id).await else { return };
        let Self { place, handle, stop, to_peer, from_peer } = &mut self;
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = write_all(place, handle, session_id, effects, to_peer, room) => {}
            () = read_all(handle, session_id, from_peer) => {}
        }
        // A driver that has stopped needs not be told.
        let _ = handle.session_event(session_id, SessionEvent::Closed).await;
    }

    async fn stream(mut self, bot_id: BotId, room: &Room) {
        let Ok(mut attached) = self.handle.attach_consumer(bot_id).await else { return };
        loop {
            let item = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                // A consumer says nothing over its stream: something heard is its end.
                _ = self.from_peer.recv() => return,
                item = attached.items.recv() => item,
            };
            let (callbacks, valid_until) = match item {
                Some(StreamItem::Callback { callback, valid_until, .. }) => {
                    (vec![callback], valid_until)
                }
                Some(StreamItem::Callbacks { callbacks, valid_until, .. }) => {
                    (callbacks, valid_until)
                }
                Some(StreamItem::Replaced) => {
                    if takes_a_place(room).await {
                        let _ = self.to_peer.send(Box::new(OnStream::Replaced)).await;
                    }
                    return;
                }
                Some(StreamItem::Ended) | None => return,
            };
            for callback in &callbacks {
                let (node, stream_id) = (self.place.node, attached.stream_id);
                self.place.show(&Seen::StreamedOver { node, stream_id, callback });
            }
            if !takes_a_place(room).await {
                return;
            }
            if self.handle.now() >= valid_until {
                self.place.stage.with(|world| world.reach(Mark::LateEffectDropped));
                continue;
            }
            let on_stream = OnStream::Callbacks(callbacks);
            if self.to_peer.send(Box::new(on_stream)).await.is_err() {
                return;
            }
        }
    }

    async fn request(self, request: Request) {
        let answer = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            answer = answer(&self.place, &self.handle, request) => answer,
        };
        if let Some(answer) = answer {
            let _ = self.to_peer.send(Box::new(answer)).await;
        }
    }
}

/// The answer to a request; none from a node that is stopping.
async fn answer(place: &Place, handle: &Handle, request: Request) -> Option<Answer> {
    let Place { stage, node, .. } = place;
    Some(match request {
        Request::Post { bot_id, request_id, draft } => {
            let receipt = handle.post_message(bot_id.clone(), draft).await.ok()?;
            stage.with(|world| world.post_told(*node, &bot_id, request_id, &receipt));
            Answer::Post(receipt)
        }
        Request::Enqueue { bot_id, send } => {
            Answer::Enqueue(handle.enqueue_send(bot_id, send).await.ok()?)
        }
        Request::Acknowledge { bot_id, key } => {
            let answer = handle.acknowledge(bot_id.clone(), vec![key.clone()]).await.ok()?;
            if let Some(answer) = &answer {
                stage.with(|world| world.ack_answered(*node, &bot_id, &key, answer));
            }
            Answer::Acknowledge
        }
    })
}

async fn read_all(handle: &Handle, session_id: SessionId, from_peer: &mut Receiver) {
    while let Ok(payload) = from_peer.recv().await {
        let event = payload.downcast::<SessionEvent>().expect("a provider sends events");
        if handle.session_event(session_id, *event).await.is_err() {
            return;
        }
    }
}

async fn write_all(
    place: &Place,
    handle: &Handle,
    session_id: SessionId,
    mut effects: mpsc::Receiver<SessionEffect>,
    to_peer: &Sender,
    room: &Room,
) {
    while let Some(effect) = effects.recv().await {
        place.show(&Seen::HandedOver { node: place.node, session_id, effect: &effect });
        if !takes_a_place(room).await {
            return;
        }
        if valid_until(&effect) <= handle.now() {
            place.stage.with(|world| world.reach(Mark::LateEffectDropped));
            return;
        }
        place.stage.with(|world| world.written(place.node, session_id, &effect));
        let heard = Heard(place.stage.now(), effect);
        if to_peer.send(Box::new(heard)).await.is_err() {
            return;
        }
    }
}

/// Waits for room on the line; false when there is none for too long.
async fn takes_a_place(room: &Room) -> bool {
    match timeout(STALL_MAX, room.acquire()).await {
        Ok(Ok(place)) => {
            place.forget();
            true
        }
        Ok(Err(_)) | Err(_) => false,
    }
}

fn valid_until(effect: &SessionEffect) -> Timestamp {
    match effect {
        SessionEffect::Receipt { valid_until, .. } | SessionEffect::Send { valid_until, .. } => {
            *valid_until
        }
        SessionEffect::Welcome { .. }
        | SessionEffect::Error { .. }
        | SessionEffect::Pong
        | SessionEffect::Ping
        | SessionEffect::Close => Timestamp::MAX,
    }
}
