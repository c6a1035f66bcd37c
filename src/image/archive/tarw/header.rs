//! Tar headers: ustar, with PAX records for what ustar has no room for.

use std::io::{self, Write};

use super::TarWriter;

/// Largest value of a seven-digit octal field.
const MAX_ID: u32 = 0o7_777_777;
/// Largest size of an eleven-digit octal field.
const MAX_SIZE: u64 = 0o77_777_777_777;

/// What an entry's header says.
#[derive(Debug, Clone, Default)]
pub(super) struct Meta {
    /// The entry's type.
    pub(super) flag: u8,
    /// Permission bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Bytes that follow in the archive.
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) mtime: i64,
    /// Major and minor number of a device.
    pub(super) device: (u32, u32),
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Real size of a file stored with a map of its data (GNU's sparse format 1.0).
    pub(super) sparse: Option<u64>,
}

impl<W: Write> TarWriter<W> {
    pub(super) fn header(&mut self, path: &[u8], link: &[u8], meta: &Meta) -> io::Result<()> {
        for id in [meta.uid, meta.gid] {
            self.written.highest_owner = crate::image::unpack::highest(self.written.highest_owner, id);
        }
        let mut pax: Vec<u8> = Vec::new();
        let mut header = tar::Header::new_ustar();
        let short = |bytes: &[u8]| bytes.len() <= 100;
        if let Some(real) = meta.sparse {
            record(&mut pax, b"GNU.sparse.major", b"1");
            record(&mut pax, b"GNU.sparse.minor", b"0");
            record(&mut pax, b"GNU.sparse.name", path);
            record(&mut pax, b"GNU.sparse.realsize", real.to_string().as_bytes());
        } else if !short(path) {
            record(&mut pax, b"path", path);
        }
        if !short(link) {
            record(&mut pax, b"linkpath", link);
        }
        if meta.size > MAX_SIZE {
            record(&mut pax, b"size", meta.size.to_string().as_bytes());
        }
        for (key, id) in [("uid", meta.uid), ("gid", meta.gid)] {
            if id > MAX_ID {
                record(&mut pax, key.as_bytes(), id.to_string().as_bytes());
            }
        }
        if !(0..=0o77_777_777_777).contains(&meta.mtime) {
            record(&mut pax, b"mtime", meta.mtime.to_string().as_bytes());
        }
        for (name, value) in &meta.xattrs {
            record(&mut pax, &[b"SCHILY.xattr.", &name[..]].concat(), value);
        }
        if !pax.is_empty() {
            let mut extended = tar::Header::new_ustar();
            let base = path
                .rsplit(|&b| b == b'/')
                .find(|p| !p.is_empty())
                .unwrap_or(b"entry");
            let name = [b"PaxHeaders.0/", &base[..base.len().min(80)]].concat();
            extended.as_mut_bytes()[..name.len()].copy_from_slice(&name);
            extended.as_mut_bytes()[156] = b'x';
            extended.set_mode(0o644);
            extended.set_uid(0);
            extended.set_gid(0);
            extended.set_mtime(0);
            extended.set_size(pax.len() as u64);
            extended.set_cksum();
            self.put(extended.as_bytes())?;
            self.put(&pax)?;
            self.pad(pax.len() as u64)?;
        }
        let bytes = header.as_mut_bytes();
        let cut = |bytes: &[u8]| bytes.len().min(100);
        bytes[..cut(path)].copy_from_slice(&path[..cut(path)]);
        bytes[157..157 + cut(link)].copy_from_slice(&link[..cut(link)]);
        bytes[156] = meta.flag;
        header.set_mode(meta.mode);
        header.set_uid(u64::from(meta.uid.min(MAX_ID)));
        header.set_gid(u64::from(meta.gid.min(MAX_ID)));
        header.set_mtime(u64::try_from(meta.mtime).unwrap_or(0).min(MAX_SIZE));
        header.set_size(meta.size.min(MAX_SIZE));
        header.set_device_major(meta.device.0)?;
        header.set_device_minor(meta.device.1)?;
        header.set_cksum();
        self.put(header.as_bytes())
    }
}

/// Appends one PAX record, whose length counts itself.
fn record(pax: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    pax.extend_from_slice(length.to_string().as_bytes());
    pax.push(b' ');
    pax.extend_from_slice(key);
    pax.push(b'=');
    pax.extend_from_slice(value);
    pax.push(b'\n');
}
