//! Progress of pulls, pushes and loads on stderr: bars on a terminal, one plain line per step elsewhere, nothing with
//! `-q`. Errors are never shown here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::engine::image::{self, PushStep, Step};
use crate::format::size;
use crate::spec::{Digest, Reference};

use super::ui;

/// Where progress goes. Clones share the display; all methods may be called from any thread.
#[derive(Debug, Clone)]
pub struct Progress {
    mode: Mode,
}

#[derive(Debug, Clone)]
enum Mode {
    Silent,
    Lines,
    Bars(MultiProgress),
}

/// The progress of one layer or file.
#[derive(Debug, Clone)]
pub struct Bar {
    name: String,
    kind: BarKind,
}

#[derive(Debug, Clone)]
enum BarKind {
    Silent,
    Lines,
    Bar(ProgressBar),
}

impl Progress {
    /// Bars when stderr is a terminal, lines otherwise, nothing when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let mode = if quiet {
            Mode::Silent
        } else if ui::stderr_is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb") {
            Mode::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)))
        } else {
            Mode::Lines
        };
        Self { mode }
    }

    /// One line of talk, above the bars.
    pub fn line(&self, text: &str) {
        match &self.mode {
            Mode::Silent => {}
            Mode::Lines => ui::note(text),
            Mode::Bars(bars) => bars.suspend(|| ui::note(text)),
        }
    }

    /// A new bar; `total` in bytes when known.
    pub fn bar(&self, name: &str, total: Option<u64>) -> Bar {
        let kind = match &self.mode {
            Mode::Silent => BarKind::Silent,
            Mode::Lines => BarKind::Lines,
            Mode::Bars(bars) => {
                let bar = bars.add(ProgressBar::hidden());
                bar.set_style(if total.is_some() { bar_style() } else { text_style() });
                bar.set_length(total.unwrap_or(0));
                bar.set_prefix(name.to_owned());
                BarKind::Bar(bar)
            }
        };
        Bar { name: name.to_owned(), kind }
    }
}

impl Bar {
    /// `bytes` more are done.
    pub fn add(&self, bytes: u64) {
        if let BarKind::Bar(bar) = &self.kind {
            bar.inc(bytes);
        }
    }

    /// So many bytes are done.
    pub fn set(&self, bytes: u64) {
        if let BarKind::Bar(bar) = &self.kind {
            if bar.length() == Some(0) && bytes > 0 {
                bar.set_style(moving_style());
            }
            bar.set_position(bytes);
        }
    }

    /// The size became known.
    pub fn set_total(&self, total: u64) {
        if let BarKind::Bar(bar) = &self.kind {
            bar.set_style(bar_style());
            bar.set_length(total);
        }
    }

    /// A step begins: `Downloading`, `Extracting`.
    pub fn step(&self, what: &str) {
        match &self.kind {
            BarKind::Silent => {}
            BarKind::Lines => ui::note(format_args!("{}: {what}", self.name)),
            BarKind::Bar(bar) => bar.set_message(what.to_owned()),
        }
    }

    /// The last word: `Pull complete`, `Already exists`.
    pub fn done(&self, what: &str) {
        if let BarKind::Bar(bar) = &self.kind {
            bar.set_style(text_style());
            bar.finish_with_message(what.to_owned());
        } else {
            self.step(what);
        }
    }
}

/// The progress of a pull: one bar or line per layer.
#[derive(Debug)]
pub struct Pull {
    progress: Progress,
    bars: Mutex<BTreeMap<Digest, Bar>>,
}

impl Pull {
    /// Shown by `progress`.
    pub fn new(progress: Progress) -> Self {
        Self { progress, bars: Mutex::default() }
    }

    fn with(&self, layer: &Digest, act: impl FnOnce(&Bar)) {
        if let Some(bar) = self.bars.lock().unwrap_or_else(PoisonError::into_inner).get(layer) {
            act(bar);
        }
    }
}

impl image::Progress for Pull {
    fn say(&self, line: &str) {
        self.progress.line(line);
    }

    fn resolving(&self, reference: &Reference) {
        self.progress.line(&format!("Trying to pull {reference}..."));
    }

    fn layer(&self, blob: &Digest, total: u64) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        bars.entry(blob.clone()).or_insert_with(|| self.progress.bar(blob.short(), Some(total)));
    }

    fn step(&self, blob: &Digest, step: Step) {
        self.with(blob, |bar| match step {
            Step::Waiting => bar.step("Waiting"),
            Step::Downloading => bar.step("Downloading"),
            Step::Present => bar.done("Already exists"),
            Step::Done => bar.done("Pull complete"),
        });
    }

    fn advance(&self, blob: &Digest, position: u64) {
        self.with(blob, |bar| bar.set(position));
    }
}

/// The progress of a push: one bar or line per layer.
#[derive(Debug)]
pub struct Push {
    progress: Progress,
    bars: Mutex<BTreeMap<Digest, Bar>>,
}

impl Push {
    /// Shown by `progress`.
    pub fn new(progress: Progress) -> Self {
        Self { progress, bars: Mutex::default() }
    }

    fn with(&self, layer: &Digest, act: impl FnOnce(&Bar)) {
        if let Some(bar) = self.bars.lock().unwrap_or_else(PoisonError::into_inner).get(layer) {
            act(bar);
        }
    }
}

impl image::PushProgress for Push {
    fn say(&self, line: &str) {
        self.progress.line(line);
    }

    fn layer(&self, layer: &Digest, _size: u64) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        bars.entry(layer.clone()).or_insert_with(|| self.progress.bar(layer.short(), None));
    }

    fn total(&self, layer: &Digest, bytes: u64) {
        self.with(layer, |bar| bar.set_total(bytes));
    }

    fn step(&self, layer: &Digest, step: PushStep) {
        self.with(layer, |bar| match step {
            PushStep::Preparing => bar.step("Preparing"),
            PushStep::Pushing => bar.step("Pushing"),
            PushStep::Present => bar.done("Layer already exists"),
            PushStep::Mounted(from) => bar.done(&format!("Mounted from {from}")),
            PushStep::Done => bar.done("Pushed"),
        });
    }

    fn advance(&self, layer: &Digest, sent: u64) {
        self.with(layer, |bar| bar.set(sent));
    }
}

fn text_style() -> ProgressStyle {
    style("{prefix}: {msg}")
}

/// Of what nobody knows the size of.
fn moving_style() -> ProgressStyle {
    style("{prefix}: {msg:12} {amount}")
}

/// Fits 80 columns.
fn bar_style() -> ProgressStyle {
    style("{prefix}: {msg:12} [{bar:24}] {amount}").progress_chars("=> ")
}

fn style(template: &str) -> ProgressStyle {
    let amount = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let done = size::human3(state.pos());
        let speed = state.per_sec();
        // Before the first bytes it is nothing, and for a moment anything.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let speed = if speed.is_finite() && speed >= 1.0 { format!(" {}/s", size::human3(speed as u64)) } else { String::new() };
        // A bar that cannot be written is no reason to stop.
        let _ = match state.len().filter(|total| *total > 0) {
            Some(total) => write!(out, "{done}/{}{speed}", size::human3(total)),
            None => write!(out, "{done}{speed}"),
        };
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("amount", amount)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// Records what is drawn.
    #[derive(Debug, Clone, Default)]
    struct Tape(Arc<Mutex<String>>);

    impl Tape {
        fn put(&self, text: &str) -> io::Result<()> {
            self.0.lock().map(|mut tape| tape.push_str(text)).map_err(|_| io::ErrorKind::Other.into())
        }
    }

    impl TermLike for Tape {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.put(text).and_then(|()| self.put("\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.put(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bars_say_what_docker_says() {
        let tape = Tape::default();
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(Box::new(tape.clone()), 255));
        let progress = Progress { mode: Mode::Bars(bars) };
        let a = progress.bar("0123456789ab", Some(2_000_000));
        let b = progress.bar("ba9876543210", None);
        a.step("Downloading");
        std::thread::sleep(std::time::Duration::from_millis(20));
        a.set(1_000_000);
        b.step("Waiting");
        a.done("Pull complete");
        b.done("Already exists");
        let drawn = tape.0.lock().unwrap().clone();
        for want in ["[============>           ] 1MB/2MB ", "B/s", "0123456789ab: Pull complete", "ba9876543210: Already exists"] {
            assert!(drawn.contains(want), "{want} in {drawn}");
        }
    }
}
