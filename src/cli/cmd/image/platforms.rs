//! A build for several platforms: one build for each, and a list of what they made.

use std::path::Path;
use std::sync::Arc;

use crate::build::options::{BuildOptions, Output};
use crate::build::{Failed, Outcome};
use crate::cli::build_progress::{Mode, Printer};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::progress::{Progress, Pull, Push};
use crate::cli::ui;
use crate::engine::image::{export, list};
use crate::engine::{Engine, Error};
use crate::spec::Platform;

/// Where the list's digest is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'a> {
    /// `--iidfile`.
    pub(super) id: Option<&'a Path>,
    /// `--metadata-file`.
    pub(super) metadata: Option<&'a Path>,
}

/// Builds for each of the platforms; `manifest` is the list of `--manifest`, which is added to. Lists of `--tag` are made
/// anew.
pub(super) fn build(context: &Context, options: &BuildOptions, manifest: Option<&str>, mode: Mode, files: Files<'_>) -> Result<Exit, Failure> {
    let is_kept = |output: &Output| matches!(output, Output::Image | Output::Push);
    if options.outputs.iter().any(|output| matches!(output, Output::Docker(_))) {
        return Err(UsageError::new("several platforms are several images, and a docker archive has no index of them: use type=oci").into());
    }
    let kept = options.outputs.iter().any(is_kept);
    if kept && manifest.is_none() && options.tags.is_empty() {
        return Err(UsageError::new("the images of several platforms need a list to be in: give it a name with --tag or --manifest").into());
    }
    let engine = context.engine()?;
    // Written of images: those made for that alone go again.
    let written = |output: &Output| matches!(output, Output::Oci(_) | Output::OciLayout(_) | Output::Tar(_));
    let made = kept || options.outputs.iter().any(written);
    let known = export::known(engine)?;
    let members = export::hold(engine)?;
    let mut images = Vec::with_capacity(options.platforms.len());
    for platform in &options.platforms {
        let outputs = outputs_of(options, platform, made);
        let members = Some(Arc::clone(&members));
        let mut one = BuildOptions { platform: Some(platform.clone()), tags: Vec::new(), outputs, members, ..options.clone() };
        one.pull.platform = Some(platform.clone());
        if mode != Mode::Quiet {
            ui::note(format_args!("Building for {platform}"));
        }
        match crate::build::build(engine, &one, &Printer::new(mode))? {
            Outcome::Built(built) => images.extend(built.image),
            Outcome::Failed(failed) => {
                if !kept {
                    export::forget(engine, &images, &known)?;
                }
                return super::build::fail(context, Failed { file: options.dockerfile_name.clone(), ..failed }, false);
            }
        }
    }
    let exported = write(engine, options, &images);
    if !kept {
        export::forget(engine, &images, &known)?;
    }
    let exported = exported?;
    if !made {
        return Ok(Exit::OK);
    }
    let progress = Pull::new(Progress::new(true));
    let fetch = list::Fetch { every: false, registry: &options.pull, progress: &progress };
    let mut id = exported.unwrap_or_default();
    for name in options.tags.iter().filter(|_| kept) {
        id = list::replace(engine, name, &images, &options.index_annotations)?;
    }
    if let Some(name) = manifest {
        id = list::create(engine, name, &images, true, &options.index_annotations, &fetch)?;
    }
    if options.outputs.contains(&Output::Push) {
        let progress = Push::new(Progress::new(mode == Mode::Quiet));
        for name in &options.tags {
            id = list::push_list(engine, name, None, &options.push, &progress)?.digest;
        }
    }
    // Of what is in no list there is nothing to tell.
    if id.is_empty() {
        return Ok(Exit::OK);
    }
    let write = |path: &Path, text: String| std::fs::write(path, text).map_err(Error::io("write", path));
    if let Some(path) = files.id {
        write(path, id.clone())?;
    }
    if let Some(path) = files.metadata {
        let names = options.tags.join(",");
        write(path, format!("{:#}\n", serde_json::json!({"containerimage.digest": id, "image.name": names})))?;
    }
    if !options.outputs.iter().any(Output::is_stdout) {
        ui::line(id)?;
    }
    Ok(Exit::OK)
}

/// Writes what holds all platforms: an index in an OCI layout, whose digest comes back, or a tar archive of a directory for
/// each, called as BuildKit calls it.
fn write(engine: &Engine, options: &BuildOptions, images: &[String]) -> Result<Option<String>, Error> {
    let index = |to| export::index(engine, images, &options.tags, &options.index_annotations, to).map(Some);
    let mut id = None;
    for output in &options.outputs {
        match output {
            Output::Oci(path) => id = index(export::Layout::Archive(path.as_deref()))?,
            Output::OciLayout(dir) => id = index(export::Layout::Directory(dir))?,
            Output::Tar(path) => {
                let trees: Vec<_> = images.iter().cloned().zip(options.platforms.iter().map(directory)).collect();
                export::trees(engine, &trees, options.epoch, path.as_deref())?;
            }
            Output::Image | Output::Push | Output::Local(_) | Output::Docker(_) | Output::Nothing => {}
        }
    }
    Ok(id)
}

fn directory(platform: &Platform) -> String {
    platform.to_string().replace('/', "_")
}

/// What becomes of one platform's result: files go to a directory of their own, called as BuildKit calls it.
fn outputs_of(options: &BuildOptions, platform: &Platform, made: bool) -> Vec<Output> {
    let own = directory(platform);
    let local = |output: &Output| if let Output::Local(dir) = output { Some(Output::Local(dir.join(&own))) } else { None };
    let mut outputs: Vec<Output> = options.outputs.iter().filter_map(local).collect();
    outputs.push(if made { Output::Image } else { Output::Nothing });
    outputs
}
