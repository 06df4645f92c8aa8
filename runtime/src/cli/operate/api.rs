//! Asking the operators' API, and what a refusal means.

use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use crate::cli::ClientArgs;
use crate::cli::answer::{self, Answered};
use crate::cli::exit::{Exit, complain};

/// What the server holds of a page.
pub(super) const PAGE_MAX: usize = 500;

/// The server, as an operator's commands ask it.
pub(super) struct Api {
    client: ClientArgs,
    http: Client,
}

impl Api {
    pub(super) fn new(client: ClientArgs) -> Result<Self, Exit> {
        let http = answer::http_client().map_err(Exit::failed)?;
        Ok(Self { client, http })
    }

    /// What is at an address, whose segments may be any text.
    pub(super) async fn get(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, Exit> {
        let mut url = self.client.server.at(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.answer(self.http.get(url)).await
    }

    /// Has something done.
    pub(super) async fn post(&self, segments: &[&str], body: &Value) -> Result<Value, Exit> {
        self.answer(self.http.post(self.client.server.at(segments)).json(body)).await
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, Exit> {
        match answer::answered(self.client.authorized(request)).await {
            Answered::Well(response) => response.json().await.map_err(|error| {
                complain(format_args!("the answer is not understood: {error}"));
                Exit::Refused
            }),
            Answered::Badly { status, detail, .. } => {
                complain(format_args!("{detail} ({status})"));
                Err(Exit::Refused)
            }
            Answered::Not(error) => {
                tracing::debug!(%error, "no answer");
                complain(self.client.server.unreachable());
                Err(Exit::NotReached)
            }
        }
    }

    /// A list, page by page, up to `limit` entries of its member `name`; and where it goes on.
    pub(super) async fn list(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
        name: &str,
        limit: usize,
    ) -> Result<Value, Exit> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let wanted = (limit - all.len()).min(PAGE_MAX);
            let mut query = query.to_vec();
            query.push(("limit", wanted.to_string()));
            query.extend(after.take().map(|after| ("after", after)));
            let mut page = self.get(segments, &query).await?;
            if let Value::Array(entries) = page[name].take() {
                all.extend(entries);
            }
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() || all.len() >= limit {
                return Ok(serde_json::json!({ name: all, "next": after }));
            }
        }
    }
}

/// Prints what came, as it came.
pub(super) fn print_json(value: &Value) -> Exit {
    match serde_json::to_string_pretty(value) {
        Ok(text) => {
            println!("{text}");
            Exit::Done
        }
        Err(error) => Exit::failed(error),
    }
}

/// Prints as `json` asks, or as `print` does for people.
pub(super) fn shown(json: bool, value: &Value, print: impl FnOnce(&Value)) -> Exit {
    if json {
        return print_json(value);
    }
    print(value);
    Exit::Done
}
