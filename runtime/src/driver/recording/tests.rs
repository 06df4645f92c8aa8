use anteroom_core::Seed;
use anteroom_core::event::NodeEvent;
use anteroom_core::id::NodeId;
use anteroom_core::settings::NodeSettings;
use anteroom_trace::replay::{Replay, Replayed};
use uuid::Uuid;

use super::*;

/// A machine that is stepped, and recorded, by hand.
struct Bed {
    machine: Machine,
    recording: Recording,
    pieces: Receiver<Piece>,
    progress: Arc<Progress>,
    now: u64,
}

impl Bed {
    fn new(file_bytes_max: u64) -> Self {
        let settings = NodeSettings::new(NodeId::from(Uuid::nil()));
        let machine = Machine::new(settings, Seed([7; 32])).expect("the pools make a routing");
        let (recording, pieces, progress) = Recording::new(Contents::Kept, file_bytes_max);
        Self { machine, recording, pieces, progress, now: 1_000 }
    }

    fn step(&mut self, event: Event) {
        self.now += 1_000;
        let now = Timestamp::from_ms(self.now);
        self.recording.before(now, &event, &self.machine);
        let mut effects = Vec::new();
        self.machine.step(now, event, &mut effects);
        self.recording.after(&effects);
    }

    fn start(&mut self) {
        let (runs_bots, runs_workers) = (true, true);
        self.step(Event::Node(NodeEvent::Start { bots: Vec::new(), runs_bots, runs_workers }));
    }

    /// Writes all that waits, as lines, a list a file.
    fn write(&mut self) -> Vec<(Header, Vec<String>)> {
        let mut files: Vec<(Header, Vec<String>)> = Vec::new();
        while let Ok(piece) = self.pieces.try_recv() {
            match piece {
                Piece::File { header, when, machine } => {
                    let mut line = Vec::new();
                    Contents::Kept.machine(&mut line, when, &machine);
                    self.progress.begun(line.len());
                    files.push((header, vec![text(line)]));
                }
                Piece::Step(line) => {
                    self.progress.written(line.len());
                    match files.last_mut() {
                        Some((_, lines)) => lines.push(text(line)),
                        None => files.push((Header::new(Contents::Kept), vec![text(line)])),
                    }
                }
            }
        }
        files
    }
}

fn text(line: Vec<u8>) -> String {
    String::from_utf8(line).expect("a line is text")
}

/// Goal: every file replays alone, and steps that came faster than they were written are missing
/// between two files, never within one; their number is told. Method: more steps than may wait, and
/// then some more.
#[test]
fn what_is_left_out_is_missing_between_two_files() {
    let mut bed = Bed::new(u64::MAX);
    bed.start();
    // The file and its first step wait as well.
    for _ in 0..PIECES_MAX - 2 + 5 {
        bed.step(Event::Tick);
    }
    let mut files = bed.write();
    bed.step(Event::Tick);
    bed.step(Event::Tick);
    files.extend(bed.write());
    let told: Vec<_> = files.iter().map(|(header, lines)| (header.missing, lines.len())).collect();
    assert_eq!(told, [(0, PIECES_MAX), (5, 3)]);
    for (header, lines) in &files {
        let mut replay = Replay::default();
        replay.line(&text(header.to_line())).expect("it is a header");
        for line in lines {
            assert!(!matches!(replay.line(line).expect("it replays"), Replayed::Header(_)));
        }
        assert_eq!(replay.steps() as usize, lines.len() - 1);
    }
}

/// Goal: a file that is full is followed by another, which has at least as many bytes of steps as its
/// machine has, so that a large machine is not written with every step. Method: the smallest files.
#[test]
fn a_full_file_is_followed_by_another() {
    let mut bed = Bed::new(1);
    bed.start();
    let mut files = bed.write();
    for _ in 0..400 {
        bed.step(Event::Tick);
        for (header, lines) in bed.write() {
            assert_eq!(header.missing, 0);
            match lines[0].contains(r#""machine":"#) {
                true => files.push((header, lines)),
                false => files.last_mut().expect("there is a file").1.extend(lines),
            }
        }
    }
    assert!(files.len() > 2, "{} files", files.len());
    for (_, lines) in &files[..files.len() - 1] {
        let steps: usize = lines[1..].iter().map(String::len).sum();
        let last = lines.last().map_or(0, String::len);
        assert!(steps >= lines[0].len() && steps - last < lines[0].len(), "{steps}");
    }
}

/// Goal: once nobody writes any more nothing is made to be written.
#[test]
fn nothing_is_handed_over_to_nobody() {
    let mut bed = Bed::new(u64::MAX);
    bed.start();
    bed.progress.end();
    bed.step(Event::Tick);
    assert_eq!(bed.write().len(), 1);
    assert_eq!(bed.recording.state, State::Over);
}
