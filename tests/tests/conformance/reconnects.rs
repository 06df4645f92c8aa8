//! A reconnect at every point of the conversation: nothing is lost, nothing is told twice as new.

use std::collections::BTreeMap;

use anteroom_tests::{Connection, Server, consumer, frames};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A consumer's WebSocket.
struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(server: &Server) -> Self {
        let address = format!("{}/v1/bots/demo/callbacks", server.url().replacen("http", "ws", 1));
        Self(connect_async(address).await.expect("it connects").0)
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(anteroom_tests::PATIENCE, self.0.next()).await;
            match message.expect("something comes") {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).expect("frames are JSON");
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("expected a frame, got {other:?}"),
            }
        }
    }

    async fn ack(&mut self, id: &Value) {
        let frame = json!({"type": "ack", "callback_ids": [id]}).to_string();
        self.0.send(Message::text(frame)).await.expect("it is open");
    }
}

/// Goal: a provider that loses its line at any point sends again what has no receipt, and gets the one id
/// that the message has. Method: the line is cut after the connect, after `hello`, after `welcome`, after the
/// message, and after its receipt; each time the message comes again.
#[tokio::test]
async fn a_provider_may_lose_its_line_anywhere() {
    let server = Server::start().await;
    let message = frames::text("ada", "m1", "hello");
    drop(Connection::open(server.url()).await.expect("it connects"));
    let mut connection = Connection::open(server.url()).await.expect("it connects");
    connection.send(&frames::hello("demo", "only")).await;
    drop(connection);
    drop(Connection::hello(&server, "demo").await);
    let mut connection = Connection::hello(&server, "demo").await;
    connection.message(&message).await;
    drop(connection);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::hello(&server, "demo").await;
        let receipt = connection.receipt(&message).await;
        assert!(["accepted", "duplicate"].contains(&receipt["outcome"].as_str().expect("a word")));
        ids.push(receipt["message_id"].clone());
    }
    assert_eq!(ids, [json!(1), json!(1), json!(1)]);
    let mut connection = Connection::hello(&server, "demo").await;
    let next = connection.receipt(&frames::text("ada", "m2", "more")).await;
    assert_eq!((&next["outcome"], &next["message_id"]), (&json!("accepted"), &json!(2)));
}

/// Goal: a consumer that loses its line at any point gets the same callback again under a higher attempt,
/// until its acknowledgement is confirmed, and never after that. Method: the line is cut after the connect, after
/// the callback, after the acknowledgement before its answer, and after its answer.
#[tokio::test]
async fn a_consumer_may_lose_its_line_anywhere() {
    let server = Server::start().await;
    let mut provider = Connection::hello(&server, "demo").await;
    provider.receipt(&frames::text("ada", "m1", "first")).await;
    provider.receipt(&frames::text("ada", "m2", "second")).await;
    drop(Socket::open(&server).await);

    let mut consumer = Socket::open(&server).await;
    let first = consumer.next().await;
    assert_eq!(first["callback_id"], "demo/ada/1");
    drop(consumer);

    let mut consumer = Socket::open(&server).await;
    let again = consumer.next().await;
    assert_eq!(again["callback_id"], first["callback_id"]);
    assert!(again["attempt"].as_u64() > first["attempt"].as_u64(), "{again}");
    consumer.ack(&again["callback_id"]).await;
    drop(consumer);

    // Whether the acknowledgement arrived is not known: then the callback comes again, or it does not. The
    // next callback may overtake the answer to an acknowledgement, so each one sent here is waited for.
    let mut consumer = Socket::open(&server).await;
    let mut unanswered = 0;
    let mut told = again;
    while told["callback_id"] != "demo/ada/2" || unanswered > 0 {
        let frame = consumer.next().await;
        if frame["type"] == "acked" {
            assert_eq!(frame["unknown"], json!([]));
            unanswered -= 1;
            continue;
        }
        if frame["callback_id"] == told["callback_id"] {
            assert!(frame["attempt"].as_u64() > told["attempt"].as_u64(), "{frame}");
        } else {
            assert_eq!(frame["callback_id"], "demo/ada/2");
        }
        consumer.ack(&frame["callback_id"]).await;
        unanswered += 1;
        told = frame;
    }
    drop(consumer);

    let mut consumer = Socket::open(&server).await;
    provider.receipt(&frames::text("ada", "m3", "third")).await;
    assert_eq!(
        consumer.next().await["callback_id"],
        "demo/ada/3",
        "what is confirmed never comes again"
    );
}

/// Goal: a send is repeated until it is confirmed, on whichever line, and not after that. Method: the line is
/// cut after the `send`, and after the `sent`; a later send shows that nothing else is owed.
#[tokio::test]
async fn a_send_is_repeated_until_it_is_confirmed() {
    let server = Server::start().await;
    let client = anteroom_tests::http_client();
    let url = format!("{}/v1/bots/demo/sends", server.url());
    let enqueue = async |send_id: &str| {
        let send = json!({"send_id": send_id, "correspondent_id": "ada", "message": "hi"});
        let answer = client.post(&url).json(&send).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    };
    let mut connection = Connection::hello(&server, "demo").await;
    enqueue("s1").await;
    let send = connection.next().await.expect("a send");
    assert_eq!((&send["type"], &send["send_id"]), (&json!("send"), &json!("s1")));
    drop(connection);

    let mut connection = Connection::hello(&server, "demo").await;
    let again = connection.next().await.expect("a send");
    assert_eq!(again["send_id"], "s1");
    connection.send(&json!({"type": "sent", "send_id": "s1", "provider_message_id": "o1"})).await;
    // The receipt of a message behind it shows that the confirmation was read.
    connection.receipt(&frames::text("ada", "m1", "x")).await;
    enqueue("s2").await;
    assert_eq!(connection.next().await.expect("a send")["send_id"], "s2");
    connection.send(&json!({"type": "sent", "send_id": "s2", "provider_message_id": "o2"})).await;
    connection.receipt(&frames::text("ada", "m2", "x")).await;
    enqueue("s1").await;
    drop(connection);
    let mut connection = Connection::hello(&server, "demo").await;
    enqueue("s3").await;
    assert_eq!(connection.next().await.expect("a send")["send_id"], "s3");
}

/// Goal: whatever a stream says in `Last-Event-ID`, what is not acknowledged comes again, and what is
/// acknowledged does not. Method: ids of all kinds, of this and of nobody's callbacks.
#[tokio::test]
async fn last_event_id_is_no_acknowledgement() {
    let server = Server::start().await;
    let mut provider = Connection::hello(&server, "demo").await;
    provider.receipt(&frames::text("ada", "m1", "first")).await;
    provider.receipt(&frames::text("ada", "m2", "second")).await;
    let url = format!("{}/v1/bots/demo/callbacks", server.url());
    let client = anteroom_tests::http_client();
    let mut attempts = BTreeMap::new();
    let long = "x".repeat(4_000);
    for id in
        ["demo/ada/1", "demo/ada/2", "demo/ada/999", "", "-1", "../../etc", "%00%ff", long.as_str()]
    {
        let request = client.get(&url).header("last-event-id", id);
        let mut stream = request.send().await.expect("an answer");
        assert_eq!(stream.status(), 200, "{id}");
        let mut text = String::new();
        while !text.contains("\n\n") {
            let chunk = stream.chunk().await.expect("the stream lives").expect("an event");
            text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
        let callback: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(callback["callback_id"], "demo/ada/1", "{id}");
        let attempt = callback["attempt"].as_u64().expect("a number");
        assert!(attempts.values().all(|before| *before < attempt), "{attempts:?} {attempt}");
        attempts.insert(id.to_owned(), attempt);
    }
    let acked = consumer::acknowledge(&client, &url, &["demo/ada/1".to_owned()]).await;
    assert_eq!(acked.expect("an answer")["acknowledged"], 1);
}
