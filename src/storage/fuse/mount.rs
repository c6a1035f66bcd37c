//! Mounting, and the stand-alone verb `kelp overlay-mount`.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount,
};

use crate::sys::process;
use super::{Error, Options, serve, serve_when_ready};

/// The first argument that makes this process the server of an overlay.
pub const ROLE: &str = "overlay-mount";

const USAGE: &str = "usage: kelp overlay-mount [-f] -o lowerdir=DIR[:DIR...][,upperdir=DIR,workdir=DIR][,OPTION...] TARGET\n";

/// The rest of the help.
const HELP: &str = "
Mounts directories over each other, served in user space. Needs root of a user and mount namespace.

  -f, --foreground   Serve in the foreground
  -o WORDS           Options, separated by commas:
    lowerdir=DIR[:DIR...]                Lower directories, topmost first
    upperdir=DIR,workdir=DIR             Where changes go; without them the mount is read-only
    uidmapping=, gidmapping=DISK:SHOWN:COUNT[:...]  Shift ids
    squash_to_uid=ID, squash_to_gid=ID, squash_to_root  Show everything as owned by one
    xattr_permissions                    Keep owners and modes in an attribute
    noacl, volatile, writeback, timeout=SECONDS, threads=N, ro, nodev, nosuid, noexec,
    noatime

Example:
  unshare -r -m sh -c 'kelp overlay-mount -o lowerdir=/usr,upperdir=up,workdir=work view; cd view; exec sh'
";

/// Makes a FUSE file system and mounts it at `target`; returns the `/dev/fuse` to serve it on.
///
/// Needs `CAP_SYS_ADMIN` in the current user namespace, and a mount namespace of that one.
///
/// # Errors
/// [`Error::Mount`] with what the kernel refused.
pub fn mount(target: &Path, options: &Options) -> Result<OwnedFd, Error> {
    let failed = |what| move |errno| Error::Mount { target: target.to_owned(), what, errno };
    let device = rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let device = device.map_err(|errno| Error::Mount { target: "/dev/fuse".into(), what: "open", errno })?;
    let made = (|| {
        let fs = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&fs, "source", "kelp")?;
        fsconfig_set_string(&fs, "fd", device.as_raw_fd().to_string())?;
        fsconfig_set_string(&fs, "rootmode", "40000")?;
        fsconfig_set_string(&fs, "user_id", rustix::process::geteuid().as_raw().to_string())?;
        fsconfig_set_string(&fs, "group_id", rustix::process::getegid().as_raw().to_string())?;
        fsconfig_set_flag(&fs, "default_permissions")?;
        fsconfig_set_flag(&fs, "allow_other")?;
        // A name in /proc/mounts; old kernels do without.
        let _ = fsconfig_set_string(&fs, "subtype", "kelp");
        let read_only = options.read_only || options.upperdir.is_none();
        if read_only {
            fsconfig_set_flag(&fs, "ro")?;
        }
        fsconfig_create(&fs)?;
        let mut flags = MountAttrFlags::empty();
        flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, read_only);
        flags.set(MountAttrFlags::MOUNT_ATTR_NODEV, options.nodev);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOSUID, options.nosuid);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, options.noexec);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOATIME, options.noatime);
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, flags)
    })();
    let mounted = made.map_err(failed("make a FUSE file system for"))?;
    move_mount(mounted, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(failed("mount on"))?;
    Ok(device)
}

/// Mounts an overlay at `target` and serves it until it is unmounted.
///
/// # Errors
/// As [`mount`] and [`serve`].
pub fn mount_and_serve(target: &Path, options: Options) -> Result<(), Error> {
    serve(mount(target, &options)?, options)
}

/// What the verb was asked.
struct Asked {
    foreground: bool,
    /// The server's half of a daemon: standard input is the mounted `/dev/fuse`.
    serve_stdin: bool,
    /// The server ends when its parent does.
    with_parent: bool,
    /// The server is on its own: it keeps neither the mount nor the caller's standard error.
    alone: bool,
    words: OsString,
    target: OsString,
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Option<Asked> {
    let mut asked = Asked { foreground: false, serve_stdin: false, with_parent: false, alone: false, words: OsString::new(), target: OsString::new() };
    let mut args = args.into_iter();
    let mut plain = Vec::new();
    while let Some(arg) = args.next() {
        let mut add = |words: &OsStr| {
            asked.words.push(",");
            asked.words.push(words);
        };
        match arg.as_bytes() {
            b"-f" | b"--foreground" => asked.foreground = true,
            b"--serve-stdin" => asked.serve_stdin = true,
            b"--with-parent" => asked.with_parent = true,
            b"--alone" => asked.alone = true,
            b"-o" => add(&args.next()?),
            [b'-', b'o', rest @ ..] => add(OsStr::from_bytes(rest)),
            [b'-', ..] => return None,
            _ => plain.push(arg),
        }
    }
    // mount(8) gives a source before the target; it means nothing here.
    asked.target = plain.pop()?;
    (plain.len() <= 1).then_some(asked)
}

/// `kelp overlay-mount`: mounts an overlay, and serves it in the foreground (`-f`) or in a process
/// of its own. `args` are those after the verb.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        let written = std::io::stdout().write_all([USAGE, HELP].concat().as_bytes());
        return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let Some(asked) = parse(args) else {
        std::io::stderr().write_all(USAGE.as_bytes()).ok();
        return ExitCode::from(125);
    };
    match run(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Server) => ExitCode::FAILURE,
        Err(error) => {
            writeln!(std::io::stderr(), "kelp: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(asked: &Asked) -> Result<(), Error> {
    let mut options = Options::default();
    options.parse(&asked.words)?;
    if asked.serve_stdin {
        let device = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(std::io::Error::from)?;
        if asked.with_parent {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
                .map_err(std::io::Error::from)?;
        }
        if asked.alone {
            leave(Path::new(&asked.target));
        }
        let alone = asked.alone;
        return serve_when_ready(device, options, || {
            // Fails if the parent ended before the line above.
            let mut parent = std::io::stdout();
            parent.write_all(READY)?;
            parent.flush()?;
            if alone {
                let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
                rustix::stdio::dup2_stdout(&null)?;
                rustix::stdio::dup2_stderr(&null)?;
            }
            Ok(())
        });
    }
    let target = Path::new(&asked.target);
    if asked.foreground {
        return mount_and_serve(target, options);
    }
    start(target, &options, &asked.words, &["--alone"]).map(drop)
}

/// Goes to a mount namespace of its own, without the overlay: a namespace lives as long as a process in it, and a server
/// that stayed would wait for ever for a mount to go that it keeps itself. Where that fails it is so.
fn leave(target: &Path) {
    use rustix::mount::{MountPropagationFlags, UnmountFlags};
    let left = process::unshare(process::NEWNS)
        .and_then(|()| rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC));
    if left.is_ok() {
        rustix::mount::unmount(target, UnmountFlags::DETACH).ok();
    }
}

const READY: &[u8] = b"ready";

/// Mounts, and starts the server in a process of its own; returns when that is ready.
fn start(target: &Path, options: &Options, words: &OsStr, flags: &[&str]) -> Result<Child, Error> {
    let device = mount(target, options)?;
    let started = Command::new("/proc/self/exe")
        .args([OsStr::new(ROLE), OsStr::new("--serve-stdin"), OsStr::new("-o"), words])
        .args(flags)
        .arg(target)
        .stdin(Stdio::from(device))
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn();
    let started = started.map_err(Error::Session).and_then(|mut server| {
        let mut said = Vec::new();
        if let Some(pipe) = server.stdout.take() {
            pipe.take(READY.len() as u64).read_to_end(&mut said).ok();
        }
        if said == READY {
            return Ok(server);
        }
        server.wait().ok();
        Err(Error::Server)
    });
    if started.is_err() {
        let _ = rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH);
    }
    started
}

/// An overlay in this process's mount namespace, and the process that serves it. Both end with this value, or with this
/// process, however it ends.
#[derive(Debug)]
pub struct Served {
    target: PathBuf,
    server: Child,
}

impl Served {
    /// Mounts directories (topmost first) at `target`, with an upper and a work directory if there can be changes, and returns when the overlay is served. `plain`:
    /// owners are those of the files, and recorded ones (`user.containers.override_stat`) are for the reader to see.
    ///
    /// # Errors
    /// As [`mount`]; [`Error::Server`] if the server ended at once.
    pub fn new(lower: &[PathBuf], writes: Option<(&Path, &Path)>, target: &Path, plain: bool) -> Result<Self, Error> {
        let mut words = OsString::from(if plain { "xattr_permissions=0,lowerdir=" } else { "lowerdir=" });
        for (index, dir) in lower.iter().enumerate() {
            if index > 0 {
                words.push(":");
            }
            words.push(escaped(dir));
        }
        if let Some((upper, work)) = writes {
            for (name, dir) in [(",upperdir=", upper), (",workdir=", work)] {
                words.push(name);
                words.push(escaped(dir));
            }
        }
        let mut options = Options::default();
        options.parse(&words)?;
        let server = start(target, &options, &words, &["--with-parent"])?;
        Ok(Self { target: target.to_owned(), server })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if rustix::mount::unmount(&self.target, rustix::mount::UnmountFlags::DETACH).is_err() {
            self.server.kill().ok();
        }
        self.server.wait().ok();
    }
}

/// A path as [`Options::parse`] reads it.
fn escaped(path: &Path) -> OsString {
    let mut text = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b':' | b',') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    std::os::unix::ffi::OsStringExt::from_vec(text)
}
