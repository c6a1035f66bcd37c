//! How many threads wait for requests, and how.
//!
//! As many wait as have work. The kernel gives requests to waiting threads in turn. A program that asks one thing after the
//! other would be served by all of them, each woken on another processor with cold caches, which costs more than most
//! answers. So a thread that finds too little to do is parked here, at the end of a request: one always waits for the next
//! request, and whoever takes one while others are queued, or begins something slow, calls a parked one back.
//!
//! That one does not sleep at once: it looks for the next request for a while (`WINDOW`), and lets others go first on its
//! processor between the looks. Where a second processor is idle, each request of `tar` or `cp` wakes two sleepers across
//! processors, the server and then the client, and that takes longer than all the rest; the server's half is saved. With two
//! processors and nothing else to do unpacking a tar and writing small files take 0.6 of the time, `cp -a` 0.75, a first
//! reading and `rm -rf` 0.8 to 0.9, for as much of the processors or up to a quarter more: to be woken costs nearly what
//! looking does.
//! Where both are busy, or there is one, little changes.
//!
//! It looks only while four of five requests come soon. What it does not see by looking it learns from how long it slept, so
//! a client who asks every millisecond costs what it did, and a burst of a few requests one window. It stops as soon as
//! another thread waits, gives up where others want its processor, and never looks where there is only one.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{sched_getaffinity, sched_yield};

use super::node::lock;

/// So many requests answered while another thread had nothing to do, and a thread is too many.
const CALM: usize = 16;

/// What a request counts, of that, which was answered while all others had work.
const BUSTLE: usize = 2;

/// Every so many requests the queue is looked at: a look is a system call.
const SAMPLE: usize = 8;

/// Requests are queued for so long, and a thread is too few. The kernel lets FORGETs wait for up to eight requests.
const PRESSED: Duration = Duration::from_micros(500);

/// So many parts of a request that is never answered, and the queue is looked at.
const PARTS: usize = 64;

/// How long the next request is looked for.
const WINDOW: Duration = Duration::from_micros(40);

/// A request that came so soon to a sleeping thread would have come within `WINDOW` to one that looks: two processors were
/// woken meanwhile.
const SOON: Duration = Duration::from_micros(100);

/// Every so many times it is checked that there is more than one processor.
const RECHECK: usize = 256;

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
    taken: AtomicUsize,
    /// Since when, as in `rest`, another request was queued behind each one taken; 0: none.
    pressed: AtomicU64,
    pace: Pace,
    /// Since when the last thread that had work waits, in nanoseconds from `begun`; 0: it is of no use.
    rest: AtomicU64,
    begun: Instant,
    /// The last request that was never answered, and how many parts of it came after the first.
    aside: AtomicU64,
    parts: AtomicUsize,
    looks: AtomicUsize,
    /// This process may use one processor only.
    alone: AtomicBool,
    gate: Mutex<Gate>,
    called: Condvar,
}

/// A request being handled; its end is the thread's turn to be parked.
pub(super) struct Turn<'a>(&'a Turns);

/// A request that nobody waits for and that is quickly done; says nothing about how many threads are needed.
pub(super) struct Aside<'a> {
    turns: &'a Turns,
    /// Part of one that was begun before.
    more: bool,
}

/// How often the next request came soon, lately: 0 never, 256 always.
#[derive(Debug, Default)]
struct Pace(AtomicUsize);

impl Pace {
    /// Whether looking for the next request pays: when four of five come soon.
    fn is_brisk(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 128
    }

    fn note(&self, soon: bool) {
        let now = self.0.load(Ordering::Relaxed);
        // Two threads that note at once lose one note, which is as good as none.
        self.0.store(if soon { now + (256 - now).div_ceil(8) } else { now / 2 }, Ordering::Relaxed);
    }
}

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

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        if !self.more && self.turns.waiting() < 2 {
            self.turns.linger();
        }
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
            taken: AtomicUsize::new(0),
            pressed: AtomicU64::new(0),
            pace: Pace::default(),
            rest: AtomicU64::new(0),
            begun: Instant::now(),
            aside: AtomicU64::new(0),
            parts: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            alone: AtomicBool::new(false),
            gate: Mutex::default(),
            called: Condvar::new(),
        })
    }

    /// To be held from a request's beginning until it is answered.
    pub(super) fn take(self: &Arc<Self>) -> Turn<'_> {
        self.join();
        self.busy.fetch_add(1, Ordering::AcqRel);
        let rest = self.rest.swap(0, Ordering::Relaxed);
        if rest != 0 {
            self.pace.note(self.now().saturating_sub(rest) < nanos(SOON));
        }
        if self.is_short() {
            self.look();
        }
        Turn(self)
    }

    /// To be held during a request that is never answered, or a part of one; `unique` is its number.
    pub(super) fn aside(self: &Arc<Self>, unique: u64) -> Aside<'_> {
        self.join();
        let more = self.aside.swap(unique, Ordering::Relaxed) == unique;
        let parts = if more { self.parts.fetch_add(1, Ordering::Relaxed) } else { self.parts.swap(0, Ordering::Relaxed) };
        // This thread counts as one that waits; a request behind thousands of parts would wait for them all.
        if more && parts % PARTS == PARTS - 1 && self.waiting() < 2 && self.is_queued() {
            self.call();
        }
        Aside { turns: self, more }
    }

    fn join(self: &Arc<Self>) {
        MEMBER.with_borrow_mut(|member| {
            if member.is_none() {
                *member = Some(Member(self.clone()));
                self.known.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// Looks at the queue, now and then, and calls a thread if it is not empty for long.
    fn look(&self) {
        let since = self.pressed.load(Ordering::Relaxed);
        if since == 0 && !self.taken.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE) {
            return;
        }
        if !self.is_queued() {
            self.pressed.store(0, Ordering::Relaxed);
        } else if since == 0 {
            self.pressed.store(self.now(), Ordering::Relaxed);
        } else if self.now().saturating_sub(since) >= nanos(PRESSED) {
            self.call();
            // Whether one was enough is seen at the next request.
            self.taken.store(0, Ordering::Relaxed);
        }
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
        let calm = self.calm.load(Ordering::Relaxed);
        // This one waits too, from now.
        if self.waiting() < 2 {
            self.calm.store(calm.saturating_sub(BUSTLE), Ordering::Relaxed);
            self.linger();
        } else if calm < CALM {
            self.calm.store(calm + 1, Ordering::Relaxed);
        } else {
            self.park();
        }
    }

    /// Looks for the next request for a while, if that has paid lately, else takes the time until it comes.
    fn linger(&self) {
        if self.is_alone() {
            return;
        }
        if !self.pace.is_brisk() {
            self.rest.store(self.now(), Ordering::Relaxed);
            return;
        }
        let begun = Instant::now();
        let mut now = begun;
        let soon = loop {
            if self.is_queued() {
                // Not if somebody else had this processor meanwhile: the request would have woken a sleeper sooner.
                break now - begun < SOON;
            }
            if self.waiting() > 1 || now - begun >= WINDOW {
                break false;
            }
            // Whoever was woken on this processor goes first.
            sched_yield();
            now = Instant::now();
        };
        self.pace.note(soon);
    }

    fn is_alone(&self) -> bool {
        if self.looks.fetch_add(1, Ordering::Relaxed).is_multiple_of(RECHECK) {
            let alone = sched_getaffinity(None).is_ok_and(|set| set.count() == 1);
            self.alone.store(alone, Ordering::Relaxed);
        }
        self.alone.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        nanos(self.begun.elapsed())
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
        self.pressed.store(0, Ordering::Relaxed);
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

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pace: &Pace, soon: bool, times: usize) -> bool {
        for _ in 0..times {
            pace.note(soon);
        }
        pace.is_brisk()
    }

    #[test]
    fn requests_are_looked_for_only_while_they_come_one_after_the_other() {
        let pace = Pace::default();
        assert!(!after(&pace, true, 4) && after(&pace, true, 4));
        assert!(after(&pace, true, 1000) && pace.0.load(Ordering::Relaxed) == 256);
        assert!(after(&pace, false, 1), "one that is late among many is forgiven");
        assert!(!after(&pace, false, 1), "two are not");
        after(&pace, false, 100);
        // Of every three requests one is late: never again.
        assert!((0..100).all(|_| !after(&pace, true, 2) && !after(&pace, false, 1)));
    }

    /// The turns of a session whose device is a pipe: what is written to it is a request that is queued.
    fn session(total: usize) -> (Arc<Turns>, OwnedFd) {
        let (device, requests) = rustix::pipe::pipe().unwrap();
        let turns = Turns::new(device, total);
        // Whatever processors there are.
        turns.looks.store(1, Ordering::Relaxed);
        turns.pace.0.store(200, Ordering::Relaxed);
        (turns, requests)
    }

    fn pace(turns: &Turns) -> usize {
        turns.pace.0.load(Ordering::Relaxed)
    }

    #[test]
    fn only_the_last_thread_looks_for_the_next_request() {
        let (turns, requests) = session(1);
        drop(turns.take());
        assert_eq!(pace(&turns), 100, "none came");
        turns.pace.0.store(200, Ordering::Relaxed);
        rustix::io::write(&requests, b"x").unwrap();
        drop(turns.take());
        assert_eq!(pace(&turns), 207, "one was there");
        let (turns, _requests) = session(2);
        drop(turns.take());
        assert_eq!(pace(&turns), 200, "another thread waits: nothing to find out");
    }

    #[test]
    fn nothing_is_looked_for_with_one_processor_or_after_the_parts_of_a_request() {
        let (turns, _requests) = session(1);
        turns.alone.store(true, Ordering::Relaxed);
        drop(turns.take());
        assert_eq!((pace(&turns), turns.rest.load(Ordering::Relaxed)), (200, 0));
        turns.alone.store(false, Ordering::Relaxed);
        drop(turns.aside(7));
        assert_eq!(pace(&turns), 100);
        turns.pace.0.store(200, Ordering::Relaxed);
        drop(turns.aside(7));
        assert_eq!(pace(&turns), 200);
    }
}
