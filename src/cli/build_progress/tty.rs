//! The live display: finished steps stay as lines, below them those at work with their last lines of output and time.
//!
//! Every change of a step is drawn at once, so that the last picture is true when the process ends; output and the
//! running clock are drawn at most a few times a second, by a thread that starts with the first event.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use unicode_width::UnicodeWidthChar;

use crate::build::progress::{Event, StepId, What};
use crate::format::size;

use super::super::ui;
use super::text::{LineBuffer, seconds};

/// Between two pictures.
const FRAME: Duration = Duration::from_millis(100);
/// Lines of output shown of a step at work.
const TAIL: usize = 6;
/// Rows the display takes at most, whatever the terminal has.
const MAX_ROWS: usize = 40;

/// The display.
#[derive(Debug, Default)]
pub(super) struct Display {
    state: Mutex<State>,
    started: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    steps: BTreeMap<StepId, Step>,
    begun: Option<SystemTime>,
    over: usize,
    /// Rows of the picture on the screen.
    rows: usize,
    dirty: bool,
}

#[derive(Debug, Default)]
struct Step {
    name: String,
    started: Option<SystemTime>,
    output: LineBuffer,
    tail: VecDeque<String>,
    note: Option<String>,
    over: bool,
}

impl Display {
    /// Takes an event.
    pub(super) fn event(this: &Arc<Self>, event: Event) {
        if !this.started.swap(true, Ordering::SeqCst) {
            let display = Arc::clone(this);
            // Without the thread the picture is drawn with every change of a step.
            let ticking = std::thread::Builder::new().name("progress".to_owned()).spawn(move || display.tick());
            drop(ticking);
        }
        let mut state = this.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (lines, now) = state.event(event);
        if now {
            let (width, height) = screen();
            let picture = state.draw(&lines, width, height, SystemTime::now());
            ui::talk(&picture);
        }
    }

    fn tick(&self) {
        loop {
            std::thread::sleep(FRAME);
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let running = state.steps.values().any(|step| step.started.is_some() && !step.over);
            if state.dirty || running {
                let (width, height) = screen();
                let picture = state.draw(&[], width, height, SystemTime::now());
                ui::talk(&picture);
            }
        }
    }
}

fn screen() -> (usize, usize) {
    let (columns, rows) = ui::terminal_size(std::io::stderr()).unwrap_or((80, 24));
    (usize::from(columns), usize::from(rows))
}

impl State {
    /// Lines that stay, and whether to draw now.
    fn event(&mut self, event: Event) -> (Vec<String>, bool) {
        let Event { step: id, at, what } = event;
        self.begun.get_or_insert(at);
        let step = self.steps.entry(id).or_default();
        if step.over && !matches!(what, What::Warning(_) | What::Named(_)) {
            return (Vec::new(), false);
        }
        self.dirty = true;
        let time = |step: &Step| step.started.map_or_else(String::new, |started| format!("{:.1}s", seconds(started, at).as_secs_f64()));
        let line = match what {
            What::Named(name) => {
                step.name = name;
                return (Vec::new(), false);
            }
            What::Started => {
                step.started = Some(at);
                return (Vec::new(), false);
            }
            What::Output { bytes, .. } => {
                for line in step.output.push(&bytes) {
                    if step.tail.len() == TAIL {
                        step.tail.pop_front();
                    }
                    step.tail.push_back(line);
                }
                return (Vec::new(), false);
            }
            What::Progress { item, current, total } => {
                let total = total.map_or_else(String::new, |total| format!(" / {}", size::human(total)));
                step.note = Some(format!("{item} {}{total}", size::human(current)));
                return (Vec::new(), false);
            }
            What::Note(text) => {
                step.note = Some(text);
                return (Vec::new(), false);
            }
            What::Warning(text) => return (vec![format!(" ! {text}\t")], true),
            What::Cached => format!(" => CACHED {}\t{}", step.name, "0.0s"),
            What::Done => format!(" => {}\t{}", step.name, time(step)),
            What::Failed { message, .. } => format!(" => ERROR {}: {message}\t{}", step.name, time(step)),
            What::Canceled => format!(" => CANCELED {}\t{}", step.name, time(step)),
        };
        if !std::mem::replace(&mut step.over, true) {
            self.over += 1;
        }
        (vec![line], true)
    }

    /// Takes the old picture away, writes `lines` for good, and draws the new picture below.
    fn draw(&mut self, lines: &[String], width: usize, height: usize, now: SystemTime) -> String {
        let mut text = String::new();
        if self.rows > 0 {
            let _ = write!(text, "\u{1b}[{}A\r\u{1b}[0J", self.rows);
        }
        for line in lines {
            text.push_str(&fit(line, width));
            text.push('\n');
        }
        let picture = self.picture(height.saturating_sub(2).min(MAX_ROWS), now);
        for line in &picture {
            text.push_str(&fit(line, width));
            text.push('\n');
        }
        self.rows = picture.len();
        self.dirty = false;
        text
    }

    /// The steps at work.
    fn picture(&self, rows: usize, now: SystemTime) -> Vec<String> {
        let working: Vec<&Step> = self.steps.values().filter(|step| !step.over && step.started.is_some()).collect();
        let Some(begun) = self.begun.filter(|_| !working.is_empty()) else { return Vec::new() };
        let mut picture = vec![format!("[+] Building {:.1}s ({}/{})", seconds(begun, now).as_secs_f64(), self.over, self.steps.len())];
        // All names first; what room is left goes to output.
        let spare = rows.saturating_sub(1 + working.len());
        let each = spare.checked_div(working.len()).unwrap_or(0).min(TAIL);
        for step in working.iter().take(rows.saturating_sub(1)) {
            let time = step.started.map_or(0.0, |started| seconds(started, now).as_secs_f64());
            picture.push(format!(" => {}\t{time:.1}s", step.name));
            let notes = step.note.iter().map(|note| format!(" => => {note}\t"));
            let tail = step.tail.iter().map(|line| format!(" => => # {line}\t"));
            let lines: Vec<String> = notes.chain(tail).collect();
            picture.extend(lines[lines.len().saturating_sub(each)..].iter().cloned());
        }
        picture
    }
}

/// A line of exactly fitting width: what stands after the tab goes to the right edge, the rest is cut.
fn fit(line: &str, width: usize) -> String {
    let (left, right) = line.split_once('\t').unwrap_or((line, ""));
    // One column stays free: a full last column wraps on some terminals.
    let room = width.saturating_sub(right.len() + usize::from(!right.is_empty()) + 1);
    let mut out = String::new();
    let mut used = 0;
    for c in left.chars().filter(|c| !c.is_control()) {
        let columns = c.width().unwrap_or(0);
        if used + columns > room {
            break;
        }
        used += columns;
        out.push(c);
    }
    if !right.is_empty() {
        let _ = write!(out, "{:pad$}{right}", "", pad = room.saturating_sub(used) + 1);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::progress::Stream;

    #[test]
    fn lines_fit() {
        assert_eq!(fit("abc\t1.0s", 12), "abc    1.0s");
        assert_eq!(fit("abcdefghijkl\t1.0s", 12), "abcdef 1.0s");
        assert_eq!(fit("日本語日本語", 8), "日本語");
        assert_eq!(fit("x\u{1b}y", 10), "xy");
    }

    #[test]
    fn pictures_replace_each_other_and_finished_steps_stay() {
        let at = SystemTime::UNIX_EPOCH;
        let mut state = State::default();
        let send = |state: &mut State, step, what| state.event(Event { step, at, what });
        send(&mut state, 1, What::Named("[1/2] RUN a".into()));
        send(&mut state, 1, What::Started);
        send(&mut state, 2, What::Named("[other] RUN b".into()));
        send(&mut state, 2, What::Started);
        let bytes = (0..20).fold(String::new(), |text, n| text + &format!("line {n}\n")).into_bytes();
        send(&mut state, 1, What::Output { stream: Stream::Stdout, bytes });
        let first = state.draw(&[], 40, 24, at);
        assert!(first.contains("[+] Building 0.0s (0/2)") && first.contains("# line 19") && !first.contains("# line 13"), "{first}");
        assert_eq!(first.lines().count(), state.rows);
        let (lines, now) = send(&mut state, 1, What::Done);
        let second = state.draw(&lines, 40, 24, at);
        assert!(now && second.starts_with(&format!("\u{1b}[{}A", first.lines().count())));
        assert!(second.contains(" => [1/2] RUN a") && !second.contains("line 19"));
        let (lines, _) = send(&mut state, 2, What::Failed { message: "exit code: 1".into(), exit: Some(1) });
        let last = state.draw(&lines, 60, 24, at);
        assert!(last.contains("ERROR [other] RUN b: exit code: 1") && state.rows == 0);
        // A small terminal is never overrun.
        for id in 3..50 {
            send(&mut state, id, What::Named("x".into()));
            send(&mut state, id, What::Started);
        }
        assert!(state.draw(&[], 40, 10, at).lines().count() <= 8);
    }
}
