//! Pictures to text: `POST /chat/completions` with the picture in the message.
//!
//! The picture is decoded in a child, like everything that strangers send, and travels as a small
//! JPEG of its first frame: formats that servers do not know, animations and giants end there.

use anteroom_core::message::{Extracted, Outcome};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::endpoint::{AllSent, Endpoint, Request};
use crate::media::document::Reader;
use crate::media::processor::{BoxFuture, Failure, Processor, Work, require_staged_file};

/// What a server is asked unless configured otherwise.
const PROMPT: &str = "Describe this picture for somebody who cannot see it, in one to three sentences. \
                      If there is text in it, repeat the text word for word. Answer with nothing else.";

/// Has pictures described by an OpenAI-compatible server.
#[derive(Debug, Clone)]
pub struct Viewer {
    name: String,
    endpoint: Endpoint,
    reader: Reader,
    settings: VisionSettings,
}

/// How the server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisionSettings {
    /// Which model, as the server calls it.
    pub model: String,
    /// What it is asked.
    pub prompt: String,
    /// How long its answer may be, in its tokens.
    pub tokens_max: u32,
    /// How long the longer side of the picture is that it gets; more costs more.
    pub side_pixels_max: u32,
}

impl VisionSettings {
    /// The defaults for one model.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            prompt: PROMPT.to_owned(),
            tokens_max: 1_000,
            side_pixels_max: 1_568,
        }
    }
}

impl Viewer {
    /// A processor called `name` that asks `endpoint` about pictures that `reader` decodes.
    pub fn new(
        name: impl Into<String>,
        endpoint: Endpoint,
        reader: Reader,
        settings: VisionSettings,
    ) -> Self {
        Self { name: name.into(), endpoint, reader, settings }
    }

    async fn view(&self, work: &Work) -> Result<Outcome, Failure> {
        require_staged_file(&work.path).await?;
        let picture = self.reader.still(work, self.settings.side_pixels_max).await?;
        let question = self.question(&picture);
        drop(picture);
        let request = || -> BoxFuture<'_, _> {
            let builder = self.endpoint.post("chat/completions").json(&question);
            Box::pin(async { Ok(Request { builder, all_sent: AllSent::at_once() }) })
        };
        outcome(&self.endpoint.ask(&work.cancel, request).await?)
    }

    fn question(&self, picture: &[u8]) -> serde_json::Value {
        let url = format!("data:image/jpeg;base64,{}", STANDARD.encode(picture));
        json!({
            "model": self.settings.model,
            "max_tokens": self.settings.tokens_max,
            "messages": [{ "role": "user", "content": [
                { "type": "text", "text": self.settings.prompt },
                { "type": "image_url", "image_url": { "url": url } },
            ]}],
        })
    }
}

impl Processor for Viewer {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        let viewer = self.clone();
        Box::pin(async move { viewer.view(&work).await })
    }
}

/// The answer of `/chat/completions`, as far as it matters.
#[derive(Debug, Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// Reads an answer.
fn outcome(answer: &[u8]) -> Result<Outcome, Failure> {
    let completion: Completion = serde_json::from_slice(answer)
        .map_err(|error| Failure::engine(format!("the answer is no completion: {error}")))?;
    let Some(choice) = completion.choices.into_iter().next() else {
        return Err(Failure::engine("the answer holds no choice"));
    };
    let text = choice.message.content.as_deref().unwrap_or_default().trim();
    let truncated = choice.finish_reason.as_deref() == Some("length");
    match (text.is_empty(), choice.message.refusal) {
        (false, _) => {
            let text = text.to_owned();
            Ok(Outcome::Text(Extracted { text, truncated, ..Extracted::default() }))
        }
        (true, Some(refusal)) => Err(Failure::engine(format!("the model refused: {refusal}"))),
        (true, None) if choice.finish_reason.as_deref() == Some("content_filter") => {
            Err(Failure::engine("the server's content filter took the answer away"))
        }
        (true, None) => Ok(Outcome::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(choice: serde_json::Value) -> Result<Outcome, Failure> {
        outcome(json!({ "choices": [choice] }).to_string().as_bytes())
    }

    /// Goal: each way in which a model can answer has its outcome, and nothing else is one.
    #[test]
    fn answers_are_read() {
        let text = |text: &str, truncated| {
            let text = text.to_owned();
            Ok(Outcome::Text(Extracted { text, truncated, ..Extracted::default() }))
        };
        let said = json!({"message": {"content": " A cat. "}, "finish_reason": "stop"});
        assert_eq!(read(said), text("A cat.", false));
        let cut = json!({"message": {"content": "A ca"}, "finish_reason": "length"});
        assert_eq!(read(cut), text("A ca", true));
        assert_eq!(read(json!({"message": {"content": null}})), Ok(Outcome::Nothing));
        for failed in [
            json!({"message": {"content": null, "refusal": "I can't"}}),
            json!({"message": {"content": ""}, "finish_reason": "content_filter"}),
            json!({"delta": {}}),
        ] {
            assert!(matches!(read(failed), Err(Failure::Permanent { .. })));
        }
        for garbage in ["", "{}", "{\"choices\": []}", "<html>"] {
            assert!(matches!(outcome(garbage.as_bytes()), Err(Failure::Permanent { .. })));
        }
    }
}
