//! A user's home of its own for each test: configuration, data, runtime directory. When the test is over nothing of it
//! may be left: no container, process, mount, lock or file.

use std::ffi::OsStr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::command::{Cmd, Output, Process};
use super::image::{self, Image};
use super::leftovers;
use super::pty::Pty;

/// One test's kelp.
pub(crate) struct Kelp {
    dir: PathBuf,
    strict: bool,
}

impl Kelp {
    /// With an empty home.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{:x}{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = super::base_dir().join(unique);
        remove_tree(&dir);
        for sub in ["", "home", "run", "tmp", "work"] {
            let path = dir.join(sub);
            std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
        Self { dir, strict: std::env::var_os("KELP_TEST_LAX").is_none() }
    }

    /// With the image `busybox` loaded.
    pub(crate) fn busybox() -> Self {
        let kelp = Self::new();
        kelp.load(&image::busybox_archive());
        kelp
    }

    /// Leaves it to the test to look for what remains; all is removed by force at the end.
    pub(crate) fn untidy(mut self) -> Self {
        self.strict = false;
        self
    }

    /// The directory of this test; everything is below it.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A directory to work in, the current one of every command.
    pub(crate) fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// `$XDG_DATA_HOME/kelp`.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("home/.local/share/kelp")
    }

    /// `$XDG_CONFIG_HOME/kelp`.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("home/.config/kelp")
    }

    /// `$XDG_RUNTIME_DIR/kelp`.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.dir.join("run/kelp")
    }

    /// Writes a file below the working directory and returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).unwrap();
        }
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A directory below the working directory, open to every user.
    pub(crate) fn open_dir(&self, name: &str) -> PathBuf {
        let path = self.work().join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        path
    }

    /// Any program, in the environment of this test's user.
    pub(crate) fn tool<A: AsRef<OsStr>>(&self, program: impl AsRef<Path>, args: impl IntoIterator<Item = A>) -> Cmd {
        let home = self.dir.join("home");
        Cmd::new(program.as_ref(), args)
            .dir(self.work())
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_RUNTIME_DIR", self.dir.join("run"))
            .env("TMPDIR", self.dir.join("tmp"))
            .env("HOME", home)
    }

    /// The command, to be given input or a time limit, or started beside the test.
    pub(crate) fn cmd<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Cmd {
        // `contrib/test` runs some of the tests a second time with kelp's own overlay.
        let driver = std::env::var("KELP_TEST_DRIVER").ok();
        let flags = driver.iter().flat_map(|driver| ["--storage-driver", driver]).map(OsStr::new);
        let args: Vec<A> = args.into_iter().collect();
        self.tool(super::program(), flags.chain(args.iter().map(AsRef::as_ref)))
    }

    /// Runs a command to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.cmd(args).output()
    }

    /// Runs a command that must succeed; its standard output, trimmed.
    #[track_caller]
    pub(crate) fn ok<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        self.run(args).success().text()
    }

    /// `run --rm busybox sh -c SCRIPT` with these flags.
    pub(crate) fn sh(&self, flags: &[&str], script: &str) -> Output {
        self.run(["run", "--rm"].iter().chain(flags).chain(&["busybox", "sh", "-c", script]))
    }

    /// Starts a command beside the test.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Process {
        self.cmd(args).start()
    }

    /// Starts a command on a terminal of its own.
    pub(crate) fn pty<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Pty {
        Pty::start(self.cmd(args).env("TERM", "xterm").raw())
    }

    /// `run -d` with these arguments; the container's id.
    #[track_caller]
    pub(crate) fn detached(&self, args: &[&str]) -> String {
        let id = self.ok(["run", "-d"].iter().chain(args));
        assert!(id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()), "not an id: {id:?}");
        id
    }

    /// One value of `inspect --format`.
    #[track_caller]
    pub(crate) fn inspect(&self, name: &str, template: &str) -> String {
        self.ok(["inspect", "--format", template, name])
    }

    /// Waits until a container is in this state.
    #[track_caller]
    pub(crate) fn wait_state(&self, name: &str, state: &str) {
        super::until(&format!("{name} is {state}"), Duration::from_secs(15), || {
            self.run(["inspect", "--format", "{{.State.Status}}", name]).text() == state
        });
    }

    /// Waits until the log of a container contains a text.
    #[track_caller]
    pub(crate) fn wait_log(&self, name: &str, text: &str) {
        super::until(&format!("{text:?} in the log of {name}"), Duration::from_secs(60), || {
            let output = self.run(["logs", name]);
            output.text().contains(text) || output.stderr.contains(text)
        });
    }

    /// Loads an archive of images.
    pub(crate) fn load(&self, archive: &Path) {
        self.run([OsStr::new("load"), OsStr::new("-q"), OsStr::new("-i"), archive.as_os_str()]).success();
    }

    /// Makes an image and loads it under this name.
    pub(crate) fn load_image(&self, image: &Image, name: &str) {
        let path = self.dir.join("tmp/image.tar");
        image.write_docker_archive(&path, &[name]);
        self.load(&path);
        std::fs::remove_file(path).unwrap();
    }

    /// Processes that belong to this test and are not its own commands.
    pub(crate) fn processes(&self) -> Vec<leftovers::Left> {
        leftovers::processes(&self.dir)
    }

    /// Waits until no process of this test is left.
    #[track_caller]
    pub(crate) fn no_process_left(&self) {
        let mut left = Vec::new();
        for round in 0..60 {
            left = self.processes();
            if left.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10 + round * 2));
        }
        panic!("processes are left:\n{}", leftovers::show(&left));
    }

    /// No container, process, mount, lock or file of one is left: what must hold when all containers were removed.
    #[track_caller]
    pub(crate) fn nothing_left(&self) {
        self.no_process_left();
        let mounts = leftovers::mounts(&self.dir);
        assert!(mounts.is_empty(), "mounts are left:\n{}", mounts.join("\n"));
        let files = self.files_left();
        assert!(files.is_empty(), "files are left:\n{}", files.join("\n"));
    }

    /// Files of containers, temporary files, sockets and per-container locks.
    fn files_left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for path in [self.data().join("containers"), self.runtime().join("c"), self.dir.join("home/.local/state/kelp/logs")] {
            leftovers::list(&path, &mut |file| {
                if !file.ends_with("containers/.names") {
                    left.push(file.display().to_string());
                }
            });
        }
        for path in [self.dir.join("tmp"), PathBuf::from(std::env::temp_dir())] {
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.path().starts_with(&self.dir) && name != "image.tar" {
                    left.push(entry.path().display().to_string());
                }
            }
        }
        leftovers::list(&self.data(), &mut |file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let temporary = name.ends_with(".tmp") || name.starts_with(".tmp") || name.starts_with("tmp.");
            // Layers and volumes under construction are swept by the next command about layers or volumes.
            let text = file.to_string_lossy();
            if temporary && !text.contains("/layers/") && !text.contains("/volumes/.tmp-") {
                left.push(file.display().to_string());
            }
        });
        left
    }
}

impl Drop for Kelp {
    fn drop(&mut self) {
        let clean = self.strict && !std::thread::panicking();
        if clean {
            self.run(["rm", "-a", "-f", "-t", "0", "-v"]).success();
            self.nothing_left();
        }
        for _ in 0..50 {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            for process in left {
                process.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if std::env::var_os("KELP_TEST_KEEP").is_none() {
            remove_tree(&self.dir);
        }
    }
}

/// Removes a tree, by the user namespace if it holds files of subordinate ids.
fn remove_tree(dir: &Path) {
    if !dir.exists() || std::fs::remove_dir_all(dir).is_ok() {
        return;
    }
    let status = Command::new("unshare")
        .args(["--user", "--map-auto", "--map-root-user", "rm", "-rf", "--one-file-system"])
        .arg(dir)
        .stdin(Stdio::null())
        .status();
    if !status.is_ok_and(|s| s.success()) {
        eprintln!("could not remove {}", dir.display());
    }
}
