//! Archives in compressions the unpacker leaves to programs of the host: bzip2 and xz.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::process::{Child, Command, Stdio};

use crate::image::unpack::{self, UnpackOptions};

/// By their first bytes.
const PROGRAMS: [(&[u8], &str); 2] = [(b"BZh", "bzip2"), (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz")];

/// The program for what begins so, if it needs one.
pub(super) fn program(head: &[u8]) -> Option<&'static str> {
    PROGRAMS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, program)| *program)
}

/// Starts the program on a file.
///
/// # Errors
/// When it is not installed.
pub(super) fn decompress(program: &str, input: impl Into<Stdio>) -> std::io::Result<Child> {
    Command::new(program).args(["-d", "-c"]).stdin(input).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// Unpacks a file with the program's help.
///
/// # Errors
/// In words.
pub(super) fn unpack_file(program: &str, file: File, into: BorrowedFd<'_>, options: &UnpackOptions) -> Result<(), String> {
    let child = decompress(program, file).map_err(|error| format!("{program}: {error}"))?;
    unpack_from(program, child, into, options)
}

/// As [`unpack_file`], of what can only be read.
///
/// # Errors
/// In words.
pub(super) fn unpack_stream(program: &str, mut input: impl Read + Send, into: BorrowedFd<'_>, options: &UnpackOptions) -> Result<(), String> {
    let mut child = decompress(program, Stdio::piped()).map_err(|error| format!("{program}: {error}"))?;
    let Some(mut to) = child.stdin.take() else { return Err(format!("{program} has no input")) };
    std::thread::scope(|scope| {
        // A program that ends early says so itself.
        scope.spawn(move || std::io::copy(&mut input, &mut to).map(drop).unwrap_or_default());
        unpack_from(program, child, into, options)
    })
}

fn unpack_from(program: &str, mut child: Child, into: BorrowedFd<'_>, options: &UnpackOptions) -> Result<(), String> {
    let out = child.stdout.take().ok_or_else(|| format!("{program} has no output"))?;
    let unpacked = unpack::unpack_layer(out, into, options).map(drop).map_err(|error| error.to_string());
    if unpacked.is_err() {
        drop(child.kill());
    }
    let status = child.wait().map_err(|error| format!("{program}: {error}"))?;
    unpacked?;
    if status.success() { Ok(()) } else { Err(format!("{program} failed: {status}")) }
}
