//! Who may ask where there are tokens.

use anteroom_runtime::tokens::{TokenHash, Tokens};
use reqwest::Method;
use serde_json::json;

use crate::world::{Answer, Socket, World, client, hello, message, posted};

async fn guarded() -> World {
    let mut tokens = Tokens::default();
    tokens.allow_bot("demo".into(), TokenHash::of("good"));
    tokens.allow_bot("demo-2".into(), TokenHash::of("second"));
    tokens.allow_operator(TokenHash::of("operator"));
    World::with_tokens(tokens).await
}

async fn ask(world: &World, method: Method, path: &str, token: Option<&str>, body: &str) -> Answer {
    let request = client().request(method, world.at(path)).body(body.to_owned());
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    Answer::of(request.send().await.expect("an answer")).await
}

async fn refused(mut socket: Socket, hello: serde_json::Value) {
    socket.say(&hello).await;
    let error = socket.next().await;
    assert_eq!(
        (&error["code"], &error["fatal"]),
        (&json!("unauthorized"), &json!(true)),
        "{error}"
    );
    assert_eq!(u16::from(socket.closed().await.expect("it is closed in order").code), 1000);
}

/// Goal: a provider shows its bot's token in its `hello` or in a header, the `hello`'s first; no other token
/// does, and what is refused does not tell whether there is such a bot.
#[tokio::test]
async fn a_provider_shows_its_bots_token() {
    let world = guarded().await;
    let with = |bot: &str, token: &str| {
        let mut hello = hello(bot, "cli");
        hello["token"] = token.into();
        hello
    };
    for (bot, token) in [
        ("demo", "bad"),
        ("demo", "second"),
        ("demo", "operator"),
        ("nobody", "good"),
        ("demo", "good "),
    ] {
        refused(world.socket().await, with(bot, token)).await;
    }
    refused(world.socket().await, hello("demo", "cli")).await;
    let by_header = world.socket_at("/v1/provider", Some("good")).await.expect("it connects");
    refused(by_header, with("demo", "bad")).await;

    let mut by_hello = world.socket().await;
    by_hello.say(&with("demo", "good")).await;
    assert_eq!(by_hello.next().await["type"], "welcome");
    let mut by_header = world.socket_at("/v1/provider", Some("second")).await.expect("it connects");
    by_header.say(&hello("demo-2", "cli")).await;
    assert_eq!(by_header.next().await["type"], "welcome");
    by_header.say(&message(1, "hello")).await;
    assert_eq!(by_header.next().await["outcome"], "accepted");
}

/// Goal: every endpoint of a bot asks for the bot's token, or an operator's, whatever the method; health does
/// not.
#[tokio::test]
async fn every_endpoint_asks_for_a_token() {
    let world = guarded().await;
    let body = posted("p1", "hello").to_string();
    for (method, path) in [
        (Method::POST, "/v1/bots/demo/messages"),
        (Method::POST, "/v1/bots/demo/sends"),
        (Method::GET, "/v1/bots/demo/callbacks"),
        (Method::POST, "/v1/bots/demo/callbacks/ack"),
        (Method::POST, "/v1/bots/demo/callbacks/resume"),
        (Method::PUT, "/v1/media/8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11"),
    ] {
        for token in [None, Some("bad")] {
            let answer = ask(&world, method.clone(), path, token, &body).await;
            answer.problem(401, "unauthorized");
        }
        if path.contains("/demo/") {
            let answer = ask(&world, method, path, Some("second"), &body).await;
            answer.problem(401, "unauthorized");
        }
    }
    assert!(world.socket_at("/v1/bots/demo/callbacks", Some("second")).await.is_err());
    assert!(world.socket_at("/v1/bots/demo/callbacks", Some("good")).await.is_ok());
    for path in ["/healthz", "/readyz"] {
        let answer = client().get(world.at(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
}

/// Goal: whoever shows the right token is served; a file may come under any bot's token.
#[tokio::test]
async fn whoever_shows_the_right_token_is_served() {
    let world = guarded().await;
    let ack = json!({"callback_ids": ["odd"]}).to_string();
    for token in ["good", "operator"] {
        let path = "/v1/bots/demo/callbacks/ack";
        let answer = ask(&world, Method::POST, path, Some(token), &ack).await;
        assert_eq!(answer.body, json!({"acknowledged": 0, "unknown": ["odd"]}));
    }
    let path = "/v1/media/8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11";
    let answer = ask(&world, Method::PUT, path, Some("second"), "words").await;
    assert_eq!(answer.status, 201);
}

/// Goal: a refusal says what is missing in the way that HTTP has for it.
#[tokio::test]
async fn a_refusal_names_the_scheme() {
    let world = guarded().await;
    let answer = client().get(world.at("/v1/bots/demo/callbacks")).send().await;
    assert_eq!(answer.expect("an answer").headers()["www-authenticate"], "Bearer");
}
