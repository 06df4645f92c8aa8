//! `GET /openapi.json`: every endpoint, described; made of one table, with no network. `GET /docs`: the same for
//! people, in a browser.
//!
//! A test holds the table against the routers: what is served is described, and nothing else. The shapes of what
//! operators are answered stand in `answers.json`; the tests of the API hold every answer against them.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// One endpoint.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// Who may ask.
    who: Who,
    /// What may stand behind the question mark.
    query: &'static [&'static str],
    /// What a JSON body may hold; none when there is none, or it is described elsewhere.
    body: &'static [&'static str],
    /// The shape of the answer, one of `answers.json`; none when it is described elsewhere.
    answer: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Everybody,
    /// The bot's token, or an operator's.
    Bot,
    Reader,
    Operator,
}

const fn get(path: &'static str, who: Who, summary: &'static str) -> Operation {
    Operation { method: "get", path, summary, who, query: &[], body: &[], answer: None }
}

const fn post(path: &'static str, who: Who, summary: &'static str) -> Operation {
    Operation { method: "post", path, summary, who, query: &[], body: &[], answer: None }
}

impl Operation {
    const fn query(mut self, query: &'static [&'static str]) -> Self {
        self.query = query;
        self
    }

    const fn body(mut self, body: &'static [&'static str]) -> Self {
        self.body = body;
        self
    }

    const fn answer(mut self, shape: &'static str) -> Self {
        self.answer = Some(shape);
        self
    }
}

const PAGE: &[&str] = &["after", "limit"];
const PAGE_OF_BOT: &[&str] = &["bot", "after", "limit"];
const JOBS: &[&str] =
    &["state", "bot", "pool", "status", "reason", "older_than_ms", "order", "after", "limit"];
const COUNT: &[&str] = &["state", "bot", "pool", "status", "reason", "older_than_ms"];
const RETRY: &[&str] =
    &["bot", "pool", "status", "reason", "older_than_ms", "dry_run", "after", "limit"];
const DISCARD: &[&str] =
    &["state", "bot", "pool", "status", "reason", "older_than_ms", "dry_run", "after", "limit"];

/// All of them.
const OPERATIONS: &[Operation] = &[
    get("/", Who::Everybody, "What this is"),
    get("/healthz", Who::Everybody, "Whether the process answers"),
    get("/readyz", Who::Everybody, "Whether the node takes messages"),
    get("/openapi.json", Who::Everybody, "This document"),
    get("/docs", Who::Everybody, "This document, to be read in a browser"),
    get("/metrics", Who::Reader, "How the node does, for Prometheus (docs/metrics.md)"),
    get("/v1/provider", Who::Bot, "A provider's connection (WebSocket; docs/protocol/v1.md)"),
    Operation {
        method: "put",
        path: "/v1/media/{media_id}",
        summary: "A media file, before the message that names it",
        who: Who::Bot,
        query: &[],
        body: &[],
        answer: None,
    },
    post("/v1/bots/{bot}/messages", Who::Bot, "A message, without a connection"),
    get(
        "/v1/bots/{bot}/callbacks",
        Who::Bot,
        "The bot's callbacks (server-sent events, WebSocket)",
    ),
    post("/v1/bots/{bot}/callbacks/ack", Who::Bot, "Acknowledge callbacks"),
    post("/v1/bots/{bot}/callbacks/resume", Who::Bot, "Call a webhook again that was gone"),
    post("/v1/bots/{bot}/sends", Who::Bot, "Send a message"),
    get("/v1/bots", Who::Reader, "Every bot, and how it stands").query(PAGE).answer("BotPage"),
    post("/v1/bots", Who::Operator, "Make a bot known").body(&["bot_id", "provider_name", "run"]).answer("BotDone"),
    get("/v1/bots/{bot}", Who::Reader, "One bot").answer("Bot"),
    post("/v1/bots/{bot}/start", Who::Operator, "Start a bot that was stopped").answer("BotDone"),
    post("/v1/bots/{bot}/stop", Who::Operator, "Stop a bot in order, and keep it from starting").answer("BotDone"),
    get("/v1/bots/{bot}/settings", Who::Reader, "What is in force for the bot on this node").answer("BotSettings"),
    get(
        "/v1/bots/{bot}/correspondents/{correspondent}",
        Who::Reader,
        "A correspondent's queue with its placeholders, and its owed callbacks, as they are in memory",
    ).answer("Correspondent"),
    get("/v1/jobs", Who::Reader, "A page of media jobs").query(JOBS).answer("JobPage"),
    get("/v1/jobs/count", Who::Reader, "How many media jobs there are").query(COUNT).answer("Count"),
    post("/v1/jobs/retry", Who::Operator, "Retry a page of failed jobs, or count them").body(RETRY).answer("ManyDone"),
    post("/v1/jobs/discard", Who::Operator, "Discard a page of open jobs, or count them")
        .body(DISCARD).answer("ManyDone"),
    get("/v1/jobs/{media_id}", Who::Reader, "One media job").answer("Medium"),
    post("/v1/jobs/{media_id}/retry", Who::Operator, "Retry a failed job").answer("JobDone"),
    post("/v1/jobs/{media_id}/discard", Who::Operator, "End an open job without text").answer("JobDone"),
    get("/v1/callbacks/owed", Who::Reader, "A page of owed callbacks").query(PAGE_OF_BOT).answer("CallbackPage"),
    get("/v1/callbacks/undeliverable", Who::Reader, "A page of callbacks that were given up")
        .query(PAGE_OF_BOT).answer("CallbackPage"),
    post("/v1/callbacks/redeliver", Who::Operator, "Owe a page of given-up callbacks anew")
        .body(&["bot", "dry_run", "after", "limit"]).answer("ManyDone"),
    post("/v1/callbacks/{callback_id}/redeliver", Who::Operator, "Owe a given-up callback anew").answer("CallbackDone"),
    get("/v1/callbacks/{callback_id}/explain", Who::Reader, "The story of a callback's message").answer("Story"),
    get("/v1/messages/{callback_id}/explain", Who::Reader, "The story of a message").answer("Story"),
    get("/v1/media/{media_id}/explain", Who::Reader, "The story of a medium's message").answer("Story"),
    get("/v1/nodes", Who::Reader, "The nodes that run, and what each holds").answer("NodeList"),
    get("/v1/events", Who::Reader, "Notices as they come (server-sent events)"),
];

static DOCUMENT: LazyLock<String> = LazyLock::new(|| described().to_string());

/// Answers with the document.
pub(super) async fn document() -> Response {
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ([json], DOCUMENT.as_str()).into_response()
}

/// Answers with the page.
pub(super) async fn page() -> Response {
    let html = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let rights = HeaderValue::from_static(
        "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'",
    );
    ([html, (header::CONTENT_SECURITY_POLICY, rights)], include_str!("docs.html")).into_response()
}

fn described() -> Value {
    let mut schemas: Map<String, Value> =
        serde_json::from_str(include_str!("answers.json")).unwrap_or_default();
    schemas.insert("Problem".to_owned(), problem());
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.to_owned(), described_operation(operation));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Anteroom",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Between chat providers and bots. Times are milliseconds since the epoch. \
                            Errors are problem documents (RFC 9457).",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description":
                    "Needed where the configuration has tokens: a bot's own, a reader's, or an operator's." },
            },
            "responses": { "Problem": {
                "description": "It was refused, and why",
                "content": { "application/problem+json": {
                    "schema": { "$ref": "#/components/schemas/Problem" },
                } },
            } },
            "schemas": schemas,
        },
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "description": "urn:anteroom:problem:<code>" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What to do about it" },
            "field": { "type": "string" },
            "retry_after_ms": { "type": "integer" },
        },
    })
}

fn described_operation(operation: &Operation) -> Value {
    let in_path = operation.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({
            "name": name, "in": "path", "required": true, "schema": { "type": "string" },
        }))
    });
    let in_query = operation.query.iter().map(
        |name| json!({ "name": name, "in": "query", "required": false, "schema": schema_of(name) }),
    );
    let mut described = json!({
        "summary": operation.summary,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": {
            "2XX": { "description": "It was done, or is shown" },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    if let Some(shape) = operation.answer {
        described["responses"]["2XX"]["content"] = json!({ "application/json": {
            "schema": { "$ref": format!("#/components/schemas/{shape}") },
        } });
    }
    let tag = match operation.who {
        Who::Everybody => "everybody",
        Who::Bot => "a bot's token, or an operator's",
        Who::Reader => "a reader's token, or an operator's",
        Who::Operator => "an operator's token",
    };
    described["tags"] = json!([tag]);
    if operation.who != Who::Everybody {
        described["security"] = json!([{ "token": [] }]);
    }
    if !operation.body.is_empty() {
        let members = operation.body.iter().map(|name| ((*name).to_owned(), schema_of(name)));
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": members.collect::<Map<String, Value>>(),
        });
        described["requestBody"] =
            json!({ "content": { "application/json": { "schema": schema } } });
    }
    described
}

fn schema_of(name: &str) -> Value {
    match name {
        "limit" => json!({ "type": "integer", "minimum": 1, "maximum": super::query::PAGE_MAX }),
        "older_than_ms" => json!({ "type": "integer", "minimum": 0 }),
        "dry_run" => json!({ "type": "boolean" }),
        "state" => json!({ "enum": ["active", "holding", "failed"] }),
        "status" => json!({ "enum": ["pending", "processing", "completed"] }),
        "reason" => json!({ "enum": crate::store::views::REASONS }),
        "order" => json!({ "enum": ["newest", "oldest"] }),
        "run" => json!({ "enum": ["while_connected", "always"] }),
        "after" => json!({ "type": "string", "description": "The `next` of the page before" }),
        _ => json!({ "type": "string" }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The endpoints that a source file routes, as `(method, path)`.
    fn routed(source: &str) -> BTreeSet<(String, String)> {
        let joined = source.replace('\n', " ");
        let routes = joined.split(".route(").skip(1);
        let mut found = BTreeSet::new();
        for route in routes {
            let path = route.split('"').nth(1).expect("a route names its path").to_owned();
            let rest = route.split_once(',').expect("a route has a handler").1;
            for method in ["get", "post", "put", "delete", "patch"] {
                let call = format!("{method}(");
                let calls = rest.match_indices(&call).any(|(at, _)| {
                    !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                });
                if calls {
                    found.insert((method.to_owned(), path.clone()));
                }
            }
        }
        found
    }

    /// Goal: every endpoint that is served is described, and nothing else is.
    #[test]
    fn every_endpoint_is_described() {
        let mut served = routed(include_str!("../mod.rs"));
        served.extend(routed(include_str!("mod.rs")));
        let described: BTreeSet<_> =
            OPERATIONS.iter().map(|it| (it.method.to_owned(), it.path.to_owned())).collect();
        assert_eq!(described, served);
        assert_eq!(described.len(), OPERATIONS.len(), "each is described once");
    }

    /// Goal: every shape that is named is described, and every one that is described is used.
    #[test]
    fn shapes_are_described() {
        let document = described();
        let shapes = document["components"]["schemas"].as_object().expect("an object");
        let text = DOCUMENT.as_str();
        let named: BTreeSet<_> = text
            .split("#/components/schemas/")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(named, shapes.keys().cloned().collect());
    }

    /// Goal: what an endpoint of operators understands is what its description names.
    #[test]
    fn filters_are_described() {
        for name in super::super::query::FILTER {
            assert!(JOBS.contains(&name) && RETRY.contains(&name) && DISCARD.contains(&name));
        }
    }
}
