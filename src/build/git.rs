//! Git repositories, as contexts and for `ADD`: fetched by the host's `git`, without history, hooks or questions.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::Mode;

use crate::engine::Error;
use crate::image::registry::download::redacted;

/// What BuildKit has files of contexts from elsewhere made with.
pub(super) const PLAIN: Mode = Mode::from_raw_mode(0o022);

/// A repository, a version of it and a directory in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// What `git` is told.
    url: String,
    /// Branch, tag or commit; the server's default without.
    reference: Option<String>,
    /// Below the top; empty is all.
    pub(super) subdir: String,
    /// The commit it must be, or the start of one.
    checksum: Option<String>,
    /// `keep-git-dir`.
    pub(super) keep_git_dir: bool,
    /// `submodules=false`.
    no_submodules: bool,
    /// `mtime=commit`: files have the commit's time.
    commit_time: bool,
}

/// A repository that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetched {
    /// The commit.
    pub(super) commit: String,
    /// Its time, seconds since 1970.
    pub(super) time: Option<i64>,
}

impl Repository {
    /// Reads `URL[?KEY=VALUE&…][#REF[:DIR]]`; `None` when it is no repository's address.
    ///
    /// # Errors
    /// A key or value that is none.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, Error> {
        let (address, fragment) = text.split_once('#').map_or((text, ""), |(address, fragment)| (address, fragment));
        let (bare, query) = address.split_once('?').map_or((address, ""), |(bare, query)| (bare, query));
        let remote = ["git://", "ssh://", "git@"].iter().any(|start| bare.starts_with(start))
            || ((bare.starts_with("https://") || bare.starts_with("http://")) && bare.ends_with(".git"));
        let url = match bare.strip_prefix("github.com/") {
            Some(rest) => format!("https://github.com/{rest}"),
            None if remote => bare.to_owned(),
            None => return Ok(None),
        };
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        let mut repository = Self {
            url,
            reference: Some(reference.to_owned()).filter(|reference| !reference.is_empty()),
            subdir: subdir.trim_matches('/').to_owned(),
            checksum: None,
            keep_git_dir: false,
            no_submodules: false,
            commit_time: false,
        };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            repository.read(part)?;
        }
        if repository.reference.is_none() {
            repository.reference = repository.checksum.clone().filter(|commit| is_commit(commit));
        }
        Ok(Some(repository))
    }

    /// One `KEY=VALUE` of the address.
    fn read(&mut self, part: &str) -> Result<(), Error> {
        let (key, value) = part.split_once('=').unwrap_or((part, "true"));
        let wrong = |reason: &str| Error::Usage(format!("git repository {}: {key}={value}: {reason}", self.shown()));
        let value = decoded(value).ok_or_else(|| wrong("not a valid escape"))?;
        let flag = || match value.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(wrong("expected true or false")),
        };
        match key {
            "ref" | "branch" | "tag" if self.reference.is_some() => return Err(wrong("the version is given twice")),
            "ref" => self.reference = Some(value),
            "branch" => self.reference = Some(format!("refs/heads/{value}")),
            "tag" => self.reference = Some(format!("refs/tags/{value}")),
            "checksum" | "commit" if value.len() < 7 || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                return Err(wrong("expected at least 7 digits of a commit"));
            }
            "checksum" | "commit" => self.checksum = Some(value.to_ascii_lowercase()),
            "subdir" if !self.subdir.is_empty() => return Err(wrong("the directory is given twice")),
            "subdir" => self.subdir = value.trim_matches('/').to_owned(),
            "keep-git-dir" => self.keep_git_dir = flag()?,
            "submodules" => self.no_submodules = !flag()?,
            "mtime" if value == "commit" => self.commit_time = true,
            "mtime" if value == "checkout" => {}
            "mtime" => return Err(wrong("expected commit or checkout")),
            _ => return Err(wrong("use ref, branch, tag, checksum, subdir, keep-git-dir, submodules or mtime")),
        }
        Ok(())
    }

    /// For messages: no user, no password.
    pub(super) fn shown(&self) -> String {
        let url = redacted(&self.url);
        match &self.reference {
            Some(reference) => format!("{url}#{reference}"),
            None => url,
        }
    }

    /// What of it, besides the commit, decides about the files.
    pub(super) fn described(&self) -> String {
        format!("{} {} {} {} {}", self.shown(), self.subdir, self.keep_git_dir, self.no_submodules, self.commit_time)
    }

    fn git(&self, dir: &Path, args: &[&str]) -> Result<String, Error> {
        // Modes of files are the repository's, whoever builds.
        let mask = rustix::process::umask(PLAIN);
        let output = Command::new("git")
            .arg("-C")
            .arg(dir)
            // Nothing of the repository is executed, and no helper of a transport with a name from outside.
            .args(["-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "protocol.file.allow=never"])
            .args(["-c", "advice.detachedHead=false", "-c", "init.defaultBranch=main", "-c", "core.autocrlf=false"])
            .args(["-c", "safe.directory=*", "-c", "core.symlinks=true"])
            .args(args)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .stdin(Stdio::null())
            .output();
        rustix::process::umask(mask);
        let output = output.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Usage("git is needed for repositories and is not installed".to_owned()),
            _ => Error::io("execute", "git")(error),
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        // What git says may quote the address with what is secret in it.
        let said = String::from_utf8_lossy(&output.stderr).replace(&self.url, &redacted(&self.url));
        let line = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed").trim().to_owned();
        Err(Error::Registry(format!("git repository {}: {line}", self.shown())))
    }

    /// The commit a version is now, without fetching it.
    ///
    /// # Errors
    /// When the server does not tell.
    pub(super) fn commit(&self, dir: &Path) -> Result<String, Error> {
        let reference = self.reference.as_deref().unwrap_or("HEAD");
        if is_commit(reference) {
            return self.checked(reference.to_owned());
        }
        let listed = self.git(dir, &["ls-remote", "--quiet", "--", &self.url, reference, &format!("{reference}^{{}}")])?;
        // An annotated tag's commit comes after the tag.
        let line = listed.lines().last().and_then(|line| line.split_whitespace().next());
        let line = line.map(str::to_owned);
        self.checked(line.ok_or_else(|| Error::Registry(format!("git repository {}: there is no such branch or tag", self.shown())))?)
    }

    /// The commit, when it is the one the address asks for.
    fn checked(&self, commit: String) -> Result<String, Error> {
        match &self.checksum {
            Some(wanted) if !commit.starts_with(wanted.as_str()) => {
                Err(Error::Usage(format!("checksum mismatch: {} is commit {commit}, not {wanted}", self.shown())))
            }
            _ => Ok(commit),
        }
    }

    /// Fetches into the empty directory `dir` and returns the commit. `.git` stays when `keep`.
    ///
    /// # Errors
    /// What git says.
    pub(super) fn fetch(&self, dir: &Path, keep: bool) -> Result<Fetched, Error> {
        let reference = self.reference.as_deref().unwrap_or("HEAD");
        if reference.starts_with('-') || self.url.starts_with('-') {
            return Err(Error::Usage(format!("\"{reference}\" is no branch, tag or commit")));
        }
        self.git(dir, &["init", "--quiet"])?;
        let shallow = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--force", "--", &self.url, reference];
        let mut version = "FETCH_HEAD";
        if let Err(first) = self.git(dir, &shallow) {
            // A server of plain files has no shallow copies. A commit that is no branch's or tag's comes with those.
            let whole = ["fetch", "--quiet", "--no-tags", "--force", "--", &self.url, reference];
            let branches = ["fetch", "--quiet", "--tags", "--force", "--", &self.url, "+refs/heads/*:refs/remotes/origin/*"];
            match self.git(dir, &whole) {
                Ok(_) => {}
                Err(_) if is_hex(reference) => {
                    self.git(dir, &branches)?;
                    version = reference;
                }
                Err(_) => return Err(first),
            }
        }
        self.git(dir, &["checkout", "--quiet", "--force", "--detach", version])?;
        if !self.no_submodules && dir.join(".gitmodules").symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            self.git(dir, &["submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1"])?;
        }
        let commit = self.checked(self.git(dir, &["rev-parse", "HEAD"])?)?;
        let time = self.git(dir, &["log", "-1", "--format=%ct"])?.parse().ok();
        if !keep && !self.keep_git_dir {
            let git = dir.join(".git");
            std::fs::remove_dir_all(&git).map_err(Error::io("remove", &git))?;
        }
        if let Some(time) = time.filter(|_| self.commit_time) {
            set_times(dir, time).map_err(Error::io("set times in", dir))?;
        }
        Ok(Fetched { commit, time })
    }

    /// The directory asked for in a repository that was fetched. No link of the repository leads out of it.
    ///
    /// # Errors
    /// When it is not there, or there is a link on the way.
    pub(super) fn directory(&self, dir: &Path) -> Result<PathBuf, Error> {
        use std::os::fd::AsFd as _;
        if self.subdir.is_empty() {
            return Ok(dir.to_owned());
        }
        let top = std::fs::File::open(dir).map_err(Error::io("open", dir))?;
        let path = super::config::clean(&self.subdir);
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY;
        crate::sys::root::open_no_links(top.as_fd(), Path::new(&path), flags)
            .map_err(|errno| Error::Usage(format!("directory {} of git repository {}: {errno}", self.subdir, self.shown())))?;
        Ok(dir.join(path.trim_start_matches('/')))
    }
}

/// A full commit, not a branch's or tag's name.
fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hex(text)
}

/// It may be the start of a commit.
fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A value of an address without its `%XX`.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, more) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = more;
    }
    String::from_utf8(bytes).ok()
}

/// Gives everything below a directory one time; links themselves, not where they lead.
fn set_times(dir: &Path, seconds: i64) -> std::io::Result<()> {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let mut todo = vec![dir.to_owned()];
    let mut all = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                todo.push(entry.path());
            }
            all.push(entry.path());
        }
    }
    for path in all.iter().rev() {
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let read = |text: &str| {
            Repository::parse(text).unwrap().map(|r| (r.url, r.reference.unwrap_or_default(), r.subdir))
        };
        let all = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(read("https://h/x.git"), all("https://h/x.git", "", ""));
        assert_eq!(read("https://h/x.git#v1:sub/dir"), all("https://h/x.git", "v1", "sub/dir"));
        assert_eq!(read("git@h:x/y.git#:sub"), all("git@h:x/y.git", "", "sub"));
        assert_eq!(read("github.com/a/b"), all("https://github.com/a/b", "", ""));
        assert_eq!(read("https://h/x.tar.gz"), None);
        assert_eq!(read("https://h/x?a=.git"), None);
        assert_eq!(read("./x.git"), None);
        assert_eq!(read("https://h/x.git?branch=b%2Fc&subdir=d"), all("https://h/x.git", "refs/heads/b/c", "d"));
        assert_eq!(read("https://h/x.git?tag=v1"), all("https://h/x.git", "refs/tags/v1", ""));
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(read(&format!("https://h/x.git?commit={commit}")), all("https://h/x.git", commit, ""));
        for bad in ["?x=y", "?ref=a&tag=b", "?ref=a#b", "?commit=12", "?keep-git-dir=perhaps", "?ref=%zz", "?subdir=a#:b", "?mtime=now"] {
            assert!(Repository::parse(&format!("https://h/x.git{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let repository = Repository::parse("https://user:pass@h/x.git#v1").unwrap().unwrap();
        assert_eq!(repository.shown(), "https://h/x.git#v1");
    }
}
