//! Archives a verb writes: to a file that is there whole or not at all, or to standard output when that is no terminal.

use std::io::Write;
use std::path::Path;

use super::exit::{Exit, Failure, UsageError};
use super::{report, ui};
use crate::engine::outfile::to_file;

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
            let written = work(&mut out).and_then(|()| Ok(out.flush()?));
            match written {
                // Who reads only the beginning of a list has what was wanted; of an archive, nothing of use.
                Err(failure) if report::is_closed_output(&failure) => return Ok(Exit::CUT),
                other => other?,
            }
        }
    }
    Ok(Exit::OK)
}
