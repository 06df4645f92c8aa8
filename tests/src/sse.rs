//! Server-sent events, as the HTML standard has them read.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// `event:`, or `message` when there is none.
    pub kind: String,
    /// `id:`, as it was last set.
    pub id: String,
    /// The `data:` lines.
    pub data: String,
}

/// Turns bytes into events, however the bytes are cut.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    id: String,
    kind: String,
    data: Option<String>,
}

impl Parser {
    /// Takes the next bytes and returns the events that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                events.extend(self.end_of_line(&String::from_utf8_lossy(&line)));
            } else {
                self.line.push(byte);
            }
        }
        events
    }

    fn end_of_line(&mut self, line: &str) -> Option<Event> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            let kind = std::mem::take(&mut self.kind);
            let data = self.data.take()?;
            let kind = if kind.is_empty() { "message".to_owned() } else { kind };
            return Some(Event { kind, id: self.id.clone(), data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.id),
            "event" => value.clone_into(&mut self.kind),
            "data" => match &mut self.data {
                None => self.data = Some(value.to_owned()),
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
            },
            // Comments have an empty field name; what else there is does not concern us.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Parser};

    /// Goal: events come out the same however the bytes are cut.
    /// Method: feed one stream whole, and byte by byte.
    #[test]
    fn events_do_not_depend_on_how_the_bytes_are_cut() {
        let stream = ": hi\n\nid: a/b/1\r\nevent: message.revised\ndata: {\"x\":\ndata: \"é\"}\n\n\
                      data:2\n\nevent: replaced\ndata\n\nid: unfinished\n";
        let event = |kind: &str, id: &str, data: &str| Event {
            kind: kind.to_owned(),
            id: id.to_owned(),
            data: data.to_owned(),
        };
        let expected = [
            event("message.revised", "a/b/1", "{\"x\":\n\"é\"}"),
            event("message", "a/b/1", "2"),
            event("replaced", "a/b/1", ""),
        ];
        assert_eq!(Parser::default().feed(stream.as_bytes()), expected);
        let mut parser = Parser::default();
        let singly: Vec<Event> = stream.bytes().flat_map(|byte| parser.feed(&[byte])).collect();
        assert_eq!(singly, expected);
    }
}
