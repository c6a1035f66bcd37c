//! Reading log files: records into output, fast, and the last lines from the end.
//!
//! A record is `TIME STREAM TAG TEXT` on one line (see `monitor::log`): a stamp of fixed width, `stdout` or `stderr`, `F` for
//! a whole line or the end of one, `P` for a part. A line that is no record (cut short by a full disk or a power cut) is skipped.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use memchr::{memchr, memrchr};

use crate::format::time::{STAMP_LEN, StampReader};

/// One read.
const CHUNK: usize = 1 << 20;
/// Output is handed on in pieces of at least this, and at the end.
const FLUSH: usize = 128 << 10;
/// Where the text of a record begins.
const TEXT: usize = STAMP_LEN + " stdout F ".len();
/// A record cannot be longer than a cut line with its head; what is longer is no record.
const MAX_RECORD: usize = 64 << 10;

/// Where lines go. Standard output and error are told apart unless they are the same file: then one buffer keeps the
/// order.
pub struct Output<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    same: bool,
    buffers: [Vec<u8>; 2],
}

impl<'a> Output<'a> {
    /// `same`: `out` and `err` end in the same place, so everything is written to `out`.
    pub fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, same: bool) -> Self {
        Self { out, err, same, buffers: [Vec::with_capacity(FLUSH + MAX_RECORD), Vec::new()] }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        let [out, err] = &mut self.buffers;
        self.out.write_all(out)?;
        out.clear();
        self.err.write_all(err)?;
        err.clear();
        self.out.flush()?;
        self.err.flush()
    }
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("same", &self.same).finish_non_exhaustive()
    }
}

/// Which records, and what goes before each line.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    /// Not before, nanoseconds since 1970.
    pub(super) since: Option<i64>,
    /// Not after.
    pub(super) until: Option<i64>,
    /// The time before the line.
    pub(super) timestamps: bool,
    /// The container's name before that.
    pub(super) prefix: Vec<u8>,
    /// Stands before the text, after the time.
    pub(super) details: Vec<u8>,
}

/// Turns the bytes of one container's log into output.
#[derive(Debug)]
pub(super) struct Printer {
    selection: Selection,
    /// Nothing but text is to be looked at.
    plain: bool,
    stamps: StampReader,
    /// The next record of this stream (stdout, stderr) begins a line.
    fresh: [bool; 2],
    /// A record was later than `until`.
    over: bool,
}

impl Printer {
    pub(super) fn new(selection: Selection) -> Self {
        let plain = selection.since.is_none() && selection.until.is_none() && !selection.timestamps && selection.prefix.is_empty()
            && selection.details.is_empty();
        Self { selection, plain, stamps: StampReader::new(), fresh: [true; 2], over: false }
    }

    /// Whether all that could be wanted has come.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Prints the whole records in `bytes` and returns how many bytes those were.
    pub(super) fn records(&mut self, bytes: &[u8], output: &mut Output<'_>) -> io::Result<usize> {
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            let record = &bytes[at..=at + length];
            at += length + 1;
            if let Some((stream, whole)) = head(record) {
                self.record(record, stream, whole, output);
                if self.over {
                    break;
                }
            }
            if output.buffers[0].len() + output.buffers[1].len() >= FLUSH {
                output.flush()?;
            }
        }
        Ok(at)
    }

    #[inline]
    fn record(&mut self, record: &[u8], stream: usize, whole: bool, output: &mut Output<'_>) {
        let buffer = &mut output.buffers[if output.same { 0 } else { stream }];
        if !self.plain {
            if !self.wanted(record) {
                return;
            }
            if self.fresh[stream] {
                buffer.extend_from_slice(&self.selection.prefix);
                if self.selection.timestamps {
                    buffer.extend_from_slice(&record[..=STAMP_LEN]);
                }
                buffer.extend_from_slice(&self.selection.details);
            }
            self.fresh[stream] = whole;
        }
        let end = if whole { record.len() } else { record.len() - 1 };
        buffer.extend_from_slice(&record[TEXT..end]);
    }

    fn wanted(&mut self, record: &[u8]) -> bool {
        let Selection { since, until, .. } = self.selection;
        if since.is_none() && until.is_none() {
            return true;
        }
        let Some(time) = self.stamps.read(record) else { return false };
        self.over = until.is_some_and(|until| time > until);
        !self.over && since.is_none_or(|since| time >= since)
    }
}

/// Stream (0 or 1) and whether it is tagged whole; `None` for what is no record. The newline is included.
#[inline]
fn head(record: &[u8]) -> Option<(usize, bool)> {
    let head: &[u8; 10] = record.get(STAMP_LEN..)?.first_chunk()?;
    if record[STAMP_LEN - 1] != b'Z' || record.len() <= TEXT {
        return None;
    }
    match head {
        b" stdout F " => Some((0, true)),
        b" stderr F " => Some((1, true)),
        b" stdout P " => Some((0, false)),
        b" stderr P " => Some((1, false)),
        _ => None,
    }
}

/// One file of a log, being read.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    inode: (u64, u64),
    /// Up to here everything was printed.
    at: u64,
}

impl LogFile {
    /// Prints what is there from the current position on.
    pub(super) fn print(&mut self, printer: &mut Printer, buffer: &mut Vec<u8>, output: &mut Output<'_>) -> io::Result<()> {
        buffer.resize(CHUNK, 0);
        let mut kept = 0;
        loop {
            let count = self.file.read_at(&mut buffer[kept..], self.at + kept as u64)?;
            if count == 0 {
                break;
            }
            let filled = kept + count;
            let used = printer.records(&buffer[..filled], output)?;
            self.at += used as u64;
            if printer.is_over() {
                break;
            }
            kept = filled - used;
            if kept == buffer.len() {
                // Not a log: no line has this length.
                self.at += kept as u64;
                kept = 0;
            }
            buffer.copy_within(used..filled, 0);
        }
        output.flush()
    }

    /// Moves the position to the beginning of the last lines, at most `left` of them, and takes those found off `left`.
    /// False when the file's beginning was reached with lines left to find.
    pub(super) fn seek_last(&mut self, left: &mut u64, open: &mut [bool; 2]) -> io::Result<bool> {
        let mut end = self.file.metadata()?.len();
        let mut buffer = Vec::new();
        self.at = end;
        // The bytes at the front of the buffer whose record begins before it.
        let mut kept = 0_usize;
        while end > 0 {
            let want = usize::try_from(end).unwrap_or(CHUNK).min(CHUNK / 4);
            let start = end - want as u64;
            let mut bytes = vec![0; want + kept];
            self.file.read_exact_at(&mut bytes[..want], start)?;
            bytes[want..].copy_from_slice(&buffer[..kept]);
            let mut stop = bytes.len();
            while let Some(newline) = memrchr(b'\n', &bytes[..stop.saturating_sub(1)]) {
                if self.count(&bytes[newline + 1..stop], start + newline as u64 + 1, left, open) {
                    return Ok(true);
                }
                stop = newline + 1;
            }
            if start == 0 {
                return Ok(self.count(&bytes[..stop], 0, left, open));
            }
            kept = if stop > MAX_RECORD { 0 } else { stop };
            buffer = bytes;
            end = start;
        }
        Ok(false)
    }

    /// Looks at one record from the end; true when it belongs to a line that is not wanted any more.
    fn count(&mut self, record: &[u8], at: u64, left: &mut u64, open: &mut [bool; 2]) -> bool {
        if record.last() == Some(&b'\n')
            && let Some((stream, whole)) = head(record)
        {
            // A part belongs to the line that ends after it, unless nothing of its stream comes after it.
            if whole || !open[stream] {
                if *left == 0 {
                    return true;
                }
                *left -= 1;
            }
            open[stream] = true;
        }
        self.at = at;
        false
    }
}

/// The files of a log, the newest (being written) last. Opened from the newest backwards, so that a rotation in between
/// shows a file twice, which is noticed, and never skips one.
pub(super) fn open_all(path: &Path) -> io::Result<Vec<LogFile>> {
    let mut files: Vec<LogFile> = Vec::new();
    let mut gap = 0;
    for number in 0..1000 {
        match File::open(numbered(path, number)) {
            Ok(file) => {
                let meta = file.metadata()?;
                let inode = (meta.dev(), meta.ino());
                if files.iter().all(|known| known.inode != inode) {
                    files.push(LogFile { file, inode, at: 0 });
                }
            }
            // The newest may be missing for a moment, and then its predecessor is there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                gap += 1;
                if gap > 1 || number > 0 {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    files.reverse();
    Ok(files)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

impl LogFile {
    /// Whether this is still the file being written.
    pub(super) fn is_current(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.inode)
    }

    /// The files written after this one; all there are when this one was rotated away.
    pub(super) fn newer(&self, path: &Path) -> io::Result<Vec<Self>> {
        let mut files = open_all(path)?;
        if let Some(own) = files.iter().position(|file| file.inode == self.inode) {
            files.drain(..=own);
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "2026-01-02T03:04:05.00000000";

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("kelp-log-{}-{name}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(&dir).unwrap();
        dir.join("x.log")
    }

    fn print(files: &mut [LogFile], selection: Selection) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err, false);
        let mut printer = Printer::new(selection);
        for file in files {
            file.print(&mut printer, &mut Vec::new(), &mut output).unwrap();
        }
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn records_become_lines_of_their_stream() {
        let path = scratch("streams");
        let text = format!(
            "{STAMP}0Z stdout F one\n{STAMP}1Z stderr F two\ngarbage\n{STAMP}2Z stdout P thr\n{STAMP}3Z stderr F four\n\
             {STAMP}4Z stdout F ee\n{STAMP}5Z stdout F \n{STAMP}6Z stdout P end\n{STAMP}7Z stdout F cut"
        );
        std::fs::write(&path, text).unwrap();
        let mut files = open_all(&path).unwrap();
        let (out, err) = print(&mut files, Selection::default());
        assert_eq!((out.as_str(), err.as_str()), ("one\nthree\n\nend", "two\nfour\n"));
        let mut files = open_all(&path).unwrap();
        let marked = Selection { timestamps: true, prefix: b"web ".to_vec(), ..Selection::default() };
        let (out, _) = print(&mut files, marked);
        assert!(out.starts_with(&format!("web {STAMP}0Z one\nweb {STAMP}2Z three\nweb {STAMP}5Z \n")), "{out}");
        let base = 1_767_323_045_000_000_000;
        let mut files = open_all(&path).unwrap();
        let between = Selection { since: Some(base + 1), until: Some(base + 3), ..Selection::default() };
        assert_eq!(print(&mut files, between), ("thr".to_owned(), "two\nfour\n".to_owned()));
    }

    #[test]
    fn the_last_lines_are_found_from_the_end_over_files() {
        let path = scratch("tail");
        std::fs::write(numbered(&path, 1), format!("{STAMP}0Z stdout F a\n{STAMP}0Z stdout F b\n")).unwrap();
        std::fs::write(&path, format!("{STAMP}1Z stdout P c\n{STAMP}1Z stdout F d\n{STAMP}1Z stderr F e\n{STAMP}2Z stdout P f\n")).unwrap();
        for (wanted, text) in [(0, ""), (1, "f"), (2, "f|e\n"), (3, "cd\nf|e\n"), (4, "b\ncd\nf|e\n"), (9, "a\nb\ncd\nf|e\n")] {
            let mut files = open_all(&path).unwrap();
            let (mut left, mut open) = (wanted, [false; 2]);
            let mut first = files.len();
            for (index, file) in files.iter_mut().enumerate().rev() {
                first = index;
                if file.seek_last(&mut left, &mut open).unwrap() {
                    break;
                }
            }
            let (out, err) = print(&mut files[first..], Selection::default());
            let both = if err.is_empty() { out } else { format!("{out}|{err}") };
            assert_eq!(both, text, "{wanted}");
        }
    }

    #[test]
    fn long_files_are_read_back_across_buffers() {
        let path = scratch("long");
        let mut text = String::new();
        for number in 0..200_000 {
            text += &format!("{STAMP}0Z stdout F line number {number}\n");
        }
        std::fs::write(&path, &text).unwrap();
        let mut files = open_all(&path).unwrap();
        let (out, _) = print(&mut files, Selection::default());
        assert_eq!(out.lines().count(), 200_000);
        assert_eq!(out.lines().last(), Some("line number 199999"));
        let (mut left, mut open) = (150_000, [false; 2]);
        assert!(files[0].seek_last(&mut left, &mut open).unwrap());
        let (out, _) = print(&mut files, Selection::default());
        assert_eq!((out.lines().count(), out.lines().next()), (150_000, Some("line number 50000")));
    }
}
