//! Git repositories, as contexts and for `ADD`: fetched by the host's `git`, without history, hooks or questions.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::engine::Error;
use crate::image::registry::download::redacted;

/// A repository, a version of it and a directory in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// What `git` is told.
    url: String,
    /// Branch, tag or commit; the server's default without.
    reference: Option<String>,
    /// Below the top; empty is all.
    pub subdir: String,
}

impl Repository {
    /// Reads `URL[#REF[:DIR]]`; `None` when it is no repository's address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (url, fragment) = text.split_once('#').map_or((text, ""), |(url, fragment)| (url, fragment));
        let remote = url.starts_with("git://")
            || url.starts_with("ssh://")
            || url.starts_with("git@")
            || ((url.starts_with("https://") || url.starts_with("http://")) && (url.ends_with(".git") || url.contains(".git?")));
        let url = match url.strip_prefix("github.com/") {
            Some(rest) => format!("https://github.com/{rest}"),
            None if remote => url.to_owned(),
            None => return None,
        };
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        Some(Self {
            url,
            reference: Some(reference.to_owned()).filter(|reference| !reference.is_empty()),
            subdir: subdir.trim_matches('/').to_owned(),
        })
    }

    /// For messages: no user, no password.
    pub(super) fn shown(&self) -> String {
        let url = redacted(&self.url);
        match &self.reference {
            Some(reference) => format!("{url}#{reference}"),
            None => url,
        }
    }

    fn git(&self, dir: &Path, args: &[&str]) -> Result<String, Error> {
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
            .output()
            .map_err(|error| match error.kind() {
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
        if reference.len() == 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(reference.to_owned());
        }
        let listed = self.git(dir, &["ls-remote", "--quiet", "--", &self.url, reference, &format!("{reference}^{{}}")])?;
        // An annotated tag's commit comes after the tag.
        let line = listed.lines().last().and_then(|line| line.split_whitespace().next());
        line.map(str::to_owned).ok_or_else(|| Error::Registry(format!("git repository {}: there is no such branch or tag", self.shown())))
    }

    /// Fetches into the empty directory `dir` and returns the commit. `.git` stays when `keep`.
    ///
    /// # Errors
    /// What git says.
    pub(super) fn fetch(&self, dir: &Path, keep: bool) -> Result<String, Error> {
        let reference = self.reference.as_deref().unwrap_or("HEAD");
        if reference.starts_with('-') || self.url.starts_with('-') {
            return Err(Error::Usage(format!("\"{reference}\" is no branch, tag or commit")));
        }
        self.git(dir, &["init", "--quiet"])?;
        let shallow = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--force", "--", &self.url, reference];
        if self.git(dir, &shallow).is_err() {
            // A commit that is no branch's or tag's, on a server that gives only those.
            self.git(dir, &["fetch", "--quiet", "--tags", "--force", "--", &self.url, "+refs/heads/*:refs/remotes/origin/*"])?;
            self.git(dir, &["checkout", "--quiet", "--force", "--detach", reference])
                .or_else(|_| self.git(dir, &["checkout", "--quiet", "--force", "--detach", &format!("refs/remotes/origin/{reference}")]))?;
        } else {
            self.git(dir, &["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"])?;
        }
        if dir.join(".gitmodules").symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            self.git(dir, &["submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1"])?;
        }
        let commit = self.git(dir, &["rev-parse", "HEAD"])?;
        if !keep {
            let git = dir.join(".git");
            std::fs::remove_dir_all(&git).map_err(Error::io("remove", &git))?;
        }
        Ok(commit)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let read = |text: &str| Repository::parse(text).map(|r| (r.url, r.reference.unwrap_or_default(), r.subdir));
        let all = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(read("https://h/x.git"), all("https://h/x.git", "", ""));
        assert_eq!(read("https://h/x.git#v1:sub/dir"), all("https://h/x.git", "v1", "sub/dir"));
        assert_eq!(read("git@h:x/y.git#:sub"), all("git@h:x/y.git", "", "sub"));
        assert_eq!(read("github.com/a/b"), all("https://github.com/a/b", "", ""));
        assert_eq!(read("https://h/x.tar.gz"), None);
        assert_eq!(read("./x.git"), None);
    }

    #[test]
    fn passwords_are_not_shown() {
        let repository = Repository::parse("https://user:pass@h/x.git#v1").unwrap();
        assert_eq!(repository.shown(), "https://h/x.git#v1");
    }
}
