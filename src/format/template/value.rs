//! Between JSON and template values. Go's nil slices and nil maps print as `[]` and `map[]`, can be ranged over, and are
//! `null` in JSON; JSON has one null for all, so the kind is told from docker's field names.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use gotmpl::Value;

/// Fields that are lists in docker's types.
const LISTS: &[&str] = &[
    "Aliases", "Args", "Binds", "CapAdd", "CapDrop", "Cmd", "DNSNames", "DeviceCgroupRules", "DeviceRequests",
    "Devices", "Dns", "DnsOptions", "DnsSearch", "Entrypoint", "Env", "ExecIDs", "ExtraHosts", "GroupAdd", "Layers",
    "Links", "Log", "MaskedPaths", "Mounts", "OnBuild", "Processes", "ReadonlyPaths", "RepoDigests", "RepoTags",
    "SecurityOpt", "Shell", "Test", "Titles", "Ulimits", "VolumesFrom", "Warnings",
];

/// Fields that are maps in docker's types: looking up a missing key in one is not an error.
const MAPS: &[&str] = &[
    "Annotations", "Containers", "Data", "DriverOpts", "ExposedPorts", "Labels", "Networks", "Options",
    "PortBindings", "Ports", "StorageOpt", "Sysctls", "Tmpfs", "Volumes",
];

/// Maps whose values are lists.
const MAPS_OF_LISTS: &[&str] = &["PortBindings", "Ports"];

static NULL_LIST: LazyLock<Arc<[Value]>> = LazyLock::new(|| Arc::from(Vec::new()));
static NULL_MAP: LazyLock<Arc<BTreeMap<Arc<str>, Value>>> = LazyLock::new(Arc::default);

/// Whether `name` is a map keyed by data rather than an object with fixed fields.
pub(super) fn is_map(name: &str) -> bool {
    MAPS.contains(&name)
}

/// The template value of `json`, found under the field `name` (empty at the top).
pub(super) fn from_json(json: &serde_json::Value, name: &str) -> Value {
    match json {
        serde_json::Value::Null if LISTS.contains(&name) => Value::List(NULL_LIST.clone()),
        serde_json::Value::Null if is_map(name) => Value::Map(NULL_MAP.clone()),
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => {
            if let Some(n) = n.as_i64() {
                Value::Int(n)
            } else if let Some(n) = n.as_u64() {
                Value::Uint(n)
            } else {
                Value::Float(n.as_f64().unwrap_or(f64::NAN))
            }
        }
        serde_json::Value::String(s) => Value::String(Arc::from(s.as_str())),
        serde_json::Value::Array(items) => Value::List(items.iter().map(|item| from_json(item, "")).collect()),
        serde_json::Value::Object(members) => {
            let of_lists = MAPS_OF_LISTS.contains(&name);
            let member = |(key, value): (&String, &serde_json::Value)| {
                let kind = if of_lists { LISTS[0] } else { key };
                (Arc::from(key.as_str()), from_json(value, kind))
            };
            Value::Map(Arc::new(members.iter().map(member).collect()))
        }
    }
}

/// Compact JSON of a template value, without Go's HTML escapes, as docker's `json` function has it.
pub(super) fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::Uint(n) => out.push_str(&n.to_string()),
        Value::Float(n) => out.push_str(&serde_json::Value::from(*n).to_string()),
        Value::String(s) => write_string(s, out),
        Value::List(items) if Arc::ptr_eq(items, &NULL_LIST) => out.push_str("null"),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Map(members) if Arc::ptr_eq(members, &NULL_MAP) => out.push_str("null"),
        Value::Map(members) => {
            out.push('{');
            let fields = members.iter().filter(|(_, value)| !value.is_function());
            for (at, (key, value)) in fields.enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
        Value::Nil | Value::Function(_) => out.push_str("null"),
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
