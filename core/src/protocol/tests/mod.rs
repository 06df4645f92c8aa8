//! Tests of the protocol as a whole: what is read, what is refused, and that the pages tell the truth.

mod bad_input;
mod documentation;
mod examples;
mod properties;
mod schemas;

use serde_json::{Value, json};

/// A well-formed hello.
fn hello() -> Value {
    json!({"type": "hello", "payload_version": 1, "bot_id": "wa-7",
        "provider_name": "whatsapp_baileys", "provider_instance": "b1f0", "token": "t0ken"})
}

/// A well-formed message without media.
fn text_message() -> Value {
    json!({"type": "message", "payload_version": 1, "seq": 41, "bot_id": "wa-7",
        "provider_message_id": "3EB0", "correspondent_id": "4917@s.whatsapp.net",
        "sender": {"identifier": "4917@s.whatsapp.net", "display_name": "Ada",
            "alternate_identifiers": ["77@lid"]},
        "group": null, "direction": "incoming", "originating_time": 1_790_000_000_000_u64,
        "replayed": false, "message": "hello"})
}

/// A well-formed message with media.
fn media_message() -> Value {
    let mut frame = text_message();
    frame["media"] = json!({"media_id": "8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11", "kind": "audio",
        "mime_type": "audio/ogg; codecs=opus", "original_filename": null, "size_bytes": 48_213,
        "sha256": "AB".repeat(32)});
    frame
}

/// A well-formed status.
fn status() -> Value {
    json!({"type": "status", "status": "connected", "detail": null})
}

/// A well-formed confirmation.
fn sent() -> Value {
    json!({"type": "sent", "send_id": "s-1", "provider_message_id": "3EB0"})
}

/// The frame with the value at a JSON pointer replaced, or added to an object.
fn with(mut frame: Value, pointer: &str, value: Value) -> Value {
    match frame.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => {
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            frame.pointer_mut(parent).expect("the parent")[name] = value;
        }
    }
    frame
}

/// The frame without the field at a JSON pointer.
fn without(mut frame: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = frame.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
    parent.remove(name).expect("the field");
    frame
}
