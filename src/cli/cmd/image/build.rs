//! `kelp build`.

use std::path::Path;

use crate::build::options::{BuildOptions, Built, NamedContext, Output};
use crate::build::dockerfile::ParseError;
use crate::build::{Failed, Outcome, check, outline, source};
use crate::cli::build_progress::{Mode, Printer};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::build::{BuildFlags, metadata};
use crate::cli::ui;
use crate::cli::progress::{Progress, Pull};
use crate::cli::verb::Verb;
use crate::build::epoch;
use crate::engine::container::run;
use crate::engine::image::list;
use crate::engine::options::{RunOptions, Streams};
use crate::spec::ContainerSpec;
use crate::spec::container::ImageSource;
use crate::engine::{Engine, Error};

/// Flags of `build`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    flags: BuildFlags,
    /// Enter the last good state in a shell when a RUN fails
    #[arg(long, help_heading = "RUN")]
    debug_shell: bool,
    /// Check the Dockerfile for what may surprise, and build nothing
    #[arg(long)]
    check: bool,
    /// Build nothing: check (as --check), list what can be told (outline) or the stages (targets), as text or JSON
    #[arg(long, value_name = "build|check|outline|targets[,format=json]")]
    call: Option<String>,
    /// A directory, the address of a git repository or archive, or - for standard input
    #[arg(value_name = "CONTEXT")]
    context: Option<String>,
}

/// What is asked of a Dockerfile.
enum Call {
    Build,
    Check,
    Outline,
    Targets,
}

impl Call {
    /// What is asked, and whether the answer is to be JSON.
    fn choose(check: bool, call: Option<&str>) -> Result<(Self, bool), UsageError> {
        let mut words = call.unwrap_or_default().split(',');
        let method = words.next().unwrap_or_default();
        let mut json = false;
        for word in words {
            json = match word {
                "format=json" => true,
                "format=text" => false,
                other => return Err(UsageError::value("--call", other, "only format=text and format=json are known here")),
            };
        }
        let call = match method {
            "check" | "lint" => Self::Check,
            "" | "build" if check => Self::Check,
            _ if check => return Err(UsageError::conflict("--check", "--call")),
            "" | "build" => Self::Build,
            "outline" => Self::Outline,
            "targets" => Self::Targets,
            other => return Err(UsageError::value("--call", other, "use build, check, outline or targets")),
        };
        Ok((call, json))
    }
}

impl Verb for BuildArgs {
    const SUMMARY: &'static str = "Build an image from a Dockerfile";
    const OPERANDS: &'static str = "[OPTIONS] [CONTEXT]";
    const DESCRIPTION: &'static str = "\
Stages that do not need each other are built at the same time; stages nobody needs are not built. A step is taken from the \
cache when its instruction and the content of all its inputs are known: touching a file rebuilds nothing, changing one \
that is only bind-mounted does. Secrets are part of nothing that is kept.

The same context and base give the same image, byte for byte, once a time is given (--timestamp, SOURCE_DATE_EPOCH), whoever \
builds it where; another time makes no step again, unless a stage declares the argument. --cache-to writes the results of all \
steps to a registry or a directory, --cache-from reads them: then a machine that never built this makes only what is new. Such a cache is an OCI image of layers; the tools of others can copy it.

The context is the current directory unless said. Progress goes to standard error; the id of the image goes to standard \
output with --quiet. When a RUN fails, the state before it is kept as an image without a name, to look around in.";
    const EXAMPLES: &'static str = "\
# The Dockerfile here, as an image named app
$ kelp build -t app .
# One stage of another file, with an argument
$ kelp build -f build/Dockerfile --target test --build-arg VERSION=1.2 .
# The files a stage made, into a directory
$ kelp build --target binaries -o dist .
# With a secret no layer remembers
$ kelp build --secret id=npmrc,src=$HOME/.npmrc -t web .
# Mistakes that build all the same
$ kelp build --check .
# From a git repository
$ kelp build -t app 'https://example.org/app.git?branch=main&subdir=docker'
# To a registry, with the cache beside it
$ kelp build -t registry.example/app:1 --push --cache-to type=registry,ref=registry.example/app:cache \\
    --cache-from type=registry,ref=registry.example/app:cache .";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { flags, debug_shell, check, call, context: place } = self;
        let (call, json) = Call::choose(check, call.as_deref())?;
        let file = flags.input.file.clone();
        let (iid_file, metadata_file) = (flags.output.iidfile.clone(), flags.output.metadata_file.clone());
        let (progress, manifest) = (flags.output.progress.clone(), flags.output.manifest.clone());
        let mut options = context.surroundings(|around| flags.into_options(around))?;
        let mode = Mode::choose(progress.as_deref(), options.pull.quiet)?;
        let quiet = options.pull.quiet;
        let engine = context.engine()?;
        let directory = std::env::current_dir().map_err(Error::io("find the current directory", "."))?;
        let place = place.unwrap_or_else(|| ".".to_owned());
        if place == "-" && (file.as_deref() == Some("-") || ui::stdin_is_terminal()) {
            return Err(UsageError::new("standard input cannot be the context: it is a terminal, or the Dockerfile").into());
        }
        // A build that fails must not leave the id of an earlier one.
        if let Some(path) = &iid_file {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", path)(error).into()),
                _ => {}
            }
        }
        let fetched = source::fetch(engine, &place, &directory, options.keep_git_dir())?;
        let found = fetched.dockerfile(file.as_deref(), &directory)?;
        if options.ignore.is_none() {
            options.ignore = fetched.ignore(&found)?;
        }
        (options.dockerfile, options.dockerfile_name) = (found.text, found.name);
        options.context = fetched.dir.clone();
        if let Some(time) = epoch::of_context(&mut options, fetched.time) {
            options.epoch = Some(time);
        }
        let _contexts = fetch_contexts(engine, &mut options, &directory)?;
        match call {
            Call::Build => {}
            Call::Check => return check_only(engine, &options, json),
            Call::Outline => return listed(outline::outline(&options), json, outline::Outline::text),
            Call::Targets => return listed(outline::targets(&options), json, outline::Targets::text),
        }
        if check::is_strict(&options)
            && let Some(reason) = check::check(engine, &options, false).ok().and_then(|checked| checked.refusal())
        {
            ui::note(format_args!("Error: {reason}"));
            ui::hint("--check shows them");
            return Ok(Exit::FAILED);
        }
        for output in &options.outputs {
            if output.is_stdout() && ui::stdout_is_terminal() {
                return Err(UsageError::new("refusing to write an archive to a terminal: give --output a dest=FILE, or redirect").into());
            }
        }
        if options.platforms.len() > 1 {
            let files = super::platforms::Files { id: iid_file.as_deref(), metadata: metadata_file.as_deref() };
            return super::platforms::build(context, &options, manifest.as_deref(), mode, files);
        }
        let sink = Printer::new(mode);
        match crate::build::build(engine, &options, &sink)? {
            Outcome::Built(built) => {
                if mode != Mode::Quiet {
                    warnings(engine, &options);
                }
                if let (Some(list), Some(image)) = (&manifest, &built.image) {
                    add_to_list(engine, list, image, &options)?;
                }
                finish(&options, &built, quiet, iid_file.as_deref(), metadata_file.as_deref())
            }
            Outcome::Failed(failed) => fail(context, Failed { file: options.dockerfile_name.clone(), ..failed }, debug_shell),
        }
    }
}

/// Fetches what `--build-context` names elsewhere. What comes back keeps it there.
fn fetch_contexts(engine: &Engine, options: &mut BuildOptions, directory: &Path) -> Result<Vec<source::Fetched>, Error> {
    let mut all = Vec::new();
    let keep = options.keep_git_dir();
    for (name, context) in &mut options.contexts {
        match context {
            NamedContext::Remote(address) => {
                let fetched = source::fetch(engine, address, directory, keep)?;
                let dir = fetched.dir.clone();
                let dir = dir.ok_or_else(|| Error::Usage(format!("--build-context {name}: {address} is neither a repository nor an archive")))?;
                *context = NamedContext::Directory(dir);
                all.push(fetched);
            }
            NamedContext::Image(place) if place.starts_with("oci:") => {
                let progress = Pull::new(Progress::new(true));
                *place = crate::engine::image::pull(engine, place, &options.pull, &progress)?;
            }
            NamedContext::Image(_) | NamedContext::Directory(_) | NamedContext::Stage(_) => {}
        }
    }
    Ok(all)
}

/// `--manifest`: the image becomes one of a list, which is made if it is not there.
fn add_to_list(engine: &Engine, list: &str, image: &str, options: &BuildOptions) -> Result<(), Error> {
    let progress = Pull::new(Progress::new(true));
    let fetch = list::Fetch { every: false, registry: &options.pull, progress: &progress };
    list::create(engine, list, &[image.to_owned()], true, &options.index_annotations, &fetch)?;
    Ok(())
}

/// `--call`: a listing on standard output.
fn listed<T: serde::Serialize>(found: Result<T, ParseError>, json: bool, text: fn(&T) -> String) -> Result<Exit, Failure> {
    match found {
        Ok(found) => {
            ui::print(&if json { pretty(&found)? } else { text(&found) })?;
            Ok(Exit::OK)
        }
        Err(error) => {
            ui::note(format_args!("Error: {error}"));
            Ok(Exit::FAILED)
        }
    }
}

fn pretty(value: &impl serde::Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Internal(format!("cannot write JSON: {error}")))?;
    Ok(text + "\n")
}

/// `--check`: everything found, on standard output.
fn check_only(engine: &Engine, options: &BuildOptions, json: bool) -> Result<Exit, Failure> {
    match check::check(engine, options, true) {
        Ok(checked) => {
            ui::print(&if json { pretty(&checked.json())? } else { checked.report() })?;
            Ok(if checked.warnings.is_empty() { Exit::OK } else { Exit::FAILED })
        }
        Err(error) => {
            ui::note(format_args!("Error: {error}"));
            Ok(Exit::FAILED)
        }
    }
}

/// One line for each finding, after the build.
fn warnings(engine: &Engine, options: &BuildOptions) {
    let Ok(checked) = check::check(engine, options, false) else { return };
    let (count, plural) = match checked.warnings.len() {
        0 => return,
        1 => (1, ""),
        count => (count, "s"),
    };
    ui::note(format_args!("\n {count} warning{plural} found (use --check to see all of it):"));
    for warning in &checked.warnings {
        ui::note(format_args!(" - {}: {} (line {})", warning.rule, warning.message, warning.span.first));
    }
}

fn finish(
    options: &BuildOptions,
    built: &Built,
    quiet: bool,
    iid_file: Option<&std::path::Path>,
    metadata_file: Option<&std::path::Path>,
) -> Result<Exit, Failure> {
    if let (Some(path), Some(image)) = (iid_file, &built.image) {
        std::fs::write(path, image).map_err(Error::io("write", path))?;
    }
    if let Some(path) = metadata_file {
        let text = format!("{:#}\n", metadata(built));
        std::fs::write(path, text).map_err(Error::io("write", path))?;
    }
    let to_stdout = options.outputs.iter().any(Output::is_stdout);
    if let Some(image) = built.image.as_ref().filter(|_| !to_stdout) {
        if quiet {
            ui::line(image)?;
        } else {
            for name in &built.names {
                ui::note(format_args!("Successfully tagged {name}"));
            }
            ui::line(image.trim_start_matches("sha256:"))?;
        }
    }
    Ok(Exit::OK)
}

/// Says what failed, where, and how to look around. The exit status is that of the command.
pub(super) fn fail(context: &Context, failed: Failed, debug_shell: bool) -> Result<Exit, Failure> {
    let mut text = String::new();
    if let Some(instruction) = failed.instruction.as_ref().filter(|_| failed.code.is_some()) {
        text.push_str(&format!("------\n > {}:\n", instruction.lines().next().unwrap_or_default()));
        failed.tail.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        text.push_str("------\n");
    }
    if let Some(((first, _), instruction)) = failed.lines.zip(failed.instruction.as_ref())
        && !failed.message.lines().any(is_excerpt)
    {
        text.push_str(&format!("{}:{first}\n", failed.file));
        for (number, line) in (first..).zip(instruction.lines().take(5)) {
            text.push_str(&format!("{number:5} | {line}\n"));
        }
    }
    if !text.is_empty() {
        ui::talk(&text);
    }
    ui::note(format_args!("Error: {}", failed.message));
    if let Some(hint) = &failed.hint {
        ui::hint(hint);
    }
    if let Some(image) = failed.last_good.as_ref().filter(|_| failed.code.is_some()) {
        if debug_shell {
            shell(context, image)?;
        } else {
            let short = image.trim_start_matches("sha256:").get(..12).unwrap_or_default();
            ui::hint(format_args!("`kelp run --rm -it {short} sh` shows the state before this step, as --debug-shell does at once"));
        }
    }
    let code = failed.code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code > 0);
    Ok(code.map_or(Exit::FAILED, Exit))
}

/// Whether a line of a message shows a line of the Dockerfile.
fn is_excerpt(line: &str) -> bool {
    line.trim_start().split_once(" | ").is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A shell in an image, on the caller's terminal.
fn shell(context: &Context, image: &str) -> Result<(), Failure> {
    let mut spec = ContainerSpec { image: ImageSource::Image(image.to_owned()), ..ContainerSpec::default() };
    spec.process.entrypoint = Some(Vec::new());
    spec.process.command = vec!["sh".to_owned()];
    (spec.process.interactive, spec.process.tty) = (true, ui::stdin_is_terminal());
    spec.lifecycle.remove = true;
    let engine = context.engine()?;
    let options = RunOptions { streams: Streams { stdin: true, ..Streams::default() }, sig_proxy: true, ..RunOptions::default() };
    let found = crate::engine::image::for_run(engine, &spec.image, &options.create.pull, &crate::cli::progress::Pull::new(crate::cli::progress::Progress::new(true)))?;
    run::run(engine, spec, found, &options)?;
    Ok(())
}
