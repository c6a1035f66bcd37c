//! Sparse files in tar: the old GNU format and the three PAX ones.
//!
//! Owns the maps only; the reader supplies the blocks they are read from.

use super::header::{decimal, number};

/// Most extents one file may have; real files have a few thousand.
pub(crate) const MAX_EXTENTS: usize = 1 << 18;

/// A run of bytes that is stored in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it belongs in the file.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// The `GNU.sparse.*` records of one file.
#[derive(Debug, Default)]
pub(crate) struct PaxSparse {
    /// The true name; the header's one is made up.
    pub(crate) name: Option<Vec<u8>>,
    major: Option<u64>,
    real_size: Option<u64>,
    extents: Vec<Extent>,
    pending: Option<u64>,
    map_given: bool,
}

impl PaxSparse {
    pub(crate) fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        const BAD: &str = "a malformed sparse file record";
        let number = || {
            decimal(value)
                .filter(|&n| i64::try_from(n).is_ok())
                .ok_or(BAD)
        };
        match key {
            b"name" => {
                if value.is_empty() || value.contains(&0) {
                    return Err(BAD);
                }
                self.name = Some(value.to_vec());
            }
            b"major" => self.major = Some(number()?),
            b"size" | b"realsize" => self.real_size = Some(number()?),
            b"numblocks" => self.map_given = true,
            b"offset" => match self.pending.replace(number()?) {
                None => {}
                Some(_) => return Err(BAD),
            },
            b"numbytes" => {
                let offset = self.pending.take().ok_or(BAD)?;
                self.push(offset, number()?)?;
            }
            b"map" => {
                self.map_given = true;
                let mut numbers = value.split(|&b| b == b',').map(decimal);
                while let Some(offset) = numbers.next() {
                    let length = numbers.next().flatten().ok_or(BAD)?;
                    self.push(offset.ok_or(BAD)?, length)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, offset: u64, length: u64) -> Result<(), &'static str> {
        if self.extents.len() >= MAX_EXTENTS {
            return Err("a sparse file in too many pieces");
        }
        self.extents.push(Extent { offset, length });
        Ok(())
    }

    /// The map of formats 0.0 and 0.1, which is in the records themselves.
    pub(crate) fn extents(&self) -> Result<Option<(u64, Vec<Extent>)>, &'static str> {
        match self.real_size {
            Some(size) if self.map_given && self.major.is_none() => {
                Ok(Some((size, self.extents.clone())))
            }
            _ => Ok(None),
        }
    }

    /// The real size of a file in format 1.0, whose map begins its content.
    pub(crate) fn inline_map(&self) -> Option<u64> {
        self.real_size.filter(|_| self.major == Some(1))
    }
}

/// Reads the entries of an old GNU sparse header area (24 bytes each), stopping at the first unused one.
pub(crate) fn old_gnu(area: &[u8], into: &mut Vec<Extent>) -> Result<(), &'static str> {
    for entry in area.as_chunks::<24>().0 {
        if entry[0] == 0 {
            break;
        }
        let part =
            |field| number(field).and_then(|n| u64::try_from(n).map_err(|_| "a negative size"));
        if into.len() >= MAX_EXTENTS {
            return Err("a sparse file in too many pieces");
        }
        into.push(Extent {
            offset: part(&entry[..12])?,
            length: part(&entry[12..])?,
        });
    }
    Ok(())
}

/// Checks a map: ascending, inside the file, and holding exactly what is stored.
pub(crate) fn check(extents: &[Extent], size: u64, stored: u64) -> Result<(), &'static str> {
    const BAD: &str = "a sparse file whose map is inconsistent";
    let mut end = 0u64;
    let mut total = 0u64;
    for extent in extents {
        if extent.offset < end {
            return Err(BAD);
        }
        end = extent.offset.checked_add(extent.length).ok_or(BAD)?;
        total = total.checked_add(extent.length).ok_or(BAD)?;
    }
    if end > size || total != stored || i64::try_from(size).is_err() {
        return Err(BAD);
    }
    Ok(())
}
