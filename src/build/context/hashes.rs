//! Digests of files' contents, remembered by what the kernel says of the file: device, inode, size, times of change.
//!
//! A file of fixed records, read whole, written aside and renamed. Losing it costs time, nothing else; a damaged one is
//! an empty one. Files changed within the last seconds are not remembered: their next change might not show.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;
use sha2::{Digest as _, Sha256};

/// First bytes; another version is another file.
const MAGIC: &[u8; 16] = b"kelp file hash 1";
/// Seven numbers and the digest.
const RECORD: usize = 7 * 8 + 32;
/// Records kept; above, those not used this time go.
const MAX_RECORDS: usize = 1 << 20;
/// Seconds after which a change can no longer hide behind the clock's grain.
const SETTLED: i64 = 2;

type Key = [u64; 7];

/// The memory.
#[derive(Debug)]
pub struct Hashes {
    path: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    all: HashMap<Key, [u8; 32]>,
    /// Asked for or added since it was read.
    used: HashMap<Key, [u8; 32]>,
    changed: bool,
}

impl Hashes {
    /// Reads the file; there need be none.
    pub fn open(path: &Path) -> Self {
        Self { path: Some(path.to_owned()), known: Mutex::new(Known { all: read(path).unwrap_or_default(), ..Known::default() }) }
    }

    /// Remembers nothing beyond this process.
    pub fn forgetful() -> Self {
        Self { path: None, known: Mutex::default() }
    }

    /// The digest of a file's content. `open` is called when it must be read.
    pub(super) fn of(&self, stat: &Stat, open: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<[u8; 32]> {
        let key = key(stat);
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(digest) = known.used.get(&key).or_else(|| known.all.get(&key)).copied() {
                known.used.insert(key, digest);
                return Ok(digest);
            }
        }
        let mut file = File::from(open()?);
        let mut hash = Sha256::new();
        let mut buffer = vec![0; usize::try_from(stat.st_size).unwrap_or(0).clamp(512, 256 << 10)];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => hash.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let digest: [u8; 32] = hash.finalize().into();
        // Written to while it was read?
        let same = rustix::fs::fstat(&file).is_ok_and(|now| self::key(&now) == key);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed());
        if same && stat.st_ctime.max(stat.st_mtime) + SETTLED < now {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.used.insert(key, digest);
            known.changed = true;
        }
        Ok(digest)
    }

    /// Writes what was learnt.
    ///
    /// # Errors
    /// When the file cannot be written; nothing depends on it.
    pub fn save(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut known.changed, false) {
            return Ok(());
        }
        let used = std::mem::take(&mut known.used);
        known.all.extend(&used);
        if known.all.len() > MAX_RECORDS {
            known.all.clone_from(&used);
        }
        let mut bytes = Vec::with_capacity(MAGIC.len() + known.all.len() * RECORD);
        bytes.extend_from_slice(MAGIC);
        for (key, digest) in &known.all {
            key.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
            bytes.extend_from_slice(digest);
        }
        drop(known);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let aside = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = File::create(&aside).and_then(|mut file| file.write_all(&bytes)).and_then(|()| fs::rename(&aside, path));
        if written.is_err() {
            // The disk may be full: leave nothing behind.
            let _gone = fs::remove_file(&aside);
        }
        written
    }
}

fn key(stat: &Stat) -> Key {
    let signed = |number: i64| number.cast_unsigned();
    [
        stat.st_dev,
        stat.st_ino,
        signed(stat.st_size),
        signed(stat.st_mtime),
        stat.st_mtime_nsec,
        signed(stat.st_ctime),
        stat.st_ctime_nsec,
    ]
}

fn read(path: &Path) -> Option<HashMap<Key, [u8; 32]>> {
    let limit = (MAGIC.len() + MAX_RECORDS * 2 * RECORD) as u64;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    let records = bytes.strip_prefix(MAGIC)?;
    if records.len() % RECORD != 0 {
        return None;
    }
    let record = |record: &[u8]| {
        let (numbers, digest) = record.split_at_checked(7 * 8)?;
        let mut key = [0; 7];
        for (number, bytes) in key.iter_mut().zip(numbers.chunks_exact(8)) {
            *number = u64::from_le_bytes(bytes.try_into().ok()?);
        }
        Some((key, digest.try_into().ok()?))
    };
    records.chunks_exact(RECORD).map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_what_has_settled_and_nothing_damaged() {
        let dir = std::env::temp_dir().join(format!("kelp-hashes-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (file, memory) = (dir.join("file"), dir.join("deep/memory"));
        fs::write(&file, "content").unwrap();
        let stat = || rustix::fs::stat(&file).unwrap();
        let open = || Ok(OwnedFd::from(File::open(&file)?));
        let want: [u8; 32] = Sha256::digest(b"content").into();
        let hashes = Hashes::open(&memory);
        assert_eq!(hashes.of(&stat(), open).unwrap(), want);
        hashes.save().unwrap();
        // Too young: read again.
        assert!(Hashes::open(&memory).of(&stat(), || Err(io::ErrorKind::NotFound.into())).is_err());
        let mut old = stat();
        old.st_ctime -= 100;
        old.st_mtime -= 100;
        let mut known = Known { changed: true, ..Known::default() };
        known.used.insert(key(&old), want);
        Hashes { path: Some(memory.clone()), known: Mutex::new(known) }.save().unwrap();
        let again = Hashes::open(&memory);
        assert_eq!(again.of(&old, || Err(io::ErrorKind::NotFound.into())).unwrap(), want);
        old.st_ctime_nsec += 1;
        assert!(again.of(&old, || Err(io::ErrorKind::NotFound.into())).is_err());
        let mut bytes = fs::read(&memory).unwrap();
        bytes.pop();
        fs::write(&memory, bytes).unwrap();
        assert!(Hashes::open(&memory).known.lock().unwrap().all.is_empty());
        fs::remove_dir_all(&dir).unwrap();
    }
}
