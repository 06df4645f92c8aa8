//! `docs/protocol/v1/*.schema.json` is what the types are.
//!
//! The schemas are generated from the types. When they differ, this test says so; run with
//! `ANTEROOM_WRITE_SCHEMAS=1` it writes them. Every example of the page is valid under its schema.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde_json::Value;

use super::documentation::examples;
use crate::id::{CallbackId, CorrespondentId};
use crate::protocol::{
    AckRequest, AckResponse, CallbackBatch, CallbackFrame, PayloadVersion, ServerFrame,
    StreamFrame, provider,
};

/// Names the directory into which the schemas are written, when it is set to anything.
const WRITE: &str = "ANTEROOM_WRITE_SCHEMAS";

impl JsonSchema for CorrespondentId {
    fn schema_name() -> Cow<'static, str> {
        "CorrespondentId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Whom a bot talks with: a person or a group, as the provider names it.",
            "type": "string",
            "minLength": 1,
        })
    }
}

impl JsonSchema for CallbackId {
    fn schema_name() -> Cow<'static, str> {
        "CallbackId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "bot/correspondent/message_id, with /r<n> for the n-th revision; the parts are \
                            percent-encoded.",
            "type": "string",
            "pattern": "^[^/]+/[^/]+/[1-9][0-9]*(/r[1-9][0-9]*)?$",
        })
    }
}

impl JsonSchema for PayloadVersion {
    fn schema_name() -> Cow<'static, str> {
        "PayloadVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "The one version of the payload.", "const": Self::NUMBER })
    }
}

/// Every schema: the name of its file, the mark of the page's examples that it is for, and itself.
fn schemas() -> Vec<(&'static str, &'static str, Schema)> {
    vec![
        ("provider", "provider", provider::schema()),
        ("server", "server", schema_for!(ServerFrame)),
        ("callback", "callback", schema_for!(CallbackFrame)),
        ("batch", "batch", schema_for!(CallbackBatch)),
        ("stream", "stream", schema_for!(StreamFrame)),
        ("ack", "ack", schema_for!(AckRequest)),
        ("acked", "acked", schema_for!(AckResponse)),
    ]
}

fn path(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol/v1");
    directory.join(format!("{name}.schema.json"))
}

/// Goal: the published schemas are those of the types.
#[test]
fn the_schemas_are_up_to_date() {
    for (name, _, schema) in schemas() {
        let mut generated = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
        generated.push('\n');
        if std::env::var_os(WRITE).is_some() {
            std::fs::create_dir_all(path(name).parent().expect("a file has a directory"))
                .expect("it can be made");
            std::fs::write(path(name), &generated).expect("it can be written");
        }
        let published = std::fs::read_to_string(path(name)).unwrap_or_default();
        assert!(
            published == generated,
            "docs/protocol/v1/{name}.schema.json differs from the types: run this test with {WRITE}=1"
        );
    }
}

/// Goal: every example on the page is valid under its schema, and one that lacks what is required is not.
#[test]
fn every_example_is_valid_under_its_schema() {
    for (name, mark, schema) in schemas() {
        let validator = jsonschema::validator_for(schema.as_value()).expect("a schema");
        let mut seen = 0;
        for (_, text) in examples().into_iter().filter(|(other, _)| *other == mark) {
            let example: Value = serde_json::from_str(text).expect(text);
            if let Err(error) = validator.validate(&example) {
                panic!("{name}: {error}: {text}");
            }
            seen += 1;
        }
        assert!(seen > 0, "{name} has no example");
        assert!(!validator.is_valid(&serde_json::json!({})), "{name} requires something");
        assert!(!validator.is_valid(&serde_json::json!([])), "{name} is an object");
    }
}
