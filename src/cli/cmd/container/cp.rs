//! `kelp cp`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::container::cp::{self, CopyEnd};
use crate::engine::options::CopyOptions;
use crate::format::size;

/// Flags of `cp`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CpArgs {
    /// What to copy
    #[arg(value_name = "SOURCE")]
    pub(super) source: String,
    /// Where to
    #[arg(value_name = "TARGET")]
    pub(super) target: String,
    /// Keep owner and group
    #[arg(short, long)]
    pub(super) archive: bool,
    /// Follow a symbolic link in SOURCE
    #[arg(short = 'L', long)]
    pub(super) follow_link: bool,
    /// A directory may replace a file, a file a directory
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Show no progress
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl Verb for CpArgs {
    const SUMMARY: &'static str = "Copy files between a container and the host";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER:PATH PATH|- | PATH|- CONTAINER:PATH";
    const DESCRIPTION: &'static str = "- is a tar archive on standard input or output; one that comes in may be compressed with gzip, bzip2, xz or zstd. The rules for trailing slashes and existing directories are docker's. A file takes its name when it is whole: an interrupted copy leaves what was there. On file systems where a file cannot be without a name meanwhile, one of a killed copy is called .kelp- and 16 digits until the next copy into its directory removes it.";
    const EXAMPLES: &'static str = "\
# Out of a container, running or not
$ kelp cp web:/etc/nginx ./nginx
# A tar archive into it
$ tar c site | kelp cp - web:/srv";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { source, target, archive, follow_link, overwrite, quiet } = self;
        let (from, to) = (CopyEnd::parse(&source), CopyEnd::parse(&target));
        if to == CopyEnd::Stream && ui::stdout_is_terminal() {
            return Err(UsageError::new("refusing to write an archive to a terminal: redirect it").into());
        }
        if from == CopyEnd::Stream && ui::stdin_is_terminal() {
            return Err(UsageError::new("the archive is missing: pipe one in").into());
        }
        let options = CopyOptions { archive, follow_link, overwrite };
        let (mut input, mut output) = (std::io::stdin(), std::io::stdout().lock());
        let report = cp::copy(context.engine()?, &from, &to, &options, (&mut input, &mut output))?;
        if matches!(from, CopyEnd::Container { .. }) {
            context.warn_of_lost_ids();
        }
        for path in &report.skipped {
            context.warn(format_args!("skipped {}: it cannot be made here", path.display()));
        }
        if !quiet && ui::stdout_is_terminal() {
            ui::note(format_args!("Successfully copied {} to {target}", size::human3(report.bytes)));
        }
        Ok(Exit::OK)
    }
}
