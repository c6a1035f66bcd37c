//! Which objects' names can follow the words typed so far, for completion scripts.

use super::tree::{self, Node};
use super::verb::Leaf;
use crate::engine::container::ls as containers;
use crate::engine::{Engine, Error, image, network, volume};

/// A kind of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Containers.
    Container,
    /// Containers, with the colon `cp` needs.
    Copy,
    /// Images.
    Image,
    /// Volumes.
    Volume,
    /// Networks.
    Network,
    /// Containers, images, volumes.
    Any,
}

/// What can follow; `None` leaves it to the shell (files).
pub(crate) fn wanted(words: &[String]) -> Option<Kind> {
    let (leaf, rest) = verb(words)?;
    let parser = leaf.parser("kelp");
    let takes_value = |word: &str| {
        let matches = |arg: &clap::Arg| match word.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long) || arg.get_all_aliases().is_some_and(|all| all.contains(&long)),
            None => word.chars().last().is_some_and(|letter| arg.get_short() == Some(letter)),
        };
        let found = parser.get_arguments().find(|arg| matches(arg));
        found.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
    };
    let mut positionals = 0;
    let mut value_next = false;
    for word in rest {
        if std::mem::take(&mut value_next) {
            continue;
        }
        if word.starts_with('-') && word != "-" {
            value_next = !word.contains('=') && takes_value(word);
        } else {
            positionals += 1;
        }
    }
    // `run IMAGE COMMAND`: after the first, words belong to the container.
    let single = !leaf.operands.contains("...]") || leaf.operands.contains("ARG") || leaf.operands.contains("PS OPTIONS");
    if value_next || (single && positionals > 0 && !leaf.operands.contains("PATH|-")) {
        return None;
    }
    let operands = leaf.operands;
    if operands.contains("CONTAINER:PATH") {
        Some(Kind::Copy)
    } else if operands.contains("NETWORK") {
        Some(Kind::Network)
    } else if operands.contains("CONTAINER") {
        Some(Kind::Container)
    } else if operands.contains("IMAGE") {
        Some(Kind::Image)
    } else if operands.contains("VOLUME") {
        Some(Kind::Volume)
    } else if operands.contains("OBJECT") {
        Some(Kind::Any)
    } else {
        None
    }
}

fn verb(words: &[String]) -> Option<(&'static Leaf, &[String])> {
    let start = words.iter().position(|word| !word.starts_with('-'))?;
    let (first, rest) = words[start..].split_first()?;
    match tree::find(first)? {
        Node::Verb(leaf) => Some((leaf, rest)),
        Node::Noun(noun) => {
            let (second, rest) = rest.split_first()?;
            Some((noun.find(second)?, rest))
        }
    }
}

/// The names.
pub(crate) fn list(kind: Kind, engine: &Engine) -> Result<Vec<String>, Error> {
    let text = |json: &serde_json::Value, key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let mut names = Vec::new();
    if matches!(kind, Kind::Container | Kind::Copy | Kind::Any) {
        let options = containers::ListOptions { all: true, ..containers::ListOptions::default() };
        let colon = if kind == Kind::Copy { ":" } else { "" };
        let rows = containers::list(engine, &options)?.rows;
        names.extend(rows.iter().map(|row| text(&row.json, "Names") + colon));
    }
    if matches!(kind, Kind::Image | Kind::Any) {
        for row in image::list(engine, &image::ListOptions::default())?.rows {
            let (name, tag) = (text(&row.json, "Repository"), text(&row.json, "Tag"));
            if name != "<none>" && tag != "<none>" {
                names.push(format!("{name}:{tag}"));
            }
        }
    }
    if matches!(kind, Kind::Network | Kind::Any) {
        names.extend(network::list(engine, &[], false)?.rows.into_iter().map(|row| row.name));
    }
    if matches!(kind, Kind::Volume | Kind::Any) {
        names.extend(volume::list(engine, &[])?.rows.into_iter().map(|row| row.name));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_follow() {
        let after = |line: &str| wanted(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(after("rm"), Some(Kind::Container));
        assert_eq!(after("rm -f one"), Some(Kind::Container));
        assert_eq!(after("container stop -t 5"), Some(Kind::Container));
        assert_eq!(after("stop -t"), None);
        assert_eq!(after("run -it --rm"), Some(Kind::Image));
        assert_eq!(after("run --rm=true -v"), None);
        assert_eq!(after("run -v /a:/b alpine"), None);
        assert_eq!(after("exec web"), None);
        assert_eq!(after("cp"), Some(Kind::Copy));
        assert_eq!(after("rmi"), Some(Kind::Image));
        assert_eq!(after("volume rm"), Some(Kind::Volume));
        assert_eq!(after("network rm"), Some(Kind::Network));
        assert_eq!(after("inspect"), Some(Kind::Any));
        assert_eq!((after("ps"), after("container"), after("bogus"), after("")), (None, None, None, None));
    }
}
