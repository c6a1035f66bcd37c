//! What one overlay mount is asked to be: [`Options`] and the parser of its `-o` string.
//!
//! The option names are those of fuse-overlayfs. This file is pure: it opens nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use super::Error;

/// How long the kernel may keep names and attributes: the mount is the only writer of its upper
/// directory and the lower ones never change, so "for ever" is safe.
const FOREVER: Duration = Duration::from_secs(1_000_000_000);

/// The largest number of lower directories taken from one option string.
const MAX_LOWERS: usize = 4096;

/// One range of ids: `count` ids that are `container…` on disk are shown as `host…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdExtent {
    /// First id as it is stored in the layers.
    pub container: u32,
    /// First id as it is shown by the mount.
    pub host: u32,
    /// Number of ids.
    pub count: u32,
}

/// Everything [`serve`](super::serve) needs to know about one overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The lower directories, topmost first.
    pub lowerdirs: Vec<PathBuf>,
    /// Where changes go; `None` makes the mount read-only.
    pub upperdir: Option<PathBuf>,
    /// A directory on the file system of `upperdir`, for changes in the making.
    pub workdir: Option<PathBuf>,
    /// User ids stored in the layers and the ids they are shown as; empty: as they are.
    pub uid_map: Vec<IdExtent>,
    /// Group ids stored in the layers and the ids they are shown as; empty: as they are.
    pub gid_map: Vec<IdExtent>,
    /// Every file is shown as owned by this user.
    pub squash_to_uid: Option<u32>,
    /// Every file is shown as owned by this group.
    pub squash_to_gid: Option<u32>,
    /// Nothing needs to survive a power failure: no fsync is passed on.
    pub volatile: bool,
    /// How long the kernel may keep names and attributes.
    pub timeout: Duration,
    /// Owners and modes are kept in `user.containers.override_stat` instead of the inode.
    pub xattr_permissions: bool,
    /// That attribute is one like any other, even in layers that have it (`xattr_permissions=0`).
    pub plain_owners: bool,
    /// POSIX ACLs are not looked at.
    pub noacl: bool,
    /// Writes are collected in the page cache and sent in large pieces. Quicker for programs that write a few bytes at a time;
    /// slower for all else, as the kernel then asks for the attributes of each file again after each close(2), and sends the
    /// times of each file that was written.
    pub writeback: bool,
    /// Threads that serve requests; 0: chosen by the number of processors.
    pub threads: usize,
    /// Options of the mount itself (`ro`, `nodev`, `nosuid`, …), for `mount_and_serve`.
    pub read_only: bool,
    /// Mount without device files.
    pub nodev: bool,
    /// Mount without set-user-id programs.
    pub nosuid: bool,
    /// Mount without programs.
    pub noexec: bool,
    /// Mount without updates of access times.
    pub noatime: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lowerdirs: Vec::new(),
            upperdir: None,
            workdir: None,
            uid_map: Vec::new(),
            gid_map: Vec::new(),
            squash_to_uid: None,
            squash_to_gid: None,
            volatile: false,
            timeout: FOREVER,
            xattr_permissions: false,
            plain_owners: false,
            noacl: false,
            writeback: false,
            threads: 0,
            read_only: false,
            nodev: false,
            nosuid: false,
            noexec: false,
            noatime: false,
        }
    }
}

impl Options {
    /// Parses `text` (`lowerdir=a:b,upperdir=c,…`) into `self`; later words win.
    ///
    /// In paths, `\:`, `\,` and `\\` stand for the character itself.
    ///
    /// # Errors
    /// [`Error::Option`] for a word that is not known or does not parse.
    pub fn parse(&mut self, text: &OsStr) -> Result<(), Error> {
        for word in split(text.as_bytes(), b',') {
            if !word.is_empty() {
                self.word(&word)?;
            }
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Error> {
        let (name, value) = match word.iter().position(|&b| b == b'=') {
            Some(at) => (&word[..at], Some(&word[at + 1..])),
            None => (word, None),
        };
        let bad = |why: &'static str| Error::Option { word: String::from_utf8_lossy(word).into_owned(), why };
        let path = || value.filter(|v| !v.is_empty()).ok_or_else(|| bad("needs a path"));
        let number = || {
            let text = value.and_then(|v| std::str::from_utf8(v).ok());
            text.and_then(|t| t.parse::<u32>().ok()).ok_or_else(|| bad("needs a number"))
        };
        // A word without a value, or with `=1`, switches on; `=0` switches off.
        let on = || match value {
            None | Some(b"1" | b"yes" | b"true") => Ok(true),
            Some(b"0" | b"no" | b"false") => Ok(false),
            Some(_) => Err(bad("needs 0 or 1")),
        };
        match name {
            b"lowerdir" => {
                self.lowerdirs = split(path()?, b':').iter().filter(|p| !p.is_empty()).map(|p| to_path(p)).collect();
                if self.lowerdirs.len() > MAX_LOWERS {
                    return Err(bad("has too many directories"));
                }
            }
            b"upperdir" => self.upperdir = Some(to_path(path()?)),
            b"workdir" => self.workdir = Some(to_path(path()?)),
            b"uidmapping" => self.uid_map = extents(value.unwrap_or_default()).ok_or_else(|| bad(TRIPLES))?,
            b"gidmapping" => self.gid_map = extents(value.unwrap_or_default()).ok_or_else(|| bad(TRIPLES))?,
            b"squash_to_uid" => self.squash_to_uid = Some(number()?),
            b"squash_to_gid" => self.squash_to_gid = Some(number()?),
            b"squash_to_root" => {
                let id = on()?.then_some(0);
                (self.squash_to_uid, self.squash_to_gid) = (id, id);
            }
            b"timeout" => {
                let seconds = value.and_then(|v| std::str::from_utf8(v).ok()?.parse::<f64>().ok());
                let seconds = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
                self.timeout = seconds.ok_or_else(|| bad("needs a number of seconds"))?.min(FOREVER);
            }
            b"threads" => self.threads = number()? as usize,
            b"threaded" => self.threads = if on()? { 0 } else { 1 },
            b"volatile" => self.volatile = on()?,
            b"fsync" => self.volatile = !on()?,
            b"xattr_permissions" => {
                self.xattr_permissions = value != Some(b"0");
                self.plain_owners = !self.xattr_permissions;
            }
            b"noacl" => self.noacl = on()?,
            b"writeback" => self.writeback = on()?,
            b"ro" => self.read_only = true,
            b"rw" => self.read_only = false,
            b"nodev" => self.nodev = true,
            b"nosuid" => self.nosuid = true,
            b"noexec" => self.noexec = true,
            b"noatime" => self.noatime = true,
            b"dev" => self.nodev = false,
            b"suid" => self.nosuid = false,
            b"exec" => self.noexec = false,
            b"atime" | b"relatime" => self.noatime = false,
            // Given by mount(8) and container tools, without a meaning here: kelp's overlay is
            // always for all users of its namespace, with the kernel checking permissions.
            b"allow_other" | b"allow_root" | b"default_permissions" | b"userxattr"
            | b"async" | b"defaults" | b"static_nlink" | b"noxattrs" | b"index" | b"metacopy" | b"redirect_dir"
            | b"context" | b"fsname" | b"subtype" => {}
            _ => return Err(bad("is not an option of this file system")),
        }
        Ok(())
    }
}

const TRIPLES: &str = "needs container:host:count triples";

fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&unescape(bytes)))
}

/// Splits at `separator`, leaving every backslash pair in place.
fn split(text: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut escaped = false;
    for &byte in text {
        if byte == separator && !escaped {
            parts.push(Vec::new());
            continue;
        }
        escaped = byte == b'\\' && !escaped;
        if let Some(last) = parts.last_mut() {
            last.push(byte);
        }
    }
    parts
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.push(bytes.next().unwrap_or(b'\\')),
            _ => out.push(byte),
        }
    }
    out
}

/// `container:host:count` triples, separated by colons.
fn extents(text: &[u8]) -> Option<Vec<IdExtent>> {
    let text = std::str::from_utf8(text).ok()?;
    let numbers: Vec<u32> = text.split(':').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    if numbers.is_empty() || !numbers.len().is_multiple_of(3) {
        return None;
    }
    let extents = numbers.chunks_exact(3).map(|n| IdExtent { container: n[0], host: n[1], count: n[2] });
    let extents: Vec<_> = extents.collect();
    let fits = |e: &IdExtent| e.container.checked_add(e.count).is_some() && e.host.checked_add(e.count).is_some();
    extents.iter().all(fits).then_some(extents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, Error> {
        let mut options = Options::default();
        options.parse(OsStr::new(text)).map(|()| options)
    }

    #[test]
    fn reads_the_words_of_fuse_overlayfs() {
        let o = parse("lowerdir=/a:/b\\:c:/d\\,e,upperdir=/u,workdir=/w,volatile,timeout=1.5,noacl,threads=3").unwrap();
        assert_eq!(o.lowerdirs, [PathBuf::from("/a"), PathBuf::from("/b:c"), PathBuf::from("/d,e")]);
        assert_eq!(o.upperdir, Some(PathBuf::from("/u")));
        assert_eq!(o.workdir, Some(PathBuf::from("/w")));
        assert!(o.volatile && o.noacl);
        assert_eq!(o.threads, 3);
        assert_eq!(o.timeout, Duration::from_millis(1500));
    }

    #[test]
    fn reads_id_triples() {
        let o = parse("uidmapping=0:1000:1:1:100000:65536,squash_to_gid=7").unwrap();
        assert_eq!(o.uid_map[1], IdExtent { container: 1, host: 100_000, count: 65536 });
        assert_eq!(o.squash_to_gid, Some(7));
        for bad in ["uidmapping=0:1", "uidmapping=", "gidmapping=0:4294967295:2", "uidmapping=a:b:c"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for bad in ["nonsense", "lowerdir=", "volatile=maybe", "timeout=soon", "squash_to_uid=-1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
