//! Zip packages, which most office formats and e-books are: bounded in entries and in what they unpack
//! to, whatever their directory claims.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::report::Unread;

/// How many entries a package may have.
const ENTRIES_MAX: usize = 20_000;

/// How much a package may unpack to, over all that is read of it.
const UNPACKED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// An open package.
pub(super) struct Package {
    archive: ZipArchive<BufReader<File>>,
    bytes_left: u64,
}

impl Package {
    /// Opens a package.
    pub fn open(file: File) -> Result<Self, Unread> {
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            Unread::damaged(format!("the file is damaged, or encrypted: {error}"))
        })?;
        if archive.len() > ENTRIES_MAX {
            let entries = archive.len();
            return Err(Unread::damaged(format!("the file has {entries} parts; that is too many")));
        }
        Ok(Self { archive, bytes_left: UNPACKED_BYTES_MAX })
    }

    /// The names of all parts.
    pub fn names(&self) -> Vec<String> {
        self.archive.file_names().filter_map(Result::ok).map(|name| name.into_owned()).collect()
    }

    /// Opens a part for reading; none when there is no such part.
    pub fn part(&mut self, name: &str) -> Result<Option<impl BufRead + '_>, Unread> {
        let Self { archive, bytes_left } = self;
        match archive.by_name(name) {
            Ok(entry) => Ok(Some(BufReader::new(Bounded { entry, bytes_left }))),
            Err(ZipError::FileNotFound) => Ok(None),
            Err(error) => Err(Unread::damaged(format!("{name}: {error}"))),
        }
    }

    /// Opens a part that must be there.
    pub fn required_part(&mut self, name: &str) -> Result<impl BufRead + '_, Unread> {
        self.part(name)?.ok_or_else(|| Unread::damaged(format!("the file has no part {name}")))
    }

    /// Unpacks everything into nothing, to find out whether it stays within bounds before somebody
    /// else unpacks it who knows none.
    pub fn require_bounded(mut self) -> Result<(), Unread> {
        for index in 0..self.archive.len() {
            let Self { archive, bytes_left } = &mut self;
            let entry = archive.by_index(index).map_err(Unread::damaged)?;
            io::copy(&mut Bounded { entry, bytes_left }, &mut io::sink())?;
        }
        Ok(())
    }
}

/// A part whose bytes count against the package's.
struct Bounded<'a, R> {
    entry: R,
    bytes_left: &'a mut u64,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.entry.read(buffer)?;
        match self.bytes_left.checked_sub(length as u64) {
            Some(left) => *self.bytes_left = left,
            None => return Err(io::Error::other("the file unpacks to too many bytes")),
        }
        Ok(length)
    }
}
