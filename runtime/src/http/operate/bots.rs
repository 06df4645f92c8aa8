//! `/v1/bots…`: which bots there are, how each stands, starting and stopping them.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, ProviderName};
use anteroom_core::settings::{BotSettings, Run};
use anteroom_core::store::BotRecord;
use anteroom_core::view::BotView;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::access::{Actor, audit};
use super::query::{self, Asked};
use super::{Operations, no_answer, unanswered};
use crate::http::HttpState;
use crate::http::path::OfBot;
use crate::http::problem::Problem;
use crate::store::views::{Owner, Question, View};

/// Messages and callbacks of a correspondent that are shown.
const SHOWN_MAX: usize = 500;

/// `GET /v1/bots`: the bots that the store knows, in the order of their ids.
pub(super) async fn list(State(state): State<HttpState>, uri: Uri) -> Result<Json<Value>, Problem> {
    let operations = state.operations()?;
    let asked = Asked::in_address(&uri, &["after", "limit"])?;
    let (after, limit) = (asked.text("after"), asked.limit()? as usize);
    let records = operations.store.list_bots().await.map_err(unanswered)?;
    let owners = owners(operations).await?;
    let is_behind = |it: &&BotRecord| after.is_none_or(|after| it.bot_id.as_str() > after);
    let mut page: Vec<_> = records.iter().filter(is_behind).take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    // All at once: the driver has receipts to see to.
    let bot_ids = page.iter().map(|record| record.bot_id.clone()).collect();
    let views = state.driver.bot_views(bot_ids).await.map_err(|_| Problem::stopping())?;
    let bots: Vec<_> = page
        .iter()
        .zip(&views)
        .map(|(record, view)| shown(record, owners.get(&record.bot_id), view.as_ref(), &state))
        .collect();
    let next = page.last().filter(|_| more).map(|record| &record.bot_id);
    Ok(Json(json!({ "bots": bots, "next": next })))
}

/// `POST /v1/bots`: makes a bot known before its provider comes.
pub(super) async fn add(
    State(state): State<HttpState>,
    Extension(actor): Extension<Actor>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let operations = state.operations()?;
    let asked = Asked::in_body(body, &["bot_id", "provider_name", "run"]).await?;
    let bot_id = query::bot_id(asked.required("bot_id")?)?;
    let provider_name: ProviderName = asked.required("provider_name")?.into();
    let runs = [("while_connected", Run::WhileConnected), ("always", Run::Always)];
    let own = operations.settings_of(&bot_id).run;
    let run = asked.one_of("run", &runs)?.unwrap_or(own);
    let wanted = BotRecord { bot_id: bot_id.clone(), provider_name, run };
    if let Some(known) = known(operations, &bot_id).await? {
        if known != wanted {
            let detail =
                format!("{bot_id} is known already, with another provider or another `run`");
            return Err(Problem::new(StatusCode::CONFLICT, "bot_exists", detail));
        }
        return Ok((StatusCode::OK, Json(json!({ "bot_id": bot_id, "outcome": "already_known" }))));
    }
    audit!(actor, "add_bot", bot_id = bot_id.as_str());
    state.driver.register_bot(wanted).await.map_err(|_| Problem::stopping())?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "bot_id": bot_id, "outcome": "asked" }))))
}

/// `GET /v1/bots/{bot}`: one bot, as the store knows it and as it is in memory here.
pub(super) async fn show(
    State(state): State<HttpState>,
    OfBot(bot_id): OfBot,
) -> Result<Json<Value>, Problem> {
    let operations = state.operations()?;
    let record = known(operations, &bot_id).await?.ok_or_else(|| unknown(&bot_id))?;
    let owners = owners(operations).await?;
    let view = view(&state, &bot_id).await?;
    Ok(Json(shown(&record, owners.get(&bot_id), view.as_ref(), &state)))
}

/// `GET /v1/bots/{bot}/settings`: what is in force for the bot on this node, from its configuration.
pub(super) async fn settings(
    State(state): State<HttpState>,
    OfBot(bot_id): OfBot,
) -> Result<Json<BotSettings>, Problem> {
    let operations = state.operations()?;
    known(operations, &bot_id).await?.ok_or_else(|| unknown(&bot_id))?;
    Ok(Json(operations.settings_of(&bot_id).clone()))
}

/// `POST /v1/bots/{bot}/start`: the bot is asked to start, if it is wanted.
pub(super) async fn start(
    State(state): State<HttpState>,
    Extension(actor): Extension<Actor>,
    OfBot(bot_id): OfBot,
) -> Result<(StatusCode, Json<Value>), Problem> {
    known_here(&state, &bot_id).await?;
    audit!(actor, "start_bot", bot_id = bot_id.as_str());
    state.driver.start_bot(bot_id.clone()).await.map_err(|_| Problem::stopping())?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "bot_id": bot_id, "outcome": "asked" }))))
}

/// `POST /v1/bots/{bot}/stop`: the bot is asked to stop in order, and to stay so.
pub(super) async fn stop(
    State(state): State<HttpState>,
    Extension(actor): Extension<Actor>,
    OfBot(bot_id): OfBot,
) -> Result<(StatusCode, Json<Value>), Problem> {
    known_here(&state, &bot_id).await?;
    audit!(actor, "stop_bot", bot_id = bot_id.as_str());
    state.driver.stop_bot(bot_id.clone()).await.map_err(|_| Problem::stopping())?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "bot_id": bot_id, "outcome": "asked" }))))
}

/// `GET /v1/bots/{bot}/correspondents/{correspondent}`: the anteroom of one correspondent.
pub(super) async fn correspondent(
    State(state): State<HttpState>,
    Path((bot, correspondent)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let bot_id = query::bot_id(&bot)?;
    let correspondent_id = query::correspondent_id(&correspondent)?;
    let operations = state.operations()?;
    known(operations, &bot_id).await?.ok_or_else(|| unknown(&bot_id))?;
    let view = view(&state, &bot_id).await?;
    let asking =
        state.driver.correspondent_view(bot_id.clone(), correspondent_id.clone(), SHOWN_MAX);
    let memory = asking.await.map_err(|_| Problem::stopping())?;
    let owner = owners(operations).await?.remove(&bot_id);
    Ok(Json(json!({
        "bot_id": bot_id,
        "correspondent_id": correspondent_id,
        "node_id": state.driver.node_id(),
        "owner": owner.as_ref().map(|owner| shown_owner(owner, &state)),
        "phase": view.map(|view| view.phase),
        // Nothing of a silent correspondent is in memory, nor of a bot that runs elsewhere.
        "in_memory": memory,
    })))
}

/// The bot as it is in memory here.
pub(super) async fn view(state: &HttpState, bot_id: &BotId) -> Result<Option<BotView>, Problem> {
    state.driver.bot_view(bot_id.clone()).await.map_err(|_| Problem::stopping())
}

/// Who owns which bot.
pub(super) async fn owners(operations: &Operations) -> Result<BTreeMap<BotId, Owner>, Problem> {
    match operations.look(Question::Owners).await? {
        View::Owners(owners) => {
            Ok(owners.into_iter().map(|owner| (owner.bot_id.clone(), owner)).collect())
        }
        _ => Err(no_answer()),
    }
}

async fn known(operations: &Operations, bot_id: &BotId) -> Result<Option<BotRecord>, Problem> {
    let records = operations.store.list_bots().await.map_err(unanswered)?;
    Ok(records.into_iter().find(|record| record.bot_id == *bot_id))
}

/// Refuses to start or stop what this node does not have in memory.
async fn known_here(state: &HttpState, bot_id: &BotId) -> Result<(), Problem> {
    if view(state, bot_id).await?.is_some_and(|view| view.record.is_some()) {
        return Ok(());
    }
    if known(state.operations()?, bot_id).await?.is_none() {
        return Err(unknown(bot_id));
    }
    let detail = format!("{bot_id} is not in memory here: ask the node that runs it");
    Err(Problem::new(StatusCode::CONFLICT, "bot_elsewhere", detail))
}

fn unknown(bot_id: &BotId) -> Problem {
    let detail = format!("there is no bot {bot_id}; GET /v1/bots lists those there are");
    Problem::new(StatusCode::NOT_FOUND, "unknown_bot", detail)
}

fn shown(
    record: &BotRecord,
    owner: Option<&Owner>,
    view: Option<&BotView>,
    state: &HttpState,
) -> Value {
    json!({
        "bot_id": record.bot_id,
        "provider_name": record.provider_name,
        "run": record.run,
        "owner": owner.map(|owner| shown_owner(owner, state)),
        "phase": view.map(|view| view.phase),
        "stopped_by_operator": view.is_some_and(|view| view.barred),
        "connections": view.map(|view| view.connections),
        "correspondents": view.map(|view| view.correspondents),
        "placeholders": view.map(|view| view.placeholders),
        "consumer": view.map(|view| view.consumer),
        "circuit": view.map(|view| view.circuit),
        "open_callbacks": view.map(|view| view.open_callbacks),
        "owed_in_memory": view.map(|view| view.owed_in_memory),
    })
}

pub(super) fn shown_owner(owner: &Owner, state: &HttpState) -> Value {
    json!({
        "node_id": owner.node_id,
        "here": owner.node_id == state.driver.node_id(),
        "epoch": owner.epoch,
        "remaining_ms": owner.remaining,
    })
}
