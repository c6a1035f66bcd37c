//! Ids that were the user's once: files of theirs stay in the store, where nobody but root of the host can reach them.
//!
//! Whoever puts files of several owners into a store notes the user's ranges beside them. That is all there is to know by:
//! looking at the owners of all files would take too long.

use std::ffi::{CStr, OsStr};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::available::{available, single_is_asked};
use super::enter::entered_map;
use super::{IdMap, is_inside};
use crate::sys::beside::{self, Swept};

/// The file, in the data directory: lines `u FIRST COUNT` and `g FIRST COUNT` of ids of the host.
const NOTED: &CStr = c"ids";

/// Ranges of ids of the host, (first, count).
type Ranges = Vec<(u32, u32)>;

/// What is missing of the ids that files of a store may belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lost {
    /// User ids.
    pub uids: Ranges,
    /// Group ids.
    pub gids: Ranges,
    /// The user ids that were there, in their order, on which owners depend.
    pub before: Ranges,
    /// They are there, but the configuration asks for one id.
    pub asked: bool,
}

/// Notes that files in the store at `data` may belong to the ids of this process's namespace, the user's.
///
/// # Errors
/// The note cannot be written.
pub fn note(data: &Path) -> io::Result<()> {
    // The user's own id is there whatever is taken away.
    let beyond = |extents: &[super::Extent]| -> Ranges {
        extents.iter().filter(|extent| extent.inside != 0).map(|extent| (extent.outside, extent.count)).collect()
    };
    match IdMap::of_process("self") {
        Some(map) if !map.is_single() => add(data, &beyond(&map.uids), &beyond(&map.gids)),
        _ => Ok(()),
    }
}

fn add(data: &Path, uids: &[(u32, u32)], gids: &[(u32, u32)]) -> io::Result<()> {
    let (known_uids, known_gids) = noted(data);
    let (new_uids, new_gids) = (without(uids, &known_uids), without(gids, &known_gids));
    if new_uids.is_empty() && new_gids.is_empty() {
        return Ok(());
    }
    let lines = |kind: char, old: &[(u32, u32)], new: &[(u32, u32)]| -> String {
        old.iter().chain(new).map(|(first, count)| format!("{kind} {first} {count}\n")).collect()
    };
    let text = lines('u', &known_uids, &new_uids) + &lines('g', &known_gids, &new_gids);
    let dir = File::open(data)?;
    let noted = beside::file(dir.as_fd(), NOTED, &mut Swept::default())?;
    File::from(noted.fd().try_clone_to_owned()?).write_all(text.as_bytes())?;
    Ok(noted.settle()?)
}

fn noted(data: &Path) -> (Ranges, Ranges) {
    let text = fs::read_to_string(data.join(OsStr::from_bytes(NOTED.to_bytes()))).unwrap_or_default();
    let of = |kind: &str| {
        let range = |line: &str| {
            let mut words = line.split(' ');
            let fits = words.next() == Some(kind);
            let (first, count) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            fits.then_some((first, count))
        };
        text.lines().filter_map(range).collect()
    };
    (of("u"), of("g"))
}

/// The parts of `ranges` that lie in none of `others`.
fn without(ranges: &[(u32, u32)], others: &[(u32, u32)]) -> Ranges {
    let mut left: Vec<(u32, u32)> = ranges.to_vec();
    for &(from, size) in others {
        let to = from.saturating_add(size);
        let cut = |(first, count): (u32, u32)| {
            let end = first.saturating_add(count);
            let below = (first, end.min(from).saturating_sub(first));
            let above = (first.max(to), end.saturating_sub(first.max(to)));
            [below, above].into_iter().filter(|range| range.1 > 0)
        };
        left = left.into_iter().flat_map(cut).collect();
    }
    left
}

/// The ids that files in the store at `data` may belong to and that the user has no longer. `run` is the runtime directory.
pub fn lost(data: &Path, run: &Path) -> Lost {
    let (uids, gids) = noted(data);
    if uids.is_empty() && gids.is_empty() {
        return Lost::default();
    }
    let inside = || is_inside(run).then(|| IdMap::of_process("self").unwrap_or_default());
    let now = entered_map().or_else(inside).unwrap_or_else(|| available().0);
    let ranges = |extents: &[super::Extent]| extents.iter().map(|extent| (extent.outside, extent.count)).collect::<Ranges>();
    Lost { uids: without(&uids, &ranges(&now.uids)), gids: without(&gids, &ranges(&now.gids)), before: uids, asked: single_is_asked() }
}

impl Lost {
    /// Nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
    }

    /// What is wrong with them.
    pub fn why(&self) -> &'static str {
        if self.asked { "which containers.subordinate-ids = false keeps from being used" } else { "which are no longer yours" }
    }

    /// `100000-165535`, one after the other.
    pub fn text(&self) -> String {
        text(if self.uids.is_empty() { &self.gids } else { &self.uids })
    }
}

/// Ranges as usermod(8) has them.
pub fn text(ranges: &[(u32, u32)]) -> String {
    let one = |(first, count): &(u32, u32)| format!("{first}-{}", u64::from(*first) + u64::from(*count) - 1);
    ranges.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_ranges() {
        assert_eq!(without(&[(100, 50)], &[]), [(100, 50)]);
        assert_eq!(without(&[(100, 50)], &[(100, 50)]), []);
        assert_eq!(without(&[(100, 50)], &[(110, 10)]), [(100, 10), (120, 30)]);
        assert_eq!(without(&[(100, 50)], &[(0, 120), (140, 100)]), [(120, 20)]);
        assert_eq!(without(&[(100, 50), (300, 1)], &[(1000, 5)]), [(100, 50), (300, 1)]);
        assert_eq!(text(&[(100, 50), (300, 1)]), "100-149, 300-300");
    }

    #[test]
    fn notes_are_added_up() {
        let data = std::env::temp_dir().join(format!("kelp-ids-{}", std::process::id()));
        fs::create_dir_all(&data).expect("a directory");
        assert_eq!(noted(&data), (vec![], vec![]));
        add(&data, &[(100, 50)], &[(200, 50)]).expect("noted");
        add(&data, &[(100, 50)], &[(200, 50)]).expect("noted");
        add(&data, &[(140, 20)], &[]).expect("noted");
        assert_eq!(noted(&data), (vec![(100, 50), (150, 10)], vec![(200, 50)]));
        fs::remove_dir_all(&data).expect("removed");
    }
}
