//! The options of the `local` driver: `type`, `o` and `device`, as docker hands them to mount(8).
//!
//! An unprivileged user can have a bind and a tmpfs; every other file system is refused with the reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::VolumeError;
use crate::spec::mount::TmpfsOptions;

/// What a container gets when it mounts a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// The volume's own directory.
    Data(PathBuf),
    /// Another directory of the host (`o=bind`).
    Bind {
        /// Absolute.
        path: PathBuf,
        /// `ro` among the options.
        read_only: bool,
    },
    /// Memory, each container its own.
    Tmpfs(TmpfsOptions),
}

/// Checked driver options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalOptions {
    /// None that matter.
    Directory,
    /// `type=none`, `o=bind`, `device=PATH`.
    Bind {
        /// Absolute.
        path: PathBuf,
        /// `ro` among the options.
        read_only: bool,
    },
    /// `type=tmpfs`, `device=tmpfs`.
    Tmpfs(TmpfsOptions),
}

impl LocalOptions {
    /// Reads what `volume create -o KEY=VALUE` collected.
    ///
    /// # Errors
    /// [`VolumeError::Option`].
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self, VolumeError> {
        for key in options.keys() {
            if !matches!(key.as_str(), "type" | "o" | "device") {
                return Err(bad(key, &options[key], "the driver local knows type, o and device"));
            }
        }
        let get = |key: &str| options.get(key).map_or("", String::as_str);
        let (kind, device) = (get("type"), get("device"));
        let words: Vec<&str> = get("o").split(',').filter(|word| !word.is_empty()).collect();
        let bind = words.iter().any(|word| matches!(*word, "bind" | "rbind"));
        match kind {
            "tmpfs" => tmpfs(&words).map(Self::Tmpfs),
            "" | "none" | "bind" if bind || kind == "bind" => {
                if !Path::new(device).is_absolute() {
                    return Err(bad("device", device, "a bind needs the absolute path of a host directory"));
                }
                Ok(Self::Bind { path: device.into(), read_only: words.contains(&"ro") })
            }
            "" | "none" if device.is_empty() => match words.iter().find(|word| !plain(word)) {
                Some(word) => Err(bad("o", word, "needs type=tmpfs, or type=none with o=bind")),
                None => Ok(Self::Directory),
            },
            "" | "none" => Err(bad("device", device, "without o=bind it names nothing that can be mounted")),
            kind => Err(bad(
                "type",
                kind,
                "mounting this file system needs root; mount it on the host and use type=none,o=bind,device=PATH",
            )),
        }
    }

    /// Whether the volume's own directory is what is mounted.
    pub fn is_directory(&self) -> bool {
        matches!(self, Self::Directory)
    }
}

/// Words without an effect on a plain directory. podman's `size=` and `inodes=` are quotas, which need root.
fn plain(word: &str) -> bool {
    matches!(word, "rw" | "defaults" | "noatime" | "relatime" | "nosuid" | "nodev" | "exec" | "nocopy" | "copy")
}

fn tmpfs(words: &[&str]) -> Result<TmpfsOptions, VolumeError> {
    let mut options = TmpfsOptions::default();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let number = |radix| u32::from_str_radix(value, radix).map_err(|_| bad("o", word, "not a number"));
        match key {
            "size" => options.size = Some(size(value).ok_or_else(|| bad("o", word, "not a size"))?),
            "mode" => options.mode = Some(number(8)?),
            "uid" => options.uid = Some(number(10)?),
            "gid" => options.gid = Some(number(10)?),
            "nr_inodes" => options.inodes = Some(size(value).ok_or_else(|| bad("o", word, "not a number"))?),
            "ro" => options.read_only = true,
            "exec" => options.exec = true,
            "suid" => options.suid = true,
            "dev" => options.dev = true,
            "rw" | "noexec" | "nosuid" | "nodev" | "noatime" | "relatime" | "defaults" => {}
            _ => return Err(bad("o", word, "not an option of tmpfs")),
        }
    }
    Ok(options)
}

/// A size of mount(8) for tmpfs: a number with k, m or g.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_shl(shift)
}

fn bad(key: &str, value: &str, reason: &str) -> VolumeError {
    VolumeError::Option { option: format!("{key}={value}"), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<LocalOptions, VolumeError> {
        LocalOptions::parse(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn bind_and_tmpfs_are_honoured_and_the_rest_is_refused() {
        assert_eq!(parse(&[]).unwrap(), LocalOptions::Directory);
        let bind = parse(&[("type", "none"), ("o", "bind,ro"), ("device", "/srv/data")]).unwrap();
        assert_eq!(bind, LocalOptions::Bind { path: "/srv/data".into(), read_only: true });
        let memory = parse(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=100m,uid=1000")]).unwrap();
        let expected = TmpfsOptions { size: Some(100 << 20), uid: Some(1000), ..TmpfsOptions::default() };
        assert_eq!(memory, LocalOptions::Tmpfs(expected));
        let nfs = parse(&[("type", "nfs"), ("o", "addr=10.0.0.1"), ("device", ":/x")]).unwrap_err();
        assert!(nfs.to_string().contains("needs root"), "{nfs}");
        assert!(parse(&[("o", "bind"), ("device", "relative")]).is_err());
        assert!(parse(&[("bogus", "1")]).is_err());
        assert!(parse(&[("type", "tmpfs"), ("o", "size=lots")]).is_err());
    }
}
