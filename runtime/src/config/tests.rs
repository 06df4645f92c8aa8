//! Text in, values or exact errors out.

use std::fs;
use std::path::{Path, PathBuf};

use anteroom_core::id::{BotId, CorrespondentId};
use anteroom_core::settings::{Overflow, Run};
use secrecy::ExposeSecret;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::telemetry::LogFormat;

/// A directory with files, and what is written elsewhere.
struct World {
    directory: TempDir,
    sources: Sources,
}

impl World {
    /// A world whose `anteroom.toml` says `text`.
    fn with_file(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join(DEFAULT_FILE);
        fs::write(&file, text).expect("the file is written");
        Self { directory, sources: Sources { file: Some(file), ..Sources::default() } }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, name: &'static str, key: &'static str, value: &str) -> Self {
        self.sources.flags.push(Flag { name, key, value: value.to_owned() });
        self
    }

    /// Another file, whose path the caller writes as `DIR/name`.
    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.directory.path().join(name), text).expect("the file is written");
        let named = self.sources.file.clone().expect("there is a file");
        let here = self.directory.path().display().to_string();
        let written = fs::read_to_string(&named).expect("the file is there").replace("DIR", &here);
        fs::write(named, written).expect("the file is written");
        self
    }

    fn loaded(&self) -> Loaded {
        Config::load(&self.sources).expect("it makes sense")
    }

    /// The problems, one a line, without the directory.
    fn problems(&self) -> String {
        let error = Config::load(&self.sources).expect_err("it makes no sense");
        self.without_directory(&error.to_string())
    }

    fn without_directory(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.directory.path().display()), "")
    }
}

/// Asserts the problems of a file.
fn refused(text: &str, expected: &[&str]) {
    assert_eq!(World::with_file(text).problems(), expected.join("\n"), "{text}");
}

/// Asserts the one problem of a variable.
fn variable_refused(name: &str, value: &str, expected: &str) {
    let world = World::with_file("").variable(name, value);
    assert_eq!(world.problems(), expected, "{name}={value}");
}

/// Goal: a node that is told nothing is what the design says. Method: the settings of the core, and
/// the two choices of a node on a loopback address.
#[test]
fn nothing_configured_is_the_design() {
    let node_id = NodeId::from(uuid::Uuid::from_u128(7));
    let mut expected = NodeSettings::new(node_id);
    expected.session.auto_create_bots = true;
    expected.lease.poll_every = Millis::from_minutes(1);
    let config = Config::load(&Sources::default()).expect("the defaults make sense").config;
    assert_eq!(config.node_settings(node_id), expected);
    assert_eq!(config.staging_limits(), StagingLimits::default());
    assert_eq!(config.staging_directory(), Path::new("./anteroom-data/media_store/pending_media"));
    assert_eq!(config.stop_max(), Duration::from_secs(50));
    assert_eq!(config.node.listen.to_string(), "127.0.0.1:8787");
    assert!(config.node.store.is_none());
    assert_eq!((config.node.log.format, config.node.log.level), (LogFormat::Compact, None));
}

/// Goal: each layer goes over the one before, key by key, and says where its values come from.
#[test]
fn layers_lie_one_over_the_other() {
    let world =
        World::with_file("listen = \"127.0.0.1:1\"\ndata_dir = \"a\"\nlog_level = \"warn\"\n")
            .variable("ANTEROOM_LISTEN", "127.0.0.1:2")
            .variable("ANTEROOM_DATA_DIR", "b")
            .variable("ANTEROOM_LOG_FORMAT", "")
            .flag("--listen", "listen", "127.0.0.1:3");
    let loaded = world.loaded();
    let NodeSection { listen, data_dir, log, .. } = &loaded.config.node;
    assert_eq!(listen.port(), 3);
    assert_eq!(data_dir, Path::new("b"));
    assert_eq!(log.level.as_deref(), Some("warn"));
    assert_eq!(log.format, LogFormat::Compact, "an empty variable says nothing");
    let printed = loaded.print_json();
    for (key, value, from) in [
        ("listen", json!("127.0.0.1:3"), "--listen"),
        ("data_dir", json!("b"), "ANTEROOM_DATA_DIR"),
        ("log_level", json!("warn"), "anteroom.toml:3"),
        ("log_format", json!("compact"), "default"),
        ("store", json!(null), "default"),
    ] {
        assert_eq!(printed[key]["value"], value, "{key}");
        let origin = printed[key]["from"].as_str().expect("an origin");
        assert_eq!(world.without_directory(origin), from, "{key}");
    }
}

/// Goal: what stands in sections arrives where it belongs, from file and environment alike.
#[test]
fn sections_are_read() {
    let world = World::with_file(
        "[lease]\nttl = \"90s\"\nrenew_every = \"1m 30ms\"\n\
         [media]\nquota_bytes = \"25GB\"\nmin_free_bytes = 4096\nmax_file_bytes = \"256 KiB\"\n\
         [pools.audio]\nslots = 3\n\
         [pools.calendar]\nmime_types = [\"text/calendar\"]\ntimeout = \"10 min\"\n\
         [http]\nconnections_max = 10\n\
         [session]\nauto_create_bots = false\n",
    )
    .variable("ANTEROOM_POOLS__AUDIO__BUFFER", "2")
    .variable("ANTEROOM_POOLS__VIDEO__MIME_TYPES", "video/*, image/gif")
    .variable("ANTEROOM_JANITOR__HOLDING_TTL", "2 days");
    let config = world.loaded().config;
    let settings = config.node_settings(NodeId::from(uuid::Uuid::nil()));
    assert_eq!(settings.lease.ttl, Millis::from_secs(90));
    assert_eq!(settings.lease.renew_every, Millis::from_ms(60_030));
    assert_eq!(settings.janitor.holding_ttl, Millis::from_hours(48));
    assert!(!settings.session.auto_create_bots);
    assert_eq!(config.http.connections_max, 10);
    let StagingLimits { quota_bytes, min_free_bytes, file_bytes_max, .. } = config.staging_limits();
    assert_eq!((quota_bytes, min_free_bytes, file_bytes_max), (25_000_000_000, 4_096, 262_144));
    let pool = |name: &str| {
        let pool = settings.pools.iter().find(|pool| pool.name.as_str() == name);
        pool.expect("the pool is there")
    };
    assert_eq!((pool("audio").slots.get(), pool("audio").buffer), (3, 2));
    assert_eq!(pool("audio").mime_types, ["audio/*"]);
    assert_eq!(pool("video").mime_types, ["video/*", "image/gif"]);
    assert_eq!(pool("calendar").timeout, Millis::from_minutes(10));
    assert_eq!(pool("calendar").slots.get(), 1);
}

/// Goal: a bot has its own values over those of all bots, which lie over the defaults, wherever in the
/// file they stand; and a variable finds a bot whose name has capitals.
#[test]
fn a_bot_has_its_own_over_those_of_all() {
    let world = World::with_file(
        "[bots.Demo]\nrun = \"always\"\nlimits.max_messages = 50\n\
         [bots.\"49/17 0\"]\ngating.never = [\"bob\"]\n\
         [bot_defaults]\ndisconnect_grace = \"0s\"\n\
         [bot_defaults.limits]\nmax_messages = 100\noverflow = { policy = \"reject\" }\n\
         [bot_defaults.gating]\nenabled = true\nalways = [\"carol\"]\n\
         [bot_defaults.callbacks]\nsources = [\"user\", \"bot\"]\n",
    )
    .variable("ANTEROOM_BOTS__DEMO__LIMITS__OVERFLOW__POLICY", "bounded")
    .variable("ANTEROOM_BOTS__LATE__RUN", "always");
    let loaded = world.loaded();
    let settings = loaded.config.node_settings(NodeId::from(uuid::Uuid::nil()));
    let names: Vec<&str> = settings.bots.keys().map(BotId::as_str).collect();
    assert_eq!(names, ["49/17 0", "Demo", "late"]);
    let demo = &settings.bots[&BotId::from("Demo")];
    assert_eq!(demo.run, Run::Always);
    assert_eq!(demo.disconnect_grace, Millis::ZERO);
    assert_eq!(demo.limits.max_messages, 50);
    assert_eq!(demo.limits.overflow, Overflow::Bounded { messages: 20, characters: 2_000 });
    assert_eq!(demo.callbacks.sources.len(), 2);
    assert_eq!(settings.bots[&BotId::from("late")].limits.max_messages, 100);
    assert_eq!(settings.bot_defaults.limits.overflow, Overflow::Reject);
    let other = &settings.bots[&BotId::from("49/17 0")];
    let carol = CorrespondentId::from("carol".to_owned());
    let bob = CorrespondentId::from("bob".to_owned());
    assert!(other.is_gated(&carol) && !other.is_gated(&bob));
    let printed = loaded.print_json();
    assert_eq!(printed["bots.Demo.disconnect_grace"]["from"], "bot_defaults");
    assert_eq!(printed["bots.Demo.max_age"], json!(null));
    assert_eq!(printed["bots.Demo.limits.max_age"]["from"], "default");
    assert_eq!(printed["bots.\"49/17 0\".limits.max_messages"]["from"], "bot_defaults.limits");
}

/// Goal: what is not known names itself, the nearest known key, and where it was written.
#[test]
fn unknown_keys_name_the_nearest() {
    refused(
        "\n[ownership]\ntll = \"15s\"\n",
        &["anteroom.toml:3: ownership.tll: unknown key; did you mean ownership.ttl?"],
    );
    refused(
        "[ownreship]\nttl = \"15s\"\n",
        &["anteroom.toml:1: ownreship: unknown key; did you mean ownership?"],
    );
    refused(
        "[pools.audio]\nslosts = 3\n[bots.\"a b\"]\nrum = \"always\"\n",
        &[
            "anteroom.toml:2: pools.audio.slosts: unknown key; did you mean pools.audio.slots?",
            "anteroom.toml:4: bots.\"a b\".rum: unknown key; did you mean bots.\"a b\".run?",
        ],
    );
    refused(
        "quota_bytes = \"1GB\"\n",
        &["anteroom.toml:1: quota_bytes: unknown key; did you mean media.quota_bytes?"],
    );
    refused(
        "[lease]\ncolour = 1\n",
        &["anteroom.toml:2: lease.colour: unknown key; known here: ttl, renew_every, poll_every"],
    );
    variable_refused(
        "ANTEROOM_LISTN",
        "127.0.0.1:1",
        "ANTEROOM_LISTN: listn: unknown key; did you mean listen?",
    );
    variable_refused(
        "ANTEROOM_LEASE__TLL",
        "1s",
        "ANTEROOM_LEASE__TLL: lease.tll: unknown key; did you mean lease.ttl?",
    );
}

/// Goal: values that are not understood say what was written, where, and what is expected. Method: one
/// of each form.
#[test]
fn values_that_are_not_understood_are_named() {
    const TIME: &str = "expected a time with its unit, as in \"15s\" or \"1h 30min\"";
    for (text, expected) in [
        ("lease.ttl = 60", format!("lease.ttl: 60 is not understood: {TIME}")),
        ("lease.ttl = \"60\"", format!("lease.ttl: \"60\" is not understood: {TIME}")),
        ("lease.ttl = \"0s\"", "lease.ttl: \"0s\" is too short: it must be at least a millisecond".into()),
        ("lease.ttl = \"1us\"", "lease.ttl: \"1us\" is too short: it must be at least a millisecond".into()),
        ("lease.ttl = \"1500us\"", "lease.ttl: \"1500us\" is finer than a millisecond".into()),
        ("lease.ttl = \"900years\"", "lease.ttl: \"900years\" is longer than a hundred years".into()),
        ("listen = \"localhost\"", "listen: \"localhost\" is not understood: expected an address and a port, as in \"127.0.0.1:8787\"; port 0 takes any free one".into()),
        ("data_dir = 1", "data_dir: 1 is not understood: expected a path".into()),
        ("store = \"postgres://user:hidden@db\"", "store: the store is not understood: write sqlite:DIRECTORY, mongodb://HOST/DATABASE, or leave it out".into()),
        ("store = 5", "store: a number is no text: put it in quotation marks".into()),
        ("log_level = \"anteroom=loud\"", "log_level: the log level \"anteroom=loud\" makes no sense (error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5): use error, warn, info, debug or trace, or directives such as \"info,anteroom_runtime=debug\"".into()),
        ("log_format = \"xml\"", "log_format: \"xml\" is not understood: expected one of \"compact\", \"json\", \"pretty\"".into()),
        ("pools.audio.slots = 0", "pools.audio.slots: 0 is not from 1 to 1000000000".into()),
        ("pools.audio.slots = -1", "pools.audio.slots: -1 is not from 1 to 1000000000".into()),
        ("pools.audio.slots = \"3\"", "pools.audio.slots: \"3\" is not understood: expected a whole number, at least 1".into()),
        ("pools.audio.slots = 1.5", "pools.audio.slots: a fraction is not understood: expected a whole number, at least 1".into()),
        ("pools.audio.slots = 99999999999999999999", "pools.audio.slots: 99999999999999999999 is not from 1 to 1000000000".into()),
        ("pools.audio.mime_types = [\"audio\"]", "pools.audio.mime_types: \"audio\" is no MIME type: write type/subtype, type/*, or *".into()),
        ("pools.audio.mime_types = [1]", "pools.audio.mime_types: 1 is not understood: expected a text".into()),
        ("media.quota_bytes = \"lots\"", "media.quota_bytes: \"lots\" is not understood: expected a size, as in \"256KiB\" or \"25GB\"; a plain number is bytes".into()),
        ("media.quota_bytes = \"99999999999TiB\"", "media.quota_bytes: \"99999999999TiB\" is not understood: expected a size, as in \"256KiB\" or \"25GB\"; a plain number is bytes".into()),
        ("session.auto_create_bots = \"yes\"", "session.auto_create_bots: \"yes\" is not understood: expected true or false".into()),
        ("bot_defaults.callbacks.sources = [\"me\"]", "bot_defaults.callbacks.sources: \"me\" is not understood: expected a list of some of \"user\", \"user_outgoing\", \"bot\"".into()),
        ("lease = 3", "lease: this is a section, and a number no value for it: write [lease]".into()),
        ("pools.audio = 3", "pools.audio: a number stands where a section belongs: write [pools.POOL], and the keys below".into()),
        ("[listen]\nport = 1", "listen: this is a value, and no section".into()),
        ("[bots.\"\"]", "bots.\"\": the name is empty".into()),
    ] {
        refused(text, &[&format!("anteroom.toml:1: {expected}")]);
    }
    let long = format!("listen = \"{}\"", "é".repeat(100));
    let problem = World::with_file(&long).problems();
    assert!(problem.contains(&format!("{:?}… is not", "é".repeat(60))), "{problem}");
}

/// Goal: values that make no sense together are named with what to change, at the one that was written,
/// all in one run.
#[test]
fn values_that_make_no_sense_together_are_named() {
    for (text, expected) in [
        (
            "ownership.margin = \"15s\"",
            "ownership.margin: margin (15s) must be less than ttl (15s): no time to work is left",
        ),
        (
            "ownership.ttl = \"4s\"",
            "ownership.ttl: margin (5s) must be less than ttl (4s): no time to work is left",
        ),
        (
            "ownership.renew_every = \"15s\"",
            "ownership.renew_every: renew_every (15s) and margin (5s) together must be less than ttl (15s): the node would stop before it renews",
        ),
        (
            "lease.renew_every = \"1m\"",
            "lease.renew_every: renew_every (1m) must be less than ttl (1m): every lease would end while its work goes on",
        ),
        (
            "session.silence_max = \"20s\"",
            "session.silence_max: ping_every (20s) must be less than silence_max (20s): a peer that answers every ping would be taken for gone",
        ),
        (
            "store_retry.first = \"1h\"",
            "store_retry.first: first (1h) must not be more than most (5s)",
        ),
        (
            "bot_defaults.limits.max_characters_media_text = 899",
            "bot_defaults.limits.max_characters_media_text: max_characters_media_text (899) must be at least max_characters_single_message + 200 (900): a caption and its frame must fit",
        ),
        (
            "bot_defaults.limits.max_characters_single_message = 30000",
            "bot_defaults.limits.max_characters_single_message: max_characters_media_text (4000) must be at least max_characters_single_message + 200 (30200): a caption and its frame must fit\nanteroom.toml:1: bot_defaults.limits.max_characters_single_message: max_characters (20000) must be at least max_characters_single_message (30000): the longest message must fit",
        ),
        (
            "bot_defaults.limits.archive_batch_bytes = 0",
            "bot_defaults.limits.archive_batch_bytes: a batch must hold something: give it a size",
        ),
        (
            "bots.demo.limits.overflow = { policy = \"reject\", messages = 1 }",
            "bots.demo.limits.overflow.messages: with policy \"reject\" nothing is accepted above the limit: leave messages and characters out",
        ),
        (
            "bots.demo.gating = { always = [\"bob\"], never = [\"bob\"] }",
            "bots.demo.gating.always: \"bob\" is in always and in never: choose one",
        ),
        (
            "bots.demo.callbacks.correspondent_window = 1001",
            "bots.demo.callbacks.correspondent_window: correspondent_window (1001) must not be more than outbox_window (1000): one is a part of the other",
        ),
        (
            "media.quota_bytes = \"1GiB\"",
            "media.quota_bytes: max_file_bytes must not be more than quota_bytes: such a file never fits",
        ),
        (
            "media.max_file_bytes = 0",
            "media.max_file_bytes: no file is smaller than nothing: give it a size",
        ),
        (
            "pools.image.mime_types = [\"Audio/*\", \"video/*\"]",
            "pools.image.mime_types: Audio/* is in audio and in image: a type belongs to one pool\nanteroom.toml:1: pools.image.mime_types: video/* is in video and in image: a type belongs to one pool",
        ),
        (
            "pools.unsupported.mime_types = []",
            "pools.unsupported.mime_types: no pool is the catch-all: give exactly one pool the type `*`",
        ),
    ] {
        refused(text, &[&format!("anteroom.toml:1: {expected}")]);
    }
}

/// Goal: one run says everything that is wrong, in every layer. Method: a problem of each layer, and a
/// fault that all bots inherit, said once.
#[test]
fn all_problems_are_said_at_once() {
    let world = World::with_file(
        "listem = \"x\"\n[bot_defaults.limits]\nmax_characters_media_text = 1\n[bots.demo]\nrun = \"never\"\n",
    )
    .variable("ANTEROOM_LEASE__TTL", "soon")
    .flag("--log-level", "log_level", "=");
    let problems = world.problems();
    let begins: Vec<&str> =
        problems.lines().map(|line| line.rsplit_once(": ").map_or(line, |(key, _)| key)).collect();
    let places: Vec<&str> = begins.iter().filter_map(|line| line.split(": ").next()).collect();
    let expected = [
        "--log-level",
        "ANTEROOM_LEASE__TTL",
        "anteroom.toml:3",
        "anteroom.toml:5",
        "anteroom.toml:1",
    ];
    assert_eq!(places, expected, "{problems}");
}

/// Goal: a file that is none says so: one that is named must be there, the default one need not;
/// syntax errors name their line and repeat no word of it, which may be a secret.
#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("absent.toml");
    let sources = Sources { file: Some(path.clone()), ..Sources::default() };
    let error = Config::load(&sources).expect_err("it is not there").to_string();
    let expected = format!("{}: the file cannot be read: ", path.display());
    assert!(error.starts_with(&expected), "{error}");

    fs::write(&path, [b'#'; (1 << 20) + 1]).expect("the file is written");
    let error = Config::load(&sources).expect_err("it is too long").to_string();
    assert!(error.ends_with("it is longer than 1048576 bytes"), "{error}");

    let problems =
        World::with_file("listen = \"127.0.0.1:1\"\nstore = hidden\ndata_dir =\n").problems();
    let lines: Vec<&str> = problems.lines().collect();
    assert!(lines[0].starts_with("anteroom.toml:2: "), "{problems}");
    assert!(lines[1].starts_with("anteroom.toml:3: "), "{problems}");
    assert!(!problems.contains("hidden"), "{problems}");
    let problems = World::with_file("listen = \"a\"\nlisten = \"b\"\n").problems();
    assert!(problems.contains("anteroom.toml:2: duplicate key"), "{problems}");
}

/// Goal: variables are keys, but for those that are none; what is no key is named.
#[test]
fn variables_are_keys_or_named() {
    let world = World::with_file("")
        .variable("ANTEROOM_SERVER", "http://127.0.0.1:1")
        .variable("ANTEROOM_TOKEN", "x")
        .variable("ANTEROOM_WEBHOOK_SECRET", "x")
        .variable("ANTEROOM_CONFIG", "x")
        .variable("ANTEROOM_BIN", "x")
        .variable("ANTEROOM_TEST_STORE", "x")
        .variable("ANTEROOM_PORT", "tcp://10.0.0.1:8787")
        .variable("ANTEROOM_PORT_8787_TCP_ADDR", "10.0.0.1")
        .variable("ANTEROOM_SERVICE_HOST", "10.0.0.1")
        .variable("ANTEROOM_SERVICE_PORT_HTTP", "8787")
        .variable("ANTEROOMLISTEN", "x")
        .variable("PATH", "x");
    assert!(world.loaded().origins.is_empty());
    let bot = World::with_file("").variable("ANTEROOM_BOTS__MY_TCP_BOT__RUN", "always");
    assert_eq!(bot.loaded().config.bots["my_tcp_bot"].settings.run, Run::Always);
    let no_key = "it names no key: write ANTEROOM_SECTION__KEY, each part with a name";
    variable_refused("ANTEROOM_", "x", &format!("ANTEROOM_: {no_key}"));
    variable_refused("ANTEROOM_LEASE__", "x", &format!("ANTEROOM_LEASE__: {no_key}"));
    let world = World::with_file("lease = 1\n").variable("ANTEROOM_LEASE__TTL", "1s");
    let problems = world.problems();
    let expected =
        "ANTEROOM_LEASE__TTL: lease: anteroom.toml:1 gives it a value, so it has no keys";
    assert_eq!(problems.lines().next(), Some(expected), "{problems}");
    let world = World::with_file("[lease]\nttl = \"1h\"\n").variable("ANTEROOM_LEASE", "1s");
    let expected = "ANTEROOM_LEASE: lease: this is a section: it has keys, and no value";
    assert_eq!(world.problems(), expected);
    let world = World::with_file("[bots.Demo]\n[bots.demo]\n")
        .variable("ANTEROOM_BOTS__DEMO__RUN", "always");
    let expected = "ANTEROOM_BOTS__DEMO__RUN: it can mean \"Demo\" or \"demo\", which a variable cannot tell \
                    apart: write it in the file";
    assert_eq!(world.problems(), expected);
}

/// Goal: a secret is read from its file or as it is, the higher layer first, and never shown.
#[test]
fn secrets_come_by_file_and_are_never_shown() {
    const ADDRESS: &str = "mongodb://user:hidden@db/anteroom";
    let secret = |world: &World| {
        let store = world.loaded().config.node.store.expect("a store");
        store.expose_secret().to_owned()
    };
    let by_file = World::with_file("store_file = \"DIR/address\"\n")
        .file("address", &format!("{ADDRESS}\r\n"));
    assert_eq!(secret(&by_file), ADDRESS);
    let loaded = by_file.loaded();
    let shown = format!("{loaded:?} {} {}", loaded.print(), loaded.print_json());
    assert!(!shown.contains("hidden") && shown.contains("# store = (set)"), "{shown}");

    let over = World::with_file("store_file = \"DIR/address\"\n")
        .file("address", ADDRESS)
        .variable("ANTEROOM_STORE", "mongodb://other/anteroom");
    assert_eq!(secret(&over), "mongodb://other/anteroom");
    let file_over =
        World::with_file("store = \"mongodb://other/anteroom\"\n").file("address", ADDRESS);
    let path = file_over.directory.path().join("address").display().to_string();
    assert_eq!(secret(&file_over.variable("ANTEROOM_STORE_FILE", &path)), ADDRESS);
    let sqlite = World::with_file("store = \"sqlite:./here\"\n").loaded();
    assert!(sqlite.print().contains("store = \"sqlite:./here\""), "a directory is no secret");

    let both = World::with_file("store = \"sqlite:./a\"\nstore_file = \"b\"\n");
    let expected =
        "anteroom.toml:2: store_file: store is given as well (anteroom.toml:1): give one of them";
    assert_eq!(both.problems(), expected);
    let empty = World::with_file("store_file = \"DIR/empty\"\n").file("empty", "\n");
    assert_eq!(empty.problems(), "anteroom.toml:1: store_file: empty is empty");
    let absent = World::with_file("store_file = \"DIR/absent\"\n").file("other", "");
    assert!(absent.problems().starts_with("anteroom.toml:1: store_file: absent cannot be read: "));
}

/// Goal: what is printed can be read again and says the same. Method: a configuration with every kind
/// of section, printed, read and printed.
#[test]
fn what_is_printed_can_be_read() {
    let world = World::with_file(
        "data_dir = \"a \\\"b\\\"\"\n[pools.mine]\nmime_types = [\"text/calendar\"]\n\
         [bots.\"a.b\"]\nrun = \"always\"\n[media]\nquota_bytes = 3000000001\n",
    );
    let loaded = world.loaded();
    let printed = loaded.print();
    let again = World::with_file(&printed).loaded();
    let values = |loaded: &Loaded| -> Vec<(String, serde_json::Value)> {
        let keys = loaded.print_json();
        let keys = keys.as_object().expect("an object").iter();
        keys.map(|(key, printed)| (key.clone(), printed["value"].clone())).collect()
    };
    assert_eq!(values(&again), values(&loaded));
    let printed = world.without_directory(&printed);
    for line in [
        "data_dir = \"a \\\"b\\\"\"                           # anteroom.toml:1",
        "# store is not set                             # default",
        "[bots.\"a.b\".callbacks.refused_back_off]",
        "quota_bytes = \"3000000001B\"                    # anteroom.toml:7",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} is not in\n{printed}");
    }
}

/// Goal: every default is in the form that its key takes, and no key has a name that the environment
/// uses for something else.
#[test]
fn every_default_can_be_written() {
    let printed = Config::load(&Sources::default()).expect("the defaults make sense").print();
    let again = World::with_file(&printed).loaded();
    let node_id = NodeId::from(uuid::Uuid::nil());
    assert_eq!(again.config.node_settings(node_id), Config::default().node_settings(node_id));
    for block in listing::described(&mut Config::default()) {
        for key in block.keys {
            let variable = format!("_{}", key.name.to_ascii_uppercase());
            assert!(!layers::is_service_link(&variable), "{variable} is a service's");
            assert!(!key.name.ends_with(reading::FILE_SUFFIX), "{} is a secret's file", key.name);
            assert!(!key.about.is_empty() && !key.about.ends_with('.'), "{}", key.name);
        }
    }
}

/// Goal: the reference in the documentation is the one that the code writes.
#[test]
fn the_reference_is_up_to_date() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = fs::read_to_string(page).unwrap_or_default();
    assert!(
        page == reference(),
        "docs/configuration.md differs from the code: anteroom config reference > docs/configuration.md"
    );
}
