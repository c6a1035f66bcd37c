//! One tar header with its extensions, decoded.
//!
//! Owns the decoding of header blocks and PAX records into [`Member`]. The `tar` crate supplies the header layout; the
//! numbers and PAX records are decoded here, because a value may contain newlines, a number may be negative, and
//! two parsers that disagree on a size see two different archives. Where implementations differ, Go's `archive/tar`
//! is followed: it is what wrote nearly every image.

use tar::Header;

use super::sparse::{self, Extent};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A hard link to an earlier entry.
    Hardlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
}

/// One entry of an archive, extensions applied.
#[derive(Debug, Clone)]
pub struct Member {
    /// Name as in the archive, not yet checked.
    pub path: Vec<u8>,
    /// Target of a link.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, at most 07777.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time: seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Bytes of content that follow in the archive.
    pub stored: u64,
    /// Size of the file (differs from `stored` for sparse files).
    pub size: u64,
    /// Where the stored bytes belong, for sparse files.
    pub extents: Option<Vec<Extent>>,
    /// Extended attributes in archive order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
}

/// Extensions seen before a header.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) gnu_path: Option<Vec<u8>>,
    pub(crate) gnu_link: Option<Vec<u8>>,
    pub(crate) pax: Pax,
}

/// The PAX records that matter.
#[derive(Debug, Default)]
pub(crate) struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: sparse::PaxSparse,
}

/// Type flags this crate understands; everything else is refused by the reader.
pub(crate) fn kind_of(flag: u8, path: &[u8]) -> Option<Kind> {
    Some(match flag {
        // A name ending in a slash marked directories before there was a type for them.
        b'0' | 0 | b'7' | b'S' if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::Hardlink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        _ => return None,
    })
}

/// Decodes a numeric field: octal text, or base 256 when the top bit is set.
pub(crate) fn number(field: &[u8]) -> Result<i64, &'static str> {
    let Some(&first) = field.first() else {
        return Ok(0);
    };
    if first & 0x80 != 0 {
        let negative = first & 0x40 != 0;
        let fill: u8 = if negative { 0xff } else { 0 };
        let mut value: u64 = 0;
        for (index, &byte) in field.iter().enumerate() {
            let byte = byte ^ fill;
            let byte = if index == 0 { byte & 0x7f } else { byte };
            if value >> 56 != 0 {
                return Err("a number too large");
            }
            value = value << 8 | u64::from(byte);
        }
        let value = i64::try_from(value).map_err(|_| "a number too large")?;
        return Ok(if negative { !value } else { value });
    }
    let trimmed = trim(field);
    let digits = match trimmed.iter().position(|&b| b == 0) {
        Some(end) => &trimmed[..end],
        None => trimmed,
    };
    let mut value: i64 = 0;
    for &digit in digits {
        if !(b'0'..=b'7').contains(&digit) {
            return Err("a number that is not octal");
        }
        value = value
            .checked_mul(8)
            .and_then(|v| v.checked_add(i64::from(digit - b'0')))
            .ok_or("a number too large")?;
    }
    Ok(value)
}

fn trim(mut field: &[u8]) -> &[u8] {
    while let [b' ' | 0, rest @ ..] = field {
        field = rest;
    }
    while let [rest @ .., b' ' | 0] = field {
        field = rest;
    }
    field
}

/// The text of a field up to its first NUL.
pub(crate) fn text(field: &[u8]) -> &[u8] {
    match memchr::memchr(0, field) {
        Some(end) => &field[..end],
        None => field,
    }
}

/// Whether the checksum of a header block is right (unsigned, or signed as some old programs computed it).
pub(crate) fn checksum_matches(block: &[u8; 512]) -> bool {
    let Ok(stored) = number(&block[148..156]) else {
        return false;
    };
    let mut unsigned: i64 = 0;
    let mut signed: i64 = 0;
    for (index, &byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&index) {
            b' '
        } else {
            byte
        };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    stored == unsigned || stored == signed
}

/// Size of the data after an extension header.
pub(crate) fn stored_size(block: &[u8; 512]) -> Result<u64, &'static str> {
    let size = number(&block[124..136])?;
    u64::try_from(size).map_err(|_| "a negative size")
}

/// Decodes a header with the extensions that preceded it. Sparse maps in further blocks are read by the reader.
pub(crate) fn member(block: &[u8; 512], extensions: Extensions) -> Result<Member, String> {
    let header = Header::from_byte_slice(block);
    let old = header.as_old();
    let Extensions {
        gnu_path,
        gnu_link,
        pax,
    } = extensions;
    let path = pax.sparse.name.clone().or(pax.path).or(gnu_path);
    let path = path.unwrap_or_else(|| header_path(header));
    let link = pax.link.or(gnu_link);
    let link = link.unwrap_or_else(|| text(&old.linkname).to_vec());
    let flag = old.linkflag[0];
    let kind = kind_of(flag, &path)
        .ok_or_else(|| format!("entry type {:?} is not supported", char::from(flag)))?;
    // The size on tape: PAX wins; only files have content (a hard link's size repeats its target's).
    let header_size = stored_size(block)?;
    let stored = match kind {
        Kind::File => pax.size.unwrap_or(header_size),
        _ => 0,
    };
    let (size, extents) = match (kind, pax.sparse.extents()?) {
        (Kind::File, Some((size, extents))) => (size, Some(extents)),
        _ => (stored, None),
    };
    let id = |given: Option<u64>, field: &[u8]| match given {
        Some(id) => Ok(id),
        None => u64::try_from(number(field)?).map_err(|_| "a negative owner"),
    };
    let device = match (header.as_ustar(), header.as_gnu()) {
        (Some(h), _) => (number(&h.dev_major), number(&h.dev_minor)),
        (_, Some(h)) => (number(&h.dev_major), number(&h.dev_minor)),
        _ => (Ok(0), Ok(0)),
    };
    let device_number = |n: Result<i64, _>| n.ok().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let mtime = match pax.mtime {
        Some(time) => time,
        None => (number(&old.mtime)?, 0),
    };
    Ok(Member {
        kind,
        mode: u32::try_from(number(&old.mode)? & 0o7777).unwrap_or(0),
        uid: id(pax.uid, &old.uid)?,
        gid: id(pax.gid, &old.gid)?,
        mtime,
        stored,
        size,
        extents,
        xattrs: pax.xattrs,
        device: (device_number(device.0), device_number(device.1)),
        path,
        link,
    })
}

/// The name in the header block itself.
fn header_path(header: &Header) -> Vec<u8> {
    let name = text(&header.as_old().name);
    match header.as_ustar() {
        Some(ustar) if ustar.prefix[0] != 0 => {
            let prefix = text(&ustar.prefix);
            [prefix, b"/", name].concat()
        }
        _ => name.to_vec(),
    }
}

impl Pax {
    /// Adds the records of one extended header.
    pub(crate) fn parse(&mut self, mut data: &[u8]) -> Result<(), &'static str> {
        const BAD: &str = "a malformed PAX record";
        while !data.is_empty() {
            // "LENGTH KEY=VALUE\n", where LENGTH counts the whole record.
            let space = data.iter().take(21).position(|&b| b == b' ').ok_or(BAD)?;
            let length: usize = decimal(&data[..space])
                .ok_or(BAD)?
                .try_into()
                .map_err(|_| BAD)?;
            if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
                return Err(BAD);
            }
            let record = &data[space + 1..length - 1];
            let equals = record.iter().position(|&b| b == b'=').ok_or(BAD)?;
            self.record(&record[..equals], &record[equals + 1..])?;
            data = &data[length..];
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let name = || match value {
            [] => Ok(None),
            _ if value.contains(&0) => Err("a name with a NUL byte"),
            _ => Ok(Some(value.to_vec())),
        };
        let number = || match value {
            [] => Ok(None),
            _ => match decimal(value) {
                Some(n) if i64::try_from(n).is_ok() => Ok(Some(n)),
                _ => Err("a PAX number out of range"),
            },
        };
        match key {
            b"path" => self.path = name()?,
            b"linkpath" => self.link = name()?,
            b"size" => self.size = number()?,
            b"uid" => self.uid = number()?,
            b"gid" => self.gid = number()?,
            b"mtime" if value.is_empty() => self.mtime = None,
            b"mtime" => self.mtime = Some(pax_time(value).ok_or("a malformed PAX time")?),
            _ => {
                if let Some(attribute) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.retain(|(known, _)| known != attribute);
                    if !attribute.is_empty() && !attribute.contains(&0) {
                        self.xattrs.push((attribute.to_vec(), value.to_vec()));
                    }
                } else if let Some(sparse) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.record(sparse, value)?;
                }
            }
        }
        Ok(())
    }
}

/// Digits only, as PAX wants them.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `SECONDS[.FRACTION]`, perhaps negative.
fn pax_time(value: &[u8]) -> Option<(i64, u32)> {
    let (negative, digits) = match value {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, value),
    };
    let point = digits
        .iter()
        .position(|&b| b == b'.')
        .unwrap_or(digits.len());
    let seconds = i64::try_from(decimal(&digits[..point])?).ok()?;
    let mut nanos: u32 = 0;
    let fraction = digits.get(point + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    for place in 0..9 {
        let digit = fraction.get(place).map_or(0, |b| b - b'0');
        nanos = nanos * 10 + u32::from(digit);
    }
    Some(match (negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_notation() {
        assert_eq!(number(b"0000644\0"), Ok(0o644));
        assert_eq!(number(b"   644 \0"), Ok(0o644));
        assert_eq!(number(b"\0\0\0\0"), Ok(0));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Ok(256));
        assert_eq!(number(&[0xff; 12]), Ok(-1));
        let mut wide = [0u8; 12];
        wide[0] = 0x80;
        wide[11] = 7;
        assert_eq!(number(&wide), Ok(7));
        wide[1] = 1;
        assert!(number(&wide).is_err());
        assert!(number(b"0000008\0").is_err());
        assert!(number(b"-1\0").is_err());
        assert!(number(b"777777777777777777777777").is_err());
    }

    #[test]
    fn pax_records_are_cut_by_length_not_by_newline() {
        let mut pax = Pax::default();
        pax.parse(b"31 SCHILY.xattr.user.a=x\ny\nz=\n\n12 uid=1234\n")
            .unwrap();
        assert_eq!(pax.xattrs, [(b"user.a".to_vec(), b"x\ny\nz=\n".to_vec())]);
        assert_eq!(pax.uid, Some(1234));
        for bad in [
            &b"5 a=b"[..],
            b"7 a=b\n",
            b"99999999999999999999 a=b\n",
            b"6a=b\n",
            b"6 aab\n",
            b"0 a=b\n",
            b"13 size=0x10\n",
            b"11 size=-1\n",
            b"28 size=99999999999999999999\n",
            b"13 path=a\0b\n\n",
        ] {
            assert!(Pax::default().parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pax_times() {
        assert_eq!(pax_time(b"12"), Some((12, 0)));
        assert_eq!(pax_time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(pax_time(b"-12.5"), Some((-13, 500_000_000)));
        assert_eq!(pax_time(b"1.1234567899"), Some((1, 123_456_789)));
        assert_eq!(pax_time(b"x"), None);
        assert_eq!(pax_time(b"1.x"), None);
    }
}
