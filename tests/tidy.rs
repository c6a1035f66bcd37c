//! The walls of the house: who may import whom, where `unsafe` and printing may live, how big a file may be.
//!
//! Std only, reads the source as text. A rule that fails names the file, the line and what to do. The map of the rooms
//! is the crate doc of `src/lib.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room, bottom first, and the rooms it may import. A room may only name rooms listed before it, so there can be
/// no cycle.
const ROOMS: &[(&str, &[&str])] = &[
    ("spec", &[]),
    ("format", &[]),
    ("sys", &[]),
    ("config", &["spec", "format", "sys"]),
    ("systemd", &["sys"]),
    ("userns", &["config", "spec", "sys"]),
    ("state", &["config", "spec", "format", "sys"]),
    ("events", &["config", "spec", "format", "sys"]),
    ("image", &["userns", "config", "spec", "sys"]),
    ("storage", &["userns", "config", "spec", "sys"]),
    ("network", &["state", "userns", "config", "spec", "sys"]),
    ("volume", &["state", "userns", "config", "spec", "sys"]),
    ("runtime", &["volume", "userns", "systemd", "spec", "sys"]),
    ("secret", &["state", "userns", "config", "spec", "sys"]),
    ("monitor", &["runtime", "network", "state", "events", "systemd", "spec", "format", "sys"]),
    (
        "engine",
        &[
            "monitor", "runtime", "image", "storage", "network", "volume", "secret", "state", "events", "userns",
            "systemd", "config", "spec", "format", "sys",
        ],
    ),
    (
        "build",
        &["engine", "runtime", "image", "storage", "state", "userns", "config", "spec", "format", "sys"],
    ),
    ("quadlet", &["config", "spec"]),
    ("compose", &["build", "engine", "config", "spec", "format"]),
    ("api", &["build", "engine", "config", "format", "spec"]),
    ("cli", &["api", "compose", "quadlet", "build", "engine", "config", "format", "spec"]),
    ("main", &["cli", "engine", "monitor", "storage", "network", "image"]),
];

/// Names that say nothing about what is inside.
const NAMELESS: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "shared", "stuff"];

/// Lines a file may have without its test modules.
const MAX_LINES: usize = 800;

/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Committed files that are made from the code: path and generator. Each must be exactly what the generator says.
const GENERATED: &[(&str, Generator)] = &[];

type Generator = fn() -> String;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One source file: path relative to the repository, its text, and the code in it without comments and literals.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    /// Whether each line belongs to a `#[cfg(test)]` item.
    fn test_lines(&self) -> Vec<bool> {
        let mut in_test = false;
        let mut depth = 0_i64;
        let mark = |line: &str| {
            if !in_test && line.trim_start().starts_with("#[cfg(test)]") {
                in_test = true;
                depth = 0;
            }
            let test = in_test;
            if in_test {
                let before = depth;
                depth += line.matches('{').count() as i64 - line.matches('}').count() as i64;
                in_test = depth > 0 || before == 0 && !line.contains('}') && !line.trim_end().ends_with(';');
            }
            test
        };
        self.code.lines().map(mark).collect()
    }

    /// The code without `#[cfg(test)]` items (line numbers stay the same).
    fn shipped(&self) -> String {
        let keep = |(line, test): (&str, bool)| if test { "\n".to_owned() } else { format!("{line}\n") };
        self.code.lines().zip(self.test_lines()).map(keep).collect()
    }
}

fn sources(dir: &str) -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root().join(dir), &mut files);
    files.sort();
    assert!(!files.is_empty(), "no source under {dir}");
    files
        .into_iter()
        .map(|file| {
            let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            let path = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
            Source { path, code: strip(&text), text }
        })
        .collect()
}

/// All `.rs` files below `dir`, except packages of their own (fuzz targets).
fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !path.join("Cargo.toml").exists() {
                walk(&path, files);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Replaces comments, strings and character literals by blanks, keeping the lines.
fn strip(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match chars[i] {
            '/' if chars.get(i + 1) == Some(&'/') => find(&chars, i, |c, _| c == '\n'),
            '/' if chars.get(i + 1) == Some(&'*') => end_of_block_comment(&chars, i),
            'r' if !word_before(&chars, i) && raw_hashes(&chars, i).is_some() => end_of_raw_string(&chars, i),
            '"' => end_of_string(&chars, i),
            '\'' if chars.get(i + 1) == Some(&'\\') => find(&chars, i + 3, |c, _| c == '\'') + 1,
            '\'' if chars.get(i + 2) == Some(&'\'') => i + 3,
            _ => i,
        };
        if end == i {
            out.push(chars[i]);
            i += 1;
        } else {
            out.push(' ');
            out.extend(chars[i..end.min(chars.len())].iter().filter(|c| **c == '\n'));
            i = end;
        }
    }
    out
}

fn find(chars: &[char], from: usize, stop: impl Fn(char, usize) -> bool) -> usize {
    (from..chars.len()).find(|&i| stop(chars[i], i)).unwrap_or(chars.len())
}

fn word_before(chars: &[char], i: usize) -> bool {
    i > 0 && (chars[i - 1].is_alphanumeric() || chars[i - 1] == '_')
}

/// The number of `#` when `r`, `r#`… at `i` opens a raw string.
fn raw_hashes(chars: &[char], i: usize) -> Option<usize> {
    let quote = find(chars, i + 1, |c, _| c != '#');
    (chars.get(quote) == Some(&'"')).then_some(quote - i - 1)
}

fn end_of_raw_string(chars: &[char], i: usize) -> usize {
    let hashes = raw_hashes(chars, i).unwrap_or(0);
    let body = i + hashes + 2;
    let closes = |at: usize| (1..=hashes).all(|n| chars.get(at + n) == Some(&'#'));
    find(chars, body, |c, at| c == '"' && closes(at)) + hashes + 1
}

fn end_of_string(chars: &[char], i: usize) -> usize {
    let mut at = i + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn end_of_block_comment(chars: &[char], i: usize) -> usize {
    let (mut at, mut depth) = (i, 0_usize);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

/// Byte offsets at which `word` stands alone in `code`.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !code[..at].ends_with(in_word) && !code[at + word.len()..].starts_with(in_word)
    })
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The rooms named by `prefix::room` or `prefix::{room::…, room}`, each with its offset.
fn imports(code: &str, prefix: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(code, prefix) {
        let Some(rest) = code[at + prefix.len()..].trim_start().strip_prefix("::") else { continue };
        let rest = rest.trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push((at, first_word(&std::mem::take(&mut item)))),
                    _ => {}
                }
                if c != ',' || depth > 0 {
                    item.push(c);
                }
            }
            found.push((at, first_word(&item)));
        } else {
            found.push((at, first_word(rest)));
        }
    }
    found.retain(|(_, room)| !room.is_empty());
    found
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The room a file belongs to: `src/<room>/…`, `src/<room>.rs`, `main`; none for `lib.rs`.
fn room_of(path: &str) -> Option<&str> {
    let room = path.strip_prefix("src/")?.split('/').next()?;
    let room = room.strip_suffix(".rs").unwrap_or(room);
    (room != "lib").then_some(room)
}

fn report(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}

#[test]
fn the_room_table_has_no_cycle() {
    for (i, (room, allowed)) in ROOMS.iter().enumerate() {
        for other in *allowed {
            assert!(ROOMS[..i].iter().any(|(r, _)| r == other), "{room} names {other}, which is not below it");
        }
    }
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    let mut findings = Vec::new();
    for source in sources("src") {
        let Some(room) = room_of(&source.path) else { continue };
        let Some(allowed) = table.get(room) else {
            findings.push(format!("{}: the room {room:?} is not in the table of tests/tidy.rs", source.path));
            continue;
        };
        let prefix = if room == "main" { "kelp" } else { "crate" };
        for (at, other) in imports(&source.code, prefix) {
            if other != room && table.contains_key(other.as_str()) && !allowed.contains(&other.as_str()) {
                let line = line_of(&source.code, at);
                findings.push(format!("{}:{line}: {room} may not import {other}", source.path));
            }
        }
    }
    report("Rooms import only what the table in tests/tidy.rs allows:", findings);
}

#[test]
fn every_file_says_what_it_owns() {
    let mut findings = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        if !source.text.starts_with("//! ") {
            findings.push(source.path);
        }
    }
    report("Every file opens with a `//!` comment: what it owns, what it must not do:", findings);
}

#[test]
fn files_stay_small() {
    let mut findings = Vec::new();
    for source in sources("src") {
        let lines = source.test_lines().iter().filter(|test| !**test).count();
        if lines > MAX_LINES && !LONG_FILES.iter().any(|(path, _)| *path == source.path) {
            findings.push(format!("{}: {lines} lines without tests", source.path));
        }
    }
    for (path, reason) in LONG_FILES {
        assert!(root().join(path).exists() && !reason.is_empty(), "LONG_FILES: {path}");
    }
    report(&format!("A file has at most {MAX_LINES} lines without its tests; split it by topic:"), findings);
}

#[test]
fn unsafe_lives_in_sys() {
    let mut findings = Vec::new();
    for source in sources("src") {
        if source.path.starts_with("src/sys/") || source.path == "src/sys.rs" {
            continue;
        }
        for at in words(&source.code, "unsafe") {
            findings.push(format!("{}:{}", source.path, line_of(&source.code, at)));
        }
        if source.path != "src/lib.rs" {
            for at in words(&source.code, "unsafe_code") {
                findings.push(format!("{}:{}: allowance", source.path, line_of(&source.code, at)));
            }
        }
    }
    report("`unsafe` lives under src/sys only; add a safe wrapper there:", findings);
}

#[test]
fn printing_and_leaving_live_in_cli() {
    let mut findings = Vec::new();
    for source in sources("src") {
        let code = source.shipped();
        if source.path != "src/cli/ui.rs" {
            for name in ["print", "println", "eprint", "eprintln"] {
                for at in words(&code, name).filter(|at| code[at + name.len()..].starts_with('!')) {
                    findings.push(format!("{}:{}: {name}!", source.path, line_of(&code, at)));
                }
            }
        }
        for at in code.match_indices("process::exit(").map(|(at, _)| at) {
            findings.push(format!("{}:{}: process::exit", source.path, line_of(&code, at)));
        }
    }
    report("Only src/cli/ui.rs prints, nobody calls process::exit; return a value or an error:", findings);
}

#[test]
fn names_say_something() {
    let mut findings = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let parts = source.path.trim_end_matches(".rs").split('/');
        if parts.clone().any(|part| NAMELESS.contains(&part)) {
            findings.push(source.path);
        }
    }
    report("A module is named after what it owns:", findings);
}

#[test]
fn no_source_file_is_forgotten() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let all: Vec<_> = sources("src").into_iter().chain(sources("tests")).collect();
    let mut findings = Vec::new();
    for source in &all {
        let path = Path::new(&source.path);
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let parent = path.parent().and_then(Path::file_name).and_then(|s| s.to_str()).unwrap_or_default();
        let name = if stem == "mod" { parent } else { stem };
        let top = source.path.split('/').next().unwrap_or_default();
        let declared = all.iter().any(|other| {
            other.path.starts_with(top) && other.path != source.path && declares(other, name, &source.path)
        });
        if !declared && !manifest.contains(&format!("\"{}\"", source.path)) {
            findings.push(source.path.clone());
        }
    }
    report("A file nobody declares with `mod` or in Cargo.toml is never compiled:", findings);
}

/// Whether `source` has `mod name` or includes the file at `path` by its name.
fn declares(source: &Source, name: &str, path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    words(&source.code, "mod").any(|at| first_word(&source.code[at + 3..]) == name)
        || (source.code.contains("#[path") && source.text.contains(&format!("{file}\"")))
}

#[test]
fn generated_files_are_fresh() {
    for (path, generate) in GENERATED {
        let found = fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(found == generate(), "{path} is not what the code says: generate it again");
    }
}

#[test]
fn the_checks_can_fail() {
    let code = strip("use crate::{cli::ui, sys::{a, b}};\n// crate::engine\nlet s = \"crate::api\"; let c = '\"'; crate::state::x();");
    let rooms: Vec<_> = imports(&code, "crate").into_iter().map(|(_, room)| room).collect();
    assert_eq!(rooms, ["cli", "sys", "state"]);
    assert_eq!(imports(&strip("r#\"crate::cli\"# /* crate::a /* b */ crate::c */ crate::spec"), "crate").len(), 1);
    assert_eq!(words("unsafe_code unsafe { }", "unsafe").count(), 1);
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
    let shipped = Source { path: String::new(), text: text.into(), code: text.into() }.shipped();
    assert_eq!(shipped, "fn a() {}\n\n\n\n\nfn c() {}\n");
    assert_eq!(room_of("src/cli/ui.rs"), Some("cli"));
    assert_eq!(room_of("src/main.rs"), Some("main"));
    assert_eq!(room_of("src/lib.rs"), None);
}
