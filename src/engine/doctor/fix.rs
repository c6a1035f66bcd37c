//! Putting the host right: the commands of the findings, in an order that works, run as root (directly, or with sudo).

use std::process::{Command, Stdio};

use super::host::{Manager, program};
use super::{Finding, Level, Package};
use crate::engine::Error;

/// Something root does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Runs a command.
    Run(Vec<String>),
    /// Writes a file.
    Write {
        /// Where.
        path: String,
        /// What.
        content: String,
    },
}

impl std::fmt::Display for Step {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run(words) => {
                for (index, word) in words.iter().enumerate() {
                    let blank = if index == 0 { "" } else { " " };
                    if word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./=,:+@".contains(&b)) {
                        write!(out, "{blank}{word}")?;
                    } else {
                        write!(out, "{blank}'{}'", word.replace('\'', "'\\''"))?;
                    }
                }
                Ok(())
            }
            Self::Write { path, content } => {
                let quoted = content.trim_end().replace('\'', "'\\''");
                write!(out, "printf '%s\\n' '{quoted}' > {path}")
            }
        }
    }
}

/// What root has to do about these findings; packages first, in one go.
///
/// # Errors
/// Packages are needed and this host's way to install them is unknown.
pub fn steps(findings: &[Finding]) -> Result<Vec<Step>, Error> {
    let wrong = || findings.iter().filter(|finding| finding.level != Level::Ok).map(|finding| &finding.remedy);
    let mut packages: Vec<Package> = wrong().flat_map(|remedy| remedy.packages.iter().copied()).collect();
    packages.sort_unstable();
    packages.dedup();
    let mut steps = Vec::new();
    if !packages.is_empty() {
        let manager = Manager::here().ok_or_else(|| {
            Error::Conflict("the package manager of this host is unknown: install slirp4netns and newuidmap (uidmap) yourself".into())
        })?;
        steps.extend(manager.install(&packages).into_iter().map(Step::Run));
    }
    for remedy in wrong() {
        let files = remedy.files.iter().map(|(path, content)| Step::Write { path: path.clone(), content: content.clone() });
        steps.extend(files);
        steps.extend(remedy.commands.iter().cloned().map(Step::Run));
    }
    Ok(steps)
}

/// Runs the steps one after the other and tells each to `say` before it. Goes on after a failure; what failed comes back.
///
/// # Errors
/// The caller is not root and there is no sudo.
pub fn fix(steps: &[Step], say: &dyn Fn(&str)) -> Result<Vec<Error>, Error> {
    let root = rustix::process::geteuid().is_root();
    if !root && program("sudo").is_none() {
        return Err(Error::Denied {
            message: "this needs root, and there is no sudo".into(),
            hint: "have an administrator run: kelp doctor --fix --user NAME".into(),
        });
    }
    let mut failed = Vec::new();
    for step in steps {
        say(&format!("{} {step}", if root { "#" } else { "# sudo" }));
        if let Err(error) = one(step, root) {
            failed.push(Error::Conflict(format!("{step}: {error}")));
        }
    }
    Ok(failed)
}

fn one(step: &Step, root: bool) -> Result<(), String> {
    let (words, input) = match step {
        Step::Run(words) => (words.clone(), None),
        Step::Write { path, content } => {
            let dir = path.rsplit_once('/').map_or("/", |parts| parts.0);
            let script = format!("mkdir -p '{dir}' && cat > '{path}.part' && mv '{path}.part' '{path}'");
            (vec!["sh".to_owned(), "-c".to_owned(), script], Some(content))
        }
    };
    let words: Vec<String> = if root { words } else { std::iter::once("sudo".to_owned()).chain(words).collect() };
    let Some((name, args)) = words.split_first() else { return Ok(()) };
    let path = program(name).ok_or_else(|| format!("{name} is not installed"))?;
    let mut child = Command::new(path)
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::inherit() })
        // Standard output is for the findings.
        .stdout(std::io::stderr())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let (Some(content), Some(mut stdin)) = (input, child.stdin.take()) {
        use std::io::Write as _;
        stdin.write_all(content.as_bytes()).map_err(|error| error.to_string())?;
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_can_be_typed() {
        let run = Step::Run(["sh", "-c", "echo it's"].map(str::to_owned).to_vec());
        assert_eq!(run.to_string(), "sh -c 'echo it'\\''s'");
        let write = Step::Write { path: "/etc/x".into(), content: "a\n".into() };
        assert_eq!(write.to_string(), "printf '%s\\n' 'a' > /etc/x");
    }

    #[test]
    fn only_what_is_wrong_is_done() {
        let fine = Finding::ok("a", "").command(&["true"]);
        let wrong = Finding::warning("b", "").file("/etc/x", "y").command(&["chmod", "0666", "/dev/x"]);
        let steps = steps(&[fine, wrong]).expect("no packages");
        assert_eq!(steps.len(), 2);
        assert!(matches!(&steps[0], Step::Write { path, .. } if path == "/etc/x"));
    }
}
