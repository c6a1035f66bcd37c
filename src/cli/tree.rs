//! The table of all verbs: which words lead to which function. Everything that lists verbs (help, manual pages,
//! completions) walks it.

use clap::Command;

use super::cmd::{container, healthcheck, image, manifest, network, system, volume};
use super::usage;
use super::verb::Leaf;

/// A word after `kelp`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node {
    /// A verb.
    Verb(Leaf),
    /// A noun with its verbs.
    Noun(Noun),
}

/// A noun with its verbs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noun {
    /// The word.
    pub(crate) name: &'static str,
    /// One line.
    pub(crate) summary: &'static str,
    /// What can be done with it.
    pub(crate) verbs: &'static [Leaf],
}

const CONTAINER: &[Leaf] = &[
    Leaf::of::<container::attach::AttachArgs>("attach", &[]),
    Leaf::of::<container::commit::CommitArgs>("commit", &[]),
    Leaf::of::<container::cp::CpArgs>("cp", &[]),
    Leaf::of::<container::create::CreateArgs>("create", &[]),
    Leaf::of::<container::diff::DiffArgs>("diff", &[]),
    Leaf::of::<container::exec::ExecArgs>("exec", &[]),
    Leaf::of::<container::exists::ExistsArgs>("exists", &[]),
    Leaf::of::<container::export::ExportArgs>("export", &[]),
    Leaf::of::<container::inspect::InspectArgs>("inspect", &[]),
    Leaf::of::<container::kill::KillArgs>("kill", &[]),
    Leaf::of::<container::logs::LogsArgs>("logs", &[]),
    Leaf::of::<container::ls::LsArgs>("ls", &["list", "ps"]),
    Leaf::of::<container::mount::MountArgs>("mount", &[]),
    Leaf::of::<container::pause::PauseArgs>("pause", &[]),
    Leaf::of::<container::port::PortArgs>("port", &[]),
    Leaf::of::<container::prune::PruneArgs>("prune", &[]),
    Leaf::of::<container::rename::RenameArgs>("rename", &[]),
    Leaf::of::<container::restart::RestartArgs>("restart", &[]),
    Leaf::of::<container::rm::RmArgs>("rm", &["remove"]),
    Leaf::of::<container::run::RunArgs>("run", &[]),
    Leaf::of::<container::start::StartArgs>("start", &[]),
    Leaf::of::<container::stop::StopArgs>("stop", &[]),
    Leaf::of::<container::top::TopArgs>("top", &[]),
    Leaf::of::<container::mount::UnmountArgs>("unmount", &["umount"]),
    Leaf::of::<container::unpause::UnpauseArgs>("unpause", &[]),
    Leaf::of::<container::wait::WaitArgs>("wait", &[]),
];

const IMAGE: &[Leaf] = &[
    Leaf::of::<image::build::BuildArgs>("build", &[]),
    Leaf::of::<image::diff::DiffArgs>("diff", &[]),
    Leaf::of::<image::exists::ExistsArgs>("exists", &[]),
    Leaf::of::<image::history::HistoryArgs>("history", &[]),
    Leaf::of::<image::import::ImportArgs>("import", &[]),
    Leaf::of::<image::inspect::InspectArgs>("inspect", &[]),
    Leaf::of::<image::load::LoadArgs>("load", &[]),
    Leaf::of::<image::ls::LsArgs>("ls", &["list"]),
    Leaf::of::<image::mount::MountArgs>("mount", &[]),
    Leaf::of::<image::prune::PruneArgs>("prune", &[]),
    Leaf::of::<image::pull::PullArgs>("pull", &[]),
    Leaf::of::<image::push::PushArgs>("push", &[]),
    Leaf::of::<image::rm::RmArgs>("rm", &["remove"]),
    Leaf::of::<image::save::SaveArgs>("save", &[]),
    Leaf::of::<image::search::SearchArgs>("search", &[]),
    Leaf::of::<image::sign::SignArgs>("sign", &[]),
    Leaf::of::<image::tag::TagArgs>("tag", &[]),
    Leaf::of::<image::tree::TreeArgs>("tree", &[]),
    Leaf::of::<image::mount::UnmountArgs>("unmount", &["umount"]),
    Leaf::of::<image::untag::UntagArgs>("untag", &[]),
    Leaf::of::<image::sign::VerifyArgs>("verify", &[]),
];

const NETWORK: &[Leaf] = &[
    Leaf::of::<network::connect::ConnectArgs>("connect", &[]),
    Leaf::of::<network::create::CreateArgs>("create", &[]),
    Leaf::of::<network::disconnect::DisconnectArgs>("disconnect", &[]),
    Leaf::of::<network::exists::ExistsArgs>("exists", &[]),
    Leaf::of::<network::inspect::InspectArgs>("inspect", &[]),
    Leaf::of::<network::ls::LsArgs>("ls", &["list"]),
    Leaf::of::<network::prune::PruneArgs>("prune", &[]),
    Leaf::of::<network::reload::ReloadArgs>("reload", &[]),
    Leaf::of::<network::rm::RmArgs>("rm", &["remove"]),
    Leaf::of::<network::update::UpdateArgs>("update", &[]),
];

const VOLUME: &[Leaf] = &[
    Leaf::of::<volume::create::CreateArgs>("create", &[]),
    Leaf::of::<volume::exists::ExistsArgs>("exists", &[]),
    Leaf::of::<volume::export::ExportArgs>("export", &[]),
    Leaf::of::<volume::import::ImportArgs>("import", &[]),
    Leaf::of::<volume::inspect::InspectArgs>("inspect", &[]),
    Leaf::of::<volume::ls::LsArgs>("ls", &["list"]),
    Leaf::of::<volume::prune::PruneArgs>("prune", &[]),
    Leaf::of::<volume::rm::RmArgs>("rm", &["remove"]),
];

const HEALTHCHECK: &[Leaf] = &[Leaf::of::<healthcheck::run::RunArgs>("run", &[])];
const BUILDER: &[Leaf] = &[
    Leaf::of::<image::build::BuildArgs>("build", &[]),
    Leaf::of::<image::builder::DuArgs>("du", &[]),
    Leaf::of::<image::builder::PruneArgs>("prune", &[]),
];

const MANIFEST: &[Leaf] = &[
    Leaf::of::<manifest::add::AddArgs>("add", &[]),
    Leaf::of::<manifest::annotate::AnnotateArgs>("annotate", &[]),
    Leaf::of::<manifest::create::CreateArgs>("create", &[]),
    Leaf::of::<manifest::exists::ExistsArgs>("exists", &[]),
    Leaf::of::<manifest::inspect::InspectArgs>("inspect", &[]),
    Leaf::of::<manifest::push::PushArgs>("push", &[]),
    Leaf::of::<manifest::remove::RemoveArgs>("remove", &[]),
    Leaf::of::<manifest::rm::RmArgs>("rm", &[]),
];

const SYSTEM: &[Leaf] = &[
    Leaf::of::<system::check::CheckArgs>("check", &[]),
    Leaf::of::<system::df::DfArgs>("df", &[]),
    Leaf::of::<system::doctor::DoctorArgs>("doctor", &[]),
    Leaf::of::<system::prune::GcArgs>("gc", &[]),
    Leaf::of::<system::info::InfoArgs>("info", &[]),
    Leaf::of::<system::prune::PruneArgs>("prune", &[]),
    Leaf::of::<system::reset::ResetArgs>("reset", &[]),
];

/// All words after `kelp`, those used most first.
pub(crate) const ROOT: &[Node] = &[
    Node::Verb(Leaf::of::<container::run::RunArgs>("run", &[])),
    Node::Verb(Leaf::of::<container::exec::ExecArgs>("exec", &[])),
    Node::Verb(Leaf::of::<container::ls::LsArgs>("ps", &[])),
    Node::Verb(Leaf::of::<container::rm::RmArgs>("rm", &[])),
    Node::Verb(Leaf::of::<container::create::CreateArgs>("create", &[])),
    Node::Verb(Leaf::of::<container::start::StartArgs>("start", &[])),
    Node::Verb(Leaf::of::<container::stop::StopArgs>("stop", &[])),
    Node::Verb(Leaf::of::<container::restart::RestartArgs>("restart", &[])),
    Node::Verb(Leaf::of::<container::kill::KillArgs>("kill", &[])),
    Node::Verb(Leaf::of::<container::logs::LogsArgs>("logs", &[])),
    Node::Verb(Leaf::of::<container::attach::AttachArgs>("attach", &[])),
    Node::Verb(Leaf::of::<container::wait::WaitArgs>("wait", &[])),
    Node::Verb(Leaf::of::<container::pause::PauseArgs>("pause", &[])),
    Node::Verb(Leaf::of::<container::unpause::UnpauseArgs>("unpause", &[])),
    Node::Verb(Leaf::of::<container::rename::RenameArgs>("rename", &[])),
    Node::Verb(Leaf::of::<container::top::TopArgs>("top", &[])),
    Node::Verb(Leaf::of::<container::port::PortArgs>("port", &[])),
    Node::Verb(Leaf::of::<container::diff::DiffArgs>("diff", &[])),
    Node::Verb(Leaf::of::<container::commit::CommitArgs>("commit", &[])),
    Node::Verb(Leaf::of::<container::cp::CpArgs>("cp", &[])),
    Node::Verb(Leaf::of::<container::export::ExportArgs>("export", &[])),
    Node::Verb(Leaf::of::<image::build::BuildArgs>("build", &[])),
    Node::Verb(Leaf::of::<image::ls::LsArgs>("images", &[])),
    Node::Verb(Leaf::of::<image::pull::PullArgs>("pull", &[])),
    Node::Verb(Leaf::of::<image::push::PushArgs>("push", &[])),
    Node::Verb(Leaf::of::<image::search::SearchArgs>("search", &[])),
    Node::Verb(Leaf::of::<image::login::LoginArgs>("login", &[])),
    Node::Verb(Leaf::of::<image::logout::LogoutArgs>("logout", &[])),
    Node::Verb(Leaf::of::<image::load::LoadArgs>("load", &[])),
    Node::Verb(Leaf::of::<image::save::SaveArgs>("save", &[])),
    Node::Verb(Leaf::of::<image::import::ImportArgs>("import", &[])),
    Node::Verb(Leaf::of::<image::rm::RmArgs>("rmi", &[])),
    Node::Verb(Leaf::of::<image::tag::TagArgs>("tag", &[])),
    Node::Verb(Leaf::of::<image::untag::UntagArgs>("untag", &[])),
    Node::Verb(Leaf::of::<image::history::HistoryArgs>("history", &[])),
    Node::Verb(Leaf::of::<network::resolve::ResolveArgs>("resolve", &[])),
    Node::Verb(Leaf::of::<system::inspect::InspectArgs>("inspect", &[])),
    Node::Verb(Leaf::of::<system::info::InfoArgs>("info", &[])),
    Node::Verb(Leaf::of::<system::version::VersionArgs>("version", &[])),
    Node::Verb(Leaf::of::<system::doctor::DoctorArgs>("doctor", &[])),
    Node::Verb(Leaf::of::<system::prune::GcArgs>("gc", &[])),
    Node::Verb(Leaf::of::<system::unshare::UnshareArgs>("unshare", &[])),
    Node::Verb(Leaf::of::<container::mount::MountArgs>("mount", &[])),
    Node::Verb(Leaf::of::<container::mount::UnmountArgs>("unmount", &["umount"])),
    Node::Verb(Leaf::of::<system::completion::CompletionArgs>("completion", &[])),
    Node::Verb(Leaf::of::<system::completion::NamesArgs>("__complete", &[]).hidden()),
    Node::Noun(Noun { name: "container", summary: "Work with containers", verbs: CONTAINER }),
    Node::Noun(Noun { name: "image", summary: "Work with images", verbs: IMAGE }),
    Node::Noun(Noun { name: "network", summary: "Work with networks", verbs: NETWORK }),
    Node::Noun(Noun { name: "builder", summary: "Work with builds and their cache", verbs: BUILDER }),
    Node::Noun(Noun { name: "buildx", summary: "Work with builds and their cache, as docker's plugin names it", verbs: BUILDER }),
    Node::Noun(Noun { name: "manifest", summary: "Work with lists of images for several platforms", verbs: MANIFEST }),
    Node::Noun(Noun { name: "volume", summary: "Work with volumes", verbs: VOLUME }),
    Node::Noun(Noun { name: "healthcheck", summary: "Check the health of containers", verbs: HEALTHCHECK }),
    Node::Noun(Noun { name: "system", summary: "Work with kelp itself", verbs: SYSTEM }),
];

impl Node {
    /// Its word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Verb(leaf) => leaf.name,
            Self::Noun(noun) => noun.name,
        }
    }
}

/// The node of a word after `kelp`.
pub(crate) fn find(word: &str) -> Option<&'static Node> {
    ROOT.iter().find(|node| match node {
        Node::Verb(leaf) => leaf.answers(word),
        Node::Noun(noun) => noun.name == word,
    })
}

/// A known word near to one that is not.
pub(crate) fn near(word: &str) -> Option<&'static str> {
    usage::nearest(word, ROOT.iter().map(Node::name))
}

impl Noun {
    /// The verb of a word after the noun.
    pub(crate) fn find(&self, word: &str) -> Option<&'static Leaf> {
        self.verbs.iter().find(|leaf| leaf.answers(word))
    }

    /// As shown in help, with its verbs.
    pub(crate) fn shown(&self) -> Command {
        Command::new(self.name)
            .bin_name(format!("kelp {}", self.name))
            .about(self.summary)
            .override_usage(format!("kelp {} COMMAND", self.name))
            .max_term_width(110)
            .disable_help_subcommand(true)
            .subcommands(self.verbs.iter().map(|leaf| leaf.shown(&format!("kelp {}", self.name))))
    }
}

/// The whole tree as shown in help, manual pages and completions: thousands of flags, so not for parsing.
pub(crate) fn shown() -> Command {
    let root = Command::new("kelp")
        .bin_name("kelp")
        .about("Run containers as an ordinary user: no daemon, no root")
        .override_usage("kelp [GLOBAL OPTIONS] COMMAND")
        .max_term_width(110)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .arg(
            clap::Arg::new("version")
                .short('v')
                .long("version")
                .action(clap::ArgAction::SetTrue)
                .help("Show the version"),
        )
        .subcommands(ROOT.iter().map(|node| match node {
            Node::Verb(leaf) => leaf.shown("kelp"),
            Node::Noun(noun) => noun.shown(),
        }))
        .after_help("See 'kelp COMMAND --help' for the flags of a command.");
    super::globals::add_shown(root)
}
