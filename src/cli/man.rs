//! The committed files made from the table of verbs: `man/*.1` and `contrib/completions/*`. A test compares them with
//! what the code says; `KELP_UPDATE=1` rewrites them.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

use super::cmd::system::completion;
use super::tree::{self, Node};
use super::verb::Leaf;

/// What `man kelp` says beyond the list of commands.
const HEAD: &str = include_str!("man/kelp.roff");

/// The page of the one role with options of its own that is no verb of the table.
const OVERLAY: &str = include_str!("man/overlay-mount.roff");

fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    let mut short: Vec<&Leaf> = Vec::new();
    for node in tree::ROOT {
        if let Node::Verb(leaf) = node {
            if !leaf.hidden {
                short.push(leaf);
                pages.insert(format!("kelp-{}.1", leaf.name), verb(leaf, "kelp"));
            }
        }
    }
    for node in tree::ROOT {
        let Node::Noun(noun) = node else { continue };
        let path = format!("kelp {}", noun.name);
        pages.insert(format!("kelp-{}.1", noun.name), noun_page(noun));
        for leaf in noun.verbs {
            let same = short.iter().find(|other| other.summary == leaf.summary && other.operands == leaf.operands);
            let page = match same {
                Some(other) => format!(".so man1/kelp-{}.1\n", other.name),
                None => verb(leaf, &path),
            };
            pages.insert(format!("kelp-{}-{}.1", noun.name, leaf.name), page);
        }
    }
    pages.insert("kelp.1".to_owned(), root());
    pages.insert("kelp-overlay-mount.1".to_owned(), title("kelp-overlay-mount") + OVERLAY);
    pages
}

/// groff knows the apostrophe that is no quote by a name; what does not is told.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

fn title(name: &str) -> String {
    format!("{APOSTROPHE}.TH \"{}\" 1 \"\" \"kelp\" \"kelp manual\"\n", name.to_uppercase())
}

fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.lines().map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}\n") } else { format!("{line}\n") }).collect()
}

fn options(command: &Command) -> String {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render_options_section(&mut text).expect("writing to memory");
    let text = String::from_utf8(text).expect("roff is UTF-8");
    // clap_mangen puts the macros for apostrophes before each section; they are on top of the page.
    text.lines().filter(|line| !line.starts_with(".ie \\n(.g") && !line.starts_with(".el .ds")).map(|line| format!("{line}\n")).collect()
}

fn verb(leaf: &Leaf, path: &str) -> String {
    let name = format!("{path} {}", leaf.name);
    let dashed = name.replace(' ', "-");
    let command = leaf.shown(path);
    let mut page = title(&dashed);
    page.push_str(&format!(".SH NAME\n{} \\- {}", escape(&dashed).trim_end(), escape(leaf.summary)));
    page.push_str(&format!(".SH SYNOPSIS\n\\fB{}\\fR {}", escape(&name).trim_end(), escape(leaf.operands)));
    page.push_str(".SH DESCRIPTION\n");
    page.push_str(&escape(&format!("{}.", leaf.summary)));
    for paragraph in leaf.description.split("\n\n").filter(|text| !text.is_empty()) {
        page.push_str(".PP\n");
        page.push_str(&escape(paragraph));
    }
    page.push_str(&options(&command));
    page.push_str(".SH EXAMPLES\n.EX\n");
    page.push_str(&escape(leaf.examples));
    page.push_str(".EE\n.SH SEE ALSO\n\\fBkelp\\fR(1)\n");
    page
}

fn noun_page(noun: &tree::Noun) -> String {
    let dashed = format!("kelp-{}", noun.name);
    let mut page = title(&dashed);
    page.push_str(&format!(".SH NAME\n{} \\- {}", escape(&dashed).trim_end(), escape(noun.summary)));
    page.push_str(&format!(".SH SYNOPSIS\n\\fBkelp {}\\fR COMMAND\n.SH COMMANDS\n", noun.name));
    for leaf in noun.verbs {
        page.push_str(&format!(".TP\n\\fBkelp\\-{}\\-{}\\fR(1)\n{}", noun.name, leaf.name, escape(leaf.summary)));
    }
    page.push_str(".SH SEE ALSO\n\\fBkelp\\fR(1)\n");
    page
}

fn root() -> String {
    let mut page = title("kelp");
    page.push_str(HEAD);
    page.push_str(".SH COMMANDS\n");
    for node in tree::ROOT {
        let summary = match node {
            Node::Verb(leaf) if leaf.hidden => continue,
            Node::Verb(leaf) => leaf.summary,
            Node::Noun(noun) => noun.summary,
        };
        page.push_str(&format!(".TP\n\\fBkelp\\-{}\\fR(1)\n{}", node.name(), escape(summary)));
    }
    page.push_str(&options(&tree::shown()));
    page
}

fn check(dir: &str, wanted: &BTreeMap<String, String>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let found: BTreeMap<String, String> = std::fs::read_dir(&dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.to_owned(), std::fs::read_to_string(&path).ok()?))
        })
        .collect();
    if std::env::var_os("KELP_UPDATE").is_some() {
        std::fs::create_dir_all(&dir).expect("the directory");
        for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
            std::fs::remove_file(dir.join(name)).expect("an old page goes");
        }
        for (name, text) in wanted {
            std::fs::write(dir.join(name), text).expect("a page is written");
        }
        return;
    }
    let stale: Vec<_> = wanted.iter().filter(|(name, text)| found.get(*name) != Some(text)).map(|(name, _)| name).collect();
    let old: Vec<_> = found.keys().filter(|name| !wanted.contains_key(*name)).collect();
    assert!(
        stale.is_empty() && old.is_empty(),
        "{}: stale {stale:?}, unknown {old:?}: run KELP_UPDATE=1 cargo test --lib cli::man",
        dir.display()
    );
}

#[test]
fn manual_pages_are_fresh() {
    check("man", &pages());
}

#[test]
fn an_apostrophe_is_defined_before_it_is_used() {
    let pages = pages();
    assert!(pages.values().any(|page| page.contains("\\*(Aq")));
    for (name, page) in pages {
        let used = page.find("\\*(Aq");
        assert!(used.is_none() || page.find(".ds Aq ").is_some_and(|defined| Some(defined) < used), "{name}");
    }
}

#[test]
fn completions_are_fresh() {
    let scripts = [("kelp.bash", Shell::Bash), ("_kelp", Shell::Zsh), ("kelp.fish", Shell::Fish)]
        .map(|(name, shell)| (name.to_owned(), completion::script(shell)));
    check("contrib/completions", &BTreeMap::from(scripts));
}

#[test]
fn the_table_of_verbs_is_sound() {
    tree::shown().debug_assert();
    for node in tree::ROOT {
        let leaves: Vec<&Leaf> = match node {
            Node::Verb(leaf) => vec![leaf],
            Node::Noun(noun) => noun.verbs.iter().collect(),
        };
        for leaf in leaves {
            leaf.parser("kelp").debug_assert();
            assert!(!leaf.summary.ends_with('.'), "{}", leaf.name);
            assert!(leaf.examples.contains("$ "), "{}", leaf.name);
        }
    }
}
