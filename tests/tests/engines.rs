//! Real engines on real files, through `anteroom transcribe`: the same way a node takes, without a
//! node. The engines that a test needs are in its name, so that it is left out where they are missing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anteroom_tests::binary::MIN_FREE_BYTES;
use anteroom_tests::cli::Ended;
use anteroom_tests::recordings::{self, Clip};
use anteroom_tests::speech::SpeechServer;
use anteroom_tests::words::ErrorRate;
use anteroom_tests::{cli, fixtures};
use serde_json::Value;
use tempfile::TempDir;

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

async fn transcribe(home: &Path, arguments: &[&str]) -> Ended {
    let command = [&["transcribe"][..], arguments].concat();
    let child = cli::command("http://127.0.0.1:1", home, &command).spawn();
    cli::ended(child.expect("the binary can be run")).await
}

/// What `transcribe --json` says of a file that it could read.
async fn heard(home: &Path, file: &Path) -> Value {
    let file = file.to_str().expect("UTF-8");
    let ended = transcribe(home, &["--json", file]).await.succeeded();
    serde_json::from_str(&ended.stdout).expect("one JSON object")
}

fn text(said: &Value) -> &str {
    said["outcome"]["text"].as_str().unwrap_or_default()
}

/// Makes `home` the home of a node that uses `server` for recordings.
fn configure(home: &Path, server: &SpeechServer) {
    let engine = format!(
        "[engines.openai]\nbase_url = \"{}\"\ntranscription_model = \"whisper-1\"\n",
        server.base_url()
    );
    fs::write(home.join("anteroom.toml"), engine).expect("the home can be written to");
}

/// Goal: human speech in voice notes is understood as well as pocketsphinx can: 37 % of the words were
/// wrong when that was measured, and half of them must not be.
#[tokio::test(flavor = "multi_thread")]
async fn human_speech_is_heard_by_pocketsphinx_behind_ffmpeg() {
    let home = home();
    let mut rate = ErrorRate::default();
    for clip in recordings::human_speech() {
        let said = heard(home.path(), &recordings::voice_note(&home, &clip)).await;
        assert!(said["engine"].as_str().is_some_and(|it| it.starts_with("pocketsphinx")), "{said}");
        assert_eq!(said["pool"], "audio");
        assert!(said["outcome"]["duration_ms"].as_u64().is_some_and(|length| length > 1_000));
        rate.add(&clip.words, text(&said));
    }
    assert!(rate.rate() < 0.5);
}

/// Goal: a clear voice is understood nearly word for word, and silence is no speech.
#[tokio::test(flavor = "multi_thread")]
async fn a_clear_voice_of_flite_is_heard_by_pocketsphinx_behind_ffmpeg() {
    let home = home();
    let mut rate = ErrorRate::default();
    for words in [
        "please call me back tomorrow morning at nine",
        "the train to the city leaves in twenty minutes",
    ] {
        let clip = recordings::spoken(&home, words);
        rate.add(words, text(&heard(home.path(), &recordings::voice_note(&home, &clip)).await));
    }
    assert!(rate.rate() < 0.25);
    let silence = ["-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "2"];
    let said = heard(home.path(), &recordings::ffmpeg(&home, &silence, "silence.ogg")).await;
    assert_eq!(said["content"], "[Audio transcript: no speech]", "{said}");
}

/// Goal: the real OpenAI-compatible server understands human speech in every format that phones send,
/// silence is no speech, and a file that breaks the server fails and says so.
#[tokio::test(flavor = "multi_thread")]
async fn human_speech_is_heard_by_the_speech_server_with_ffmpeg_and_pocketsphinx_data() {
    let home = home();
    let server = SpeechServer::start().await;
    configure(home.path(), &server);
    let mut rate = ErrorRate::default();
    let formats = [
        ("voice.ogg", "libopus"),
        ("song.mp3", "libmp3lame"),
        ("memo.m4a", "aac"),
        ("raw.aac", "aac"),
        ("plain.wav", "pcm_s16le"),
    ];
    for (Clip { path, words }, (name, codec)) in recordings::human_speech().iter().zip(formats) {
        let from = path.to_str().expect("UTF-8");
        let file = recordings::ffmpeg(&home, &["-i", from, "-c:a", codec, "-ar", "48000"], name);
        let said = heard(home.path(), &file).await;
        assert!(
            said["engine"].as_str().is_some_and(|it| it.starts_with("whisper-1 at ")),
            "{said}"
        );
        assert_eq!(said["outcome"]["language"], "en", "{name}: {said}");
        rate.add(words, text(&said));
    }
    assert!(rate.rate() < 0.2);

    let silence = ["-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "3"];
    let said = heard(home.path(), &recordings::ffmpeg(&home, &silence, "silence.ogg")).await;
    assert_eq!(said["content"], "[Audio transcript: no speech]", "{said}");

    let noise: Vec<u8> =
        (0..5_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(home.path().join("noise.ogg"), noise).expect("the home can be written to");
    let ended = transcribe(home.path(), &["noise.ogg"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stdout.contains("500") && ended.stdout.contains("[Audio processing failed]"),
        "{ended:?}"
    );
}

/// The program that stands in for whisper.cpp's.
const WHISPER_CLI: &str = include_str!("whisper_cli.py");

/// Goal: the `whisper` engine calls `whisper-cli` as that wants to be called: with the configured model and
/// language, with sound that it reads, and without anything but words in what it prints; what it prints for
/// silence is no speech, and a model that it cannot read is told in its own words.
/// Method: a stand-in that keeps to the real program's command line; the model's words are not tested here.
#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_for_whisper_cli_is_called_as_the_real_one_behind_ffmpeg() {
    let home = home();
    let program = home.path().join("whisper-cli");
    fs::write(&program, WHISPER_CLI).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::write(home.path().join("ggml-tiny.bin"), b"lmgg and no more").expect("written");
    fs::write(home.path().join("other.bin"), b"nothing of the kind").expect("written");
    let path = std::env::join_paths(
        std::iter::once(home.path().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let path = path.expect("directories without colons");
    let heard = async |engine: &str, file: &Path| {
        fs::write(home.path().join("anteroom.toml"), format!("[engines.whisper]\n{engine}"))
            .expect("written");
        let file = file.to_str().expect("UTF-8");
        let mut command =
            cli::command("http://127.0.0.1:1", home.path(), &["transcribe", "--json", file]);
        cli::ended(command.env("PATH", &path).spawn().expect("the binary can be run")).await
    };
    let tone = ["-f", "lavfi", "-i", "sine=frequency=440:duration=2", "-c:a", "libopus"];
    let tone = recordings::ffmpeg(&home, &tone, "tone.ogg");
    let silence = ["-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "2"];
    let silence = recordings::ffmpeg(&home, &silence, "silence.ogg");
    let model = "model = \"ggml-tiny.bin\"\n";
    for (engine, file, code, content) in [
        (model.to_owned(), &tone, 0, "[Audio transcript: 2 seconds in auto by ggml-tiny.bin]"),
        (
            format!("{model}language = \"de\"\n"),
            &tone,
            0,
            "[Audio transcript: 2 seconds in de by ggml-tiny.bin]",
        ),
        (model.to_owned(), &silence, 0, "[Audio transcript: no speech]"),
        ("model = \"other.bin\"\n".to_owned(), &tone, 1, "[Audio processing failed]"),
    ] {
        let ended = heard(&engine, file).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let said: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
        assert_eq!(said["content"], content, "{said}");
        assert!(
            said["engine"].as_str().is_some_and(|it| it.starts_with("whisper-cli (")
                && it.contains(") behind ffmpeg")),
            "{said}"
        );
        if code == 1 {
            let why = said["failure"].as_str().expect("a failure");
            assert!(why.contains("failed to initialize whisper context"), "{why}");
        }
    }
}

/// Goal: a video with speech and slides tells both, in order. Method: two slides of words and a human
/// voice, as a phone would record them.
#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_heard_and_seen_by_ffmpeg_pocketsphinx_and_tesseract() {
    let home = home();
    for (name, words) in [("1.png", "First the harbour"), ("2.png", "Then the station!")] {
        fs::write(home.path().join(name), fixtures::png(words)).expect("written");
    }
    let clip = recordings::human_speech().remove(1);
    let slide = |name: &str| home.path().join(name).to_str().expect("UTF-8").to_owned();
    let (one, two) = (slide("1.png"), slide("2.png"));
    let voice = clip.path.to_str().expect("UTF-8");
    let file = recordings::ffmpeg(
        &home,
        &[
            "-loop",
            "1",
            "-t",
            "2",
            "-i",
            &one,
            "-loop",
            "1",
            "-t",
            "2",
            "-i",
            &two,
            "-i",
            voice,
            "-filter_complex",
            "[0]scale=800:-2,setsar=1[a];[1]scale=800:-2,setsar=1[b];[a][b]concat=n=2:v=1,format=yuv420p,fps=10[v]",
            "-map",
            "[v]",
            "-map",
            "2:a",
            "-c:a",
            "aac",
        ],
        "talk.mp4",
    );
    let said = heard(home.path(), &file).await;
    assert_eq!(said["pool"], "video");
    let lines: Vec<&str> = text(&said).lines().collect();
    let [speech, first, second] = lines[..] else { panic!("{said}") };
    let mut rate = ErrorRate::default();
    rate.add(&clip.words, speech.strip_prefix("Said: ").expect("what was said"));
    assert!(rate.rate() < 0.7);
    assert_eq!(first, "Seen: First the harbour");
    assert_eq!(second, "Seen: Then the station!");
    assert!(
        said["content"].as_str().is_some_and(|it| it.starts_with("[Video description: Said: "))
    );
}

/// Goal: photos of words are read in the two languages that are installed, though they are tilted,
/// grey and noisy.
#[tokio::test(flavor = "multi_thread")]
async fn photos_in_two_languages_are_read_by_tesseract_deu_with_ffmpeg() {
    let home = home();
    for (name, words) in [
        ("sign.jpg", "The last bus leaves at nine"),
        ("schild.jpg", "Der Schlüssel hängt über der Tür"),
    ] {
        let picture = home.path().join("words.png");
        fs::write(&picture, fixtures::png(words)).expect("written");
        let photo = [
            "-i",
            picture.to_str().expect("UTF-8"),
            "-vf",
            "rotate=0.01:fillcolor=white,eq=contrast=0.7:brightness=-0.05,noise=alls=6,format=yuvj420p",
        ];
        let said = heard(home.path(), &recordings::ffmpeg(&home, &photo, name)).await;
        assert_eq!(said["content"], format!("[Image description: {words}]"), "{said}");
    }
}

/// Goal: documents of every size end as they should: three hundred pages are cut and say so, an empty
/// file is told, a type that lies is read as what it is, 200 MB of text cost no more than its beginning.
#[tokio::test(flavor = "multi_thread")]
async fn documents_of_every_size_are_read() {
    let home = home();
    let pages: Vec<String> =
        (1..=300).map(|page| format!("This is page {page} of the long report")).collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    fs::write(home.path().join("report.pdf"), fixtures::pdf(&pages)).expect("written");
    let said = heard(home.path(), Path::new("report.pdf")).await;
    let content = said["content"].as_str().expect("content");
    assert!(content.starts_with("[Document text (report.pdf): This is page 1 of the long report"));
    assert!(content.contains("page 60 ") && content.chars().count() == 4_000, "{content}");
    assert!(text(&said).contains("page 300 of"), "the engine reads all of it");

    fs::write(home.path().join("lie.pdf"), fixtures::docx(&["Words in a document"]))
        .expect("written");
    let said = heard(home.path(), Path::new("lie.pdf")).await;
    assert_eq!(text(&said), "Words in a document");

    fs::write(home.path().join("empty.txt"), b"").expect("written");
    let said = heard(home.path(), Path::new("empty.txt")).await;
    assert_eq!(said["content"], "[Document text (empty.txt): no text found]");
    fs::write(home.path().join("empty.pdf"), b"").expect("written");
    let ended = transcribe(home.path(), &["empty.pdf"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("the file is empty"), "{ended:?}");

    let line = "All work and no play makes this file very long indeed, line after line.\n";
    fs::write(home.path().join("large.txt"), line.repeat((200 << 20) / line.len()))
        .expect("written");
    let said = heard(home.path(), Path::new("large.txt")).await;
    assert_eq!(said["outcome"]["truncated"], true);
    assert!(text(&said).starts_with("All work and no play"));
}

/// Goal: `doctor` says for each pool what a node would use, in the words of its start-up log, and what
/// would be in its way, with its exit code.
#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_a_node_would_use() {
    let mut server = anteroom_tests::Server::start().await;
    let doctor = ["doctor", "--data-dir", "anteroom-data"];
    let healthy = cli::run(&server, &doctor).await.succeeded();
    let json = [&doctor[..], &["--json"]].concat();
    let said: Value =
        serde_json::from_str(&cli::run(&server, &json).await.succeeded().stdout).expect("JSON");
    let log = server.log();
    for pool in said["pools"].as_array().expect("pools") {
        let (name, engine) =
            (pool["pool"].as_str().expect("a name"), pool["engine"].as_str().expect("a line"));
        assert!(log.contains(&format!("pool {name}: {engine}")), "{name}: {engine}");
        assert!(healthy.stdout.contains(engine), "{}", healthy.stdout);
    }
    assert_eq!(said["staging"]["problems"].as_array().map(Vec::len), Some(0));
    let mut full = cli::command(server.url(), server.home(), &doctor);
    full.env(MIN_FREE_BYTES, "1000 TB");
    let full = cli::ended(full.spawn().expect("the binary can be run")).await;
    assert_eq!(full.code, Some(1), "{full:?}");
    assert!(full.stdout.contains("the disk is nearly full"), "{full:?}");
    fs::write(server.home().join("anteroom.toml"), "[pools.audio]\nengine = \"nobody\"\n")
        .expect("written");
    cli::run(&server, &doctor).await.failed_saying(&["audio", "nobody"]);
    server.terminate(anteroom_tests::PATIENCE).await;
}
