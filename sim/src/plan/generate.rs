//! From a seed to a plan: a random subset of operations and faults is off, the rest have random rates.

use anteroom_core::draft::Direction;
use anteroom_core::id::CorrespondentId;
use anteroom_core::message::MediaKind;
use anteroom_core::settings::Run;
use anteroom_core::time::Millis;

use super::{
    BotPlan, ConsumerPlan, Echo, Ending, Fault, FileState, Item, NodePlan, Nonsense, Plan,
    PlannedMedia, PlannedMessage, Processing, ProviderPlan, Sabotage, Task, Trouble, VERSION, Way,
    settings,
};
use crate::dice::Dice;

/// Names that are prefixes of each other, or mean something elsewhere.
const BOTS: [&str; 3] = ["bot", "bot-1", "bot/1.*"];

const SABOTAGES: [Sabotage; 7] = [
    Sabotage::LoseArchived,
    Sabotage::CallTwice,
    Sabotage::GarbleText,
    Sabotage::ResetEpochs,
    Sabotage::DeleteFiles,
    Sabotage::ReceiptTwice,
    Sabotage::LoseAnswers,
];

impl Plan {
    /// The plan of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let nodes = nodes(&mut dice);
        let bots: Vec<_> = BOTS[..1 + dice.index(3)].iter().map(|id| bot(&mut dice, id)).collect();
        let settings = (0..1 + dice.index(3)).map(|_| settings::node(&mut dice, &bots)).collect();
        let providers = providers(&mut dice, bots.len());
        let mut plan = Self {
            version: VERSION,
            note: format!("seed {seed}"),
            draws: seed,
            duration: Millis::from_secs(60 + dice.below(600)),
            providers,
            nodes,
            settings,
            bots,
            workload: Vec::new(),
            faults: Vec::new(),
            ending: Ending::AllHeal,
            sabotage: None,
        };
        plan.workload = Workload { plan: &plan, dice: Dice::new(seed, 2) }.items();
        plan.faults = Storm { plan: &plan, dice: Dice::new(seed, 3) }.faults();
        plan.ending = ending(&mut dice, &plan.nodes);
        plan
    }

    /// The plan of a seed in a world that gets one thing wrong: it has to fail.
    pub fn canary(seed: u64) -> Self {
        let sabotage = SABOTAGES[usize::try_from(seed).unwrap_or(0) % SABOTAGES.len()];
        let note = format!("canary {seed}");
        Self { sabotage: Some(sabotage), note, ..Self::from_seed(seed) }
    }
}

fn nodes(dice: &mut Dice) -> Vec<NodePlan> {
    let clock_ahead =
        |dice: &mut Dice| Millis::from_ms(if dice.coin() { 0 } else { dice.below(20_000) });
    let mut nodes =
        vec![NodePlan { runs_bots: true, runs_workers: true, clock_ahead: clock_ahead(dice) }];
    for _ in 0..dice.index(3) {
        let role = dice.below(4);
        nodes.push(NodePlan {
            runs_bots: role != 1,
            runs_workers: role != 2,
            clock_ahead: clock_ahead(dice),
        });
    }
    nodes
}

fn bot(dice: &mut Dice, id: &str) -> BotPlan {
    let registered = match dice.below(3) {
        0 => None,
        1 => Some(Run::Always),
        _ => Some(Run::WhileConnected),
    };
    let consumer = if dice.coin() {
        ConsumerPlan::Acknowledges
    } else {
        let replies_per_mille = if dice.coin() { 0 } else { dice.below(500) };
        ConsumerPlan::Answers { replies_per_mille }
    };
    BotPlan { bot_id: id.into(), registered, consumer }
}

fn providers(dice: &mut Dice, bots: usize) -> Vec<ProviderPlan> {
    let by_wire = dice.strikes(100);
    let instance = |dice: &mut Dice| dice.strikes(800).then(|| "only".into());
    if bots > 1 && dice.strikes(250) {
        let bots = (0..bots).collect();
        return vec![ProviderPlan { bots, instance: instance(dice), by_wire }];
    }
    let one = |bot| ProviderPlan { bots: vec![bot], instance: instance(dice), by_wire };
    (0..bots).map(one).collect()
}

fn ending(dice: &mut Dice, nodes: &[NodePlan]) -> Ending {
    if nodes.len() > 1 && dice.strikes(250) {
        // The first node runs everything, and is enough.
        return Ending::StayDead((1..nodes.len()).filter(|_| dice.coin()).collect());
    }
    Ending::AllHeal
}

/// What is done from outside.
struct Workload<'p> {
    plan: &'p Plan,
    dice: Dice,
}

impl Workload<'_> {
    fn items(mut self) -> Vec<Item> {
        let mut items = Vec::new();
        let correspondents = 1 + self.dice.below(5);
        let media_per_mille = self.rate(700);
        let outgoing_per_mille = self.rate(150);
        let posted_per_mille = self.rate(200);
        let bursts = self.dice.strikes(300);
        for bot in 0..self.plan.bots.len() {
            let mut counts = [0; 8];
            for _ in 0..5 + self.dice.below(60) {
                let carries = self.dice.strikes(media_per_mille);
                let media = carries.then(|| self.media());
                let outgoing = self.dice.strikes(outgoing_per_mille);
                let correspondent = self.dice.below(correspondents);
                let length = self.dice.below(60);
                let count = &mut counts[usize::try_from(correspondent).unwrap_or(0)];
                *count += 1;
                let message = PlannedMessage {
                    bot,
                    correspondent_id: correspondent_id(correspondent),
                    // The same names come from every correspondent of every bot.
                    provider_message_id: format!("m{count}").into(),
                    text: text(&mut self.dice, length),
                    direction: if outgoing { Direction::Outgoing } else { Direction::Incoming },
                    send_id: None,
                    posted: self.dice.strikes(posted_per_mille),
                    media,
                };
                let at = self.moment(bursts);
                items.push(Item { at, task: Task::Message(Box::new(message)) });
            }
        }
        self.repeats(&mut items);
        self.sends(&mut items, correspondents);
        self.nonsense(&mut items);
        self.operator(&mut items);
        items.sort_by_key(|item| item.at);
        items
    }

    fn rate(&mut self, most: u64) -> u64 {
        if self.dice.coin() { 0 } else { self.dice.below(most + 1) }
    }

    fn moment(&mut self, bursts: bool) -> Millis {
        let duration = self.plan.duration.as_ms();
        let at = self.dice.below(duration);
        Millis::from_ms(if bursts { at - at % (duration / 4).max(1) } else { at })
    }

    fn media(&mut self) -> PlannedMedia {
        let (kind, mime_type) = match self.dice.below(6) {
            0 => (MediaKind::Image, "image/png"),
            1 => (MediaKind::Video, "video/mp4"),
            2 => (MediaKind::Document, "application/pdf"),
            3 => (MediaKind::Sticker, "application/x-unheard-of"),
            _ => (MediaKind::Audio, "audio/ogg; codecs=opus"),
        };
        let file = match self.dice.below(20) {
            0 => FileState::Missing,
            1 => FileState::QuotaExceeded,
            _ => FileState::Staged,
        };
        let processing = match self.dice.below(8) {
            0 => Processing::Nothing,
            1 => Processing::Unreadable,
            _ => Processing::Text { characters: self.dice.below(400) },
        };
        PlannedMedia {
            media_id: self.dice.uuid().into(),
            kind,
            mime_type: mime_type.to_owned(),
            filename: self.dice.strikes(200).then(|| "note ä.pdf".to_owned()),
            file,
            processing,
        }
    }

    fn repeats(&mut self, items: &mut Vec<Item>) {
        let rate = self.rate(200);
        let mut again = Vec::new();
        for item in &*items {
            let Task::Message(message) = &item.task else { continue };
            if self.dice.strikes(rate) {
                let at = later(item.at, self.dice.below(120_000));
                again.push(Item { at, task: Task::Again(message.name()) });
            }
        }
        items.extend(again);
    }

    fn sends(&mut self, items: &mut Vec<Item>, correspondents: u64) {
        if self.dice.strikes(600) {
            return;
        }
        for number in 0..self.dice.below(15) {
            let at = self.moment(false);
            let bot = self.dice.index(self.plan.bots.len());
            let echo = match self.dice.below(3) {
                0 => Echo::None,
                1 => Echo::Named,
                _ => Echo::Unnamed,
            };
            let correspondent_id = correspondent_id(self.dice.below(correspondents));
            let send_id = format!("send-{number}").into();
            items.push(Item { at, task: Task::Send { bot, correspondent_id, send_id, echo } });
        }
    }

    fn nonsense(&mut self, items: &mut Vec<Item>) {
        if self.dice.strikes(700) {
            return;
        }
        for _ in 0..self.dice.below(10) {
            let provider = self.dice.index(self.plan.providers.len());
            let kind = match self.dice.below(12) {
                0..=3 => Nonsense::Garbage,
                4..=5 => Nonsense::VersionZero,
                6..=7 => Nonsense::MissingField,
                8 => Nonsense::Oversized,
                9..=10 => Nonsense::Stranger,
                _ => Nonsense::WrongProvider,
            };
            items.push(Item { at: self.moment(false), task: Task::Nonsense { provider, kind } });
        }
    }

    fn operator(&mut self, items: &mut Vec<Item>) {
        let media: Vec<_> = items
            .iter()
            .filter_map(|item| match &item.task {
                Task::Message(message) => Some((item.at, message.media.as_ref()?.media_id)),
                _ => None,
            })
            .collect();
        let (discards, retries) = (self.rate(200), self.rate(600));
        for (at, media_id) in media {
            if self.dice.strikes(discards) {
                let at = later(at, self.dice.below(30_000));
                items.push(Item { at, task: Task::Discard { media_id } });
            }
            if self.dice.strikes(retries) {
                let at = later(at, self.dice.below(120_000));
                items.push(Item { at, task: Task::Retry { media_id } });
            }
        }
        let storms = if self.dice.strikes(600) { 0 } else { self.dice.below(12) };
        for _ in 0..storms {
            let at = self.moment(false);
            let bot = self.dice.index(self.plan.bots.len());
            let node = self.dice.index(self.plan.nodes.len());
            items.push(Item { at, task: Task::StopBot { bot, node } });
            // Some stops last longer than a job may wait.
            let most = if self.dice.strikes(200) { 300_000 } else { 40_000 };
            let at = later(at, self.dice.below(most));
            items.push(Item { at, task: Task::StartBot { bot, node } });
        }
        let restarts = if self.dice.strikes(600) { 0 } else { self.dice.below(4) };
        for _ in 0..restarts {
            let node = self.dice.index(self.plan.nodes.len());
            items.push(Item { at: self.moment(false), task: Task::Restart { node } });
        }
        let redeliveries = if self.dice.strikes(400) { 0 } else { self.dice.below(12) };
        for _ in 0..redeliveries {
            let bot = self.dice.index(self.plan.bots.len());
            items.push(Item { at: self.moment(false), task: Task::Redeliver { bot } });
        }
    }
}

fn later(at: Millis, ms: u64) -> Millis {
    Millis::from_ms(at.as_ms() + ms)
}

fn correspondent_id(number: u64) -> CorrespondentId {
    format!("c{number}").into()
}

fn text(dice: &mut Dice, length: u64) -> String {
    const LETTERS: [char; 6] = ['a', 'ä', '語', '🦀', ' ', 'é'];
    (0..length).map(|_| LETTERS[dice.index(LETTERS.len())]).collect()
}

/// What goes wrong.
struct Storm<'p> {
    plan: &'p Plan,
    dice: Dice,
}

impl Storm<'_> {
    fn faults(mut self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.dice.strikes(50) {
            return faults;
        }
        for (least, most, times, draw) in KINDS {
            if self.dice.strikes(650) {
                continue;
            }
            for _ in 0..1 + self.dice.below(*times) {
                let at = Millis::from_ms(self.dice.below(self.plan.duration.as_ms()));
                let lasts = Millis::from_ms(self.dice.between(*least, *most));
                let what = draw(&mut self);
                faults.push(Fault { at, lasts, what });
            }
        }
        faults.sort_by_key(|fault| fault.at);
        faults
    }

    fn node(&mut self) -> usize {
        self.dice.index(self.plan.nodes.len())
    }

    fn bot(&mut self) -> usize {
        self.dice.index(self.plan.bots.len())
    }

    fn provider(&mut self) -> usize {
        self.dice.index(self.plan.providers.len())
    }

    fn way(&mut self) -> Way {
        match self.dice.below(3) {
            0 => Way::Both,
            1 => Way::There,
            _ => Way::Back,
        }
    }

    fn most(&mut self, seconds: u64) -> Millis {
        Millis::from_ms(self.dice.below(seconds * 1_000) + 1)
    }

    fn after_effects(&mut self) -> u32 {
        u32::try_from(self.dice.below(60)).unwrap_or(0)
    }
}

/// The kinds of faults: least and most length in milliseconds, how often at the most, and which.
type Kind = (u64, u64, u64, fn(&mut Storm<'_>) -> Trouble);

const KINDS: &[Kind] = &[
    (100, 30_000, 5, |storm| Trouble::Kill {
        node: storm.node(),
        after_effects: storm.after_effects(),
    }),
    (500, 60_000, 4, |storm| Trouble::Freeze {
        node: storm.node(),
        after_effects: storm.after_effects(),
    }),
    (0, 0, 3, |storm| Trouble::ClockJumps { node: storm.node(), ahead: storm.most(120) }),
    (1_000, 40_000, 4, |storm| Trouble::StoreCut { node: storm.node(), way: storm.way() }),
    (1_000, 60_000, 3, |_| Trouble::StoreDown),
    (5_000, 200_000, 4, |storm| Trouble::StoreBefore { per_mille: storm.dice.below(300) }),
    (5_000, 200_000, 4, |storm| Trouble::StoreAfter { per_mille: storm.dice.below(300) }),
    (5_000, 100_000, 3, |storm| Trouble::StoreLate {
        per_mille: storm.dice.below(200),
        most: storm.most(30),
    }),
    (5_000, 100_000, 3, |storm| Trouble::StoreSlow {
        per_mille: storm.dice.below(300),
        most: storm.most(30),
    }),
    (0, 0, 8, |storm| Trouble::Reset { provider: storm.provider() }),
    (5_000, 100_000, 3, |storm| Trouble::ProviderCut { provider: storm.provider() }),
    (5_000, 100_000, 3, |storm| Trouble::ProviderSlow {
        provider: storm.provider(),
        most: storm.most(5),
    }),
    (5_000, 300_000, 3, |storm| Trouble::SendsTwice {
        provider: storm.provider(),
        per_mille: storm.dice.below(500),
    }),
    (5_000, 100_000, 2, |storm| Trouble::IgnoresWindow { provider: storm.provider() }),
    (5_000, 300_000, 3, |storm| Trouble::AnyOrder { provider: storm.provider() }),
    (1_000, 90_000, 4, |storm| Trouble::ConsumerDown { bot: storm.bot() }),
    (5_000, 200_000, 4, |storm| Trouble::ConsumerCut {
        bot: storm.bot(),
        way: storm.way(),
        per_mille: storm.dice.below(500),
    }),
    (5_000, 100_000, 3, |storm| Trouble::ConsumerSlow { bot: storm.bot(), most: storm.most(40) }),
    (5_000, 200_000, 4, |storm| Trouble::ConsumerRefuses {
        bot: storm.bot(),
        per_mille: storm.dice.below(700),
        message: storm.dice.coin(),
    }),
    (1_000, 60_000, 2, |storm| Trouble::ConsumerGone { bot: storm.bot() }),
    (5_000, 300_000, 3, |storm| Trouble::Transient { per_mille: storm.dice.below(500) }),
    (5_000, 300_000, 3, |storm| Trouble::Hang { per_mille: storm.dice.below(300) }),
    (5_000, 300_000, 2, |storm| Trouble::SlowToCancel { most: storm.most(60) }),
    (5_000, 300_000, 3, |storm| Trouble::Slow { most: storm.most(120) }),
    (5_000, 300_000, 2, |storm| Trouble::DeletionFails { per_mille: storm.dice.below(500) }),
];
