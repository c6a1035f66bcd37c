//! Which storage driver mounts a container's root: the kernel's overlay where it can be mounted in a user namespace and
//! shows the ids right, else kelp's own over FUSE. Tried once per boot.

use std::fs;
use std::path::PathBuf;

use crate::config::DriverChoice;
use crate::engine::child::in_child;
use crate::engine::{Engine, Error};
use crate::userns::owner::are_recorded;

/// A storage driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// The kernel's.
    Overlay,
    /// kelp's own.
    Fuse,
}

impl Driver {
    /// As `info` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Fuse => "fuse",
        }
    }
}

/// The driver for one container; `shifted` when its ids are not those of the image.
///
/// # Errors
/// A driver that was asked for and cannot be.
pub fn choose(engine: &Engine, shifted: bool) -> Result<Driver, Error> {
    match engine.config.storage.driver {
        DriverChoice::Fuse => Ok(Driver::Fuse),
        DriverChoice::Overlay if shifted => Err(Error::Usage(
            "the overlay driver cannot shift ids: leave out --storage-driver or use fuse".to_owned(),
        )),
        DriverChoice::Overlay => Ok(Driver::Overlay),
        DriverChoice::Auto if shifted || !overlay_works(engine) => Ok(Driver::Fuse),
        DriverChoice::Auto => Ok(Driver::Overlay),
    }
}

/// As [`choose`], for these layers: owners recorded when the user had one id are shown by kelp's own overlay alone. `single`
/// when that is so still.
///
/// # Errors
/// As [`choose`].
pub fn choose_for(engine: &Engine, shifted: bool, single: bool, layers: &[PathBuf]) -> Result<Driver, Error> {
    let recorded = !single && layers.iter().any(|layer| are_recorded(layer));
    match engine.config.storage.driver {
        DriverChoice::Auto if recorded => Ok(Driver::Fuse),
        DriverChoice::Auto | DriverChoice::Overlay | DriverChoice::Fuse => choose(engine, shifted),
    }
}

/// Whether the kernel's overlay can be mounted over the data directory: what was found this boot, else a trial.
pub fn overlay_works(engine: &Engine) -> bool {
    let known = engine.paths.run.join("overlay");
    match fs::read(&known).as_deref() {
        Ok(b"yes") => return true,
        Ok(b"no") => return false,
        _ => {}
    }
    let works = in_child(engine, true, || try_overlay(engine)).is_ok();
    drop(fs::write(&known, if works { "yes" } else { "no" }));
    works
}

/// Mounts an overlay of empty directories and leaves it to the end of this process's mount namespace.
fn try_overlay(engine: &Engine) -> Result<(), Error> {
    use std::os::fd::AsFd;
    let dir = engine.paths.data.join(format!(".overlay-{}", std::process::id()));
    let made = ["lower", "upper", "work", "target"].iter().try_for_each(|name| fs::create_dir_all(dir.join(name)));
    let result = made.map_err(Error::io("create", &dir)).and_then(|()| {
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let failed = |errno: rustix::io::Errno| Error::Storage(format!("mount an overlay: {errno}"));
        let open = |name: &str| rustix::fs::open(dir.join(name), flags, rustix::fs::Mode::empty()).map_err(failed);
        let target = open("target")?;
        rustix::process::chdir(&dir).map_err(failed)?;
        let data = c"lowerdir=lower,upperdir=upper,workdir=work,userxattr";
        crate::sys::mount::mount(c"overlay", target.as_fd(), c"overlay", 0, data).map_err(failed)?;
        rustix::mount::unmount(dir.join("target"), rustix::mount::UnmountFlags::DETACH).map_err(failed)
    });
    let _ = rustix::process::chdir("/");
    drop(fs::remove_dir_all(&dir));
    result
}
