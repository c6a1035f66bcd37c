//! Why an archive cannot be read or unpacked.

use std::io;

/// Why an archive could not be read. Positions are byte offsets into the uncompressed archive.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The source failed.
    #[error("reading the archive failed at byte {offset}: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// The source's error.
        source: io::Error,
    },
    /// It ended in the middle of a header or of a file.
    #[error("the archive ends too early, in {within} (at byte {offset})")]
    Truncated {
        /// Where.
        offset: u64,
        /// Header, file content…
        within: &'static str,
    },
    /// Its structure is wrong.
    #[error("not a valid tar archive: {what} (at byte {offset})")]
    Damaged {
        /// Where the header begins.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// It is larger in some respect than allowed.
    #[error("the archive exceeds the limit on {what} ({limit})")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// Copying the archive's structure for a later `save` failed.
    #[error("recording the archive's structure failed: {0}")]
    Record(io::Error),
}

/// Why a layer could not be unpacked. Paths are those of the archive, shown lossily.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The archive itself.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A name that leads out of the root, or cannot exist.
    #[error("refusing archive entry \"{path}\": {why}")]
    Refused {
        /// The entry.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A hard link whose target is not in the same archive, or no file.
    #[error("archive entry \"{path}\" is a hard link to \"{target}\": {source}")]
    Link {
        /// The entry.
        path: String,
        /// What it links to.
        target: String,
        /// The system's error.
        source: io::Error,
    },
    /// An owner outside the user's map.
    #[error(
        "archive entry \"{path}\" belongs to {uid}:{gid}, which is outside the ids mapped for you; \
         ask for a larger range in /etc/subuid and /etc/subgid (kelp doctor shows how)"
    )]
    Owner {
        /// The entry.
        path: String,
        /// Its user in the archive.
        uid: u64,
        /// Its group in the archive.
        gid: u64,
    },
    /// The disk or the quota is full.
    #[error("no space left while unpacking \"{path}\"")]
    NoSpace {
        /// The entry.
        path: String,
    },
    /// Any other failure of the destination.
    #[error("cannot {step} \"{path}\": {source}")]
    Write {
        /// The entry.
        path: String,
        /// What was tried.
        step: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// More was asked than [`super::Limits`] allows.
    #[error("the archive exceeds the limit on {what} ({limit})")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
}

impl UnpackError {
    /// Words a failed system call on an entry.
    pub(crate) fn write(path: &[u8], step: &'static str, errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        let path = shown(path);
        if errno == Errno::NOSPC || errno == Errno::DQUOT {
            return Self::NoSpace { path };
        }
        Self::Write {
            path,
            step,
            source: errno.into(),
        }
    }

    pub(crate) fn refused(path: &[u8], why: &'static str) -> Self {
        Self::Refused {
            path: shown(path),
            why,
        }
    }
}

/// A path for a message: lossy, control characters escaped, shortened.
pub(crate) fn shown(path: &[u8]) -> String {
    const LONGEST: usize = 300;
    let cut = path.len() > LONGEST;
    let path = if cut { &path[..LONGEST] } else { path };
    let mut text: String = String::from_utf8_lossy(path)
        .chars()
        .flat_map(|c| {
            let escape = c.is_control();
            escape
                .then(|| c.escape_default())
                .into_iter()
                .flatten()
                .chain((!escape).then_some(c))
        })
        .collect();
    if cut {
        text.push('…');
    }
    text
}
