//! How a callback looks in a terminal.

use anteroom_core::protocol::CallbackFrame;
use anteroom_core::protocol::consumer::CallbackType;

/// A callback for people: who, which message, what; further lines are set in.
pub(super) fn block(frame: &CallbackFrame) -> String {
    let message = &frame.message;
    let mut who = shown(frame.correspondent_id.as_str());
    if message.group.is_some() {
        let sender = message.sender.display_name.as_ref().unwrap_or(&message.sender.identifier);
        who = format!("{who} ({})", shown(sender));
    }
    let revised = match frame.callback_type {
        CallbackType::Message => "",
        CallbackType::Revised => " (revised)",
    };
    let mut lines = message.content.lines();
    let first = shown(lines.next().unwrap_or_default());
    let mut block = format!("{who}  #{}{revised}  {first}\n", message.id);
    for line in lines {
        block.push_str("    ");
        block.push_str(&shown(line));
        block.push('\n');
    }
    block
}

/// A stranger's text, which must not be able to command the terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, group: Option<&str>, callback_id: &str, expected: &str) {
        let group = group.map(|group| serde_json::json!({"identifier": group}));
        let frame = serde_json::json!({
            "type": if callback_id.ends_with("/r1") { "message.revised" } else { "message" },
            "callback_id": callback_id, "attempt": 1, "bot_id": "demo",
            "correspondent_id": callback_id.split('/').nth(1),
            "message": {
                "id": 17, "content": content, "sender": {"identifier": "alice"}, "source": "user",
                "accepted_time": 1, "message_size": 1, "originating_time": 1, "group": group,
                "provider_message_id": "p",
            },
        });
        let frame: CallbackFrame = serde_json::from_value(frame).expect("a callback");
        assert_eq!(block(&frame), expected);
    }

    /// Goal: a callback reads well, and nothing in it can command a terminal or pass for another.
    #[test]
    fn a_callback_reads_well() {
        check(
            "[Document text (note.pdf): 42 EUR]\nthe invoice",
            None,
            "demo/alice/17",
            "alice  #17  [Document text (note.pdf): 42 EUR]\n    the invoice\n",
        );
        check("hi", Some("football"), "demo/football/17", "football (alice)  #17  hi\n");
        check("new", None, "demo/alice/17/r1", "alice  #17 (revised)  new\n");
        check("\u{1b}[2J\rx", None, "demo/alice/17", "alice  #17  \u{fffd}[2J\u{fffd}x\n");
        check("", None, "demo/alice/17", "alice  #17  \n");
    }
}
