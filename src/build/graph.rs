//! Which stages a build needs and in what order they wait for each other. Pure.

use std::collections::BTreeSet;

use super::dockerfile::{Dockerfile, Fault, From, Globals, Inputs, Kind, ParseError};
use super::options::{BuildOptions, NamedContext};
use crate::spec::Platform;

/// A Dockerfile with its arguments, and what its stages start from.
#[derive(Debug)]
pub(super) struct Graph {
    /// As read.
    pub(super) file: Dockerfile,
    /// The arguments before the first stage.
    pub(super) globals: Globals,
    /// In the order of the file.
    pub(super) stages: Vec<Node>,
    /// The one that is wanted.
    pub(super) target: usize,
}

/// A stage.
#[derive(Debug)]
pub(super) struct Node {
    /// What it starts from.
    pub(super) from: From,
    /// What it is built for, when it says so.
    pub(super) platform: Option<Platform>,
    /// Stages it is known to need. `ONBUILD` of its base may need more.
    pub(super) needs: BTreeSet<usize>,
}

impl Graph {
    /// Reads the Dockerfile and resolves what its stages start from.
    ///
    /// # Errors
    /// The first mistake.
    pub(super) fn new(options: &BuildOptions) -> Result<Self, ParseError> {
        let file = Dockerfile::parse(&options.dockerfile_name, options.dockerfile.as_bytes())?;
        let target_platform = options.platform.clone().unwrap_or_else(Platform::host);
        let globals = Globals::new(&file, &Inputs {
            build_args: options.args.iter().cloned().collect(),
            build_platform: Platform::host(),
            target_platform,
            target: options.target.clone(),
        })?;
        let last = file.stages.last().map_or(super::dockerfile::Span { first: 1, last: 1 }, |stage| stage.span);
        let target = file.target(options.target.as_deref()).map_err(|fault| file.error(last, fault))?;
        let mut stages = Vec::with_capacity(file.stages.len());
        // Only what is needed must make sense, as far as variables go.
        for index in 0..file.stages.len() {
            let (mut from, platform) = match globals.from(&file, index) {
                Ok(found) => found,
                Err(error) if index == target => return Err(error),
                Err(_) => (From::Scratch, None),
            };
            // A named context stands in for a stage of that name.
            if let From::Stage(other) = from
                && let Some(name) = file.stages[other].name.as_ref().filter(|name| options.named_context(name).is_some())
            {
                from = From::Image(name.clone());
            }
            if let From::Image(name) = &from
                && let Some(NamedContext::Stage(stage)) = options.named_context(name)
                && let Some(other) = file.find_stage(stage).filter(|other| *other != index)
            {
                from = From::Stage(other);
            }
            let mut needs = BTreeSet::new();
            if let From::Stage(stage) = from {
                needs.insert(stage);
            }
            for name in sources(&file, index) {
                match options.named_context(&name) {
                    None => needs.extend(file.find_stage(&name).filter(|other| *other < index)),
                    Some(NamedContext::Stage(stage)) => needs.extend(file.find_stage(stage).filter(|other| *other != index)),
                    Some(NamedContext::Directory(_) | NamedContext::Image(_) | NamedContext::Remote(_)) => {}
                }
            }
            stages.push(Node { from, platform, needs });
        }
        let graph = Self { file, globals, stages, target };
        if let Some(index) = graph.needs_itself() {
            let fault = Fault::new("this stage needs itself").hint("--build-context target: must not lead back to the stage that uses it");
            return Err(graph.file.error(graph.file.stages[index].span, fault));
        }
        // What could not be read and is needed after all.
        for index in graph.needed() {
            graph.globals.from(&graph.file, index)?;
            for instruction in &graph.file.stages[index].instructions {
                super::dockerfile::check_words(&graph.file, instruction)?;
            }
        }
        Ok(graph)
    }

    /// A stage that needs itself, by way of others.
    fn needs_itself(&self) -> Option<usize> {
        (0..self.stages.len()).find(|start| {
            let mut seen = BTreeSet::new();
            let mut todo: Vec<usize> = self.stages[*start].needs.iter().copied().collect();
            while let Some(index) = todo.pop() {
                if seen.insert(index) {
                    todo.extend(&self.stages[index].needs);
                }
            }
            seen.contains(start)
        })
    }

    /// The target and all it needs, in the order of the file.
    pub(super) fn needed(&self) -> Vec<usize> {
        let mut needed = BTreeSet::new();
        let mut todo = vec![self.target];
        while let Some(index) = todo.pop() {
            if needed.insert(index) {
                todo.extend(&self.stages[index].needs);
            }
        }
        needed.into_iter().collect()
    }

    /// The stage a `--from` in stage `index` means: an earlier one.
    pub(super) fn earlier(&self, name: &str, index: usize) -> Option<usize> {
        let wanted = name.to_lowercase();
        let before = &self.file.stages[..index];
        let named = before.iter().rposition(|stage| stage.name.as_deref() == Some(&*wanted));
        named.or_else(|| name.parse().ok().filter(|number| *number < index))
    }

    /// The stage as progress calls it; nothing when there is but one without a name.
    pub(super) fn label(&self, index: usize) -> Option<String> {
        let stage = &self.file.stages[index];
        match &stage.name_typed {
            Some(name) => Some(name.clone()),
            None if self.stages.len() == 1 => None,
            None => Some(format!("stage-{index}")),
        }
    }
}

/// What the instructions of a stage take files from.
fn sources(file: &Dockerfile, index: usize) -> Vec<String> {
    let mut names = Vec::new();
    for instruction in &file.stages[index].instructions {
        match &instruction.kind {
            Kind::Copy(copy) => names.extend(copy.from.clone()),
            Kind::Run(run) => {
                for options in &run.mounts {
                    let from = options.fields.iter().filter(|(key, _)| key == "from");
                    names.extend(from.filter_map(|(_, value)| value.as_ref()).map(|word| word.raw().to_owned()));
                }
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(text: &str, target: Option<&str>) -> Graph {
        let options = BuildOptions {
            dockerfile: text.to_owned(),
            dockerfile_name: "Dockerfile".to_owned(),
            target: target.map(str::to_owned),
            ..BuildOptions::default()
        };
        Graph::new(&options).unwrap()
    }

    const FILE: &str = "FROM scratch AS a\nFROM a AS b\nFROM scratch AS c\nCOPY --from=a x y\nFROM scratch AS d\n\
                        RUN --mount=type=bind,from=c,target=/c true\nCOPY --from=1 x y\nFROM scratch AS unused\nFROM d\n";

    #[test]
    fn only_what_is_needed() {
        assert_eq!(graph(FILE, None).needed(), [0, 1, 2, 3, 5]);
        assert_eq!(graph(FILE, Some("C")).needed(), [0, 2]);
        assert_eq!(graph(FILE, Some("unused")).needed(), [4]);
        assert_eq!(graph("FROM scratch", None).label(0), None);
        assert_eq!(graph(FILE, None).label(5).unwrap(), "stage-5");
    }

    #[test]
    fn contexts_stand_in_for_stages_and_lead_back_to_none() {
        let with = |text: &str, contexts: &[(&str, NamedContext)]| {
            Graph::new(&BuildOptions {
                dockerfile: text.to_owned(),
                contexts: contexts.iter().map(|(name, context)| ((*name).to_owned(), context.clone())).collect(),
                ..BuildOptions::default()
            })
        };
        let stage = |name: &str| NamedContext::Stage(name.to_owned());
        let text = "FROM scratch AS a\nCOPY --from=x f /\nFROM a AS b\n";
        assert!(with(text, &[("x", stage("b"))]).unwrap_err().to_string().contains("needs itself"));
        let graph = with(text, &[("a", NamedContext::Image("other".into()))]).unwrap();
        assert_eq!((&graph.stages[1].from, graph.needed()), (&From::Image("a".into()), vec![1]));
        assert_eq!(with("FROM x AS a\nFROM scratch AS c\nFROM a\n", &[("x", stage("c"))]).unwrap().needed(), [0, 1, 2]);
    }

    #[test]
    fn only_earlier_stages_count() {
        let graph = graph(FILE, None);
        assert_eq!(graph.earlier("A", 2), Some(0));
        assert_eq!(graph.earlier("d", 2), None);
        assert_eq!(graph.earlier("1", 2), Some(1));
        assert_eq!(graph.earlier("2", 2), None);
        assert_eq!(graph.earlier("debian", 2), None);
    }
}
