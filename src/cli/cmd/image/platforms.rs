//! A build for several platforms: one build for each, and a list of what they made.

use std::path::Path;

use crate::build::options::{BuildOptions, Output};
use crate::build::{Failed, Outcome};
use crate::cli::build_progress::{Mode, Printer};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::progress::{Progress, Pull, Push};
use crate::cli::ui;
use crate::engine::Error;
use crate::engine::image::list;
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
    if options.outputs.iter().any(|output| !is_kept(output) && !matches!(output, Output::Nothing | Output::Local(_))) {
        return Err(UsageError::new("several platforms are several results: only type=image, type=registry and type=local can hold them").into());
    }
    let kept = options.outputs.iter().any(is_kept);
    if kept && manifest.is_none() && options.tags.is_empty() {
        return Err(UsageError::new("the images of several platforms need a list to be in: give it a name with --tag or --manifest").into());
    }
    let engine = context.engine()?;
    let mut images = Vec::with_capacity(options.platforms.len());
    for platform in &options.platforms {
        let outputs = outputs_of(options, platform, kept);
        let mut one = BuildOptions { platform: Some(platform.clone()), tags: Vec::new(), outputs, ..options.clone() };
        one.pull.platform = Some(platform.clone());
        if mode != Mode::Quiet {
            ui::note(format_args!("Building for {platform}"));
        }
        match crate::build::build(engine, &one, &Printer::new(mode))? {
            Outcome::Built(built) => images.extend(built.image),
            Outcome::Failed(failed) => {
                return super::build::fail(context, Failed { file: options.dockerfile_name.clone(), ..failed }, false);
            }
        }
    }
    if !kept {
        return Ok(Exit::OK);
    }
    let progress = Pull::new(Progress::new(true));
    let fetch = list::Fetch { every: false, registry: &options.pull, progress: &progress };
    let mut id = String::new();
    for name in &options.tags {
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
    let write = |path: &Path, text: String| std::fs::write(path, text).map_err(Error::io("write", path));
    if let Some(path) = files.id {
        write(path, id.clone())?;
    }
    if let Some(path) = files.metadata {
        let names = options.tags.join(",");
        write(path, format!("{:#}\n", serde_json::json!({"containerimage.digest": id, "image.name": names})))?;
    }
    ui::line(id)?;
    Ok(Exit::OK)
}

/// What becomes of one platform's result: files go to a directory of their own, called as BuildKit calls it.
fn outputs_of(options: &BuildOptions, platform: &Platform, kept: bool) -> Vec<Output> {
    let own = platform.to_string().replace('/', "_");
    let local = |output: &Output| if let Output::Local(dir) = output { Some(Output::Local(dir.join(&own))) } else { None };
    let mut outputs: Vec<Output> = options.outputs.iter().filter_map(local).collect();
    outputs.push(if kept { Output::Image } else { Output::Nothing });
    outputs
}
