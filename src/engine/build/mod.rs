//! What a build needs of the host: a worker inside the user's namespace, steps run in the same sandbox as `run`, and
//! file systems put together from layers. Knows no Dockerfiles and no cache; `build` does, and calls this.

mod limits;
mod sandbox;
pub mod step;
mod stubs;
mod view;

pub use limits::{BuildCgroup, cgroup};
pub use sandbox::{Ended, Sandbox, StepRun};
pub use step::{Bind, BindSource};
pub(super) use view::read_only as read_only_overlay;
pub use view::{View, like_directory, like_root, private_mounts};

use super::{Engine, Error};

/// Does `work` in a child process that is root of the user's namespace, in a mount namespace of its own, and may start
/// threads. Its result comes back.
///
/// # Errors
/// Those of `work`, with kind and words, and of entering the namespace.
pub fn inside<T: serde::Serialize + serde::de::DeserializeOwned>(
    engine: &Engine,
    work: impl FnOnce(bool) -> Result<T, Error>,
) -> Result<T, Error> {
    // Found out from outside: the trial makes a namespace of its own.
    if engine.config.storage.driver == crate::config::DriverChoice::Auto {
        super::container::driver::overlay_works(engine);
    }
    super::child::in_child(engine, true, || {
        let entered = crate::userns::enter(&engine.paths.run, true)?;
        work(entered.map.is_single())
    })
}

/// Does `work` in a detached process that holds nothing of this one; in the worker, at its end.
pub fn in_background(work: impl FnOnce()) {
    if !matches!(crate::sys::process::fork(), Ok(None)) {
        return;
    }
    let _ = rustix::process::setsid();
    if let Ok(null) = rustix::fs::open(c"/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
        std::mem::forget(null);
    }
    crate::sys::process::close_from(3);
    work();
    crate::sys::process::exit_now(0);
}
