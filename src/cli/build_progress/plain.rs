//! Numbered lines, as docker's: `#5 [build 2/4] RUN make`, `#5 0.412 output`, `#5 DONE 1.2s`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::build::progress::{Event, StepId, What};
use crate::format::size;

use super::text::{LineBuffer, seconds};

/// Between two lines about one transfer.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Step {
    name: String,
    started: Option<SystemTime>,
    output: LineBuffer,
    said: Option<SystemTime>,
    /// Transfers that were said to have ended.
    ended: BTreeSet<String>,
    over: bool,
}

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    steps: BTreeMap<StepId, Step>,
    /// Whose lines are being said.
    current: Option<StepId>,
}

impl Lines {
    /// What to say about an event.
    pub(super) fn event(&mut self, event: Event) -> String {
        let Event { step: id, at, what } = event;
        let step = self.steps.entry(id).or_default();
        if step.over && !matches!(what, What::Warning(_) | What::Named(_)) {
            return String::new();
        }
        let mut lines: Vec<String> = Vec::new();
        let since = |step: &Step| step.started.map_or(Duration::ZERO, |started| seconds(started, at));
        let mut over = false;
        match what {
            What::Named(name) => {
                step.name = name;
                return String::new();
            }
            What::Started => step.started = Some(at),
            What::Cached => {
                lines.push("CACHED".to_owned());
                over = true;
            }
            What::Output { bytes, .. } => {
                let time = since(step).as_secs_f64();
                lines.extend(step.output.push(&bytes).iter().map(|line| format!("{time:.3} {line}")));
                if lines.is_empty() {
                    return String::new();
                }
            }
            What::Progress { item, current, total } => {
                let done = total == Some(current);
                if step.ended.contains(&item) {
                    return String::new();
                }
                if done {
                    step.ended.insert(item.clone());
                }
                if !done && step.said.is_some_and(|said| seconds(said, at) < PAUSE) {
                    return String::new();
                }
                step.said = Some(at);
                let total = total.map_or_else(String::new, |total| format!(" / {}", size::human(total)));
                lines.push(format!("{item} {}{total} {:.1}s{}", size::human(current), since(step).as_secs_f64(), if done { " done" } else { "" }));
            }
            What::Note(text) => lines.push(text),
            What::Warning(text) => lines.push(format!("WARNING: {text}")),
            What::Done => {
                lines.push(format!("DONE {:.1}s", since(step).as_secs_f64()));
                over = true;
            }
            What::Failed { message, .. } => {
                lines.push(format!("ERROR: {message}"));
                over = true;
            }
            What::Canceled => {
                lines.push("CANCELED".to_owned());
                over = true;
            }
        }
        if over {
            let time = since(step).as_secs_f64();
            if let Some(rest) = step.output.flush() {
                lines.insert(0, format!("{time:.3} {rest}"));
            }
            step.over = true;
        }
        self.say(id, &lines, over)
    }

    /// The lines, with the step's name when another one was speaking.
    fn say(&mut self, id: StepId, lines: &[String], over: bool) -> String {
        let mut text = String::new();
        if self.current != Some(id) {
            if let Some(before) = self.current.filter(|before| self.steps.get(before).is_some_and(|step| !step.over)) {
                let _ = writeln!(text, "#{before} ...\n");
            }
            let name = self.steps.get(&id).map_or("", |step| step.name.as_str());
            let _ = writeln!(text, "#{id} {name}");
            self.current = Some(id);
        }
        for line in lines {
            let _ = writeln!(text, "#{id} {line}");
        }
        if over {
            text.push('\n');
            self.current = None;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::progress::Stream;

    #[test]
    fn steps_side_by_side() {
        let start = SystemTime::UNIX_EPOCH;
        let mut lines = Lines::default();
        let mut said = String::new();
        let output = |text: &str| What::Output { stream: Stream::Stdout, bytes: text.as_bytes().to_vec() };
        for (step, millis, what) in [
            (1, 0, What::Named("[1/2] FROM x".into())),
            (1, 0, What::Cached),
            (2, 0, What::Named("[2/2] RUN make".into())),
            (2, 0, What::Started),
            (2, 250, output("one\ntw")),
            (3, 300, What::Named("[other] RUN y".into())),
            (3, 300, What::Started),
            (2, 400, output("o\nrest")),
            (2, 1250, What::Done),
            (3, 1300, What::Failed { message: "exit code: 2".into(), exit: Some(2) }),
        ] {
            said += &lines.event(Event { step, at: start + Duration::from_millis(millis), what });
        }
        assert_eq!(
            said,
            "#1 [1/2] FROM x\n#1 CACHED\n\n#2 [2/2] RUN make\n#2 0.250 one\n#2 ...\n\n#3 [other] RUN y\n#3 ...\n\n#2 [2/2] RUN make\n\
             #2 0.400 two\n#2 1.250 rest\n#2 DONE 1.2s\n\n#3 [other] RUN y\n#3 ERROR: exit code: 2\n\n"
        );
    }
}
