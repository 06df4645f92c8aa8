//! Those outside: providers, consumers, and people, each on a machine of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anteroom_core::bot::event::Callback;
use anteroom_core::id::SessionId;
use anteroom_core::session::event::SessionEvent;
use anteroom_core::store::StoreRequest;
use anteroom_core::time::Millis;
use madsim::net::{Endpoint, Receiver, Sender};
use madsim::time::sleep;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::listener::{Answer, Heard, OnStream, Opening};
use super::network;
use super::stage::Stage;
use super::store_node::{ASKED, Asked, What};
use crate::checker::marks::Mark;
use crate::world::lines::{Request, Said};

/// How long a connection may take to be there.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long an answer is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Frames that a provider's line holds before somebody reads from it.
const FRAMES_UNREAD_MAX: usize = 16;

/// Callbacks that a consumer's stream holds before somebody reads from it.
const CALLBACKS_UNREAD_MAX: usize = 4;

/// How often somebody says nonsense who says it without an end.
const FLOOD: usize = 250;

/// How often somebody looks whether a way is still cut.
const LOOK_EVERY: Duration = Duration::from_secs(1);

async fn connect(node: usize, opening: Opening) -> io::Result<(Sender, Receiver)> {
    let connecting = async {
        let endpoint = Endpoint::bind("0.0.0.0:0").await?;
        let (to_node, from_node) = endpoint.connect1(network::node(node)).await?;
        to_node.send(Box::new(opening)).await?;
        Ok((to_node, from_node))
    };
    timeout(CONNECT_MAX, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A provider's connection, from its beginning to its end.
pub(super) async fn provider_line(
    stage: Stage,
    provider: usize,
    node: usize,
    session_id: SessionId,
    mut said: mpsc::UnboundedReceiver<Said>,
) {
    let room = Arc::new(Semaphore::new(FRAMES_UNREAD_MAX));
    let opening = Opening::Provider(session_id, Arc::clone(&room));
    if let Ok((to_node, mut from_node)) = connect(node, opening).await {
        let saying = async {
            while let Some((at, event)) = said.recv().await {
                stage.until(at).await;
                if to_node.send(Box::new(event)).await.is_err() {
                    return;
                }
            }
        };
        let hearing = async {
            while let Ok(payload) = from_node.recv().await {
                let heard = payload.downcast::<Heard>().expect("a node says what is heard");
                let Heard(written_at, effect) = *heard;
                let heard_at = stage.with(|world| world.heard_at(provider, session_id, written_at));
                let Some(heard_at) = heard_at else { continue };
                stage.until(heard_at).await;
                room.add_permits(1);
                stage.with(|world| world.provider_hears(provider, session_id, effect));
            }
        };
        tokio::select! {
            biased;
            () = saying => {}
            () = hearing => {}
        }
        // The end of a connection does not come through where nothing does.
        while stage.with(|world| world.weather.providers[provider].cut) {
            sleep(LOOK_EVERY).await;
        }
    }
    stage.with(|world| world.line_ended(provider, session_id));
}

/// A consumer's stream of callbacks, from its beginning to its end.
pub(super) async fn consumer_stream(
    stage: Stage,
    bot: usize,
    node: usize,
    number: u64,
    end: CancellationToken,
) {
    let bot_id = stage.with(|world| world.bot_id(bot));
    let room = Arc::new(Semaphore::new(CALLBACKS_UNREAD_MAX));
    let opening = Opening::Stream(bot_id, Arc::clone(&room));
    if let Ok((_to_node, mut from_node)) = connect(node, opening).await {
        loop {
            let heard = tokio::select! {
                biased;
                () = end.cancelled() => break,
                heard = from_node.recv() => heard,
            };
            let Ok(payload) = heard else { break };
            room.add_permits(1);
            let on_stream = payload.downcast::<OnStream>().expect("a stream carries callbacks");
            let OnStream::Callbacks(callbacks) = *on_stream else { break };
            tokio::spawn(callbacks_come(stage.clone(), bot, node, callbacks));
        }
    }
    stage.with(|world| world.stream_ended(bot, node, number));
}

/// Callbacks on their way to their consumer, and an acknowledgement of each.
async fn callbacks_come(stage: Stage, bot: usize, node: usize, callbacks: Vec<Callback>) {
    let Some(takes) = stage.with(|world| world.callback_takes(bot)) else { return };
    if takes > Millis::ZERO {
        sleep(takes.into()).await;
    }
    let got = |callback: Callback| {
        let wait = stage.with(|world| world.consumer_gets(bot, &callback))?;
        Some((callback, wait))
    };
    let count = callbacks.len();
    let acknowledged: Vec<_> = callbacks.into_iter().filter_map(got).collect();
    if !acknowledged.is_empty() && acknowledged.len() < count {
        stage.with(|world| world.reach(Mark::PartAcknowledged));
    }
    for (callback, wait) in acknowledged {
        sleep(wait.into()).await;
        let bot_id = stage.with(|world| world.bot_id(bot));
        if let Some(send) = stage.with(|world| world.reply_to(bot, &callback)) {
            let request = Request::Enqueue { bot_id: bot_id.clone(), send };
            ask(stage.clone(), node, request).await;
        }
        let request = Request::Acknowledge { bot_id, key: callback.key() };
        ask(stage.clone(), node, request).await;
    }
}

/// Floods a node with what is no frame, over a connection that introduces nobody, and reads nothing.
pub(super) async fn flood(node: usize, session_id: SessionId, with: SessionEvent) {
    let opening = Opening::Provider(session_id, Arc::new(Semaphore::new(0)));
    let Ok((to_node, _from_node)) = connect(node, opening).await else { return };
    for _ in 0..FLOOD {
        if to_node.send(Box::new(with.clone())).await.is_err() {
            return;
        }
    }
    sleep(CONNECT_MAX).await;
}

/// Asks a node for something, and hears the answer, if there is one.
pub(super) async fn ask(stage: Stage, node: usize, request: Request) {
    let about = match &request {
        Request::Post { request_id, .. } => (Some(*request_id), None),
        Request::Enqueue { send, .. } => (None, Some(send.send_id.clone())),
        Request::Acknowledge { .. } => (None, None),
    };
    let Ok((_to_node, mut from_node)) = connect(node, Opening::Request(request)).await else {
        return;
    };
    let Ok(Ok(payload)) = timeout(ANSWER_MAX, from_node.recv()).await else { return };
    let answer = payload.downcast::<Answer>().expect("a request is answered");
    match (*answer, about) {
        (Answer::Post(receipt), (Some(request_id), _)) => {
            stage.with(|world| world.post_hears(request_id, &receipt));
        }
        (Answer::Enqueue(answer), (_, Some(send_id))) => {
            stage.with(|world| world.send_answered(&send_id, answer));
        }
        _ => {}
    }
}

/// Asks the store for something, and does not wait for what it says.
pub(super) async fn ask_store(request: StoreRequest) {
    if let Ok(endpoint) = Endpoint::bind("0.0.0.0:0").await {
        let asked = Asked { number: 0, by: None, what: What::Execute(request) };
        let _ = endpoint.send_to_raw(network::store(), ASKED, Box::new(asked)).await;
    }
}
