//! The notations of mounts: `-v [SRC:]DST[:OPTIONS]`, `--mount type=…,…` (docker's and podman's keys, csv quoting) and
//! `--tmpfs DST[:OPTIONS]`. Pure: a relative source stays as typed, nothing is looked up.

use std::path::PathBuf;
use std::str::FromStr;

use super::{DevptsOptions, MountOptions, MountSource, MountSpec, OverlayDirs, TmpfsOptions, TmpfsSpec};
use crate::spec::csv::fields;

/// Why a mount was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} \"{text}\": {reason}")]
pub struct MountParseError {
    /// `volume`, `mount` or `tmpfs`: which notation.
    what: &'static str,
    /// What was typed.
    text: String,
    /// What is wrong with it.
    reason: String,
}

impl MountParseError {
    fn new(what: &'static str, text: &str, reason: impl Into<String>) -> Self {
        Self { what, text: text.to_owned(), reason: reason.into() }
    }
}

impl FromStr for MountSpec {
    type Err = MountParseError;

    /// `-v`. A source with a slash or dot in front is a path of the host, any other a volume's name.
    fn from_str(text: &str) -> Result<Self, MountParseError> {
        let fail = |reason: String| MountParseError::new("volume", text, reason);
        let parts = split_colons(text);
        let (source, target, options) = match parts.as_slice() {
            [target] => (None, target, None),
            // `-v /data:ro` cannot be told from a mount at `ro`; docker and podman refuse it as a relative path.
            [source, target] => (Some(source), target, None),
            [source, target, options] => (Some(source), target, Some(options)),
            _ => return Err(fail("expected [SOURCE:]TARGET[:OPTIONS]".into())),
        };
        let source = match source {
            None => MountSource::Volume { name: None, subpath: None },
            Some(path) if is_path(path) => MountSource::Bind { path: PathBuf::from(path), create: true },
            Some(name) => {
                MountSource::Volume { name: Some(volume_name(name).map_err(fail)?), subpath: None }
            }
        };
        let mut parsed = MountOptions::default();
        let mut seen = Seen::default();
        for option in options.map(String::as_str).unwrap_or("").split(',').filter(|option| !option.is_empty()) {
            if !seen.apply(&mut parsed, option).map_err(fail)? {
                return Err(fail(format!("unknown option \"{option}\"")));
            }
        }
        seen.finish(&mut parsed).map_err(fail)?;
        Ok(Self { source, target: target_path(target).map_err(fail)?, options: parsed })
    }
}

/// The parts between colons; `\:` is a colon that does not part.
fn split_colons(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, parts.last_mut()) {
            ('\\', Some(part)) if chars.peek() == Some(&':') => part.extend(chars.next()),
            (':', _) => parts.push(String::new()),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    parts
}

fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.'])
}

fn volume_name(name: &str) -> Result<String, String> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if name.is_empty() {
        Err("the source is empty".into())
    } else if first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        Ok(name.to_owned())
    } else if name.contains('/') {
        Err(format!("\"{name}\" is neither a volume name nor a path; write ./{name} for a path"))
    } else {
        Err(format!("\"{name}\" is no volume name: only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed"))
    }
}

/// An absolute path with `.`, `..` and doubled slashes taken out, as docker cleans it.
fn target_path(target: &str) -> Result<String, String> {
    if !target.starts_with('/') {
        return Err(format!("the path in the container \"{target}\" must be absolute"));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err("the path in the container must not be /".into());
    }
    Ok(format!("/{}", parts.join("/")))
}

/// Options of which only one may be given.
#[derive(Default)]
struct Seen {
    access: Option<bool>,
    label: Option<bool>,
    upper: Option<PathBuf>,
    work: Option<PathBuf>,
}

impl Seen {
    /// Applies one option of `-v`; false when there is no such option.
    fn apply(&mut self, options: &mut MountOptions, option: &str) -> Result<bool, String> {
        match option {
            "ro" | "rro" | "readonly" | "rw" => {
                let read_only = option != "rw";
                if self.access.replace(read_only).is_some_and(|earlier| earlier != read_only) {
                    return Err("ro and rw cannot be combined".into());
                }
                options.read_only = read_only;
            }
            "z" | "Z" => {
                let private = option == "Z";
                if self.label.replace(private).is_some_and(|earlier| earlier != private) {
                    return Err("z and Z cannot be combined".into());
                }
                options.relabel_private = private;
                options.relabel_shared = !private;
            }
            "U" => options.chown = true,
            "O" => options.overlay = true,
            "nocopy" => options.no_copy = true,
            "idmap" => options.idmap = true,
            "suid" | "nosuid" => options.nosuid = Some(option == "nosuid"),
            "dev" | "nodev" => options.nodev = Some(option == "nodev"),
            "exec" | "noexec" => options.noexec = Some(option == "noexec"),
            "bind" => options.non_recursive = true,
            "rbind" => options.non_recursive = false,
            // Hints of docker's desktop products, and the default said aloud.
            "copy" | "consistent" | "cached" | "delegated" | "default" => {}
            "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate" => {
                if options.propagation.replace(option.parse()?).is_some() {
                    return Err("only one mount propagation can be given".into());
                }
            }
            "unbindable" | "runbindable" => {
                return Err(format!("{option} mounts are not supported; use private"));
            }
            _ if option.starts_with("upperdir=") => self.upper = Some(own_dir(option)?),
            _ if option.starts_with("workdir=") => self.work = Some(own_dir(option)?),
            _ if option.starts_with("idmap=") => {
                return Err("idmap with a mapping of your own is not supported; idmap alone takes the container's".into());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What only makes sense together.
    fn finish(self, options: &mut MountOptions) -> Result<(), String> {
        options.overlay_dirs = match (self.upper, self.work) {
            (None, None) => return Ok(()),
            (Some(upper), Some(work)) => Some(OverlayDirs { upper, work }),
            _ => return Err("upperdir and workdir need each other".into()),
        };
        if options.overlay { Ok(()) } else { Err("upperdir and workdir are options of an overlay: give O too".into()) }
    }
}

/// The directory of `upperdir=` or `workdir=`.
fn own_dir(option: &str) -> Result<PathBuf, String> {
    let (key, path) = option.split_once('=').unwrap_or((option, ""));
    if is_path(path) { Ok(PathBuf::from(path)) } else { Err(format!("{key} needs a path: /{path} or ./{path}")) }
}

impl MountSpec {
    /// `--mount type=bind|volume|tmpfs|image|glob|devpts,KEY[=VALUE],…`; the type is `volume` unless said.
    ///
    /// # Errors
    /// When a key is unknown, doubled in meaning, of another type, or a value is none.
    pub fn parse_long(text: &str) -> Result<Self, MountParseError> {
        let fail = |reason: String| MountParseError::new("mount", text, reason);
        Long::collect(text).and_then(Long::finish).map_err(fail)
    }
}

/// A `--mount` while it is read.
#[derive(Default)]
struct Long {
    kind: Option<Kind>,
    source: Option<String>,
    target: Option<String>,
    subpath: Option<String>,
    create: bool,
    options: MountOptions,
    tmpfs: TmpfsOptions,
    max: Option<u32>,
    /// The keys that only some types have.
    only: Vec<(&'static [Kind], String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bind,
    Volume,
    Tmpfs,
    Image,
    Glob,
    Devpts,
}

/// The types that show paths of the host.
const HOST: &[Kind] = &[Kind::Bind, Kind::Glob];
/// The types that show files which are there already.
const FILES: &[Kind] = &[Kind::Bind, Kind::Glob, Kind::Volume, Kind::Image];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Tmpfs => "tmpfs",
            Self::Image => "image",
            Self::Glob => "glob",
            Self::Devpts => "devpts",
        }
    }
}

impl Long {
    fn collect(text: &str) -> Result<Self, String> {
        let mut long = Self::default();
        let mut seen = Seen::default();
        for field in fields(text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (field.as_str(), None),
            };
            long.set(&mut seen, key.trim(), value)?;
        }
        if long.kind == Some(Kind::Image) && seen.access.is_none() {
            long.options.read_only = true;
        }
        seen.finish(&mut long.options)?;
        Ok(long)
    }

    fn set(&mut self, seen: &mut Seen, key: &str, value: Option<&str>) -> Result<(), String> {
        let needed = || value.filter(|v| !v.is_empty()).ok_or_else(|| format!("{key} needs a value"));
        match key {
            "type" => self.kind = Some(kind(needed()?)?),
            "source" | "src" => self.source = Some(needed()?.to_owned()),
            "target" | "dst" | "destination" => self.target = Some(needed()?.to_owned()),
            "readonly" | "ro" => {
                let on = switch(key, value)?;
                seen.apply(&mut self.options, if on { "ro" } else { "rw" })?;
            }
            "rw" => {
                let on = switch(key, value)?;
                seen.apply(&mut self.options, if on { "rw" } else { "ro" })?;
            }
            "bind-propagation" => {
                self.only(HOST, key);
                if !seen.apply(&mut self.options, needed()?)? {
                    return Err(format!("unknown mount propagation \"{}\"", needed()?));
                }
            }
            "bind-nonrecursive" => {
                self.only(HOST, key);
                self.options.non_recursive = switch(key, value)?;
            }
            "bind-recursive" => {
                self.only(HOST, key);
                self.options.non_recursive = match needed()? {
                    "enabled" | "writable" | "readonly" | "true" => false,
                    "disabled" | "false" => true,
                    other => return Err(format!("bind-recursive is enabled, disabled, writable or readonly, not \"{other}\"")),
                };
            }
            "bind-create-src" => {
                self.only(HOST, key);
                self.create = switch(key, value)?;
            }
            "volume-subpath" | "image-subpath" | "subpath" => {
                self.only(&[Kind::Volume, Kind::Image], key);
                self.subpath = Some(subpath(needed()?)?);
            }
            "volume-nocopy" => {
                self.only(&[Kind::Volume], key);
                self.options.no_copy = switch(key, value)?;
            }
            "volume-driver" if needed()? == "local" => self.only(&[Kind::Volume], key),
            "volume-driver" | "volume-opt" | "volume-label" => {
                return Err(format!("{key} is not supported here; make the volume with kelp volume create"));
            }
            "tmpfs-size" | "tmpfs-mode" => {
                self.only(&[Kind::Tmpfs], key);
                self.tmpfs.set(key.trim_start_matches("tmpfs-"), value)?;
            }
            "tmpcopyup" | "notmpcopyup" | "size" | "nr_inodes" => {
                self.only(&[Kind::Tmpfs], key);
                self.tmpfs.set(key, value)?;
            }
            "mode" | "uid" | "gid" => {
                self.only(&[Kind::Tmpfs, Kind::Devpts], key);
                self.tmpfs.set(key, value)?;
            }
            "max" => {
                self.only(&[Kind::Devpts], key);
                self.max = Some(needed()?.parse().map_err(|_| "max needs a number")?);
            }
            "relabel" => {
                seen.apply(&mut self.options, match needed()? {
                    "shared" => "z",
                    "private" => "Z",
                    other => return Err(format!("relabel is shared or private, not \"{other}\"")),
                })?;
            }
            "U" | "chown" => {
                self.only(FILES, key);
                self.options.chown = switch(key, value)?;
            }
            "O" if value.is_none() => {
                self.only(&[Kind::Bind, Kind::Volume], key);
                seen.apply(&mut self.options, key)?;
            }
            "upperdir" | "workdir" => {
                self.only(&[Kind::Bind, Kind::Volume], key);
                seen.apply(&mut self.options, &format!("{key}={}", needed()?))?;
            }
            "idmap" => self.options.idmap = switch(key, value)?,
            "z" | "Z" | "exec" | "noexec" | "suid" | "nosuid" | "dev" | "nodev" if value.is_none() => {
                seen.apply(&mut self.options, key)?;
            }
            "consistency" => {}
            _ => return Err(format!("unknown key \"{key}\"")),
        }
        Ok(())
    }

    fn only(&mut self, kinds: &'static [Kind], key: &str) {
        self.only.push((kinds, key.to_owned()));
    }

    fn finish(self) -> Result<MountSpec, String> {
        let Self { kind, source, target, subpath, create, mut options, mut tmpfs, max, only } = self;
        let kind = kind.unwrap_or(Kind::Volume);
        if let Some((owners, key)) = only.iter().find(|(owners, _)| !owners.contains(&kind)) {
            let owners: Vec<&str> = owners.iter().map(|owner| owner.name()).collect();
            return Err(format!("{key} is for type={}, this is type={}", owners.join("|"), kind.name()));
        }
        let target = match target {
            None if kind == Kind::Glob => String::new(),
            None => return Err("the target is missing".into()),
            Some(target) => target_path(&target)?,
        };
        let source = match kind {
            Kind::Bind => {
                let path = source.ok_or("type=bind needs a source")?;
                MountSource::Bind { path: PathBuf::from(path), create }
            }
            Kind::Volume => MountSource::Volume { name: source.map(|name| volume_name(&name)).transpose()?, subpath },
            Kind::Tmpfs => {
                if source.is_some() {
                    return Err("type=tmpfs takes no source".into());
                }
                tmpfs.read_only = std::mem::take(&mut options.read_only);
                tmpfs.exec = options.noexec.take() == Some(false);
                tmpfs.suid = options.nosuid.take() == Some(false);
                tmpfs.dev = options.nodev.take() == Some(false);
                MountSource::Tmpfs(tmpfs)
            }
            Kind::Image => {
                let image = source.ok_or("type=image needs a source")?;
                if options.chown && options.read_only {
                    return Err("U changes the image's files: give rw too".into());
                }
                MountSource::Image { image, subpath }
            }
            Kind::Glob => MountSource::Glob { pattern: PathBuf::from(source.ok_or("type=glob needs a source")?) },
            Kind::Devpts => {
                if source.is_some() {
                    return Err("type=devpts takes no source".into());
                }
                if options != MountOptions::default() {
                    return Err("type=devpts has only the options uid, gid, mode and max".into());
                }
                MountSource::Devpts(DevptsOptions { uid: tmpfs.uid, gid: tmpfs.gid, mode: tmpfs.mode, max })
            }
        };
        Ok(MountSpec { source, target, options })
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "bind" => Ok(Kind::Bind),
        "volume" => Ok(Kind::Volume),
        "tmpfs" => Ok(Kind::Tmpfs),
        "image" => Ok(Kind::Image),
        "glob" => Ok(Kind::Glob),
        "devpts" => Ok(Kind::Devpts),
        "ramfs" | "artifact" | "cluster" | "npipe" => {
            Err(format!("type={text} is not supported: use bind, volume, tmpfs, image, glob or devpts"))
        }
        _ => Err(format!("unknown type \"{text}\": use bind, volume, tmpfs, image, glob or devpts")),
    }
}

fn switch(key: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("true" | "1" | "on") => Ok(true),
        Some("false" | "0" | "off") => Ok(false),
        Some(other) => Err(format!("{key} is true or false, not \"{other}\"")),
    }
}

/// A relative path that stays inside.
fn subpath(text: &str) -> Result<String, String> {
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err(format!("the subpath \"{text}\" must be relative and stay inside the volume"));
    }
    Ok(text.to_owned())
}

impl FromStr for TmpfsSpec {
    type Err = MountParseError;

    fn from_str(text: &str) -> Result<Self, MountParseError> {
        let fail = |reason: String| MountParseError::new("tmpfs", text, reason);
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        let mut parsed = TmpfsOptions::default();
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').map_or((option, None), |(key, value)| (key, Some(value)));
            parsed.set(key, value).map_err(fail)?;
        }
        Ok(Self { target: target_path(target).map_err(fail)?, options: parsed })
    }
}

impl TmpfsOptions {
    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let number = |value: Option<&str>, radix| {
            value
                .and_then(|value| u64::from_str_radix(value, radix).ok())
                .ok_or_else(|| format!("{key} needs {} number", if radix == 8 { "an octal" } else { "a" }))
        };
        let id = |value| {
            number(value, 10).and_then(|id| u32::try_from(id).map_err(|_| format!("{key} needs a number below 2^32")))
        };
        match key {
            "size" => self.size = Some(size(value.unwrap_or(""))?),
            "nr_inodes" => self.inodes = Some(size(value.unwrap_or(""))?),
            "mode" => {
                let mode = number(value, 8)?;
                self.mode = Some(u32::try_from(mode).ok().filter(|m| *m <= 0o7777).ok_or("mode has at most the bits 7777")?);
            }
            "uid" => self.uid = Some(id(value)?),
            "gid" => self.gid = Some(id(value)?),
            "ro" | "rw" => self.read_only = key == "ro",
            "exec" | "noexec" => self.exec = key == "exec",
            "suid" | "nosuid" => self.suid = key == "suid",
            "dev" | "nodev" => self.dev = key == "dev",
            "tmpcopyup" | "notmpcopyup" => self.copy_up = key == "tmpcopyup",
            "U" | "private" | "rprivate" => {}
            _ => return Err(format!("unknown option \"{key}\"")),
        }
        Ok(())
    }
}

/// Bytes with a unit of 1024s, as the kernel reads a tmpfs size.
fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("\"{text}\" is no size: give a number with an optional k, m, g or t");
    if text.ends_with('%') {
        return Err(format!("\"{text}\": a share of memory is not supported; give a size such as 64m"));
    }
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| bad())?;
    let shift = match lower.get(digits.len()..).unwrap_or("") {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(bad()),
    };
    number.checked_mul(1 << shift).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::mount::Propagation;

    fn short(text: &str) -> MountSpec {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn long(text: &str) -> MountSpec {
        MountSpec::parse_long(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused(result: Result<MountSpec, MountParseError>) -> String {
        result.expect_err("must be refused").to_string()
    }

    #[test]
    fn what_a_source_is() {
        let bind = |path: &str| MountSource::Bind { path: path.into(), create: true };
        let volume = |name: Option<&str>| MountSource::Volume { name: name.map(str::to_owned), subpath: None };
        for (text, source) in [
            ("/a:/b", bind("/a")),
            ("./a:/b", bind("./a")),
            (".:/b", bind(".")),
            ("../x:/b", bind("../x")),
            ("/with\\:colon:/b", bind("/with:colon")),
            ("data:/b", volume(Some("data"))),
            ("/b", volume(None)),
        ] {
            let mount = short(text);
            assert_eq!((mount.source, mount.target.as_str()), (source, "/b"), "{text}");
        }
        assert_eq!(short("/a:/b/../c//d/").target, "/c/d");
    }

    #[test]
    fn options() {
        let options = short("/a:/b:ro,z,U,rslave,noexec").options;
        assert!(options.read_only && options.relabel_shared && options.chown);
        assert_eq!((options.propagation, options.noexec), (Some(Propagation::RSlave), Some(true)));
        assert!(short("/a:/b:O").options.overlay);
        let dirs = OverlayDirs { upper: "/u".into(), work: "./w".into() };
        assert_eq!(short("/a:/b:O,upperdir=/u,workdir=./w").options.overlay_dirs, Some(dirs));
        assert!(short("v:/b:nocopy").options.no_copy);
        assert_eq!(short("/a:/b:rw,cached").options, MountOptions::default());
    }

    #[test]
    fn refusals_say_why() {
        for (text, reason) in [
            ("/a:b", "must be absolute"),
            ("/a:/", "must not be /"),
            ("/a:/..", "must not be /"),
            (":/b", "source is empty"),
            ("a/b:/c", "write ./a/b for a path"),
            ("-x:/c", "no volume name"),
            ("/a:/b:ro:z", "expected [SOURCE:]TARGET"),
            ("/a:/b:ro,rw", "cannot be combined"),
            ("/a:/b:z,Z", "cannot be combined"),
            ("/a:/b:slave,shared", "only one"),
            ("/a:/b:O,workdir=/w", "need each other"),
            ("/a:/b:upperdir=/u,workdir=/w", "give O too"),
            ("/a:/b:O,upperdir=u,workdir=/w", "or ./u"),
            ("/a:/b:fast", "unknown option \"fast\""),
        ] {
            let error = refused(text.parse());
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_long_form() {
        let bind = long("type=bind,src=/a,dst=/b,readonly,bind-propagation=rshared");
        assert_eq!(bind.source, MountSource::Bind { path: "/a".into(), create: false });
        assert!(bind.options.read_only);
        assert_eq!(bind.options.propagation, Some(Propagation::RShared));
        assert_eq!(
            long("source=data,target=/b,volume-subpath=x/y").source,
            MountSource::Volume { name: Some("data".into()), subpath: Some("x/y".into()) }
        );
        assert_eq!(long("type=volume,dst=/b").source, MountSource::Volume { name: None, subpath: None });
        assert!(!long("type=bind,src=/a,dst=/b,ro=false").options.read_only);
        let tmpfs = long("type=tmpfs,destination=/t,tmpfs-size=64m,tmpfs-mode=0700,ro,exec");
        let expected =
            TmpfsOptions { size: Some(64 << 20), mode: Some(0o700), read_only: true, exec: true, ..TmpfsOptions::default() };
        assert_eq!(tmpfs.source, MountSource::Tmpfs(expected));
        assert_eq!(tmpfs.options, MountOptions::default());
        let image = long("type=image,src=x:1,dst=/b,subpath=usr/bin");
        assert_eq!(image.source, MountSource::Image { image: "x:1".into(), subpath: Some("usr/bin".into()) });
        assert!(image.options.read_only && !long("type=image,src=x,dst=/b,rw").options.read_only);
        assert!(!long("source=x,dst=/b,type=image,rw=true").options.read_only);
        let glob = long("type=glob,src=/etc/*.conf");
        assert_eq!((glob.source, glob.target.as_str()), (MountSource::Glob { pattern: "/etc/*.conf".into() }, ""));
        assert_eq!(
            long("type=devpts,dst=/p,uid=1,gid=5,mode=0620,max=10").source,
            MountSource::Devpts(DevptsOptions { uid: Some(1), gid: Some(5), mode: Some(0o620), max: Some(10) })
        );
        assert_eq!(long("type=bind,\"src=/a,b\",dst=/b").source, MountSource::Bind { path: "/a,b".into(), create: false });
    }

    #[test]
    fn the_long_form_refuses() {
        for (text, reason) in [
            ("type=bind,dst=/b", "needs a source"),
            ("type=bind,src=/a", "target is missing"),
            ("type=tmpfs,src=/a,dst=/b", "takes no source"),
            ("type=tmpfs,dst=/b,volume-nocopy", "volume-nocopy is for type=volume"),
            ("type=image,dst=/b", "needs a source"),
            ("type=image,src=x,dst=/b,U", "give rw too"),
            ("type=image,src=x,dst=/b,rw,O", "O is for type=bind|volume"),
            ("type=image,src=x,dst=/b,subpath=/x", "stay inside"),
            ("type=devpts,src=x,dst=/b", "takes no source"),
            ("type=devpts,dst=/b,ro", "only the options"),
            ("type=bind,src=/a,dst=/b,max=5", "max is for type=devpts"),
            ("type=tmpfs,dst=/b,tmpfs-size=1m,volume-nocopy", "volume-nocopy is for type=volume"),
            ("type=glob,dst=/b", "needs a source"),
            ("type=bind,src=/a,dst=/b,O,upperdir=/u", "need each other"),
            ("type=npipe,src=x,dst=/b", "not supported"),
            ("type=nfs,dst=/b", "unknown type"),
            ("type=bind,src=/a,dst=/b,color=red", "unknown key \"color\""),
            ("type=bind,src=/a,dst=/b,ro=maybe", "true or false"),
            ("type=volume,src=a,dst=/b,volume-subpath=../x", "stay inside"),
            ("type=bind,\"src=/a,dst=/b", "not closed"),
        ] {
            let error = refused(MountSpec::parse_long(text));
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn tmpfs() {
        let parse = |text: &str| text.parse::<TmpfsSpec>();
        assert_eq!(parse("/run").map(|t| t.options), Ok(TmpfsOptions::default()));
        let tmpfs = parse("/run:rw,size=64k,mode=1770,uid=5,gid=6,exec,nosuid").expect("valid");
        assert_eq!(
            tmpfs.options,
            TmpfsOptions {
                size: Some(65536),
                mode: Some(0o1770),
                uid: Some(5),
                gid: Some(6),
                exec: true,
                ..TmpfsOptions::default()
            }
        );
        for bad in ["run", "/", "/run:size=lots", "/run:mode=9", "/run:mode=77777", "/run:colour", "/run:size=50%"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
