//! The container's log: one text line per output line, `TIME STREAM TAG TEXT` as Kubernetes' container runtimes write
//! it (tag F for a full line, P for a part), rotated by rename, or datagrams to systemd's journal.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::format::time::{Stamp, now};
use crate::spec::container::LogDriver;

/// Longer lines are cut into parts, as docker does.
const MAX_LINE: usize = 16 << 10;

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output, or everything of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Stdout => b" stdout ",
            Self::Stderr => b" stderr ",
        }
    }
}

/// Where lines go.
#[derive(Debug)]
enum Sink {
    None,
    File { file: File, size: u64 },
    Journal(UnixDatagram),
}

/// A log being written.
#[derive(Debug)]
pub(super) struct Log {
    sink: Sink,
    path: PathBuf,
    max_size: u64,
    max_files: u32,
    stamp: Stamp,
    /// Lines ready to be written.
    out: Vec<u8>,
    /// The beginning of a line whose end has not come, per stream.
    rest: [Vec<u8>; 2],
    tag: String,
    id: String,
    name: String,
    failed: bool,
}

/// What a log needs to know of its container.
pub(super) struct LogOptions<'a> {
    pub(super) driver: LogDriver,
    pub(super) path: &'a Path,
    pub(super) max_size: u64,
    pub(super) max_files: u32,
    pub(super) tag: &'a str,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
}

const JOURNAL: &str = "/run/systemd/journal/socket";

impl Log {
    /// Opens the log, appending.
    pub(super) fn open(options: &LogOptions<'_>) -> Result<Self, String> {
        let sink = match options.driver {
            LogDriver::None | LogDriver::Passthrough => Sink::None,
            LogDriver::K8sFile => open_file(options.path)
                .map_err(|error| format!("cannot open the log {}: {error}", options.path.display()))?,
            LogDriver::Journald => {
                let socket = UnixDatagram::unbound().map_err(|error| format!("socket: {error}"))?;
                socket.connect(JOURNAL).map_err(|error| {
                    format!("cannot write to systemd's journal ({JOURNAL}: {error}); choose another --log-driver")
                })?;
                Sink::Journal(socket)
            }
        };
        Ok(Self {
            sink,
            path: options.path.to_owned(),
            max_size: options.max_size,
            max_files: options.max_files.max(1),
            stamp: Stamp::new(),
            out: Vec::new(),
            rest: [Vec::new(), Vec::new()],
            tag: options.tag.to_owned(),
            id: options.id.to_owned(),
            name: options.name.to_owned(),
            failed: false,
        })
    }

    /// Takes output as it came. A log that cannot be written (a full disk) loses lines, and says so once it can again.
    pub(super) fn write(&mut self, stream: Stream, mut bytes: &[u8]) {
        if matches!(self.sink, Sink::None) {
            return;
        }
        let stamp = *self.stamp.format(now());
        let index = stream as usize;
        let prefix = [stamp.as_slice(), stream.name(), b"F "].concat();
        let to_file = matches!(self.sink, Sink::File { .. });
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[start..end];
            start = end + 1;
            if to_file && self.rest[index].is_empty() && line.len() <= MAX_LINE {
                // Nearly all lines.
                self.out.reserve(prefix.len() + line.len() + 1);
                self.out.extend_from_slice(&prefix);
                self.out.extend_from_slice(line);
                self.out.push(b'\n');
            } else {
                let rest = std::mem::take(&mut self.rest[index]);
                self.line(&stamp, stream, &rest, line);
            }
        }
        bytes = &bytes[start..];
        while self.rest[index].len() + bytes.len() >= MAX_LINE {
            let rest = std::mem::take(&mut self.rest[index]);
            let cut = MAX_LINE.saturating_sub(rest.len()).min(bytes.len());
            self.part(&stamp, stream, &rest, &bytes[..cut], b"P ");
            bytes = &bytes[cut..];
        }
        self.rest[index].extend_from_slice(bytes);
        self.flush();
    }

    /// Writes the beginnings of lines that never ended, at the end of the streams.
    pub(super) fn finish(&mut self) {
        let stamp = *self.stamp.format(now());
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut self.rest[stream as usize]);
            if !rest.is_empty() {
                self.part(&stamp, stream, &rest, b"", b"P ");
            }
        }
        self.flush();
        self.out = Vec::new();
    }

    fn line(&mut self, stamp: &[u8], stream: Stream, head: &[u8], mut tail: &[u8]) {
        let mut head = head;
        while head.len() + tail.len() > MAX_LINE {
            let cut = MAX_LINE.saturating_sub(head.len()).min(tail.len());
            self.part(stamp, stream, head, &tail[..cut], b"P ");
            tail = &tail[cut..];
            head = b"";
        }
        self.part(stamp, stream, head, tail, b"F ");
    }

    fn part(&mut self, stamp: &[u8], stream: Stream, head: &[u8], tail: &[u8], tag: &[u8]) {
        if let Sink::Journal(socket) = &self.sink {
            let priority: &[u8] = if stream == Stream::Stderr { b"3" } else { b"6" };
            journal(socket, priority, (&self.tag, &self.id, &self.name), &[head, tail], tag == b"P ");
            return;
        }
        for piece in [stamp, stream.name(), tag, head, tail, b"\n"] {
            self.out.extend_from_slice(piece);
        }
    }

    fn flush(&mut self) {
        if self.out.is_empty() {
            return;
        }
        if self.failed {
            let lost = b" stderr F kelp: lines were lost here: the log could not be written\n";
            self.out.splice(0..0, self.stamp.format(now()).iter().chain(lost).copied());
        }
        let mut lines = std::mem::take(&mut self.out);
        let mut at = 0;
        while at < lines.len() {
            at += self.append(&lines[at..]);
        }
        lines.clear();
        self.out = lines;
    }

    /// Writes the first of some lines: as many as the file may still take, at least one. Returns their length.
    fn append(&mut self, lines: &[u8]) -> usize {
        let max = self.max_size;
        let fitting = |size: u64| {
            let room = usize::try_from(max.saturating_sub(size)).unwrap_or(usize::MAX);
            if room >= lines.len() { Some(lines.len()) } else { memchr::memrchr(b'\n', &lines[..room]).map(|end| end + 1) }
        };
        let Sink::File { size, .. } = &self.sink else { return lines.len() };
        let mut length = fitting(*size);
        if length.is_none() && *size > 0 {
            self.rotate();
            length = fitting(0);
        }
        let length = length.or_else(|| memchr::memchr(b'\n', lines).map(|end| end + 1)).unwrap_or(lines.len());
        let Sink::File { file, size } = &mut self.sink else { return lines.len() };
        match file.write_all(&lines[..length]) {
            Ok(()) => {
                self.failed = false;
                *size += length as u64;
            }
            Err(_) => {
                self.failed = true;
                // Cut off what may have been half written.
                drop(file.set_len(*size));
            }
        }
        length
    }

    /// `log.1` becomes `log.2` and so on; the newest is always `log`.
    fn rotate(&mut self) {
        let numbered = |number: u32| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        if self.max_files == 1 {
            drop(fs::remove_file(&self.path));
        } else {
            for number in (1..self.max_files - 1).rev() {
                drop(fs::rename(numbered(number), numbered(number + 1)));
            }
            drop(fs::rename(&self.path, numbered(1)));
        }
        if let Ok(sink) = open_file(&self.path) {
            self.sink = sink;
        }
    }
}

fn open_file(path: &Path) -> io::Result<Sink> {
    let open = || File::options().append(true).create(true).mode(0o600).open(path);
    let file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                // What programs said is nobody else's.
                fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            open()?
        }
        other => other?,
    };
    let size = file.metadata()?.len();
    Ok(Sink::File { file, size })
}

/// One entry in the journal's native protocol: fields as NAME, newline, length, value, newline.
fn journal(socket: &UnixDatagram, priority: &[u8], who: (&str, &str, &str), message: &[&[u8]], partial: bool) {
    let mut entry = Vec::new();
    let mut field = |name: &str, parts: &[&[u8]]| {
        entry.extend_from_slice(name.as_bytes());
        entry.push(b'\n');
        let length: usize = parts.iter().map(|part| part.len()).sum();
        entry.extend_from_slice(&(length as u64).to_le_bytes());
        for part in parts {
            entry.extend_from_slice(part);
        }
        entry.push(b'\n');
    };
    let (tag, id, name) = who;
    field("MESSAGE", message);
    field("PRIORITY", &[priority]);
    field("SYSLOG_IDENTIFIER", &[tag.as_bytes()]);
    field("CONTAINER_NAME", &[name.as_bytes()]);
    field("CONTAINER_ID", &[id.get(..12).unwrap_or(id).as_bytes()]);
    field("CONTAINER_ID_FULL", &[id.as_bytes()]);
    field("CONTAINER_TAG", &[tag.as_bytes()]);
    if partial {
        field("CONTAINER_PARTIAL_MESSAGE", &[b"true"]);
    }
    // A journal that is down loses lines, as it does for everybody.
    drop(socket.send(&entry));
}
