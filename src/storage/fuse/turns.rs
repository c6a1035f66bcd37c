//! How many threads wait for requests: as many as have work.
//!
//! The kernel gives requests to waiting threads in turn. A program that asks one thing after the other would be served by
//! all of them, each woken on another processor with cold caches, which costs more than most answers. So a thread that
//! finds too little to do is parked here, at the end of a request: one always waits for the next request, and whoever
//! takes one while others are queued, or begins something slow, calls a parked one back.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::node::lock;

/// So many requests answered in a row while another thread had nothing to do, and a thread is too many.
const CALM: usize = 64;

#[derive(Debug, Default)]
struct Gate {
    /// Threads called back that have not come yet.
    calls: usize,
    /// The session ends.
    over: bool,
}

/// The threads of one session.
#[derive(Debug)]
pub(super) struct Turns {
    /// The session's `/dev/fuse`, to see whether requests are queued.
    device: OwnedFd,
    total: usize,
    /// Threads that have had a request, and so say when they end.
    known: AtomicUsize,
    busy: AtomicUsize,
    /// Changed with `gate` held.
    parked: AtomicUsize,
    calm: AtomicUsize,
    /// Another request was queued behind the last one taken; if so twice in a row, a thread is too few.
    pressed: AtomicBool,
    gate: Mutex<Gate>,
    called: Condvar,
}

/// A request being handled; its end is the thread's turn to be parked.
pub(super) struct Turn<'a>(&'a Turns);

/// A thread of the session. One that ends takes the others along: the file system was unmounted.
struct Member(Arc<Turns>);

thread_local! {
    static MEMBER: RefCell<Option<Member>> = const { RefCell::new(None) };
}

impl Drop for Member {
    fn drop(&mut self) {
        lock(&self.0.gate).over = true;
        self.0.called.notify_all();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Turns {
    pub(super) fn new(device: OwnedFd, total: usize) -> Arc<Self> {
        Arc::new(Self {
            device,
            total,
            known: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            parked: AtomicUsize::new(0),
            calm: AtomicUsize::new(0),
            pressed: AtomicBool::new(false),
            gate: Mutex::default(),
            called: Condvar::new(),
        })
    }

    /// To be held from a request's beginning until it is answered.
    pub(super) fn take(self: &Arc<Self>) -> Turn<'_> {
        MEMBER.with_borrow_mut(|member| {
            if member.is_none() {
                *member = Some(Member(self.clone()));
                self.known.fetch_add(1, Ordering::Relaxed);
            }
        });
        self.busy.fetch_add(1, Ordering::AcqRel);
        if self.is_short() {
            if !self.is_queued() {
                self.pressed.store(false, Ordering::Relaxed);
            } else if self.pressed.swap(true, Ordering::Relaxed) {
                self.call();
            }
        }
        Turn(self)
    }

    /// To be called before something that may take long, so that requests find a thread meanwhile.
    pub(super) fn slow(&self) {
        self.calm.store(0, Ordering::Relaxed);
        if self.is_short() {
            self.call();
        }
    }

    fn end(&self) {
        self.busy.fetch_sub(1, Ordering::AcqRel);
        // This one waits too, from now.
        if self.waiting() < 2 {
            self.calm.store(0, Ordering::Relaxed);
        } else if self.calm.fetch_add(1, Ordering::Relaxed) >= CALM {
            self.park();
        }
    }

    /// Threads that wait for a request.
    fn waiting(&self) -> usize {
        self.total.saturating_sub(self.parked.load(Ordering::Acquire) + self.busy.load(Ordering::Acquire))
    }

    /// Whether nobody waits for the next request, and somebody could.
    fn is_short(&self) -> bool {
        self.parked.load(Ordering::Acquire) > 0 && self.waiting() == 0
    }

    fn is_queued(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.device, PollFlags::IN)];
        // What cannot be said counts as yes: then more threads come than are needed.
        poll(&mut fds, Some(&now)).map_or(true, |_| !fds[0].revents().is_empty())
    }

    fn call(&self) {
        self.calm.store(0, Ordering::Relaxed);
        self.pressed.store(false, Ordering::Relaxed);
        let mut gate = lock(&self.gate);
        if self.parked.load(Ordering::Acquire) > 0 {
            self.parked.fetch_sub(1, Ordering::AcqRel);
            gate.calls += 1;
            self.called.notify_one();
        }
    }

    fn park(&self) {
        let mut gate = lock(&self.gate);
        // Besides this thread one must wait for requests now; and all must be known, or the end of the session could pass
        // unnoticed.
        if gate.over || self.waiting() < 2 || self.known.load(Ordering::Relaxed) < self.total {
            return;
        }
        self.parked.fetch_add(1, Ordering::AcqRel);
        while gate.calls == 0 && !gate.over {
            gate = self.called.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        gate.calls = gate.calls.saturating_sub(1);
    }
}
