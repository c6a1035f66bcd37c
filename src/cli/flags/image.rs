//! How images are fetched, and for which platform.

use std::path::PathBuf;
use std::time::Duration;

use super::{parse, parse_option};
use crate::cli::exit::UsageError;
use crate::engine::options::PullOptions;
use crate::format::duration;
use crate::spec::Platform;

/// The platform, in docker's spelling or podman's.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Image")]
pub(crate) struct PlatformFlags {
    /// Platform of the image
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<String>,
    /// Operating system of the image
    #[arg(long, value_name = "OS")]
    os: Option<String>,
    /// Architecture of the image
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// Variant of the architecture
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,
}

impl PlatformFlags {
    pub(crate) fn read(self) -> Result<Option<Platform>, UsageError> {
        let Self { platform, os, arch, variant } = self;
        // But for `build` the last one counts.
        match (platform.last(), &os, &arch, &variant) {
            (Some(text), None, None, None) => Ok(Some(parse("--platform", text)?)),
            (Some(_), ..) => Err(UsageError::conflict("--platform", "--os, --arch, --variant")),
            (None, None, None, None) => Ok(None),
            (None, ..) => {
                let host = Platform::host();
                let os = os.as_deref().unwrap_or("linux");
                let arch = arch.as_deref().unwrap_or(&host.architecture);
                Ok(Some(Platform::new(os, arch, variant.as_deref())))
            }
        }
    }
}

/// `SOURCE_DATE_EPOCH` of the environment: the latest time that what is made may say.
pub(crate) fn source_date_epoch() -> Result<Option<i64>, UsageError> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Err(_) => Ok(None),
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => text.parse().map(Some).map_err(|_| {
            UsageError::new(format!("SOURCE_DATE_EPOCH is \"{text}\": it must be a number of seconds since 1970"))
        }),
    }
}

/// Where registries are found and trusted.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Image")]
pub(crate) struct RegistryFlags {
    #[command(flatten)]
    platform: PlatformFlags,
    /// Read registry credentials from this file
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Credentials for the registry
    #[arg(long, value_name = "USER[:PASSWORD]")]
    creds: Option<String>,
    /// Directory with certificates of the registry
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    /// Check the registry's certificate (default true); false also allows plain HTTP
    #[arg(long, value_name = "BOOL")]
    tls_verify: Option<bool>,
    /// How often a failed transfer is tried again
    #[arg(long, value_name = "NUMBER")]
    retry: Option<u32>,
    /// Time between two tries, such as 2s
    #[arg(long, value_name = "DURATION")]
    retry_delay: Option<String>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// For compatibility; kelp checks no content trust
    #[arg(long, value_name = "BOOL")]
    disable_content_trust: Option<bool>,
}

impl RegistryFlags {
    /// Takes `--platform` out when it names several, at once or given repeatedly.
    pub(crate) fn several_platforms(&mut self) -> Result<Vec<Platform>, UsageError> {
        let given = &mut self.platform.platform;
        if given.len() < 2 && !given.iter().any(|text| text.contains(',')) {
            return Ok(Vec::new());
        }
        let mut platforms: Vec<Platform> = Vec::new();
        for text in std::mem::take(given).iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty()) {
            let platform = parse("--platform", text)?;
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        if let [one] = platforms.as_slice() {
            given.push(one.to_string());
            platforms.clear();
        }
        Ok(platforms)
    }

    /// `policy` is the text of `--pull` or `--policy`.
    pub(crate) fn read(self, policy: (&str, Option<String>)) -> Result<PullOptions, UsageError> {
        let Self { platform, authfile, creds, cert_dir, tls_verify, retry, retry_delay, quiet, disable_content_trust } =
            self;
        if disable_content_trust == Some(false) {
            return Err(UsageError::new("--disable-content-trust=false is not supported: kelp checks no content trust"));
        }
        let delay = retry_delay
            .map(|text| {
                duration::parse_or_seconds(&text)
                    .ok()
                    .and_then(|nanos| u64::try_from(nanos).ok())
                    .map(Duration::from_nanos)
                    .ok_or_else(|| UsageError::value("--retry-delay", &text, "expected a duration such as 2s"))
            })
            .transpose()?;
        Ok(PullOptions {
            policy: parse_option(policy.0, policy.1)?,
            platform: platform.read()?,
            all_tags: false,
            quiet,
            auth_file: authfile,
            credentials: creds,
            cert_dir,
            tls_verify,
            retries: retry,
            retry_delay: delay,
        })
    }
}
