//! JSON lines in the form of BuildKit's solve status: `vertexes`, `statuses`, `logs`, `warnings`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::build::progress::{Event, StepId, Stream, What};
use crate::spec::Digest;

#[derive(Debug, Default)]
struct Step {
    name: String,
    started: Option<SystemTime>,
}

/// Steps so far.
#[derive(Debug, Default)]
pub(super) struct Status {
    steps: BTreeMap<StepId, Step>,
}

impl Status {
    /// The line for an event.
    pub(super) fn event(&mut self, event: Event) -> String {
        let Event { step: id, at, what } = event;
        let step = self.steps.entry(id).or_default();
        match &what {
            What::Named(name) => name.clone_into(&mut step.name),
            What::Started => step.started = Some(at),
            What::Cached if step.started.is_none() => step.started = Some(at),
            _ => {}
        }
        let digest = Digest::of(format!("{id} {}", step.name).as_bytes()).to_string();
        let mut vertex = json!({ "digest": digest, "name": step.name });
        if let Some(started) = step.started {
            vertex["started"] = time(started);
        }
        let line = match what {
            What::Named(_) | What::Started => json!({ "vertexes": [vertex] }),
            What::Cached => {
                vertex["completed"] = time(at);
                vertex["cached"] = Value::Bool(true);
                json!({ "vertexes": [vertex] })
            }
            What::Done => {
                vertex["completed"] = time(at);
                json!({ "vertexes": [vertex] })
            }
            What::Failed { message, .. } => {
                vertex["completed"] = time(at);
                vertex["error"] = Value::String(message);
                json!({ "vertexes": [vertex] })
            }
            What::Canceled => {
                vertex["completed"] = time(at);
                vertex["error"] = Value::String("context canceled".to_owned());
                json!({ "vertexes": [vertex] })
            }
            What::Output { stream, bytes } => {
                let stream = if stream == Stream::Stdout { 1 } else { 2 };
                let data = base64::engine::general_purpose::STANDARD.encode(bytes);
                json!({ "logs": [{ "vertex": digest, "stream": stream, "data": data, "timestamp": time(at) }] })
            }
            What::Progress { item, current, total } => {
                let status = json!({ "id": item, "vertex": digest, "name": item, "current": current, "total": total.unwrap_or(0), "timestamp": time(at) });
                json!({ "statuses": [status] })
            }
            What::Note(text) => json!({ "statuses": [{ "id": text, "vertex": digest, "name": text, "timestamp": time(at), "completed": time(at) }] }),
            What::Warning(text) => {
                let short = base64::engine::general_purpose::STANDARD.encode(text);
                json!({ "warnings": [{ "vertex": digest, "level": 1, "short": short }] })
            }
        };
        format!("{line}\n")
    }
}

fn time(at: SystemTime) -> Value {
    jiff::Timestamp::try_from(at).map_or(Value::Null, |at| Value::String(at.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_json() {
        let mut status = Status::default();
        let mut line = |what| -> Value { serde_json::from_str(&status.event(Event { step: 1, at: SystemTime::UNIX_EPOCH, what })).unwrap() };
        let digest = line(What::Named("a".into()))["vertexes"][0]["digest"].clone();
        assert_eq!(line(What::Started)["vertexes"][0]["started"], "1970-01-01T00:00:00Z");
        assert_eq!(line(What::Output { stream: Stream::Stderr, bytes: b"hi".to_vec() })["logs"][0]["data"], "aGk=");
        let failed = line(What::Failed { message: "no".into(), exit: None });
        assert_eq!((&failed["vertexes"][0]["error"], &failed["vertexes"][0]["digest"]), (&Value::from("no"), &digest));
    }
}
