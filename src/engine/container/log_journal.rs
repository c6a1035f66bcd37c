//! The log of a container whose driver is journald: asked of journalctl(1), since the journal's files are systemd's own
//! business, and turned into the records [`Printer`] prints. Must not know how lines are shown.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::log_file::{Output, Printer};
use crate::format::time::Stamp;

/// After this time without a new entry there will be none.
const SETTLED: Timespec = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };

/// A larger entry is none of ours: lines are cut at 16 KiB.
const MAX_ENTRY: usize = 1 << 20;

/// The entries of one container.
#[derive(Debug)]
pub(super) struct Journal {
    id: String,
    /// Where the last printed entry stands.
    cursor: Option<String>,
    /// `journalctl --follow`.
    follower: Option<Child>,
    /// What it said of an entry whose end has not come.
    rest: Vec<u8>,
}

/// One entry of systemd's journal export format.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    cursor: String,
    /// Microseconds since 1970.
    time: i64,
    message: Vec<u8>,
    error: bool,
    partial: bool,
}

impl Journal {
    pub(super) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), cursor: None, follower: None, rest: Vec::new() }
    }

    fn journalctl(&self) -> Command {
        let mut command = Command::new("journalctl");
        command.args(["--quiet", "--output=export", "--output-fields=MESSAGE,PRIORITY,CONTAINER_PARTIAL_MESSAGE"]);
        command.args(self.cursor.as_ref().map(|cursor| format!("--after-cursor={cursor}")));
        command.arg(format!("CONTAINER_ID_FULL={}", self.id));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Prints what is there and was not printed before: all, or the last entries.
    pub(super) fn print(&mut self, tail: Option<u64>, printer: &mut Printer, output: &mut Output<'_>) -> io::Result<()> {
        let mut command = self.journalctl();
        command.args(tail.map(|lines| format!("--lines={lines}"))).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(about)?;
        let mut stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut chunk = vec![0; 64 << 10];
        loop {
            let count = stdout.read(&mut chunk)?;
            if count == 0 || printer.is_over() {
                break;
            }
            self.entries(&chunk[..count], printer, output)?;
        }
        drop(stdout);
        self.rest.clear();
        let ended = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&ended.stderr);
        // Status 1 and silence: nothing was found.
        if !ended.status.success() && !said.trim().is_empty() && !printer.is_over() {
            return Err(io::Error::other(format!("journalctl: {}", said.trim())));
        }
        output.flush()
    }

    /// Starts to follow.
    pub(super) fn follow(&mut self) -> io::Result<()> {
        if self.follower.is_none() {
            let mut command = self.journalctl();
            let child = command.args(["--follow", "--no-tail"]).stderr(Stdio::null()).spawn().map_err(about)?;
            if let Some(stdout) = &child.stdout {
                rustix::io::ioctl_fionbio(stdout, true)?;
            }
            self.follower = Some(child);
        }
        Ok(())
    }

    /// Readable when something came.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.follower.as_ref()?.stdout.as_ref().map(AsFd::as_fd)
    }

    /// Prints what came since; `last`, when nobody writes any more: the journal takes entries a little after they were sent.
    pub(super) fn more(&mut self, last: bool, printer: &mut Printer, output: &mut Output<'_>) -> io::Result<()> {
        self.follow()?;
        let mut chunk = vec![0; 64 << 10];
        while !printer.is_over() {
            let Some(stdout) = self.follower.as_mut().and_then(|child| child.stdout.as_mut()) else { break };
            match stdout.read(&mut chunk) {
                Ok(0) => return Err(io::Error::other("journalctl ended while it followed the journal")),
                Ok(count) => self.entries(&chunk[..count], printer, output)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(stdout, PollFlags::IN)];
                    if !last || poll(&mut fds, Some(&SETTLED))? == 0 {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        output.flush()
    }

    fn entries(&mut self, bytes: &[u8], printer: &mut Printer, output: &mut Output<'_>) -> io::Result<()> {
        self.rest.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((entry, length)) = Entry::parse(&self.rest[at..]) {
            at += length;
            if !entry.message.is_empty() || !entry.cursor.is_empty() {
                printer.records(&entry.record(), output)?;
                self.cursor = Some(entry.cursor);
            }
        }
        self.rest.drain(..at);
        if self.rest.len() > MAX_ENTRY {
            return Err(io::Error::other("journalctl wrote an entry larger than any of a container"));
        }
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(child) = &mut self.follower {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn about(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("journalctl: {error}"))
}

impl Entry {
    /// The first entry and its length, once its blank line has come: `NAME=VALUE` and newline, or for values with
    /// control characters `NAME`, newline, length (64 bits, little endian), value, newline.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut entry = Self::default();
        let mut at = 0;
        loop {
            let end = at + memchr::memchr(b'\n', bytes.get(at..)?)?;
            let line = &bytes[at..end];
            at = end + 1;
            if line.is_empty() {
                return Some((entry, at));
            }
            match memchr::memchr(b'=', line) {
                Some(equals) => entry.set(&line[..equals], &line[equals + 1..]),
                None => {
                    let length = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
                    let start = at + 8;
                    let end = start.checked_add(usize::try_from(length).ok()?)?;
                    entry.set(line, bytes.get(start..end)?);
                    bytes.get(end)?;
                    at = end + 1;
                }
            }
        }
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"__CURSOR" => self.cursor = text(),
            b"__REALTIME_TIMESTAMP" => self.time = text().parse().unwrap_or(0),
            b"MESSAGE" => self.message = value.to_vec(),
            b"PRIORITY" => self.error = value == b"3",
            b"CONTAINER_PARTIAL_MESSAGE" => self.partial = value == b"true",
            _ => {}
        }
    }

    /// As a log file has it.
    fn record(&self) -> Vec<u8> {
        let stamp = *Stamp::new().format(self.time.saturating_mul(1000));
        let stream: &[u8] = if self.error { b" stderr " } else { b" stdout " };
        let tag: &[u8] = if self.partial { b"P " } else { b"F " };
        // No line has a line's end in it; one that others wrote under this id is kept from looking like two.
        let text: Vec<u8> = self.message.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect();
        [stamp.as_slice(), stream, tag, &text, b"\n"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_export_format() {
        let mut bytes = b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1700000000000001\nPRIORITY=3\nMESSAGE\n".to_vec();
        bytes.extend_from_slice(&5_u64.to_le_bytes());
        bytes.extend_from_slice(b"a\tb\xff=\nCONTAINER_PARTIAL_MESSAGE=true\n\n__CURSOR=next\n");
        let (entry, length) = Entry::parse(&bytes).unwrap();
        assert_eq!((entry.cursor.as_str(), entry.message.as_slice()), ("s=1;i=2", b"a\tb\xff=".as_slice()));
        assert_eq!(entry.record(), b"2023-11-14T22:13:20.000001000Z stderr P a\tb\xff=\n");
        assert_eq!(&bytes[length..], b"__CURSOR=next\n");
        for cut in 0..length {
            assert_eq!(Entry::parse(&bytes[..cut]), None, "{cut}");
        }
        // A length beyond all memory is waited for, and no more.
        let huge = [b"MESSAGE\n".as_slice(), &u64::MAX.to_le_bytes(), b"x\n\n"].concat();
        assert_eq!(Entry::parse(&huge), None);
    }
}
