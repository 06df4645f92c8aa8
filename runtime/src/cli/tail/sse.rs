//! Server-sent events, parsed as they come (WHATWG HTML, section 9.2.6), within bounds.

use std::collections::VecDeque;

/// Bytes of one line, and of one event's data: more than any callback has.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// Its type; `message` when the server names none.
    pub(super) event_type: String,
    /// Its data, lines joined.
    pub(super) data: String,
}

/// The stream is none of events, or of one that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {EVENT_BYTES_MAX} bytes")]
pub(super) struct EventTooLarge;

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub(super) struct SseParser {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed right behind it belongs to it.
    after_return: bool,
    /// A line was seen, so no byte order mark can come any more.
    begun: bool,
    event_type: String,
    /// The data of the event that has not ended yet; none when it has none.
    data: Option<String>,
    events: VecDeque<SseEvent>,
}

impl SseParser {
    /// Takes the next piece of the stream, cut anywhere.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), EventTooLarge> {
        for &byte in bytes {
            let follows_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => self.end_line()?,
                byte if self.line.len() < EVENT_BYTES_MAX => self.line.push(byte),
                _ => return Err(EventTooLarge),
            }
        }
        Ok(())
    }

    /// The next event that is complete.
    pub(super) fn next(&mut self) -> Option<SseEvent> {
        self.events.pop_front()
    }

    fn end_line(&mut self) -> Result<(), EventTooLarge> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = match std::mem::replace(&mut self.begun, true) {
            false => line.strip_prefix('\u{feff}').unwrap_or(&line),
            true => &line,
        };
        if line.is_empty() {
            self.end_event();
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event_type = value.to_owned(),
            "data" => self.add_data(value)?,
            // Comments have an empty name; ids mean nothing here, and retries are our own.
            _ => {}
        }
        Ok(())
    }

    fn add_data(&mut self, value: &str) -> Result<(), EventTooLarge> {
        let Some(data) = &mut self.data else {
            self.data = Some(value.to_owned());
            return Ok(());
        };
        if data.len() + value.len() >= EVENT_BYTES_MAX {
            return Err(EventTooLarge);
        }
        data.push('\n');
        data.push_str(value);
        Ok(())
    }

    fn end_event(&mut self) {
        let mut event_type = std::mem::take(&mut self.event_type);
        if event_type.is_empty() {
            event_type.push_str("message");
        }
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            self.events.push_back(SseEvent { event_type, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::FileFailurePersistence;

    use super::*;

    fn parsed(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece).expect("small events");
            events.extend(std::iter::from_fn(|| parser.next()));
        }
        events.into_iter().map(|event| (event.event_type, event.data)).collect()
    }

    fn event(event_type: &str, data: &str) -> (String, String) {
        (event_type.to_owned(), data.to_owned())
    }

    const STREAM: &str = "\u{feff}: hello\n\nid: b/a/1\nevent: message\ndata: {\"a\":1}\n\n\
        event: replaced\r\ndata:{}\r\n\r\ndata: two\rdata: lines\r\rretry: 5\nid\nevent: x\n\n\
        data: é\n\nevent: never ends\ndata: x\n";

    /// Goal: fields, comments, every line end and the byte order mark are read as the standard says.
    #[test]
    fn events_are_read_as_the_standard_says() {
        let expected = [
            event("message", "{\"a\":1}"),
            event("replaced", "{}"),
            event("message", "two\nlines"),
            event("message", "é"),
        ];
        assert_eq!(parsed(&[STREAM.as_bytes()]), expected);
    }

    /// Goal: it does not matter where the network cuts the stream.
    /// Method: every cut into two, and into single bytes.
    #[test]
    fn a_stream_may_be_cut_anywhere() {
        let whole = parsed(&[STREAM.as_bytes()]);
        for at in 0..STREAM.len() {
            let (before, after) = STREAM.as_bytes().split_at(at);
            assert_eq!(parsed(&[before, after]), whole, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(parsed(&bytes), whole);
    }

    /// Goal: neither a line nor an event without an end grows without bound.
    #[test]
    fn what_never_ends_is_given_up() {
        let piece = vec![b'x'; 1024 * 1024];
        let mut line = SseParser::default();
        let pushed: Vec<_> = (0..5).map(|_| line.push(&piece)).collect();
        assert_eq!(pushed, [Ok(()), Ok(()), Ok(()), Ok(()), Err(EventTooLarge)]);

        let mut lines = SseParser::default();
        let piece = [b"data: ", piece.as_slice(), b"\n"].concat();
        let pushed: Vec<_> = (0..5).map(|_| lines.push(&piece)).collect();
        assert!(pushed[..3].iter().all(Result::is_ok) && pushed[4].is_err());
    }

    /// Goal: bytes that are no UTF-8 break nothing.
    #[test]
    fn odd_bytes_break_nothing() {
        assert_eq!(parsed(&[b"data: \xff\n\n"]), [event("message", "\u{fffd}")]);
    }

    /// Failing cases are kept with those of the other crates.
    fn kept() -> ProptestConfig {
        let file = FileFailurePersistence::Direct("../proptest-regressions/runtime_sse.txt");
        ProptestConfig { failure_persistence: Some(Box::new(file)), ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(kept())]

        /// Goal: any stream is read as the same events wherever it is cut, and breaks nothing. Method: noise
        /// with the words and line ends of events in it, in pieces of any length.
        #[test]
        fn any_stream_is_read_the_same_however_it_is_cut(
            words in prop::collection::vec(
                prop_oneof![
                    Just(b"data: ".to_vec()), Just(b"event:".to_vec()), Just(b"id: x".to_vec()),
                    Just(b"\n".to_vec()), Just(b"\r".to_vec()), Just(b"\r\n".to_vec()),
                    Just("\u{feff}".as_bytes().to_vec()), prop::collection::vec(any::<u8>(), 0..8),
                ],
                0..40,
            ),
            length in 1..16_usize,
        ) {
            let stream = words.concat();
            let pieces: Vec<&[u8]> = stream.chunks(length).collect();
            prop_assert_eq!(parsed(&pieces), parsed(&[&stream]));
        }
    }
}
