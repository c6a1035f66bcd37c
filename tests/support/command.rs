//! Running a command with a time limit and asserting on what came out. A command that does not end is killed with
//! signal 9 and fails the test; so does one whose output stays open after its end.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a command gets as its standard input.
enum Input {
    Nothing,
    Bytes(Vec<u8>),
    File(std::fs::File),
    Pipe,
}

/// A command about to run.
pub(crate) struct Cmd {
    command: Command,
    input: Input,
    limit: Duration,
    shown: String,
}

impl Cmd {
    /// This program with these arguments in a cleared environment.
    pub(crate) fn new<A: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = A>) -> Self {
        let args: Vec<OsString> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let shown = args.iter().fold(name, |text, arg| {
            let arg = arg.to_string_lossy();
            if arg.is_empty() || arg.contains([' ', '\n', '"', '$']) { format!("{text} '{arg}'") } else { format!("{text} {arg}") }
        });
        let mut command = Command::new(program);
        command.args(args).env_clear();
        Self { command, input: Input::Nothing, limit: Duration::from_secs(60), shown }
    }

    /// One more variable.
    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Without this variable.
    pub(crate) fn env_remove(mut self, key: &str) -> Self {
        self.command.env_remove(key);
        self
    }

    /// In this directory.
    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// With these bytes, then the end, on standard input.
    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.input = Input::Bytes(bytes.as_ref().to_vec());
        self
    }

    /// With this file as standard input.
    pub(crate) fn stdin_file(mut self, file: std::fs::File) -> Self {
        self.input = Input::File(file);
        self
    }

    /// With a pipe as standard input that stays open: [`Process::write`].
    pub(crate) fn stdin_pipe(mut self) -> Self {
        self.input = Input::Pipe;
        self
    }

    /// Killed after this time; a minute unless said.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The bare command, for what is not offered here.
    pub(crate) fn raw(self) -> Command {
        self.command
    }

    /// Starts it and returns at once.
    pub(crate) fn start(mut self) -> Process {
        let (stdin, bytes) = match self.input {
            Input::Nothing => (Stdio::null(), None),
            Input::Bytes(bytes) => (Stdio::piped(), Some(bytes)),
            Input::File(file) => (Stdio::from(file), None),
            Input::Pipe => (Stdio::piped(), None),
        };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = self.command.spawn().unwrap_or_else(|e| panic!("start {}: {e}", self.shown));
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let mut writer = None;
        let mut stdin = child.stdin.take();
        if let Some(bytes) = bytes {
            let mut pipe = stdin.take();
            writer = Some(std::thread::spawn(move || {
                if let Some(pipe) = &mut pipe {
                    let _ = pipe.write_all(&bytes); // the command need not read it all
                }
            }));
        }
        Process { child, stdin, stdout, stderr, writer, began, limit: self.limit, shown: self.shown, status: None }
    }

    /// Runs it to its end.
    pub(crate) fn output(self) -> Output {
        self.start().wait()
    }
}

/// Reads a pipe to its end beside us.
struct Collected {
    chunks: Receiver<Vec<u8>>,
    so_far: Vec<u8>,
    ended: bool,
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Collected {
    let (send, chunks) = channel();
    let mut pipe = pipe.expect("a pipe was asked for");
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n) = pipe.read(&mut buffer) {
            if n == 0 || send.send(buffer[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    Collected { chunks, so_far: Vec::new(), ended: false }
}

impl Collected {
    /// Takes what comes until the end or the deadline.
    fn pump(&mut self, deadline: Instant) {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        while !self.ended {
            match self.chunks.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.so_far.extend(chunk),
                Err(Disconnected) => self.ended = true,
                Err(Timeout) => return,
            }
        }
    }

    fn now(&mut self) -> String {
        self.pump(Instant::now());
        String::from_utf8_lossy(&self.so_far).into_owned()
    }
}

/// A command that runs beside the test. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
    writer: Option<JoinHandle<()>>,
    began: Instant,
    limit: Duration,
    shown: String,
    status: Option<ExitStatus>,
}

impl Process {
    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// More standard input, after [`Cmd::stdin_pipe`].
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let pipe = self.stdin.as_mut().expect("stdin_pipe was not asked for");
        pipe.write_all(bytes.as_ref()).and_then(|()| pipe.flush()).unwrap_or_else(|e| panic!("{}: {e}", self.shown));
    }

    /// The end of its standard input.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        let _ = rustix::process::kill_process(pid, signal);
    }

    /// What it has written so far.
    pub(crate) fn stdout_now(&mut self) -> String {
        self.stdout.now()
    }

    /// What it has complained of so far.
    pub(crate) fn stderr_now(&mut self) -> String {
        self.stderr.now()
    }

    /// Waits until its standard output contains a text.
    pub(crate) fn wait_stdout(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.stdout.pump(Instant::now() + Duration::from_millis(10));
            if String::from_utf8_lossy(&self.stdout.so_far).contains(text) {
                return;
            }
            let late = Instant::now() > deadline || self.stdout.ended;
            if late {
                let (out, err) = (self.stdout_now(), self.stderr_now());
                panic!("{}: {text:?} never came, but:\n{out}{err}", self.shown);
            }
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().unwrap();
        }
        self.status.is_none()
    }

    /// Waits for its end and takes all its output.
    pub(crate) fn wait(mut self) -> Output {
        let deadline = self.began + self.limit;
        self.stdin = None;
        while self.is_running() {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                self.status = Some(ExitStatus::from_raw(9));
                let (out, err, limit) = (self.stdout_now(), self.stderr_now(), self.limit);
                panic!("{} did not end within {limit:?} and was killed\nstdout: {out}\nstderr: {err}", self.shown);
            }
            // Outputs are drained by threads, so there is nothing to do but wait.
            let pause = self.began.elapsed().as_millis().clamp(1, 20);
            std::thread::sleep(Duration::from_millis(u64::try_from(pause).unwrap_or(20)));
        }
        let took = self.began.elapsed();
        let deadline = Instant::now() + Duration::from_secs(5);
        self.stdout.pump(deadline);
        self.stderr.pump(deadline);
        let shown = self.shown.clone();
        assert!(self.stdout.ended && self.stderr.ended, "{shown} ended, but something still holds its output open");
        let status = self.status.expect("it ended");
        Output {
            code: status.code().unwrap_or_else(|| 1000 + status.signal().unwrap_or(0)),
            stdout: std::mem::take(&mut self.stdout.so_far),
            stderr: String::from_utf8_lossy(&self.stderr.so_far).into_owned(),
            took,
            shown,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What came out of a command. Assertions return it, to be chained.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// Exit status; 1000 + signal if the command itself was killed.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error.
    pub(crate) stderr: String,
    /// From start to end.
    pub(crate) took: Duration,
    shown: String,
}

impl Output {
    fn fail(&self, what: &str) -> ! {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let cut = |text: &str| -> String { text.chars().take(6000).collect() };
        panic!(
            "{what}\n  command: {}\n  exit code: {} after {:?}\n  stdout: {}\n  stderr: {}",
            self.shown,
            self.code,
            self.took,
            cut(&stdout),
            cut(&self.stderr)
        )
    }

    /// It ended with 0.
    #[track_caller]
    pub(crate) fn success(&self) -> &Self {
        self.code(0)
    }

    /// It ended with this status.
    #[track_caller]
    pub(crate) fn code(&self, code: i32) -> &Self {
        if self.code != code {
            self.fail(&format!("expected exit code {code}"));
        }
        self
    }

    /// It did not end with 0.
    #[track_caller]
    pub(crate) fn failure(&self) -> &Self {
        if self.code == 0 {
            self.fail("expected a failure");
        }
        self
    }

    /// Standard output is exactly this, but for white space at its ends.
    #[track_caller]
    pub(crate) fn stdout(&self, text: &str) -> &Self {
        if self.text() != text.trim() {
            self.fail(&format!("expected on stdout: {text:?}"));
        }
        self
    }

    /// Standard output contains this.
    #[track_caller]
    pub(crate) fn stdout_has(&self, text: &str) -> &Self {
        if !self.text().contains(text) {
            self.fail(&format!("expected within stdout: {text:?}"));
        }
        self
    }

    /// Standard output does not contain this.
    #[track_caller]
    pub(crate) fn stdout_lacks(&self, text: &str) -> &Self {
        if self.text().contains(text) {
            self.fail(&format!("not expected within stdout: {text:?}"));
        }
        self
    }

    /// Standard error contains this, whatever the case of letters.
    #[track_caller]
    pub(crate) fn stderr_has(&self, text: &str) -> &Self {
        if !self.stderr.to_lowercase().contains(&text.to_lowercase()) {
            self.fail(&format!("expected within stderr: {text:?}"));
        }
        self
    }

    /// Nothing on standard error.
    #[track_caller]
    pub(crate) fn quiet(&self) -> &Self {
        if !self.stderr.trim().is_empty() {
            self.fail("expected nothing on stderr");
        }
        self
    }

    /// It took no longer than this.
    #[track_caller]
    pub(crate) fn within(&self, limit: Duration) -> &Self {
        if self.took > limit {
            self.fail(&format!("expected to take at most {limit:?}"));
        }
        self
    }

    /// Standard output as text, trimmed.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// The lines of standard output.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|e| self.fail(&format!("not JSON: {e}")))
    }
}
