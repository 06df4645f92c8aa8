//! Who waits for whom: a flood is its sender's own, and a slow reader costs itself only.

use anteroom_tests::{Acknowledge, Connection, Consumer, Server, frames};
use futures_util::{Sink, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// Messages of a flood that are on their way at once: more than a window, so that it is beyond its window all
/// the time; fewer than the answers that the server keeps for a client that is slow to read.
const FLOOD_AT_ONCE: u64 = 768;

/// Waits until so many messages of a flood are `answered` that number `seq` may be sent. False when its line
/// has ended.
async fn has_room<S>(sink: &mut S, seq: u64, answered: &mut watch::Receiver<u64>) -> bool
where
    S: Sink<Message> + Unpin,
{
    let fits = |answered: &u64| seq - answered <= FLOOD_AT_ONCE;
    if fits(&answered.borrow()) {
        return true;
    }
    sink.flush().await.is_ok() && answered.wait_for(fits).await.is_ok()
}

/// Goal: one bot's flood does not delay another's messages: while the flood goes on without end, each
/// of the other's is served as it comes. Method: what counts is the order, not the time: how many receipts of the
/// flood are written while one message of the other is on its way. In a fair line that is about what is in
/// line already, whatever the flood still has.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_one_bot_does_not_delay_another() {
    /// More than the inbox, the sockets' buffers and a window hold, by far less than the flood has.
    const IN_LINE_MAX: u64 = 5_000;
    const MESSAGES: u64 = 30;
    let server = Server::start().await;
    let url = format!("{}/v1/provider", server.url().replacen("http", "ws", 1));
    let (socket, _) = connect_async(url).await.expect("it connects");
    let (mut sink, mut stream) = socket.split();
    let hello = frames::hello("flood", "flood").to_string();
    sink.send(Message::text(hello)).await.expect("it is open");
    let (count, mut counts) = watch::channel(0_u64);
    let mut answered = counts.clone();
    let writing = tokio::spawn(async move {
        for seq in 1_u64.. {
            let mut frame = frames::text(&format!("c{}", seq % 50), &format!("f{seq}"), "flood");
            frame["seq"] = seq.into();
            if !has_room(&mut sink, seq, &mut answered).await
                || sink.feed(Message::text(frame.to_string())).await.is_err()
            {
                return;
            }
        }
    });
    let reading = tokio::spawn(async move {
        let mut receipts = 0;
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Text(text) = message
                && text.contains("\"receipt\"")
            {
                receipts += 1;
                count.send_replace(receipts);
            }
        }
    });
    counts.wait_for(|receipts| *receipts > 500).await.expect("the flood goes on");
    let mut other = Connection::hello(&server, "other").await;
    let consumer = Consumer::connect(&server, "other", Acknowledge::Promptly);
    let mut waited = Vec::new();
    for number in 0..MESSAGES {
        let before = *counts.borrow();
        let receipt = other.receipt(&frames::text("ada", &format!("m{number}"), "hello")).await;
        assert_eq!(receipt["outcome"], "accepted");
        waited.push(*counts.borrow() - before);
    }
    let so_far = *counts.borrow();
    counts.wait_for(|receipts| *receipts > so_far + IN_LINE_MAX).await.expect("the flood goes on");
    consumer.confirmed(usize::try_from(MESSAGES).expect("it is small")).await;
    waited.sort_unstable();
    println!("receipts of the flood while one message was on its way: {waited:?}");
    assert!(waited[waited.len() / 2] < IN_LINE_MAX, "{waited:?}");
    reading.abort();
    writing.abort();
}

/// Goal: a consumer that reads nothing costs itself only: another bot's callbacks come, and the slow one gets
/// all of its own once it reads. Method: a socket that is not read while messages come.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_consumer_that_does_not_read_costs_itself_only() {
    const MESSAGES: usize = 200;
    let server = Server::start().await;
    let url = format!("{}/v1/bots/slow/callbacks", server.url().replacen("http", "ws", 1));
    let (mut slow, _) = connect_async(url).await.expect("it connects");
    let mut provider = Connection::hello(&server, "slow").await;
    for number in 0..MESSAGES {
        let from = format!("c{number}");
        let receipt = provider.receipt(&frames::text(&from, "m", &"x".repeat(600))).await;
        assert_eq!(receipt["outcome"], "accepted");
    }
    let mut other = Connection::hello(&server, "other").await;
    let consumer = Consumer::connect(&server, "other", Acknowledge::Promptly);
    other.receipt(&frames::text("ada", "m", "hello")).await;
    consumer.confirmed(1).await;
    let mut acked = 0;
    while acked < MESSAGES {
        let message = slow.next().await.expect("the stream lives").expect("it is open");
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        if frame["type"] == "acked" {
            acked +=
                usize::try_from(frame["acknowledged"].as_u64().expect("a number")).expect("small");
        } else {
            let ack = json!({"type": "ack", "callback_ids": [frame["callback_id"]]});
            slow.send(Message::text(ack.to_string())).await.expect("it is open");
        }
    }
}

/// Goal: a flood of one bot does not starve another that comes over the same line: while the flood goes on
/// without end, each message of the other is accepted.
/// Method: what counts is the order: how many messages of the flood that were sent behind one of the other are
/// durable before it. Of the flood only a window is on its way at once, and the store takes each bot's
/// messages in turn, so that is a few windows, whatever the flood still has.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_one_bot_does_not_starve_another_on_its_line() {
    /// Messages of the flood between two of the other.
    const BETWEEN: u64 = 500;
    const MESSAGES: u64 = 30;
    let server = Server::start().await;
    let url = format!("{}/v1/provider", server.url().replacen("http", "ws", 1));
    let (socket, _) = connect_async(url).await.expect("it connects");
    let (mut sink, mut stream) = socket.split();
    let mut window = 0;
    for bot in ["flood", "other"] {
        let hello = frames::hello(bot, "both").to_string();
        sink.send(Message::text(hello)).await.expect("it is open");
        let welcome = frame(&mut stream).await;
        assert_eq!((&welcome["type"], &welcome["bot_id"]), (&json!("welcome"), &json!(bot)));
        window = welcome["window"].as_u64().expect("welcome names the window");
    }
    let (count, mut answered) = watch::channel(0_u64);
    let writing = tokio::spawn(async move {
        for seq in 1_u64.. {
            let mut flood = frames::text(&format!("c{}", seq % 50), &format!("f{seq}"), "flood");
            flood["bot_id"] = "flood".into();
            flood["seq"] = seq.into();
            if !has_room(&mut sink, seq, &mut answered).await
                || sink.feed(Message::text(flood.to_string())).await.is_err()
            {
                return;
            }
            if seq % BETWEEN == 0 {
                let mut other = frames::text("ada", &format!("m{seq}"), "hello");
                other["bot_id"] = "other".into();
                other["seq"] = (seq / BETWEEN).into();
                if sink.feed(Message::text(other.to_string())).await.is_err() {
                    return;
                }
            }
        }
    });
    let mut durable = Vec::new();
    let mut overtaken_by = Vec::new();
    while (overtaken_by.len() as u64) < MESSAGES {
        let receipt = frame(&mut stream).await;
        assert_eq!(receipt["type"], "receipt", "{receipt}");
        let seq = receipt["seq"].as_u64().expect("a number");
        if receipt["bot_id"] == "flood" {
            count.send_modify(|answered| *answered += 1);
            if receipt["outcome"] == "accepted" {
                durable.push(seq);
            }
            continue;
        }
        assert_eq!(
            (&receipt["bot_id"], &receipt["outcome"]),
            (&json!("other"), &json!("accepted"))
        );
        assert_eq!(seq, overtaken_by.len() as u64 + 1, "in the order in which they were sent");
        overtaken_by.push(durable.iter().filter(|sent| **sent > seq * BETWEEN).count() as u64);
    }
    writing.abort();
    println!("messages of the flood that overtook one of the other: {overtaken_by:?}");
    assert!(overtaken_by.iter().all(|count| *count <= 4 * window), "{overtaken_by:?}");
}

/// The next frame that is not a mere sign of life.
async fn frame<S>(stream: &mut S) -> Value
where
    S: futures_util::Stream<Item = tokio_tungstenite::tungstenite::Result<Message>> + Unpin,
{
    loop {
        let message = tokio::time::timeout(anteroom_tests::PATIENCE, stream.next()).await;
        let message = message.expect("something comes").expect("the line lives");
        if let Message::Text(text) = message.expect("it is open") {
            return serde_json::from_str(&text).expect("frames are JSON");
        }
    }
}
