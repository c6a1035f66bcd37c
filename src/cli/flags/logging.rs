//! Where the container's output goes.

use std::path::PathBuf;

use super::{Surroundings, bytes, parse, parse_option};
use crate::cli::exit::UsageError;
use crate::spec::container::LogSpec;

/// The logging section of `run` and `create`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct LogFlags {
    /// Keep output with this driver: k8s-file (also called json-file), journald, passthrough or none
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// max-size=SIZE, max-file=N, labels=KEY,…, env=NAME,…, tag=TEXT, path=FILE or mode=MODE: the log is on this host and
    /// has no buffer that could lose lines, so blocking and non-blocking are the same
    #[arg(long, value_name = "KEY=VALUE")]
    log_opt: Vec<String>,
}

impl LogFlags {
    pub(crate) fn apply(self, spec: &mut LogSpec, around: &Surroundings<'_>) -> Result<(), UsageError> {
        let Self { log_driver, log_opt } = self;
        spec.driver = parse_option("--log-driver", log_driver)?.unwrap_or_default();
        let (mut non_blocking, mut buffer) = (false, None);
        for text in log_opt {
            let bad = |reason: &str| UsageError::value("--log-opt", &text, reason);
            let (key, value) = text.split_once('=').ok_or_else(|| bad("expected KEY=VALUE"))?;
            match key {
                "max-size" if value == "-1" => spec.max_size = None,
                "max-size" => spec.max_size = bytes("--log-opt max-size", Some(value.to_owned()))?,
                "max-file" => {
                    let count: u32 = parse("--log-opt max-file", value)?;
                    if count == 0 {
                        return Err(bad("at least one file is needed"));
                    }
                    spec.max_files = Some(count);
                }
                "labels" => spec.labels = value.split(',').map(str::to_owned).collect(),
                "env" => spec.env = value.split(',').map(str::to_owned).collect(),
                "tag" => spec.tag = Some(value.to_owned()),
                "path" => spec.path = Some(around.absolute(&PathBuf::from(value))),
                // A driver that sends lines away needs the choice; ours writes to a file or the journal.
                "mode" if matches!(value, "blocking" | "non-blocking") => non_blocking = value == "non-blocking",
                "mode" => return Err(bad("use blocking or non-blocking")),
                "max-buffer-size" => {
                    bytes("--log-opt max-buffer-size", Some(value.to_owned()))?;
                    buffer = Some(text.clone());
                }
                "compress" => match value.parse() {
                    Ok(false) => {}
                    Ok(true) => return Err(bad("kelp does not compress rotated logs")),
                    Err(_) => return Err(bad("use true or false")),
                },
                _ => {
                    let known = "the options are max-size, max-file, labels, env, tag, path, mode, max-buffer-size and compress";
                    return Err(bad(known));
                }
            }
        }
        match buffer {
            Some(text) if !non_blocking => Err(UsageError::value("--log-opt", &text, "it needs mode=non-blocking")),
            _ => Ok(()),
        }
    }
}
