//! Archives in any compression users pack them in; bzip2 and xz are left to programs of the host.

use std::io::{self, BufRead, Cursor, Read};
use std::os::fd::BorrowedFd;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::compression::Decoder;
use super::unpack::{self, UnpackOptions, UnpackReport};

/// By their first bytes.
const PROGRAMS: [(&[u8], &str); 2] = [(b"BZh", "bzip2"), (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz")];

/// The program for what begins so, if it needs one.
pub fn program(head: &[u8]) -> Option<&'static str> {
    PROGRAMS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, program)| *program)
}

/// Starts the program on a file.
///
/// # Errors
/// When it is not installed.
pub fn decompress(program: &str, input: impl Into<Stdio>) -> std::io::Result<Child> {
    Command::new(program).args(["-d", "-c"]).stdin(input).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// A stream as it is, or as what the program it needs makes of it.
///
/// # Errors
/// When it cannot be read; when the program is not installed.
pub fn plain(mut input: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(8);
    input.by_ref().take(8).read_to_end(&mut head)?;
    let needed = program(&head);
    let whole = Cursor::new(head).chain(input);
    match needed {
        None => Ok(Box::new(whole)),
        Some(program) => Ok(Box::new(Helped::start(program, whole)?)),
    }
}

/// What a program makes of a stream.
struct Helped {
    program: &'static str,
    child: Child,
    out: ChildStdout,
}

impl Helped {
    fn start(program: &'static str, mut input: impl Read + Send + 'static) -> io::Result<Self> {
        let mut child =
            decompress(program, Stdio::piped()).map_err(|error| io::Error::new(error.kind(), missing(program, &error)))?;
        let (Some(mut to), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other(format!("{program} has neither input nor output")));
        };
        // A program that ends early says so itself.
        std::thread::spawn(move || io::copy(&mut input, &mut to).map(drop).unwrap_or_default());
        Ok(Self { program, child, out })
    }
}

impl Read for Helped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.out.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            let status = self.child.wait()?;
            if !status.success() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} failed: {status}", self.program)));
            }
        }
        Ok(read)
    }
}

impl Drop for Helped {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Unpacks an archive, compressed or not.
///
/// # Errors
/// In words.
pub fn unpack(mut input: impl BufRead + Send, into: BorrowedFd<'_>, options: &UnpackOptions) -> Result<UnpackReport, String> {
    let head = input.fill_buf().map_err(|error| error.to_string())?;
    match program(head) {
        Some(program) => unpack_stream(program, input, into, options),
        None => {
            let reader = Decoder::new(input).map_err(|error| error.to_string())?;
            unpack::unpack_layer(reader, into, options).map_err(|error| error.to_string())
        }
    }
}

/// Unpacks with the program's help.
fn unpack_stream(program: &str, mut input: impl Read + Send, into: BorrowedFd<'_>, options: &UnpackOptions) -> Result<UnpackReport, String> {
    let mut child = decompress(program, Stdio::piped()).map_err(|error| missing(program, &error))?;
    let Some(mut to) = child.stdin.take() else { return Err(format!("{program} has no input")) };
    std::thread::scope(|scope| {
        // A program that ends early says so itself.
        scope.spawn(move || std::io::copy(&mut input, &mut to).map(drop).unwrap_or_default());
        unpack_from(program, child, into, options)
    })
}

fn missing(program: &str, error: &std::io::Error) -> String {
    format!("the archive needs the program {program}, which cannot be run: {error}")
}

fn unpack_from(program: &str, mut child: Child, into: BorrowedFd<'_>, options: &UnpackOptions) -> Result<UnpackReport, String> {
    let out = child.stdout.take().ok_or_else(|| format!("{program} has no output"))?;
    let unpacked = unpack::unpack_layer(out, into, options).map_err(|error| error.to_string());
    if unpacked.is_err() {
        drop(child.kill());
    }
    let status = child.wait().map_err(|error| format!("{program}: {error}"))?;
    let unpacked = unpacked?;
    if status.success() { Ok(unpacked) } else { Err(format!("{program} failed: {status}")) }
}
