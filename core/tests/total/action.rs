//! What can happen, in small numbers that shrink well; the world makes events of them.

use proptest::prelude::*;

/// What a run is set to.
#[derive(Debug, Clone)]
pub struct Choice {
    pub gated: bool,
    pub auto_create: bool,
    pub reject_overflow: bool,
    pub debounced: bool,
    pub seed: u8,
    /// Begin with a running node, rather than with whatever comes.
    pub started: bool,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Action {
    /// Time passes.
    Wait {
        ms: u64,
    },
    /// The clock steps back.
    StepBack {
        ms: u64,
    },
    /// The next deadline is reached, and served.
    Deadline,
    /// A tick for no reason.
    Tick,
    /// An operation in flight is answered: which, and how.
    Answer {
        which: usize,
        how: How,
    },
    /// The oldest operations are answered as they should be.
    AnswerAll,
    /// An answer comes again.
    Again {
        which: usize,
    },
    /// An answer to an operation that nobody asked for.
    Unasked {
        room: u8,
        op: u64,
    },
    Start {
        bots: bool,
        workers: bool,
    },
    Shutdown,
    Session {
        session: u8,
        what: Talk,
    },
    Bot {
        bot: u8,
        what: Talk,
    },
    /// A processor ends: one that runs, as it may.
    Ended {
        which: usize,
        how: u8,
    },
    /// A processor ends that nobody started.
    EndedUnknown {
        media: u8,
    },
    WorkWaiting,
    Staged {
        media: u8,
    },
    /// Another node takes a bot, if the store lets it.
    Usurp {
        bot: u8,
    },
    /// An operator discards or retries a job.
    Operate {
        media: u8,
        retry: bool,
    },
}

/// How an operation is answered.
#[derive(Debug, Clone, Copy)]
pub enum How {
    Right,
    LostBefore,
    LostAfter,
    Fenced,
    Invalid,
    WrongKind,
    /// In the right form, with the wrong content.
    Distorted(u8),
}

/// What a provider, a consumer or an operator says.
#[derive(Debug, Clone)]
pub enum Talk {
    Open,
    Hello {
        bot: u8,
        instance: u8,
        right_provider: bool,
        authorized: bool,
    },
    Text {
        bot: u8,
        correspondent: u8,
        message: u8,
        long: bool,
        outgoing: bool,
    },
    Voice {
        bot: u8,
        correspondent: u8,
        message: u8,
        media: u8,
        outgoing: bool,
    },
    /// The last message again, under the same number.
    SameFrame,
    Sent {
        send: u8,
        message: u8,
    },
    Ping,
    Malformed {
        seq: Option<u64>,
    },
    Heard,
    Close,
    BotStart,
    BotStop,
    Attach {
        stream: u8,
    },
    Detach {
        stream: u8,
    },
    /// Of a callback that was made.
    Acknowledge {
        which: usize,
    },
    /// Of a callback that may never have been made.
    AcknowledgeAny {
        correspondent: u8,
        message: u8,
    },
    /// Of the latest attempt at a callback that was made.
    Answered {
        which: usize,
        how: u8,
        early: bool,
    },
    /// Of the latest callbacks of one correspondent.
    AnsweredTogether {
        which: usize,
        how: u8,
    },
    Enqueue {
        send: u8,
        correspondent: u8,
    },
    ResultsWaiting,
}

pub fn any_choice() -> impl Strategy<Value = Choice> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.95));
    (flags, any::<u8>(), any::<bool>()).prop_map(
        |((gated, auto_create, reject_overflow, started), seed, debounced)| Choice {
            gated,
            auto_create,
            reject_overflow,
            debounced,
            seed,
            started,
        },
    )
}

/// Whatever may happen; `lies` says whether the store's answers are to be trusted.
pub fn any_action(lies: bool) -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => wait().prop_map(|ms| Action::Wait { ms }),
        1 => wait().prop_map(|ms| Action::StepBack { ms }),
        8 => Just(Action::Deadline),
        3 => Just(Action::Tick),
        22 => (any::<usize>(), any_how(lies)).prop_map(|(which, how)| Action::Answer { which, how }),
        12 => Just(Action::AnswerAll),
        2 => any::<usize>().prop_map(|which| Action::Again { which }),
        1 => (0..4u8, 0..200u64).prop_map(|(room, op)| Action::Unasked { room, op }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(bots, workers)| Action::Start { bots, workers }),
        1 => prop::bool::weighted(0.3).prop_map(|it| if it { Action::Shutdown } else { Action::Tick }),
        30 => (0..4u8, session_talk()).prop_map(|(session, what)| Action::Session { session, what }),
        16 => (0..4u8, bot_talk()).prop_map(|(bot, what)| Action::Bot { bot, what }),
        8 => (any::<usize>(), 0..8u8).prop_map(|(which, how)| Action::Ended { which, how }),
        1 => (0..12u8).prop_map(|media| Action::EndedUnknown { media }),
        1 => Just(Action::WorkWaiting),
        1 => (0..12u8).prop_map(|media| Action::Staged { media }),
        1 => (0..2u8).prop_map(|bot| Action::Usurp { bot }),
        2 => (0..12u8, any::<bool>()).prop_map(|(media, retry)| Action::Operate { media, retry }),
    ]
}

/// Often short, sometimes past every lease, rarely past everything.
fn wait() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..300u64, 3 => 0..8_000u64, 1 => 0..120_000u64, 1 => Just(20_000_000u64)]
}

fn any_how(lies: bool) -> impl Strategy<Value = How> {
    // A case is shrunk to the first choice, whatever its weight.
    let first = move |how| if lies { How::Distorted(how) } else { How::Right };
    prop_oneof![
        if lies { 10 } else { 0 } => (0..8u8).prop_map(first),
        20 => Just(How::Right),
        3 => Just(How::LostBefore),
        3 => Just(How::LostAfter),
        1 => Just(How::Fenced),
        1 => Just(How::Invalid),
        1 => Just(How::WrongKind),
    ]
}

fn session_talk() -> impl Strategy<Value = Talk> {
    let message = (0..3u8, 0..3u8, 0..14u8, any::<bool>(), prop::bool::weighted(0.1));
    let voice = (0..3u8, 0..3u8, 0..14u8, 0..12u8, prop::bool::weighted(0.1));
    prop_oneof![
        4 => Just(Talk::Open),
        6 => (0..3u8, 0..3u8, prop::bool::weighted(0.95), prop::bool::weighted(0.95)).prop_map(
            |(bot, instance, right_provider, authorized)| Talk::Hello {
                bot, instance, right_provider, authorized
            }
        ),
        12 => message.prop_map(|(bot, correspondent, message, long, outgoing)| Talk::Text {
            bot, correspondent, message, long, outgoing
        }),
        10 => voice.prop_map(|(bot, correspondent, message, media, outgoing)| Talk::Voice {
            bot, correspondent, message, media, outgoing
        }),
        1 => Just(Talk::SameFrame),
        2 => (0..4u8, 0..14u8).prop_map(|(send, message)| Talk::Sent { send, message }),
        1 => Just(Talk::Ping),
        1 => prop::option::of(0..40u64).prop_map(|seq| Talk::Malformed { seq }),
        1 => Just(Talk::Heard),
        2 => Just(Talk::Close),
    ]
}

fn bot_talk() -> impl Strategy<Value = Talk> {
    let post = (0..3u8, 0..14u8, any::<bool>());
    prop_oneof![
        2 => Just(Talk::BotStart),
        1 => Just(Talk::BotStop),
        3 => post.prop_map(|(correspondent, message, long)| Talk::Text {
            bot: 0, correspondent, message, long, outgoing: false
        }),
        2 => (0..3u8, 0..14u8, 0..12u8).prop_map(|(correspondent, message, media)| Talk::Voice {
            bot: 0, correspondent, message, media, outgoing: false
        }),
        5 => (0..3u8).prop_map(|stream| Talk::Attach { stream }),
        2 => (0..3u8).prop_map(|stream| Talk::Detach { stream }),
        6 => any::<usize>().prop_map(|which| Talk::Acknowledge { which }),
        1 => (0..3u8, 1..9u8).prop_map(|(correspondent, message)| Talk::AcknowledgeAny {
            correspondent, message
        }),
        5 => (any::<usize>(), 0..5u8, prop::bool::weighted(0.1))
            .prop_map(|(which, how, early)| Talk::Answered { which, how, early }),
        2 => (any::<usize>(), 0..5u8)
            .prop_map(|(which, how)| Talk::AnsweredTogether { which, how }),
        2 => (0..4u8, 0..3u8).prop_map(|(send, correspondent)| Talk::Enqueue { send, correspondent }),
        1 => Just(Talk::ResultsWaiting),
    ]
}
