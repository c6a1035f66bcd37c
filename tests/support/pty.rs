//! A terminal with a command on its other side, driven like a person would: type, wait for a text, look at the end.
//! The command leads a session of its own and the terminal is its controlling one (by `setsid --ctty`).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A process that is killed when nobody has waited for it.
pub(crate) struct Running(Child);

impl Running {
    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the command on the terminal did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A running command and our side of its terminal.
pub(crate) struct Pty {
    child: Running,
    master: File,
    chunks: Receiver<Vec<u8>>,
    reader: JoinHandle<()>,
    closing: Arc<AtomicBool>,
    seen: Vec<u8>,
    /// How much of `seen` earlier waits have used up.
    used: usize,
}

impl Pty {
    /// Starts the command on a terminal of 24 lines and 80 columns.
    pub(crate) fn start(command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        tcsetwinsize(&slave, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args()).env_clear();
        session.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        if let Some(dir) = command.get_current_dir() {
            session.current_dir(dir);
        }
        session.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let child = Running(session.spawn().unwrap());
        drop(session); // it holds the other side
        let master = File::from(OwnedFd::from(master));
        let mut reader = master.try_clone().unwrap();
        let (send, chunks) = channel();
        let closing = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&closing);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            while !stop.load(Ordering::Relaxed) {
                // A read that waits would keep the terminal from hanging up.
                if poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&moment)) == Ok(0) {
                    continue;
                }
                match reader.read(&mut buffer) {
                    Ok(n) if n > 0 && send.send(buffer[..n].to_vec()).is_ok() => {}
                    _ => break,
                }
            }
        });
        Self { child, master, chunks, reader, closing, seen: Vec::new(), used: 0 }
    }

    /// Closes the terminal, as a window or a connection that goes does; the command's process.
    pub(crate) fn hang_up(self) -> Running {
        self.closing.store(true, Ordering::Relaxed);
        self.reader.join().unwrap();
        self.child
    }


    /// Types this; end a line with `\r` as the key does.
    pub(crate) fn send(&mut self, text: impl AsRef<[u8]>) {
        self.master.write_all(text.as_ref()).unwrap();
    }

    /// Waits for a text after what was waited for before.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(at) = memchr::memmem::find(&self.seen[self.used..], text.as_bytes()) {
                self.used += at + text.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.seen.extend(chunk),
                Err(_) => panic!("{text:?} was never on the terminal, but: {:?}", self.screen()),
            }
        }
    }

    /// Everything that was on the terminal so far.
    pub(crate) fn screen(&mut self) -> String {
        while let Ok(chunk) = self.chunks.try_recv() {
            self.seen.extend(chunk);
        }
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Changes the size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    }

    /// Waits for the end of the command; its exit status.
    #[track_caller]
    pub(crate) fn end(mut self) -> i32 {
        self.child.end().code().unwrap_or(-1)
    }

    /// Whether the terminal is back in the mode of a shell: echo and lines.
    pub(crate) fn is_cooked(&self) -> bool {
        use rustix::termios::{LocalModes, tcgetattr};
        tcgetattr(&self.master).is_ok_and(|t| t.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
