//! `kelp port`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::container::{ls, port};

/// Flags of `port`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PortArgs {
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) container: Option<String>,
    /// A port of the container, such as 80 or 53/udp
    #[arg(value_name = "PORT[/PROTO]")]
    pub(super) port: Option<String>,
    /// All containers
    #[arg(short, long)]
    pub(super) all: bool,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
}

impl Verb for PortArgs {
    const SUMMARY: &'static str = "Show where the ports of a container are published";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [PORT[/PROTO]]";
    const EXAMPLES: &'static str = "\
# Where port 80 is found
$ kelp port web 80";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { container, port, all, latest } = self;
        let engine = context.engine()?;
        if all {
            let mut text = String::new();
            for id in ls::ids(engine, &ls::ListOptions::default())? {
                for binding in port::ports(engine, &id)? {
                    let short = id.get(..12).unwrap_or(&id);
                    text.push_str(&format!("{short}\t{} -> {}\n", binding.container(), binding.host()));
                }
            }
            ui::print(&text)?;
            return Ok(Exit::OK);
        }
        let (container, port) = match (latest, container, port) {
            (false, Some(container), port) => (container, port),
            (true, port, None) => (context.newest()?.pop().unwrap_or_default(), port),
            _ => return Err(UsageError::new("\"kelp port\" takes a container, or --latest, or --all").into()),
        };
        let text: String = match port {
            Some(port) => {
                port::ports_of(engine, &container, &port)?.iter().map(|binding| format!("{}\n", binding.host())).collect()
            }
            None => port::ports(engine, &container)?
                .iter()
                .map(|binding| format!("{} -> {}\n", binding.container(), binding.host()))
                .collect(),
        };
        ui::print(&text)?;
        Ok(Exit::OK)
    }
}
