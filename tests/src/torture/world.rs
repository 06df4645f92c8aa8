//! How a run goes: everybody starts, the node is killed until the time is over, everything settles, and
//! what happened is judged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::Server;
use crate::server::NotReady;
use crate::torture::account::Account;
use crate::torture::author::{Author, HAND_OVER_PATIENCE, Outgoing};
use crate::torture::consumer::Consumer;
use crate::torture::dice::Dice;
use crate::torture::killer::Killer;
use crate::torture::ledger::{Counts, Fact, Ledger};
use crate::torture::place::Place;
use crate::torture::poster::Poster;
use crate::torture::provider::Provider;
use crate::torture::remains::Remains;
use crate::torture::{Failure, Options, Summary, history, progress, rules};

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

/// Runs the torture and judges it.
///
/// # Errors
/// [`Failure::Broken`] when a promise was broken, [`Failure::NotRun`] when nothing can be said.
pub async fn run(options: &Options) -> Result<Summary, Failure> {
    std::fs::create_dir_all(&options.home)
        .with_context(|| format!("cannot make {}", options.home.display()))?;
    let mut dice = Dice::new(options.seed);
    let ledger = Ledger::default();
    let mut place = Place::start(options.store).await?;
    let arguments = place.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut server = Server::lent(&options.home, &arguments);
    let mut killer = Killer { dice: dice.fork(), ledger: ledger.clone(), complaints: Vec::new() };
    killer.start(&mut server).await.map_err(|NotReady(why)| anyhow!("the node {why}"))?;

    let mut world = World::new(&server, ledger.clone(), &mut dice);
    let progress = tokio::spawn(progress::report(ledger.clone(), options.progress_every));
    let until = Instant::now() + options.duration;
    let ended = match killer.run(&mut server, &mut place, until).await {
        Ok(()) => world.settle(&mut killer, &mut server, &place).await,
        Err(not_ready) => Err(not_ready),
    };
    progress.abort();
    let mut remains = match ended {
        Ok(()) => remains(&place, &server.data_directory()).await?,
        Err(NotReady(why)) => {
            killer.complaints.push(format!("it was started again and {why}"));
            Remains::default()
        }
    };
    world.end().await;
    remains.complaints.append(&mut killer.complaints);
    remains.complaints.extend(server.errors());
    // They are judged with everything else.
    server.allow_error("");
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
}

impl World {
    /// Starts them all.
    fn new(server: &Server, ledger: Ledger, dice: &mut Dice) -> Self {
        let bots = BOTS.map(Arc::<str>::from);
        let (stop, finale) = (watch::Sender::new(false), watch::Sender::new(false));
        let mut world = Self { ledger, authors: Vec::new(), others: Vec::new(), stop, finale };
        let [demo, demo_2, pattern, path] = &bots;
        for (name, bots, authors) in [
            ("two-bots", vec![demo, demo_2], 3),
            ("one-bot", vec![pattern], 2),
            ("other-instance", vec![pattern, path], 2),
        ] {
            let (outgoing, messages) = mpsc::channel(HANDED_OVER_MAX);
            let bots: Vec<_> = bots.into_iter().cloned().collect();
            for number in 0..authors {
                world.author(server, dice, &format!("{name}-{number}"), &bots, &outgoing);
            }
            let provider = Provider {
                name: name.into(),
                url: server.url().to_owned(),
                bots,
                dice: dice.fork(),
                ledger: world.ledger.clone(),
            };
            world.others.push(tokio::spawn(provider.run(messages)));
        }
        let (outgoing, messages) = mpsc::channel(HANDED_OVER_MAX);
        world.author(server, dice, "poster", std::slice::from_ref(demo), &outgoing);
        let poster = Poster {
            name: "poster".into(),
            url: server.url().to_owned(),
            ledger: world.ledger.clone(),
        };
        world.others.push(tokio::spawn(poster.run(messages)));
        for bot_id in bots {
            let consumer = Consumer {
                name: format!("consumer of {bot_id}").into(),
                url: server.url().to_owned(),
                bot_id,
                dice: dice.fork(),
                ledger: world.ledger.clone(),
            };
            world.others.push(tokio::spawn(consumer.run(world.finale.subscribe())));
        }
        world
    }

    fn author(
        &mut self,
        server: &Server,
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
            url: server.url().to_owned(),
            staging: staging_directory(server),
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
        server: &mut Server,
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
        killer.stop(server).await;
        // Once more in any case, and as long as there is something to do.
        loop {
            killer.start(server).await?;
            self.quiet().await;
            killer.stop(server).await;
            let remains = place.remains(&server.data_directory()).await;
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

fn staging_directory(server: &Server) -> PathBuf {
    server.data_directory().join("media_store").join("pending_media")
}
