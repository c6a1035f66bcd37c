//! How many steps work at the same time.

use std::sync::{Condvar, Mutex, PoisonError};

use super::Failure;

/// Free places.
#[derive(Debug)]
pub(super) struct Jobs {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    stopped: bool,
}

/// A place taken, until dropped.
#[derive(Debug)]
pub(super) struct Job<'a>(&'a Jobs);

impl Jobs {
    /// So many places; 0 chooses by the number of processors, at least two, since many steps wait for the network.
    pub(super) fn new(count: usize) -> Self {
        let count = match count {
            0 => std::thread::available_parallelism().map_or(2, usize::from).max(2),
            count => count,
        };
        Self { state: Mutex::new(State { free: count, stopped: false }), changed: Condvar::new() }
    }

    /// Waits for a place.
    pub(super) fn take(&self) -> Result<Job<'_>, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.free == 0 && !state.stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped {
            return Err(Failure::canceled());
        }
        state.free -= 1;
        Ok(Job(self))
    }

    /// Nobody gets a place any more.
    pub(super) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.changed.notify_all();
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).free += 1;
        self.0.changed.notify_one();
    }
}
