use anteroom_core::Seed;
use anteroom_core::event::NodeEvent;
use anteroom_core::id::NodeId;
use anteroom_core::settings::NodeSettings;
use uuid::Uuid;

use super::*;

/// The lines of a node's machine, of its start, and of its shutdown.
fn lines_of(node: u32, contents: Contents) -> [String; 3] {
    let settings = NodeSettings::new(NodeId::from(Uuid::from_u128(node.into())));
    let mut machine = Machine::new(settings, Seed([7; 32])).expect("the pools make a routing");
    let when = |ms| When { node, now: Timestamp::from_ms(ms + 5), at: Timestamp::from_ms(ms) };
    let mut first = Vec::new();
    contents.machine(&mut first, when(1_000), &machine);
    let start = NodeEvent::Start { bots: Vec::new(), runs_bots: true, runs_workers: true };
    let mut step = |ms, event| {
        let mut line = Vec::new();
        contents.event(&mut line, when(ms), &event);
        let mut effects = Vec::new();
        machine.step(when(ms).now, event, &mut effects);
        contents.effects(&mut line, &effects);
        text(line)
    };
    let start = step(2_000, Event::Node(start));
    let shutdown = step(3_000, Event::Node(NodeEvent::Shutdown));
    [text(first), start, shutdown]
}

fn text(line: Vec<u8>) -> String {
    String::from_utf8(line).expect("a line is text")
}

fn header() -> String {
    text(Header::new(Contents::Kept).to_line())
}

/// Replays lines; what the first one that fails says.
fn replay(lines: &[&str]) -> Result<Replay, ReplayError> {
    let mut replay = Replay::default();
    for line in lines {
        replay.line(line)?;
    }
    Ok(replay)
}

/// Goal: the machines of several nodes replay beside each other, each by its own clock, and the span is
/// by the world's.
#[test]
fn several_nodes_replay_beside_each_other() {
    let ([a0, a1, a2], [b0, b1, b2]) = (lines_of(0, Contents::Kept), lines_of(1, Contents::Kept));
    let replay = replay(&[&header(), &a0, &b0, &a1, &b1, &b2, &a2]).expect("it replays");
    let span = Some((Timestamp::from_ms(2_000), Timestamp::from_ms(3_000)));
    assert_eq!((replay.steps(), replay.lines(), replay.span()), (4, 7, span));
}

/// Goal: an effect that is missing, one too many and one that differs are each found at their place.
/// Method: the effects of a line, as they stand in it, taken apart and put together otherwise.
#[test]
fn the_first_difference_is_found() {
    let [machine, start, _] = lines_of(0, Contents::Kept);
    let (event, effects) = start.split_once(r#""effects":"#).expect("it has effects");
    let effects = effects.trim_end().strip_suffix('}').expect("a line ends with a brace");
    let effects: Vec<&RawValue> = serde_json::from_str(effects).expect("they are a list");
    let effects: Vec<_> = effects.iter().map(|effect| effect.get()).collect();
    let count = effects.len();
    assert!(count > 1, "a start has several effects");
    let stopped = r#""stopped""#;
    let changed = [&effects[..1], &[stopped], &effects[2..]].concat();
    let longer = [&effects[..], &[stopped]].concat();
    for (list, place) in [(effects[..count - 1].to_vec(), count), (changed, 2), (longer, count + 1)]
    {
        let spoilt = format!(r#"{event}"effects":[{}]}}"#, list.join(","));
        let error = replay(&[&header(), &machine, &spoilt]).expect_err("it differs");
        let ReplayError::Differs(difference) = error else { panic!("it differs: {error}") };
        assert_eq!((difference.line, difference.place), (3, place));
    }
}

/// Goal: lines that make no sense where they stand are refused with their number.
#[test]
fn lines_out_of_place_are_refused() {
    let [machine, start, _] = lines_of(0, Contents::Kept);
    let header = header();
    for (lines, said) in [
        (vec![&start[..]], "line 1 is no line of a trace: the first line is no header"),
        (vec![&header, &header], "line 2 is no line of a trace: a second header"),
        (vec![&header, &start], "line 2 is no line of a trace: node 0 takes a step before"),
        (vec![&header, &machine, "{\"now\":1}"], "line 3 is no line of a trace: it is neither"),
        (vec![&header, "{}"], "line 2 is no line of a trace: it has no `now`"),
    ] {
        let error = replay(&lines).expect_err("it is refused").to_string();
        assert!(error.starts_with(said), "{error}");
    }
}
