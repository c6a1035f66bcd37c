//! `kelp volume create`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::pairs;
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::Error;
use crate::engine::options::VolumeOptions;
use crate::engine::volume;
use crate::spec::env;

/// Flags of `volume create`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CreateArgs {
    /// Its name; a random one when absent
    #[arg(value_name = "VOLUME")]
    pub(super) name: Option<String>,
    /// local is the one there is
    #[arg(short, long, value_name = "DRIVER")]
    pub(super) driver: Option<String>,
    /// Label on the volume
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) label: Vec<String>,
    /// Option of the driver: type, device, o
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) opt: Vec<String>,
    /// A volume that is there already is no error
    #[arg(long)]
    pub(super) ignore: bool,
    /// Owner in the container
    #[arg(long, value_name = "UID")]
    pub(super) uid: Option<u32>,
    /// Group in the container
    #[arg(long, value_name = "GID")]
    pub(super) gid: Option<u32>,
}

impl Verb for CreateArgs {
    const SUMMARY: &'static str = "Make a volume";
    const OPERANDS: &'static str = "[OPTIONS] [VOLUME]";
    const EXAMPLES: &'static str = "\
# For a database
$ kelp volume create data";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { name, driver, label, opt, ignore, uid, gid } = self;
        let mut labels = std::collections::BTreeMap::new();
        for text in label {
            env::label(&text, &mut labels).map_err(|reason| UsageError::value("--label", &text, reason))?;
        }
        let options = VolumeOptions { driver, labels, options: pairs("--opt", opt)?, ignore, uid, gid };
        let engine = context.engine()?;
        let name = match volume::create(engine, name.as_deref(), &options) {
            Err(Error::Conflict(_)) if ignore => name.unwrap_or_default(),
            other => other?,
        };
        ui::line(name)?;
        Ok(Exit::OK)
    }
}
