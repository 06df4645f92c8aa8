//! What is generated: operations with small numbers for everything.

use proptest::collection::vec;
use proptest::prelude::*;

/// What a page is behind: how long ago a job was made, and its media.
#[derive(Debug, Clone, Copy)]
pub struct Behind {
    pub ago: u64,
    pub media: u8,
}

/// An operation, before it is known what the nodes believe.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Time passes.
    Advance(u64),
    /// The operation before, once more.
    Again,
    Register(u8),
    Acquire(u8, u8),
    RenewBots(u8),
    ReleaseBot(u8, u8),
    Restore {
        bot: u8,
        node: u8,
        after: Option<Behind>,
        limit: u32,
        /// Of which pool, under which token, and how many places.
        offer: Option<(u8, u8, u32)>,
    },
    Completed {
        bot: u8,
        node: u8,
        after: Option<Behind>,
        limit: u32,
    },
    NextId(u8, u8),
    Insert {
        bot: u8,
        node: u8,
        jobs: Vec<New>,
    },
    Archive {
        bot: u8,
        node: u8,
        items: Vec<Item>,
    },
    Revise {
        bot: u8,
        node: u8,
        correspondent: u8,
        number: u8,
        media: u8,
        revision: u32,
        plan: u8,
    },
    Owed {
        bot: u8,
        node: u8,
        scope: Scope,
        limit: u32,
    },
    Raise {
        bot: u8,
        node: u8,
        keys: Vec<(Key, u32)>,
    },
    Mark {
        bot: u8,
        node: u8,
        marks: Vec<(Key, bool, bool, bool)>,
    },
    /// Made again; where the last attempt is not guessed, it is known.
    Redeliver {
        bot: u8,
        node: u8,
        key: Key,
        attempts: Option<u32>,
    },
    EnqueueSend {
        bot: u8,
        send: u8,
        text: u8,
    },
    OwedSends {
        bot: u8,
        node: u8,
        limit: u32,
    },
    MarkSent {
        bot: u8,
        node: u8,
        sends: Vec<u8>,
    },
    Hold(u8, u8),
    Claim {
        pool: u8,
        after: Option<u8>,
        node: u8,
        token: u8,
        limit: u32,
    },
    Renew(Vec<(u8, u8)>),
    Release {
        media: u8,
        token: u8,
        delay: bool,
        transient: bool,
    },
    Complete(Vec<(u8, u8, u8)>),
    Singleton(u8),
    Reclaim,
    Expire {
        node: u8,
        active_ms: u64,
        holding_ms: u64,
    },
    KnownMedia,
    ForgetFailed(u64),
    ForgetArchived(u64),
    Discard(u8),
    Retry(u8),
}

/// A job to be inserted.
#[derive(Debug, Clone)]
pub struct New {
    pub correspondent: u8,
    pub number: u8,
    /// Which message of its provider it is; mostly its own.
    pub provider_number: u8,
    pub media: u8,
    pub pool: u8,
    pub lease: Option<u8>,
}

/// A message to be archived.
#[derive(Debug, Clone)]
pub struct Item {
    pub correspondent: u8,
    pub number: u8,
    pub provider_number: u8,
    /// Its media, and how its job ends: not at all, with a stored result, or under a token.
    pub media: Option<(u8, Option<Option<u8>>, u8)>,
    pub plan: u8,
}

/// Which owed callbacks.
#[derive(Debug, Clone)]
pub enum Scope {
    Bot {
        after: u8,
        except: Vec<u8>,
    },
    /// Of each correspondent behind a place, so many.
    Correspondents(u8, Vec<u8>),
    ById(u8, Option<u8>),
}

/// A callback: whose, which, which revision.
pub type Key = (u8, u8, u32);

const NODES: u8 = 2;
const BOTS: u8 = 2;
const CORRESPONDENTS: u8 = 2;
const NUMBERS: u8 = 6;
const MEDIA: u8 = 6;
const TOKENS: u8 = 8;
const POOLS: u8 = 2;

/// Ids from 1 on, for what is counted; from 0 on, for what is named.
fn number() -> impl Strategy<Value = u8> {
    1..=NUMBERS
}

fn media() -> impl Strategy<Value = u8> {
    1..=MEDIA
}

fn owner() -> impl Strategy<Value = (u8, u8)> {
    // The first node owns most of the time; the other is what it is fenced by.
    (0..BOTS, prop_oneof![5 => Just(0_u8), 1 => 0..NODES])
}

/// A provider's message: mostly the one of the same number.
fn with_provider_number() -> impl Strategy<Value = (u8, u8)> {
    prop_oneof![
        6 => number().prop_map(|number| (number, number)),
        1 => (number(), number()),
    ]
}

fn new() -> impl Strategy<Value = New> {
    let lease = prop_oneof![Just(None), (1..=TOKENS).prop_map(Some)];
    (0..CORRESPONDENTS, with_provider_number(), media(), 0..POOLS, lease).prop_map(
        |(correspondent, (number, provider_number), media, pool, lease)| New {
            correspondent,
            number,
            provider_number,
            media,
            pool,
            lease,
        },
    )
}

fn item() -> impl Strategy<Value = Item> {
    let end = prop_oneof![
        1 => Just(None),
        2 => Just(Some(None)),
        3 => (1..=TOKENS).prop_map(|token| Some(Some(token))),
    ];
    let media = prop_oneof![
        1 => Just(None),
        2 => (media(), end, 0..4_u8).prop_map(Some),
    ];
    (0..CORRESPONDENTS, with_provider_number(), media, 0..3_u8).prop_map(
        |(correspondent, (number, provider_number), media, plan)| Item {
            correspondent,
            number,
            provider_number,
            media,
            plan,
        },
    )
}

fn key() -> impl Strategy<Value = Key> {
    (0..CORRESPONDENTS, number(), prop_oneof![4 => Just(0_u32), 1 => 0..3_u32])
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        (0..6_u8, vec(0..CORRESPONDENTS, 0..2))
            .prop_map(|(after, except)| Scope::Bot { after, except }),
        (0..6_u8, vec(1..4_u8, 1..=usize::from(CORRESPONDENTS)))
            .prop_map(|(after, limits)| Scope::Correspondents(after, limits)),
        (0..CORRESPONDENTS, proptest::option::of(number()))
            .prop_map(|(c, after)| Scope::ById(c, after)),
    ]
}

fn page() -> impl Strategy<Value = (Option<Behind>, u32)> {
    let behind = (length(), media()).prop_map(|(ago, media)| Behind { ago, media });
    (proptest::option::weighted(0.2, behind), prop_oneof![Just(1_u32), Just(3), Just(50)])
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0_u64), Just(1_000), Just(30_000), Just(120_000)]
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation as O;
    prop_oneof![
        4 => length().prop_map(O::Advance),
        6 => Just(O::Again),
        2 => (0..BOTS).prop_map(O::Register),
        4 => (0..BOTS, 0..NODES).prop_map(|(bot, node)| O::Acquire(bot, node)),
        1 => (0..NODES).prop_map(O::RenewBots),
        1 => owner().prop_map(|(bot, node)| O::ReleaseBot(bot, node)),
        3 => (owner(), page(), proptest::option::of((0..POOLS, 1..=TOKENS, 0..4_u32))).prop_map(
            |((bot, node), (after, limit), offer)| O::Restore { bot, node, after, limit, offer },
        ),
        2 => (owner(), page()).prop_map(|((bot, node), (after, limit))| {
            O::Completed { bot, node, after, limit }
        }),
        2 => (0..BOTS, 0..CORRESPONDENTS).prop_map(|(bot, c)| O::NextId(bot, c)),
        10 => (owner(), vec(new(), 1..4)).prop_map(|((bot, node), jobs)| {
            O::Insert { bot, node, jobs }
        }),
        10 => (owner(), vec(item(), 1..4)).prop_map(|((bot, node), items)| {
            O::Archive { bot, node, items }
        }),
        3 => (owner(), 0..CORRESPONDENTS, number(), media(), 0..3_u32, 0..3_u8).prop_map(
            |((bot, node), correspondent, number, media, revision, plan)| {
                O::Revise { bot, node, correspondent, number, media, revision, plan }
            },
        ),
        4 => (owner(), scope(), prop_oneof![Just(1_u32), Just(50)]).prop_map(
            |((bot, node), scope, limit)| O::Owed { bot, node, scope, limit },
        ),
        3 => (owner(), vec((key(), 0..4_u32), 1..4)).prop_map(|((bot, node), keys)| {
            O::Raise { bot, node, keys }
        }),
        6 => (owner(), vec((key(), any::<bool>(), any::<bool>(), any::<bool>()), 1..5)).prop_map(
            |((bot, node), marks)| O::Mark { bot, node, marks },
        ),
        4 => (owner(), key(), prop_oneof![3 => Just(None), 1 => (0..4_u32).prop_map(Some)]).prop_map(
            |((bot, node), key, attempts)| O::Redeliver { bot, node, key, attempts },
        ),
        2 => (0..BOTS, 0..3_u8, 0..2_u8).prop_map(|(bot, send, text)| {
            O::EnqueueSend { bot, send, text }
        }),
        2 => (owner(), prop_oneof![Just(1_u32), Just(50)]).prop_map(|((bot, node), limit)| {
            O::OwedSends { bot, node, limit }
        }),
        2 => (owner(), vec(0..3_u8, 1..3)).prop_map(|((bot, node), sends)| {
            O::MarkSent { bot, node, sends }
        }),
        3 => owner().prop_map(|(bot, node)| O::Hold(bot, node)),
        6 => (0..POOLS, proptest::option::of(0..BOTS), 0..NODES, 1..=TOKENS, 0..5_u32).prop_map(
            |(pool, after, node, token, limit)| O::Claim { pool, after, node, token, limit },
        ),
        3 => vec((media(), 1..=TOKENS), 1..5).prop_map(O::Renew),
        3 => (media(), 1..=TOKENS, any::<bool>(), any::<bool>()).prop_map(
            |(media, token, delay, transient)| O::Release { media, token, delay, transient },
        ),
        6 => vec((media(), 1..=TOKENS, 0..4_u8), 1..4).prop_map(O::Complete),
        1 => (0..NODES).prop_map(O::Singleton),
        3 => Just(O::Reclaim),
        2 => (0..NODES, length(), length()).prop_map(|(node, active_ms, holding_ms)| {
            O::Expire { node, active_ms, holding_ms }
        }),
        1 => Just(O::KnownMedia),
        1 => length().prop_map(O::ForgetFailed),
        1 => length().prop_map(O::ForgetArchived),
        2 => media().prop_map(O::Discard),
        3 => media().prop_map(O::Retry),
    ]
}

/// A case: two bots that are known and owned, and what happens to them.
pub fn sequence() -> impl Strategy<Value = Vec<Operation>> {
    let begin: Vec<Operation> =
        (0..BOTS).flat_map(|bot| [Operation::Register(bot), Operation::Acquire(bot, 0)]).collect();
    vec(operation(), 20..120).prop_map(move |rest| [begin.clone(), rest].concat())
}
