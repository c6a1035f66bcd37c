//! `.dockerignore` and `--exclude`: lists of patterns where a later one can take back an earlier one with `!`.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::sys::root;

use super::ContextError;
use crate::format::glob::Glob;

/// Bytes of an ignore file.
const MAX_FILE: u64 = 4 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    glob: Glob,
    /// `!`: not ignored after all.
    exception: bool,
}

/// Names of ignore files in a context; the first that is there counts.
const NAMES: [&str; 2] = [".containerignore", ".dockerignore"];

/// Rules in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
    exceptions: bool,
}

/// What is known of a directory, for what is in it: which rules match it or one above it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Matched(Vec<bool>);

/// What the rules say of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not ignored.
    Take,
    /// Ignored, with everything below it.
    Leave,
    /// Ignored, but something below it may not be.
    Look,
}

impl Ignore {
    /// Reads an ignore file: a pattern per line, `#` lines and empty ones skipped. `name` is what messages call it.
    ///
    /// # Errors
    /// A pattern that cannot be read.
    pub fn parse(name: &str, text: &str) -> Result<Self, ContextError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut ignore = Self::default();
        for (number, line) in text.lines().enumerate() {
            if !line.starts_with('#') {
                ignore.add(line).map_err(|reason| ContextError::Pattern {
                    place: format!("{name}:{}", number + 1),
                    pattern: line.trim().to_owned(),
                    reason,
                })?;
            }
        }
        Ok(ignore)
    }

    /// Finds and reads the ignore file of the context `dir`, with the name messages call it: `given` on the command line,
    /// else the Dockerfile's own (its path and `.dockerignore`), else the context's. None there is no error.
    ///
    /// # Errors
    /// A file that was given and is not there, one that cannot be read.
    pub fn find(dir: &Path, dockerfile: Option<&Path>, given: Option<&Path>) -> Result<(Self, String), ContextError> {
        let read = |file: File, path: &Path| {
            let mut text = String::new();
            let length = file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(ContextError::io("read", path))?;
            if length as u64 > MAX_FILE {
                return Err(ContextError::io("read", path)(io::Error::from(io::ErrorKind::FileTooLarge)));
            }
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            Ok((Self::parse(&name, &text)?, name))
        };
        if let Some(path) = given {
            return read(File::open(path).map_err(ContextError::io("open", path))?, path);
        }
        for own in dockerfile.into_iter().flat_map(|file| [".dockerignore", ".containerignore"].map(|end| (file, end))) {
            let mut path = own.0.as_os_str().to_owned();
            path.push(own.1);
            let path = PathBuf::from(path);
            match File::open(&path) {
                Ok(file) if file.metadata().is_ok_and(|meta| meta.is_file()) => return read(file, &path),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(ContextError::io("open", path)(error)),
            }
        }
        let top = File::open(dir).map_err(ContextError::io("open build context", dir))?;
        for name in NAMES {
            // The context may be a stranger's: its links end inside.
            match root::open(top.as_fd(), Path::new(name), OFlags::RDONLY | OFlags::NONBLOCK).map(File::from) {
                Ok(file) if file.metadata().is_ok_and(|meta| meta.is_file()) => return read(file, &dir.join(name)),
                Ok(_) | Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {}
                Err(errno) => return Err(ContextError::io("open", dir.join(name))(errno)),
            }
        }
        Ok((Self::default(), NAMES[1].to_owned()))
    }

    /// The rules of `--exclude`.
    ///
    /// # Errors
    /// A pattern that cannot be read.
    pub fn exclude<S: AsRef<str>>(patterns: &[S]) -> Result<Self, ContextError> {
        let mut ignore = Self::default();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            ignore.add(pattern).map_err(|reason| ContextError::Pattern {
                place: "--exclude".to_owned(),
                pattern: pattern.to_owned(),
                reason,
            })?;
        }
        Ok(ignore)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let pattern = line.trim();
        if pattern.is_empty() {
            return Ok(());
        }
        let (exception, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, pattern),
        };
        if pattern.is_empty() {
            return Err("illegal exclusion pattern: \"!\"".to_owned());
        }
        let pattern = super::path::clean(pattern);
        let pattern = pattern.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&pattern);
        let glob = Glob::new(pattern, true).map_err(|error| error.to_string())?;
        self.rules.push(Rule { glob, exception });
        self.exceptions |= exception;
        Ok(())
    }

    /// Nothing is ignored.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Some rules begin with `!`.
    pub fn has_exceptions(&self) -> bool {
        self.exceptions
    }

    /// What the rules say of `path` (relative, no `.` or `..`) in a directory of which `parent` is known.
    pub(super) fn look(&self, path: &str, parent: &Matched) -> (Verdict, Matched) {
        let mut ignored = false;
        let mut known = Vec::with_capacity(self.rules.len());
        for (index, rule) in self.rules.iter().enumerate() {
            let above = parent.0.get(index).copied().unwrap_or(false);
            let matches = above || rule.glob.matches(path);
            known.push(matches);
            if matches {
                ignored = !rule.exception;
            }
        }
        let verdict = if !ignored {
            Verdict::Take
        } else if self.exceptions && self.rules.iter().any(|rule| rule.exception && rule.glob.may_match_below(path)) {
            Verdict::Look
        } else {
            Verdict::Leave
        };
        (verdict, Matched(known))
    }

    /// As [`Self::look`], for a path of which nothing is known.
    pub(super) fn look_at(&self, path: &str) -> (Verdict, Matched) {
        let mut result = (Verdict::Take, Matched::default());
        if path.is_empty() {
            return result;
        }
        for (end, _) in path.match_indices('/').chain(std::iter::once((path.len(), ""))) {
            result = self.look(&path[..end], &result.1);
        }
        result
    }

    /// Whether a path is ignored, by itself or by a directory above it.
    pub fn ignores(&self, path: &str) -> bool {
        self.look_at(path).0 != Verdict::Take
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(file: &str, path: &str) -> bool {
        Ignore::parse(".dockerignore", file).unwrap().ignores(path)
    }

    #[test]
    fn dockers_rules() {
        for (file, path, want) in [
            ("*.log", "a.log", true),
            ("*.log", "d/a.log", false),
            ("**/*.log", "d/a.log", true),
            ("node_modules", "node_modules/x/y", true),
            ("/node_modules/", "node_modules/x", true),
            ("./a/../b", "b", true),
            ("# comment\n\n  x  ", "x", true),
            (" # no comment", "x", false),
            ("*\n!keep", "keep", false),
            ("*\n!keep", "keep/below", false),
            ("*\n!keep\nkeep/no", "keep/no/x", true),
            ("*\n!keep", "other", true),
            ("*\n!src/**/*.c", "src/a/b.c", false),
            ("*\n!src/**/*.c", "src/a/b.h", true),
            ("!x\nx", "x", true),
            ("dir\n! dir/a", "dir/a", false),
            ("**", "a/b", true),
            ("a/*", "a", false),
            ("\u{feff}x", "x", true),
            ("..", "x", false),
            (".", "x", false),
        ] {
            assert_eq!(ignored(file, path), want, "{file:?} {path}");
        }
        assert!(Ignore::parse("f", "a\n!").unwrap_err().to_string().contains("f:2"));
        assert!(Ignore::parse("f", "[").is_err());
    }

    #[test]
    fn the_file_that_counts() {
        let dir = std::env::temp_dir().join(format!("kelp-ignore-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("context")).unwrap();
        let context = dir.join("context");
        let find = |dockerfile: Option<&Path>, given: Option<&Path>| Ignore::find(&context, dockerfile, given).map(|(ignore, name)| (ignore.ignores("a"), name));
        assert_eq!(find(None, None).unwrap(), (false, ".dockerignore".to_owned()));
        std::fs::write(dir.join("out"), "a").unwrap();
        std::os::unix::fs::symlink("../out", context.join(".dockerignore")).unwrap();
        assert!(!find(None, None).unwrap().0);
        std::fs::remove_file(context.join(".dockerignore")).unwrap();
        std::fs::write(context.join(".dockerignore"), "a").unwrap();
        assert!(find(None, None).unwrap().0);
        std::fs::write(dir.join("My.Dockerfile.dockerignore"), "b").unwrap();
        assert_eq!(find(Some(&dir.join("My.Dockerfile")), None).unwrap(), (false, "My.Dockerfile.dockerignore".to_owned()));
        assert!(find(Some(&dir.join("Other")), None).unwrap().0);
        assert!(find(None, Some(&dir.join("out"))).unwrap().0 && find(None, Some(&dir.join("none"))).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn directories_are_looked_into_only_for_exceptions() {
        let verdict = |file: &str, path: &str| Ignore::parse("f", file).unwrap().look_at(path).0;
        assert_eq!(verdict("node_modules", "node_modules"), Verdict::Leave);
        assert_eq!(verdict("*\n!src/main.c", "node_modules"), Verdict::Leave);
        assert_eq!(verdict("*\n!src/main.c", "src"), Verdict::Look);
        assert_eq!(verdict("*\n!**/keep", "any/where"), Verdict::Look);
        assert_eq!(verdict("*\n!src", "src"), Verdict::Take);
    }
}
