//! `kelp image sign`, `kelp image verify`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::flags::image::RegistryFlags;
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image;

/// Flags of `image sign`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct SignArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Private key: ed25519 or ECDSA P-256 in PEM, not encrypted
    #[arg(long, value_name = "FILE", required = true)]
    key: PathBuf,
    /// The images, as they are on their registries
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

impl Verb for SignArgs {
    const SUMMARY: &'static str = "Sign images on their registry";
    const OPERANDS: &'static str = "[OPTIONS] --key FILE IMAGE [IMAGE...]";
    const DESCRIPTION: &'static str = "\
The signature says which digest the name has now. It is kept as cosign does, under a tag made of the digest, where cosign, \
podman and kelp find it. Which signatures a pull asks for is said in ~/.config/containers/policy.json or \
/etc/containers/policy.json (sigstoreSigned).";
    const EXAMPLES: &'static str = "\
# Make a key, push, sign, verify
$ openssl genpkey -algorithm ed25519 -out app.key && openssl pkey -in app.key -pubout -out app.pub
$ kelp push registry.example/app:1
$ kelp image sign --key app.key registry.example/app:1
$ kelp image verify --key app.pub registry.example/app:1";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { registry, key, images } = self;
        let options = registry.read(("--policy", None))?;
        let engine = context.engine()?;
        let mut errors = Vec::new();
        for name in &images {
            match image::sign(engine, name, &key, &options) {
                Ok(signed) => ui::line(format_args!("Signed {} as {}", signed.name, signed.signed_as))?,
                Err(error) => errors.push(error),
            }
        }
        Failure::collect(errors)?;
        Ok(Exit::OK)
    }
}

/// Flags of `image verify`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Public key: ed25519 or ECDSA P-256 in PEM
    #[arg(long, value_name = "FILE", required = true)]
    key: PathBuf,
    /// The images, as they are on their registries
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

impl Verb for VerifyArgs {
    const SUMMARY: &'static str = "Check signatures of images on their registry";
    const OPERANDS: &'static str = "[OPTIONS] --key FILE IMAGE [IMAGE...]";
    const EXAMPLES: &'static str = "\
# Signed by cosign or by kelp image sign
$ kelp image verify --key app.pub registry.example/app:1";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { registry, key, images } = self;
        let options = registry.read(("--policy", None))?;
        let engine = context.engine()?;
        let mut errors = Vec::new();
        for name in &images {
            match image::verify(engine, name, &key, &options) {
                Ok(signed) => ui::line(format_args!("Verified {}, signed as {}", signed.name, signed.signed_as))?,
                Err(error) => errors.push(error),
            }
        }
        Failure::collect(errors)?;
        Ok(Exit::OK)
    }
}
