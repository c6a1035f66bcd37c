//! `--call outline` and `--call targets`: what a Dockerfile can be told and what it can make. Nothing is built or fetched.

use super::dockerfile::{Dockerfile, Kind, ParseError};
use super::graph::Graph;
use super::options::BuildOptions;
use crate::format::table;

/// The stages that can be built, with the comments that begin with their names.
///
/// # Errors
/// A Dockerfile that cannot be read.
pub fn targets(options: &BuildOptions) -> Result<String, ParseError> {
    let file = Dockerfile::parse(&options.dockerfile_name, options.dockerfile.as_bytes())?;
    let last = file.stages.len().saturating_sub(1);
    let rows = file.stages.iter().enumerate().filter_map(|(at, stage)| {
        let name = match (stage.name.as_deref(), at == last) {
            (Some(name), true) => format!("{name} (default)"),
            (Some(name), false) => name.to_owned(),
            (None, true) => "(default)".to_owned(),
            (None, false) => return None,
        };
        Some([name, stage.name.as_deref().map_or_else(String::new, |name| about(&stage.comments, name))])
    });
    let rows: Vec<[String; 2]> = rows.collect();
    Ok(table::render(Some(&["TARGET", "DESCRIPTION"]), rows.iter().map(|row| row.iter().map(String::as_str))))
}

/// The build arguments of the wanted stage and of those it needs, with their defaults.
///
/// # Errors
/// A Dockerfile that cannot be read.
pub fn outline(options: &BuildOptions) -> Result<String, ParseError> {
    let graph = Graph::new(options)?;
    let needed = graph.needed();
    let own = needed.iter().flat_map(|index| &graph.file.stages[*index].instructions);
    let mut rows: Vec<[String; 3]> = Vec::new();
    for instruction in graph.file.global_args.iter().chain(own) {
        let Kind::Arg(items) = &instruction.kind else { continue };
        for item in items {
            let name = item.name.raw().to_owned();
            let given = options.args.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
            let value = given.or_else(|| item.value.as_ref().map(|word| word.raw().to_owned())).unwrap_or_default();
            match rows.iter_mut().find(|row| row[0] == name) {
                Some(row) if row[1].is_empty() => row[1] = value,
                Some(_) => {}
                None => rows.push([name.clone(), value, about(&instruction.comments, &name)]),
            }
        }
    }
    let target = &graph.file.stages[graph.target];
    let mut text = target.name.as_ref().map_or_else(String::new, |name| format!("TARGET: {name}\n\n"));
    text.push_str(&table::render(Some(&["BUILD ARG", "VALUE", "DESCRIPTION"]), rows.iter().map(|row| row.iter().map(String::as_str))));
    Ok(text)
}

/// The comment right above that begins with a name, without it.
fn about(comments: &[String], name: &str) -> String {
    let text = comments.iter().find_map(|line| {
        let (word, rest) = line.trim().split_once(' ')?;
        word.eq_ignore_ascii_case(name).then(|| rest.trim().to_owned())
    });
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings() {
        let dockerfile = "ARG BASE=alpine\n# one makes it\nFROM $BASE AS one\nFROM scratch\nFROM one AS two\n# LEVEL how much\nARG LEVEL=1 OTHER\n";
        let options = BuildOptions {
            dockerfile: dockerfile.to_owned(),
            args: vec![("OTHER".to_owned(), "given".to_owned())],
            ..BuildOptions::default()
        };
        let lines = |text: String| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
        assert_eq!(lines(targets(&options).expect("valid")), ["TARGET DESCRIPTION", "one makes it", "two (default)"]);
        let shown = lines(outline(&options).expect("valid"));
        assert_eq!(shown, ["TARGET: two", "", "BUILD ARG VALUE DESCRIPTION", "BASE alpine", "LEVEL 1 how much", "OTHER given"]);
    }
}
