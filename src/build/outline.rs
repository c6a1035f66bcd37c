//! `--call outline` and `--call targets`: what a Dockerfile can be told and what it can make. Nothing is built or fetched.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dockerfile::{Dockerfile, From, Instruction, Kind, MountKind, ParseError, Scope, Stage, Word};
use super::graph::Graph;
use super::options::BuildOptions;
use crate::format::table;

/// The stages that can be built. Serialized with the names docker gives them.
#[derive(Debug, Serialize)]
pub struct Targets {
    targets: Vec<Target>,
}

#[derive(Debug, Serialize)]
struct Target {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    base: String,
}

/// What the wanted stage and those it needs can be told. Serialized with the names docker gives them.
#[derive(Debug, Default, Serialize)]
pub struct Outline {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Arg>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<Needed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh: Vec<Needed>,
}

#[derive(Debug, Serialize)]
struct Arg {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
}

/// A secret or an agent.
#[derive(Debug, Serialize)]
struct Needed {
    name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
}

/// Finds the stages that can be built, with the comments that begin with their names.
///
/// # Errors
/// A Dockerfile that cannot be read.
pub fn targets(options: &BuildOptions) -> Result<Targets, ParseError> {
    let file = Dockerfile::parse(&options.dockerfile_name, options.dockerfile.as_bytes())?;
    let last = file.stages.len().saturating_sub(1);
    let all = file.stages.iter().enumerate().filter(|(at, stage)| *at == last || stage.name.is_some());
    let targets = all.map(|(at, stage)| Target {
        name: stage.name.clone().unwrap_or_default(),
        default: at == last,
        description: about_stage(stage),
        base: stage.from.raw().to_owned(),
    });
    Ok(Targets { targets: targets.collect() })
}

impl Targets {
    /// As a table.
    pub fn text(&self) -> String {
        let rows = self.targets.iter().map(|target| {
            let name = match (target.name.as_str(), target.default) {
                ("", _) => "(default)".to_owned(),
                (name, true) => format!("{name} (default)"),
                (name, false) => name.to_owned(),
            };
            [name, target.description.clone()]
        });
        rendered(&["TARGET", "DESCRIPTION"], &rows.collect::<Vec<_>>())
    }
}

/// Finds the build arguments of the wanted stage and of those it needs, with their values, and the secrets and agents.
///
/// # Errors
/// A Dockerfile that cannot be read.
pub fn outline(options: &BuildOptions) -> Result<Outline, ParseError> {
    let graph = Graph::new(options)?;
    let target = &graph.file.stages[graph.target];
    let mut outline = Outline {
        name: target.name.clone().unwrap_or_default(),
        description: about_stage(target),
        ..Outline::default()
    };
    for instruction in &graph.file.global_args {
        let Kind::Arg(items) = &instruction.kind else { continue };
        for item in items {
            let name = item.name.raw();
            outline.arg(name, graph.globals.vars().get(name).cloned().unwrap_or_default(), &instruction.comments);
        }
    }
    let mut scopes: BTreeMap<usize, Scope> = BTreeMap::new();
    for index in graph.needed() {
        let base = match graph.stages[index].from {
            From::Stage(other) => scopes.get(&other).cloned(),
            From::Scratch | From::Image(_) => None,
        };
        let mut scope = base.unwrap_or_else(|| Scope::new(&graph.file, &graph.globals, []));
        for instruction in &graph.file.stages[index].instructions {
            outline.take(&graph.file, &mut scope, instruction)?;
        }
        scopes.insert(index, scope);
    }
    Ok(outline)
}

impl Outline {
    fn take(&mut self, file: &Dockerfile, scope: &mut Scope, instruction: &Instruction<Word>) -> Result<(), ParseError> {
        if !matches!(instruction.kind, Kind::Arg(_) | Kind::Env(_) | Kind::Run(_)) {
            return Ok(());
        }
        match scope.step(file, instruction)?.instruction.kind {
            Kind::Arg(items) => {
                for item in items {
                    self.arg(&item.name, item.value.unwrap_or_default(), &instruction.comments);
                }
            }
            Kind::Run(run) => {
                for mount in run.mounts().map_err(|fault| file.error(instruction.span, fault))? {
                    match mount.kind {
                        MountKind::Secret { id, required, .. } => need(&mut self.secrets, id, required),
                        MountKind::Ssh { id, required, .. } => need(&mut self.ssh, id, required),
                        MountKind::Bind { .. } | MountKind::Cache { .. } | MountKind::Tmpfs { .. } => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An argument that is declared again keeps what it said first.
    fn arg(&mut self, name: &str, value: String, comments: &[String]) {
        let description = about(comments, name);
        match self.args.iter_mut().find(|arg| arg.name == name) {
            Some(arg) => {
                if arg.value.is_empty() {
                    arg.value = value;
                }
                if arg.description.is_empty() {
                    arg.description = description;
                }
            }
            None => self.args.push(Arg { name: name.to_owned(), description, value }),
        }
    }

    /// As tables.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        let mut head = String::new();
        for (title, text) in [("TARGET:     ", &self.name), ("DESCRIPTION:", &self.description)] {
            if !text.is_empty() {
                head.push_str(&format!("{title} {}\n", table::clean(text)));
            }
        }
        if !head.is_empty() {
            parts.push(head);
        }
        if !self.args.is_empty() {
            let rows: Vec<_> = self.args.iter().map(|arg| [arg.name.clone(), arg.value.clone(), arg.description.clone()]).collect();
            parts.push(rendered(&["BUILD ARG", "VALUE", "DESCRIPTION"], &rows));
        }
        for (title, all) in [("SECRET", &self.secrets), ("SSH", &self.ssh)] {
            if !all.is_empty() {
                let required = |needed: &Needed| if needed.required { "true".to_owned() } else { String::new() };
                let rows: Vec<_> = all.iter().map(|needed| [needed.name.clone(), required(needed)]).collect();
                parts.push(rendered(&[title, "REQUIRED"], &rows));
            }
        }
        parts.join("\n")
    }
}

fn need(all: &mut Vec<Needed>, name: String, required: bool) {
    match all.iter_mut().find(|needed| needed.name == name) {
        Some(needed) => needed.required |= required,
        None => all.push(Needed { name, required }),
    }
}

fn rendered<const N: usize>(header: &[&str], rows: &[[String; N]]) -> String {
    table::render(Some(header), rows.iter().map(|row| row.iter().map(String::as_str)))
}

fn about_stage(stage: &Stage) -> String {
    let names = stage.name.iter().chain(&stage.name_typed);
    names.map(|name| about(&stage.comments, name)).find(|text| !text.is_empty()).unwrap_or_default()
}

/// The comment right above that begins with a name, without it.
fn about(comments: &[String], name: &str) -> String {
    let text = comments.iter().find_map(|line| Some(line.trim().strip_prefix(name)?.strip_prefix(' ')?.trim().to_owned()));
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings() {
        let dockerfile = "ARG BASE=alpine\n# one makes it\nFROM $BASE AS one\nENV UP=up\nFROM scratch\n# Two is not what\n# two does things\nFROM one AS two\n\
                          # LEVEL how much\nARG LEVEL=1-$UP OTHER\n# other is another\nARG NEXT=$LEVEL-$OTHER\n\
                          RUN --mount=type=secret,id=$OTHER,required --mount=type=ssh --mount=type=secret,id=b true\n";
        let options = BuildOptions {
            dockerfile: dockerfile.to_owned(),
            args: vec![("OTHER".to_owned(), "given".to_owned())],
            ..BuildOptions::default()
        };
        let lines = |text: String| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
        let found = targets(&options).expect("valid");
        assert_eq!(lines(found.text()), ["TARGET DESCRIPTION", "one makes it", "two (default) does things"]);
        assert_eq!(
            serde_json::to_string(&found).unwrap(),
            r#"{"targets":[{"name":"one","description":"makes it","base":"$BASE"},{"name":"two","default":true,"description":"does things","base":"one"}]}"#
        );
        let found = outline(&options).expect("valid");
        assert_eq!(lines(found.text()), [
            "TARGET: two", "DESCRIPTION: does things", "", "BUILD ARG VALUE DESCRIPTION", "BASE alpine", "LEVEL 1-up how much", "OTHER given",
            "NEXT 1-up-given", "", "SECRET REQUIRED", "given true", "b", "", "SSH REQUIRED", "default",
        ]);
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!((&json["name"], &json["secrets"][0]["required"], &json["args"][1]["value"]), (&"two".into(), &true.into(), &"1-up".into()));
    }
}
