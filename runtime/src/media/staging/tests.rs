//! Behaviour of the staging directory, on a real one.

use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::*;

const KIB: u64 = 1024;

/// Limits so small that they bite; the disk of the machine does not.
fn limits() -> StagingLimits {
    StagingLimits {
        quota_bytes: 100 * KIB,
        min_free_bytes: 0,
        file_bytes_max: 80 * KIB,
        ..StagingLimits::default()
    }
}

async fn staging(limits: StagingLimits) -> (TempDir, Staging) {
    let directory = tempfile::tempdir().expect("a directory");
    let staging = Staging::open(directory.path(), limits).await.expect("opened");
    (directory, staging)
}

fn id(number: u128) -> MediaId {
    uuid::Uuid::from_u128(number).into()
}

fn bytes(length: u64) -> Vec<u8> {
    vec![7; usize::try_from(length).expect("small")]
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// Starts an upload whose bytes the test sends.
fn upload(
    staging: &Staging,
    media_id: MediaId,
    expected: Option<u64>,
) -> (DuplexStream, JoinHandle<Result<u64, StagingError>>) {
    let (sender, receiver) = tokio::io::duplex(1024);
    let staging = staging.clone();
    (sender, tokio::spawn(async move { staging.put(media_id, receiver, expected).await }))
}

/// Goal: what was put is there under its id, is counted, and is gone and uncounted when deleted, as
/// often as that is asked for.
#[tokio::test]
async fn a_file_is_put_counted_and_deleted() {
    let (directory, staging) = staging(limits()).await;
    assert_eq!(staging.put(id(1), &b"hello"[..], Some(5)).await.expect("put"), 5);
    assert_eq!(staging.put(id(2), &b"hi"[..], None).await.expect("put"), 2);
    assert_eq!(fs::read(staging.path(id(1))).expect("a file"), b"hello");
    assert_eq!(staging.list().await.expect("listed"), [id(1), id(2)]);
    assert_eq!(staging.used_bytes(), 7);
    staging.delete(id(1)).await.expect("deleted");
    staging.delete(id(1)).await.expect("gone already");
    assert_eq!(staging.used_bytes(), 2);
    assert_eq!(names(directory.path()), [id(2).to_string()]);
}

/// Goal: a second upload of the same medium replaces the first and is counted once.
#[tokio::test]
async fn a_second_upload_replaces_the_first() {
    let (directory, staging) = staging(limits()).await;
    staging.put(id(1), &b"first"[..], None).await.expect("put");
    staging.put(id(1), &b"second"[..], None).await.expect("put");
    assert_eq!(fs::read(staging.path(id(1))).expect("a file"), b"second");
    assert_eq!(staging.used_bytes(), 6);
    assert_eq!(names(directory.path()).len(), 1);
}

/// Goal: whatever ends an upload early, nothing is left of it, neither on disk nor in the ledger.
#[tokio::test]
async fn a_failed_upload_leaves_nothing() {
    let (directory, staging) = staging(limits()).await;
    let too_large = staging.put(id(1), &bytes(81 * KIB)[..], None).await;
    assert!(matches!(too_large, Err(StagingError::FileTooLarge { .. })), "{too_large:?}");
    let too_large = staging.put(id(1), &b"x"[..], Some(81 * KIB)).await;
    assert!(matches!(too_large, Err(StagingError::FileTooLarge { .. })), "{too_large:?}");
    for (content, announced) in [(&b"short"[..], 6), (b"too long", 6)] {
        let mismatch = staging.put(id(1), content, Some(announced)).await;
        assert!(matches!(mismatch, Err(StagingError::SizeMismatch { .. })), "{mismatch:?}");
    }
    let broken = staging.put(id(1), breaking_reader(), None).await;
    assert!(matches!(broken, Err(StagingError::Upload(_))), "{broken:?}");
    assert_eq!(names(directory.path()), [""; 0]);
    assert_eq!(staging.used_bytes(), 0);
}

/// A reader that gives some bytes and then breaks.
fn breaking_reader() -> impl AsyncRead + Unpin {
    struct Breaks(bool);
    impl AsyncRead for Breaks {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            if std::mem::replace(&mut self.0, true) {
                return std::task::Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            buffer.put_slice(b"some");
            std::task::Poll::Ready(Ok(()))
        }
    }
    Breaks(false)
}

/// Goal: a stalled upload ends by itself and gives back what it held. Method: a sender that never
/// speaks, and a short limit on silence.
#[tokio::test]
async fn a_stalled_upload_ends() {
    let limits = StagingLimits { silence_max: Duration::from_millis(20), ..limits() };
    let (directory, staging) = staging(limits).await;
    let (_sender, receiver) = tokio::io::duplex(16);
    let stalled = staging.put(id(1), receiver, Some(50 * KIB)).await;
    assert!(matches!(stalled, Err(StagingError::Stalled)), "{stalled:?}");
    assert_eq!(staging.used_bytes(), 0);
    assert_eq!(names(directory.path()), [""; 0]);
}

/// Goal: an upload whose caller is gone leaves nothing. Method: abort the task while bytes flow.
#[tokio::test]
async fn a_dropped_upload_leaves_nothing() {
    let (directory, staging) = staging(limits()).await;
    let (mut sender, upload) = upload(&staging, id(1), Some(50 * KIB));
    // The pipe holds 1 KiB, so when 8 KiB were taken the upload is under way.
    sender.write_all(&bytes(8 * KIB)).await.expect("taken");
    assert!(staging.used_bytes() > 0);
    upload.abort();
    assert!(upload.await.expect_err("aborted").is_cancelled());
    staging.rescan().await.expect("scanned");
    assert_eq!(staging.used_bytes(), 0);
    assert_eq!(names(directory.path()), [""; 0]);
}

/// Goal: parallel uploads never use more than the quota together, at any moment, though each of them
/// would fit alone. Method: four uploads of 40 KiB into 100 KiB, a KiB of each in turn.
#[tokio::test]
async fn parallel_uploads_do_not_overshoot_the_quota() {
    let (_directory, staging) = staging(limits()).await;
    let mut uploads: Vec<_> = (1..=4).map(|number| upload(&staging, id(number), None)).collect();
    for _ in 0..40 {
        for (sender, _) in &mut uploads {
            // A refused upload closes its pipe.
            let _ = sender.write_all(&bytes(KIB)).await;
            assert!(staging.used_bytes() <= 100 * KIB);
        }
    }
    let (mut stored, mut refused) = (0, 0);
    for (sender, upload) in uploads {
        drop(sender);
        match upload.await.expect("no panic") {
            Ok(bytes) => stored += bytes,
            Err(StagingError::QuotaExceeded { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused >= 2, "at most two of four fit");
    assert_eq!(staging.used_bytes(), stored);
    assert!(stored <= 100 * KIB);
}

/// Goal: what was announced is reserved before a byte came, so a second upload is refused at once.
#[tokio::test]
async fn announced_bytes_are_reserved_at_once() {
    let (_directory, staging) = staging(limits()).await;
    let (sender, receiver) = tokio::io::duplex(16);
    let first = {
        let staging = staging.clone();
        tokio::spawn(async move { staging.put(id(1), receiver, Some(60 * KIB)).await })
    };
    while staging.used_bytes() == 0 {
        tokio::task::yield_now().await;
    }
    let second = staging.put(id(2), &bytes(50 * KIB)[..], Some(50 * KIB)).await;
    assert!(
        matches!(second, Err(StagingError::QuotaExceeded { used_bytes, .. }) if used_bytes == 60 * KIB),
        "{second:?}"
    );
    drop(sender);
    assert!(first.await.expect("no panic").is_err());
    staging.put(id(2), &bytes(50 * KIB)[..], Some(50 * KIB)).await.expect("fits again");
}

/// Goal: the disk's own free space is kept, whatever the quota says; a quota of nothing means nothing.
#[tokio::test]
async fn free_space_is_kept() {
    let (_directory, full) = staging(StagingLimits { min_free_bytes: u64::MAX, ..limits() }).await;
    let refused = full.put(id(1), &b"x"[..], None).await;
    assert!(matches!(refused, Err(StagingError::DiskFull { .. })), "{refused:?}");
    let (_directory, none) = staging(StagingLimits { quota_bytes: 0, ..limits() }).await;
    let refused = none.put(id(1), &b"x"[..], None).await;
    assert!(matches!(refused, Err(StagingError::QuotaExceeded { .. })), "{refused:?}");
}

/// Goal: what a provider wrote into the shared directory counts from the next scan on; what is no
/// media file is neither counted, nor listed, nor touched.
#[tokio::test]
async fn a_scan_finds_what_others_wrote() {
    let (directory, staging) = staging(limits()).await;
    fs::write(staging.path(id(1)), bytes(30)).expect("written");
    for name in ["notes.txt", "00000000000000000000000000000003"] {
        fs::write(directory.path().join(name), b"not media").expect("written");
    }
    fs::create_dir(staging.path(id(4))).expect("made");
    std::os::unix::fs::symlink("/etc/hostname", staging.path(id(5))).expect("linked");
    let upper = "AAAAAAAA-0000-4000-8000-000000000001";
    fs::write(directory.path().join(upper), b"another spelling").expect("written");
    assert_eq!(staging.used_bytes(), 0);
    assert_eq!(staging.rescan().await.expect("scanned"), 30);
    assert_eq!(staging.list().await.expect("listed"), [id(1)]);
    staging.delete(id(1)).await.expect("deleted");
    assert_eq!(staging.used_bytes(), 0);
    assert_eq!(names(directory.path()).len(), 5);
}

/// Goal: files that are put or deleted while a scan looks are counted as they are afterwards. Method:
/// the ledger alone, with the scan's view from before.
#[test]
fn changes_during_a_scan_are_kept() {
    let mut ledger = Ledger::default();
    ledger.insert(id(1), 10);
    ledger.insert(id(2), 20);
    ledger.begin_scan();
    ledger.remove(id(1));
    ledger.insert(id(3), 30);
    ledger.end_scan(BTreeMap::from([(id(1), 10), (id(2), 25), (id(4), 40)]));
    assert_eq!(ledger.used(), 25 + 30 + 40);
    ledger.remove(id(3));
    assert_eq!(ledger.used(), 25 + 40);
}

/// Goal: what a crashed process left unfinished is deleted once it is old, and only that.
#[tokio::test]
async fn abandoned_parts_are_deleted() {
    let directory = tempfile::tempdir().expect("a directory");
    let part = format!("{}.part-abc", id(1));
    for name in [&part, "notes.part-abc", &id(2).to_string()] {
        fs::write(directory.path().join(name), b"x").expect("written");
    }
    Staging::open(directory.path(), limits()).await.expect("opened");
    assert_eq!(names(directory.path()).len(), 3, "a young one may still be written to");
    let limits = StagingLimits { part_age_max: Duration::ZERO, ..limits() };
    Staging::open(directory.path(), limits).await.expect("opened");
    assert_eq!(names(directory.path()), [id(2).to_string(), "notes.part-abc".to_owned()]);
}

/// Goal: what a provider wrote into the shared directory counts from its message on, and what it only
/// announced counts until the file comes, is uploaded, is deleted, or does not come for two scans.
#[tokio::test]
async fn what_is_spoken_of_is_counted_once() {
    let (_directory, staging) = staging(limits()).await;
    fs::write(staging.path(id(1)), bytes(30)).expect("written");
    staging.expect(id(1), Some(50 * KIB)).await;
    assert_eq!(staging.used_bytes(), 30, "the file itself tells its size");
    staging.expect(id(2), None).await;
    staging.expect(id(3), Some(100)).await;
    staging.expect(id(3), Some(200)).await;
    assert_eq!(staging.used_bytes(), 230);
    staging.put(id(3), &b"hello"[..], None).await.expect("put");
    assert_eq!(staging.used_bytes(), 35);
    staging.expect(id(4), Some(100)).await;
    staging.delete(id(4)).await.expect("gone already");
    assert_eq!(staging.used_bytes(), 35);
    staging.expect(id(5), Some(100)).await;
    staging.expect(id(6), Some(100)).await;
    fs::write(staging.path(id(6)), bytes(10)).expect("written");
    assert_eq!(staging.rescan().await.expect("scanned"), 145);
    assert_eq!(staging.rescan().await.expect("scanned"), 45);
}

/// Goal: an announcement takes room from uploads, as it is room that a file will take; not one of a file that
/// nobody may bring.
#[tokio::test]
async fn announced_files_take_room() {
    let (_directory, staging) = staging(limits()).await;
    staging.expect(id(3), Some(u64::MAX)).await;
    assert_eq!(staging.used_bytes(), 0);
    staging.expect(id(1), Some(80 * KIB)).await;
    let refused = staging.put(id(2), &bytes(21 * KIB)[..], Some(21 * KIB)).await;
    assert!(matches!(refused, Err(StagingError::QuotaExceeded { .. })), "{refused:?}");
    staging.put(id(1), &bytes(80 * KIB)[..], Some(80 * KIB)).await.expect("it is its own room");
    staging.put(id(2), &bytes(20 * KIB)[..], Some(20 * KIB)).await.expect("the rest fits");
}

/// Goal: staging says when it gets tight, when it is full, and when space has returned, by itself.
#[tokio::test]
async fn staging_says_how_it_stands() {
    let (_directory, staging) = staging(limits()).await;
    let mut level = staging.level();
    assert_eq!(level.current(), Level::Roomy);
    staging.put(id(1), &bytes(60 * KIB)[..], None).await.expect("put");
    staging.put(id(2), &bytes(32 * KIB)[..], None).await.expect("put");
    assert_eq!(level.current(), Level::Tight);
    staging.put(id(3), &bytes(9 * KIB)[..], Some(9 * KIB)).await.expect_err("refused");
    assert_eq!(level.current(), Level::Full(Limit::Quota));
    staging.put(id(4), &bytes(KIB)[..], None).await.expect("small ones still fit");
    assert_eq!(level.current(), Level::Full(Limit::Quota), "nothing was freed");
    staging.delete(id(1)).await.expect("deleted");
    assert_eq!(level.current(), Level::Roomy);
    staging.put(id(3), &bytes(9 * KIB)[..], Some(9 * KIB)).await.expect("it fits again");
}

/// Goal: a disk that others filled is told apart from the quota, and looked at again.
#[tokio::test]
async fn a_full_disk_is_told() {
    let (_directory, full) = staging(StagingLimits { min_free_bytes: u64::MAX, ..limits() }).await;
    assert_eq!(full.level().current(), Level::Full(Limit::Disk));
    let (_directory, roomy) = staging(limits()).await;
    assert!(roomy.look_at_disk().await.expect("looked") > 0);
    assert_eq!(roomy.level().current(), Level::Roomy);
}
