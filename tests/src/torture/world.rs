//! How a run goes: everybody starts, the node is killed until the time is over, everything settles, and
//! what happened is judged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::server::NotReady;
use crate::torture::account::Account;
use crate::torture::author::{Author, HAND_OVER_PATIENCE, Outgoing};
use crate::torture::consumer::Consumer;
use crate::torture::dice::Dice;
use crate::torture::fleet::Fleet;
use crate::torture::killer::Killer;
use crate::torture::ledger::{Counts, Fact, Ledger};
use crate::torture::place::Place;
use crate::torture::poster::Poster;
use crate::torture::provider::Provider;
use crate::torture::remains::Remains;
use crate::torture::{Deaths, Failure, Options, StoreKind, Summary, history, progress, rules};

/// The bots. One's id is the beginning of another's; some hold what patterns and paths are made of.
const BOTS: [&str; 4] = ["demo", "demo-2", "d.mo*", "größe/1"];

/// Correspondents of an author.
const CORRESPONDENTS: usize = 6;

/// Messages on their way from authors to a line.
const HANDED_OVER_MAX: usize = 64;

/// For how long nothing may come forward before a run counts as stuck. A worker's lease and the sweep
/// that finds it may have to end.
const STUCK_AFTER: Duration = Duration::from_secs(100);

/// How long nothing must have been called back for a run to be settled.
const QUIET: Duration = Duration::from_millis(1_500);

/// Runs the torture in a new directory, which stays when a promise is broken, and says how much happened.
///
/// # Panics
/// When a promise is broken, or the torture cannot be run.
pub async fn keeps_every_promise(
    store: StoreKind,
    seed: u64,
    nodes: usize,
    deaths: Deaths,
) -> Counts {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let options = Options {
        seed,
        store,
        nodes,
        deaths,
        home: home.path().to_owned(),
        progress_every: Duration::from_secs(5),
    };
    let counts = match run(&options).await {
        Ok(summary) => summary.counts,
        Err(failure) => panic!("{failure}\n{options:?}; kept in {}", home.keep().display()),
    };
    println!("{counts}");
    counts
}

/// Runs the torture and judges it.
///
/// # Errors
/// [`Failure::Broken`] when a promise was broken, [`Failure::NotRun`] when nothing can be said.
pub async fn run(options: &Options) -> Result<Summary, Failure> {
    let mut dice = Dice::new(options.seed);
    let ledger = Ledger::default();
    let mut place = Place::start(options.store).await?;
    let mut fleet = Fleet::new(options, &place)?;
    let mut killer = Killer { dice: dice.fork(), ledger: ledger.clone(), complaints: Vec::new() };
    killer.start_all(&mut fleet).await.map_err(|NotReady(why)| anyhow!("the node {why}"))?;

    let mut world = World::new(&fleet, options.deaths, ledger.clone(), &mut dice);
    let progress = tokio::spawn(progress::report(ledger.clone(), options.progress_every));
    let died = match options.deaths {
        Deaths::AtRandom(duration) => {
            killer.run(&mut fleet, &mut place, Instant::now() + duration).await
        }
        Deaths::InTurn(rounds) => killer.roll(&mut fleet, rounds).await,
    };
    let ended = match died {
        Ok(()) => world.settle(&mut killer, &mut fleet, &place).await,
        Err(not_ready) => Err(not_ready),
    };
    progress.abort();
    let mut remains = match ended {
        Ok(()) => remains(&place, fleet.data_directory()).await?,
        Err(NotReady(why)) => {
            killer.complaints.push(format!("it was started again and {why}"));
            Remains::default()
        }
    };
    world.end().await;
    remains.complaints.append(&mut killer.complaints);
    remains.complaints.extend(fleet.take_errors());
    verdict(&Account::new(&ledger, remains), &ledger)
}

/// What is left, before and after the last sweep.
async fn remains(place: &Place, data_directory: &Path) -> anyhow::Result<Remains> {
    let remains = place.remains(data_directory).await?;
    let unswept = place.sweep(data_directory).await?;
    Ok(Remains { unswept, ..remains })
}

fn verdict(account: &Account, ledger: &Ledger) -> Result<Summary, Failure> {
    let broken = rules::judge(account);
    let Some(((rule, violation), others)) = broken.split_first() else {
        let files_left = account.remains.files.len();
        return Ok(Summary { counts: ledger.counts(), files_left });
    };
    let mut told = history::told(account, rule, violation);
    for (rule, violation) in others {
        told.push_str(&format!("Also broken: \"{rule}\": {}\n", violation.what));
    }
    Err(Failure::Broken(told))
}

/// The actors.
struct World {
    ledger: Ledger,
    authors: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    finale: watch::Sender<bool>,
    /// Where the nodes are.
    urls: Arc<[String]>,
    /// Where media files wait.
    staging: PathBuf,
}

impl World {
    /// Starts them all.
    fn new(fleet: &Fleet, deaths: Deaths, ledger: Ledger, dice: &mut Dice) -> Self {
        let bots = BOTS.map(Arc::<str>::from);
        let (stop, finale) = (watch::Sender::new(false), watch::Sender::new(false));
        let (authors, others) = (Vec::new(), Vec::new());
        let (urls, staging) = (fleet.urls(), fleet.staging_directory());
        let mut world = Self { ledger, authors, others, stop, finale, urls, staging };
        let [demo, demo_2, pattern, path] = &bots;
        let mut lines = vec![
            ("two-bots", vec![demo, demo_2], 3),
            ("one-bot", vec![pattern], 2),
            ("other-instance", vec![pattern, path], 2),
        ];
        if !fleet.is_one() {
            // Bots of one connection may have different owners, and could then never all be welcome.
            lines = vec![
                ("demo", vec![demo], 2),
                ("demo-2", vec![demo_2], 2),
                ("pattern", vec![pattern], 2),
                ("path", vec![path], 1),
            ];
        }
        for (name, bots, authors) in lines {
            let (outgoing, messages) = mpsc::channel(HANDED_OVER_MAX);
            let bots: Vec<_> = bots.into_iter().cloned().collect();
            for number in 0..authors {
                world.author(dice, &format!("{name}-{number}"), &bots, &outgoing);
            }
            let provider = Provider {
                name: name.into(),
                urls: Arc::clone(&world.urls),
                bots,
                dice: dice.fork(),
                ledger: world.ledger.clone(),
            };
            world.others.push(tokio::spawn(provider.run(messages)));
        }
        let (outgoing, messages) = mpsc::channel(HANDED_OVER_MAX);
        world.author(dice, "poster", std::slice::from_ref(demo), &outgoing);
        let poster = Poster {
            name: "poster".into(),
            urls: Arc::clone(&world.urls),
            ledger: world.ledger.clone(),
        };
        world.others.push(tokio::spawn(poster.run(messages)));
        // Only the node that has a bot calls back, so its consumer listens at every node.
        let everywhere =
            bots.iter().flat_map(|bot_id| world.urls.iter().map(move |url| (bot_id, url)));
        let everywhere: Vec<_> =
            everywhere.map(|(bot_id, url)| (Arc::clone(bot_id), url.clone())).collect();
        for (bot_id, url) in everywhere {
            let consumer = Consumer {
                name: format!("consumer of {bot_id}").into(),
                url,
                bot_id,
                behaves: matches!(deaths, Deaths::InTurn(_)),
                dice: dice.fork(),
                ledger: world.ledger.clone(),
            };
            world.others.push(tokio::spawn(consumer.run(world.finale.subscribe())));
        }
        world
    }

    fn author(
        &mut self,
        dice: &mut Dice,
        name: &str,
        bots: &[Arc<str>],
        outgoing: &mpsc::Sender<Outgoing>,
    ) {
        let correspondents = (0..CORRESPONDENTS)
            .map(|number| {
                let correspondent_id = format!("{name}+{number}@s.whatsapp.net").into();
                (Arc::clone(&bots[number % bots.len()]), correspondent_id)
            })
            .collect();
        let author = Author {
            name: name.to_owned(),
            correspondents,
            media_percent: 25,
            rest_ms_max: 80,
            dice: dice.fork(),
            ledger: self.ledger.clone(),
            url: self.urls[self.authors.len() % self.urls.len()].clone(),
            staging: self.staging.clone(),
        };
        let run = author.run(outgoing.clone(), self.stop.subscribe());
        self.authors.push(tokio::spawn(run));
    }

    /// Lets everything come to its end, restarts the node once more, and stops it. What were still owed
    /// then would come again.
    ///
    /// # Errors
    /// When the node does not start again.
    async fn settle(
        &mut self,
        killer: &mut Killer,
        fleet: &mut Fleet,
        place: &Place,
    ) -> Result<(), NotReady> {
        self.stop.send_replace(true);
        for author in &mut self.authors {
            if timeout(HAND_OVER_PATIENCE, author).await.is_err() {
                let what = format!("an author's message was not taken in {HAND_OVER_PATIENCE:?}");
                self.ledger.record(Fact::Unexpected(what));
            }
        }
        self.finale.send_replace(true);
        self.everything_is_called_back().await;
        let deadline = Instant::now() + STUCK_AFTER;
        self.quiet().await;
        killer.stop_all(fleet).await;
        // Once more in any case, and as long as there is something to do.
        loop {
            killer.start_all(fleet).await?;
            self.quiet().await;
            killer.stop_all(fleet).await;
            let remains = place.remains(fleet.data_directory()).await;
            let unfinished = remains.is_ok_and(|remains| remains.is_unfinished());
            if !unfinished || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    async fn everything_is_called_back(&self) {
        let done = |counts: &Counts| {
            counts.durable == counts.messages && counts.called_back == counts.messages
        };
        // What is missing when nothing comes forward is found by the rules.
        loop {
            let before = self.ledger.counts();
            let forward = |counts: &Counts| {
                counts.durable + counts.called_back > before.durable + before.called_back
            };
            if done(&before) || !self.ledger.reaches(STUCK_AFTER, forward).await {
                return;
            }
        }
    }

    /// Waits until nothing has been called back for a while.
    async fn quiet(&self) {
        loop {
            let before = self.ledger.counts();
            sleep(QUIET).await;
            let after = self.ledger.counts();
            if (before.received, before.confirmed) == (after.received, after.confirmed) {
                return;
            }
        }
    }

    /// Ends the actors; one that has panicked is something that nobody foresaw.
    async fn end(self) {
        for actor in self.authors.iter().chain(&self.others) {
            actor.abort();
        }
        for actor in self.others {
            if let Err(error) = actor.await
                && error.is_panic()
            {
                let what = format!("an actor met something that it has no name for: {error}");
                self.ledger.record(Fact::Unexpected(what));
            }
        }
    }
}
