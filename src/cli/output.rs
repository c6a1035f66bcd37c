//! Archives a verb writes: to a file that is there whole or not at all, or to standard output when that is no terminal.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::exit::{Exit, Failure, UsageError};
use super::ui;
use crate::engine::Error;

/// Has `work` write to `path` (`-o`) or to standard output.
///
/// # Errors
/// A terminal as output, and what writing says.
pub(crate) fn file_or_stdout(
    path: Option<&Path>,
    work: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    match path {
        Some(path) => to_file(path, work)?,
        None if ui::stdout_is_terminal() => {
            return Err(UsageError::new("refusing to write an archive to a terminal: use -o or redirect").into());
        }
        None => {
            let mut out = ui::out();
            work(&mut out)?;
            out.flush()?;
        }
    }
    Ok(Exit::OK)
}

fn to_file(path: &Path, work: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
    // A pipe or device named as the output is written in place.
    if path.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
        let mut file = File::options().write(true).open(path).map_err(Error::io("open", path))?;
        return work(&mut file);
    }
    let path = std::path::absolute(path).map_err(Error::io("find", path))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let aside = path.with_file_name(name);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&aside).map_err(Error::io("create", &aside))?);
    let written = work(&mut file)
        .and_then(|()| Ok(file.flush().map_err(Error::io("write", &aside))?))
        .and_then(|()| Ok(std::fs::rename(&aside, &path).map_err(Error::io("rename", &aside))?));
    if written.is_err() {
        std::fs::remove_file(&aside).ok();
    }
    written
}
