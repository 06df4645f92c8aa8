//! The files of a recording: the current one, and some that went before.
//!
//! `trace.jsonl` is the current one, `trace.jsonl.1` the one before it, and so on; a file that would have
//! too high a number is deleted. Files are for their owner alone.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// How much is collected before the operating system is asked to take it.
const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    max: u32,
    current: BufWriter<File>,
    /// Nothing has been written to it.
    is_new: bool,
}

impl Files {
    /// Moves the files that are there out of the way, and makes a new one.
    pub fn begin(path: PathBuf, max: u32) -> io::Result<Self> {
        // A device or a directory is not moved out of the way.
        if fs::symlink_metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "it is there and is no plain file",
            ));
        }
        let current = make_way_for(&path, max)?;
        Ok(Self { path, max, current, is_new: true })
    }

    /// The file to go on in.
    pub fn current(&mut self) -> &mut BufWriter<File> {
        self.is_new = false;
        &mut self.current
    }

    /// Gives everything to the operating system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.current.flush()
    }

    /// Goes on in a new file.
    pub fn turn(&mut self) -> io::Result<()> {
        if !self.is_new {
            self.current.flush()?;
            self.current = make_way_for(&self.path, self.max)?;
            self.is_new = true;
        }
        Ok(())
    }
}

/// Gives each file that is there the next higher number, and makes a new one.
fn make_way_for(path: &PathBuf, max: u32) -> io::Result<BufWriter<File>> {
    let numbered = |number: u32| {
        let mut name = OsString::from(path);
        if number > 0 {
            name.push(format!(".{number}"));
        }
        PathBuf::from(name)
    };
    let last = max.saturating_sub(1);
    let gone = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    };
    fs::remove_file(numbered(last)).or_else(gone)?;
    for number in (0..last).rev() {
        fs::rename(numbered(number), numbered(number + 1)).or_else(gone)?;
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: there are never more files than asked for, the newest under the name itself, and what an
    /// earlier run left behind is kept as the one before. Method: a file that is there, and five turns.
    #[test]
    fn older_files_have_higher_numbers_and_the_oldest_goes() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("trace.jsonl");
        fs::write(&path, "0").expect("it can be written");
        let mut files = Files::begin(path.clone(), 3).expect("it can be made");
        for turn in 1..=5 {
            files.turn().expect("it can be made");
            write!(files.current(), "{turn}").expect("it can be written");
            let mut there: Vec<_> = fs::read_dir(directory.path())
                .expect("it is a directory")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
                .collect();
            there.sort();
            let expected = ["trace.jsonl", "trace.jsonl.1", "trace.jsonl.2"];
            assert_eq!(there, expected[..usize::min(turn + 1, 3)]);
        }
        files.turn().expect("it can be made");
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect(name);
        assert_eq!(["trace.jsonl", "trace.jsonl.1", "trace.jsonl.2"].map(read), ["", "5", "4"]);
    }

    /// Goal: what is no plain file is refused, and stays where it is. Method: a directory and a device.
    #[test]
    fn what_is_no_file_is_left_alone() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for path in [directory.path(), "/dev/null".as_ref()] {
            let refused = Files::begin(path.to_owned(), 3).expect_err("it is refused");
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
            assert!(path.exists());
        }
    }

    /// Goal: one file is as good a number as any other. Method: two turns, of which the second has
    /// nothing to turn.
    #[test]
    fn one_file_is_enough() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("trace.jsonl");
        let mut files = Files::begin(path.clone(), 1).expect("it can be made");
        write!(files.current(), "old").expect("it can be written");
        files.turn().expect("it can be made");
        files.turn().expect("it can be made");
        write!(files.current(), "new").expect("it can be written");
        drop(files);
        assert_eq!(fs::read_to_string(path).expect("it is there"), "new");
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
    }
}
