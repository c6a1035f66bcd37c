//! Flags of `build`, and what they come to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::image::{RegistryFlags, source_date_epoch};
use super::resources::ResourceFlags;
use super::where_to;
use super::{Surroundings, bytes, pairs, parse};
use crate::build::dockerfile::lint;
use crate::build::options::{BuildOptions, NamedContext, SecretSource, Squash, context_name};
use crate::cli::exit::UsageError;
use crate::engine::options::PullOptions;
use crate::spec::NetworkMode;
use crate::spec::user::{KEEP_GROUPS, added_groups};

/// What goes into the image, and from where.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputFlags {
    /// The Dockerfile (default: Dockerfile or Containerfile in the context; - is standard input)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// Value of an ARG; a name alone takes the caller's variable. BUILDKIT_CACHE_MOUNT_NS, BUILDKIT_CONTEXT_KEEP_GIT_DIR,
    /// BUILDKIT_DOCKERFILE_CHECK and BUILDKIT_SANDBOX_HOSTNAME need no ARG and mean what they mean to BuildKit
    #[arg(long, value_name = "NAME=VALUE")]
    build_arg: Vec<String>,
    /// Read values of ARGs from this file
    #[arg(long, value_name = "FILE")]
    build_arg_file: Vec<PathBuf>,
    /// A further context: directory, git repository, archive's URL, docker-image://IMAGE, oci-layout://DIR[:TAG] or target:STAGE
    #[arg(long, value_name = "NAME=SOURCE")]
    build_context: Vec<String>,
    /// Read patterns of files to leave out from this file instead of .dockerignore
    #[arg(long, value_name = "FILE")]
    ignorefile: Option<PathBuf>,
    /// Stage to build (default: the last one)
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Secret for RUN --mount=type=secret
    #[arg(long, value_name = "id=NAME[,src=FILE|,env=VARIABLE]")]
    secret: Vec<String>,
    /// Agent for RUN --mount=type=ssh
    #[arg(long, value_name = "default|NAME[=SOCKET]")]
    ssh: Vec<String>,
    /// Fetch base images: always, missing, newer, never
    #[arg(long, value_name = "POLICY", num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    pull: Option<String>,
    /// As --pull=always
    #[arg(long)]
    pull_always: bool,
    /// As --pull=never
    #[arg(long)]
    pull_never: bool,
}

/// What the result looks like and where it goes.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputFlags {
    /// Name of the image
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: Vec<String>,
    /// Where the result goes: DIR, - (a tar archive), or type=local|tar|oci|docker|image|registry|cacheonly[,dest=PATH][,name=NAME]
    #[arg(short, long, value_name = "OUTPUT")]
    output: Vec<String>,
    /// Put the image in the store (the default)
    #[arg(long)]
    load: bool,
    /// Push the image to its names
    #[arg(long)]
    push: bool,
    /// Put the image into this list of images for several platforms, made if need be
    #[arg(long, value_name = "LIST")]
    pub(crate) manifest: Option<String>,
    /// Label of the image
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Annotation of the image's manifest; with index: or index,manifest: in front, of the index of several platforms
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// Variable of the image, beneath those of the Dockerfile; a name alone takes the caller's
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Leave a variable out of the image
    #[arg(long, value_name = "NAME")]
    unsetenv: Vec<String>,
    /// Leave a label out of the image
    #[arg(long, value_name = "KEY")]
    unsetlabel: Vec<String>,
    /// oci or docker (default oci)
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// One layer for everything new
    #[arg(long)]
    squash: bool,
    /// One layer for everything
    #[arg(long)]
    squash_all: bool,
    /// A layer for each step (default true)
    #[arg(long, value_name = "BOOL")]
    layers: Option<bool>,
    /// Leave the history out
    #[arg(long)]
    omit_history: bool,
    /// Time of the image and latest of its files, seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<i64>,
    /// As --timestamp (default: the variable SOURCE_DATE_EPOCH)
    #[arg(long, value_name = "SECONDS")]
    source_date_epoch: Option<i64>,
    /// Set the times of files too (they are with --timestamp)
    #[arg(long)]
    rewrite_timestamp: bool,
    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Write what was made to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,
    /// How progress is shown: auto, plain, tty, rawjson, quiet
    #[arg(long, value_name = "FORM")]
    pub(crate) progress: Option<String>,
    /// Attestations are not made; only what turns them off is taken
    #[arg(long, value_name = "type=TYPE,disabled=true")]
    attest: Vec<String>,
    /// For compatibility: nothing is sent anywhere
    #[arg(long)]
    compress: bool,
    /// For compatibility: there is one builder, default
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
    /// Attestations are not made; only false is taken
    #[arg(long, value_name = "BOOL")]
    provenance: Option<String>,
    /// Software lists are not made; only false is taken
    #[arg(long, value_name = "BOOL")]
    sbom: Option<String>,
}

/// What is made anew.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct CacheFlags {
    /// Take nothing from the cache
    #[arg(long)]
    no_cache: bool,
    /// Take nothing from the cache for these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
    /// Take results also from here: type=registry,ref=NAME, type=local,src=DIR, or NAME
    #[arg(long, value_name = "SOURCE")]
    cache_from: Vec<String>,
    /// Put results there: type=registry,ref=NAME or type=local,dest=DIR; with mode=min the files of the image alone
    #[arg(long, value_name = "DESTINATION")]
    cache_to: Vec<String>,
    /// Remove containers of steps (always so)
    #[arg(long, value_name = "BOOL")]
    rm: Option<bool>,
    /// Remove containers of failed steps (always so)
    #[arg(long, value_name = "BOOL")]
    force_rm: Option<bool>,
}

/// What RUN may do.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "RUN")]
pub(crate) struct RunFlags {
    /// Network of RUN: default, none, host
    #[arg(long, visible_alias = "net", value_name = "MODE")]
    network: Option<String>,
    /// Line of /etc/hosts
    #[arg(long, value_name = "NAME:IP")]
    add_host: Vec<String>,
    /// Name server
    #[arg(long, value_name = "IP")]
    dns: Vec<String>,
    /// Domain to search names in
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// Option of resolv.conf
    #[arg(long, value_name = "OPTION")]
    dns_option: Vec<String>,
    /// Leave /etc/hosts to the image
    #[arg(long)]
    no_hosts: bool,
    /// Leave /etc/hostname to the image
    #[arg(long)]
    no_hostname: bool,
    /// Pass the caller's proxy variables on (default true)
    #[arg(long, value_name = "BOOL")]
    http_proxy: Option<bool>,
    /// Allow what a Dockerfile may ask for: security.insecure, network.host
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    allow: Vec<String>,
    /// Add a capability, or ALL
    #[arg(long, value_name = "CAP")]
    cap_add: Vec<String>,
    /// Drop a capability, or ALL
    #[arg(long, value_name = "CAP")]
    cap_drop: Vec<String>,
    /// Device of the host
    #[arg(long, value_name = "HOST[:CONTAINER][:rwm]")]
    device: Vec<String>,
    /// Mount a directory of the host for every RUN
    #[arg(short, long, value_name = "HOST:CONTAINER[:ro]")]
    volume: Vec<String>,
    /// seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL, label=…
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Resource limit; host keeps the caller's
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// Without subordinate ids: none, basic (chown, setuid… succeed, owners are recorded) or full (programs see them too; slower)
    #[arg(long, value_name = "MODE")]
    fake_ids: Option<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE")]
    shm_size: Option<String>,
    /// Supplementary group
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// User namespace; RUN always has one of its own
    #[arg(long, value_name = "MODE")]
    userns: Option<String>,
    /// Isolation of RUN; it is always that of run
    #[arg(long, value_name = "KIND")]
    isolation: Option<String>,
    /// Steps at the same time (default: number of processors, at least 2)
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<usize>,
    #[command(flatten)]
    resources: ResourceFlags,
}

/// Everything `build` is told but the context.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct BuildFlags {
    #[command(flatten)]
    pub(crate) input: InputFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(flatten)]
    cache: CacheFlags,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl BuildFlags {
    /// Options without Dockerfile and context.
    pub(crate) fn into_options(self, around: &Surroundings<'_>) -> Result<BuildOptions, UsageError> {
        let Self { input, output, cache, run, mut registry } = self;
        let mut options = BuildOptions { http_proxy: run.http_proxy.unwrap_or(true), ..BuildOptions::default() };
        options.platforms = registry.several_platforms()?;
        options.pull = registry.read(("--pull", pull_policy(&input)?))?;
        options.platform = options.pull.platform.clone();
        options.push.registry = PullOptions { platform: None, ..options.pull.clone() };
        read_input(input, around, &mut options)?;
        read_output(output, around, &mut options)?;
        read_cache(cache, around, &mut options)?;
        read_run(run, around, &mut options)?;
        Ok(options)
    }
}

fn pull_policy(input: &InputFlags) -> Result<Option<String>, UsageError> {
    if input.pull_always && input.pull_never {
        return Err(UsageError::conflict("--pull-always", "--pull-never"));
    }
    Ok(match input.pull.as_deref() {
        _ if input.pull_always => Some("always".to_owned()),
        _ if input.pull_never => Some("never".to_owned()),
        Some("true") => Some("always".to_owned()),
        Some("false" | "ifmissing") => Some("missing".to_owned()),
        Some("ifnewer") => Some("newer".to_owned()),
        other => other.map(str::to_owned),
    })
}

fn read_input(input: InputFlags, around: &Surroundings<'_>, options: &mut BuildOptions) -> Result<(), UsageError> {
    let InputFlags { file: _, build_arg, build_arg_file, build_context, ignorefile, target, secret, ssh, pull: _, pull_always: _, pull_never: _ } =
        input;
    for path in build_arg_file {
        let text = around.text("--build-arg-file", &path)?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            options.args.extend(variable(line, around));
        }
    }
    for text in &build_arg {
        if text.is_empty() || text.starts_with('=') {
            return Err(UsageError::value("--build-arg", text, "expected NAME[=VALUE]"));
        }
        options.args.extend(variable(text, around));
    }
    if let Some(text) = options.meant("BUILDKIT_DOCKERFILE_CHECK")
        && let Err(fault) = lint::Options::parse(text)
    {
        return Err(UsageError::value("--build-arg BUILDKIT_DOCKERFILE_CHECK", text, fault.hint.unwrap_or(fault.message)));
    }
    if let Some(path) = ignorefile {
        options.ignore = Some((path.display().to_string(), around.text("--ignorefile", &path)?));
    }
    options.target = target.filter(|target| !target.is_empty());
    for text in build_context {
        let (name, source) = text
            .split_once('=')
            .filter(|(name, source)| !name.is_empty() && !source.is_empty())
            .ok_or_else(|| UsageError::value("--build-context", &text, "expected NAME=SOURCE"))?;
        options.contexts.insert(context_name(name), named_context(source, around)?);
    }
    for text in secret {
        let (id, source) = secret_source(&text, around)?;
        options.secrets.insert(id, source);
    }
    for text in ssh {
        let (id, socket) = agent(&text, around)?;
        options.ssh.insert(id, socket);
    }
    Ok(())
}

/// `NAME=VALUE`, or a name that takes the caller's value and counts as not given when that is not set.
fn variable(text: &str, around: &Surroundings<'_>) -> Option<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => around.caller.var(text).map(|value| (text.to_owned(), value)),
    }
}

fn named_context(source: &str, around: &Surroundings<'_>) -> Result<NamedContext, UsageError> {
    for scheme in ["docker-image://", "container-image://", "docker://"] {
        if let Some(image) = source.strip_prefix(scheme) {
            return Ok(NamedContext::Image(image.to_owned()));
        }
    }
    if let Some(stage) = source.strip_prefix("target:") {
        return Ok(NamedContext::Stage(stage.to_owned()));
    }
    if let Some(layout) = source.strip_prefix("oci-layout://") {
        return Ok(NamedContext::Image(format!("oci:{layout}")));
    }
    if source.contains("://") || source.starts_with("git@") || source.starts_with("github.com/") {
        return Ok(NamedContext::Remote(source.to_owned()));
    }
    let path = around.absolute(Path::new(source));
    if path.is_dir() { Ok(NamedContext::Directory(path)) } else { Err(UsageError::value("--build-context", source, "no such directory")) }
}

/// `key=value,…`, quoted as in CSV where a value holds a comma.
pub(super) fn fields(flag: &str, text: &str) -> Result<Vec<(String, String)>, UsageError> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(String::new()),
            c => parts.last_mut().into_iter().for_each(|part| part.push(c)),
        }
    }
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_ascii_lowercase(), value.to_owned())),
            None => Err(UsageError::value(flag, text, format!("\"{part}\" is not KEY=VALUE"))),
        })
        .collect()
}

fn secret_source(text: &str, around: &Surroundings<'_>) -> Result<(String, SecretSource), UsageError> {
    let (mut id, mut file, mut env, mut kind) = (None, None, None, None);
    for (key, value) in fields("--secret", text)? {
        match key.as_str() {
            "id" => id = Some(value),
            "src" | "source" => file = Some(value),
            "env" => env = Some(value),
            "type" if value == "file" || value == "env" => kind = Some(value),
            _ => return Err(UsageError::value("--secret", text, format!("unknown field {key}={value}: use id, src, env, type"))),
        }
    }
    let id = id.or_else(|| file.clone()).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| UsageError::value("--secret", text, "id is missing"))?;
    let source = match (file, env, kind.as_deref()) {
        (Some(_), Some(_), _) => return Err(UsageError::value("--secret", text, "src and env exclude each other")),
        // docker: `type=env,src=NAME`.
        (Some(name), None, Some("env")) | (None, Some(name), _) => SecretSource::Env(name),
        (Some(path), None, _) => SecretSource::File(around.absolute(Path::new(&path))),
        (None, None, Some("file")) => SecretSource::File(around.absolute(Path::new(&id))),
        (None, None, _) if around.caller.var(&id).is_some() => SecretSource::Env(id.clone()),
        (None, None, _) => SecretSource::File(around.absolute(Path::new(&id))),
    };
    if let SecretSource::File(path) = &source
        && let Err(error) = path.metadata()
    {
        return Err(UsageError::value("--secret", text, error));
    }
    Ok((id, source))
}

fn agent(text: &str, around: &Surroundings<'_>) -> Result<(String, PathBuf), UsageError> {
    use std::os::unix::fs::FileTypeExt;
    let (id, path) = text.split_once('=').map_or((text, None), |(id, path)| (id, Some(path)));
    let path = match path {
        Some(path) => around.absolute(Path::new(path)),
        None => match around.caller.var("SSH_AUTH_SOCK") {
            Some(path) => PathBuf::from(path),
            None => return Err(UsageError::value("--ssh", text, "no agent: SSH_AUTH_SOCK is not set")),
        },
    };
    let meta = path.metadata().map_err(|error| UsageError::value("--ssh", text, error))?;
    if !meta.file_type().is_socket() {
        return Err(UsageError::value("--ssh", text, "not the socket of an agent: add the key to one with ssh-add"));
    }
    Ok((id.to_owned(), path))
}

fn read_output(output: OutputFlags, around: &Surroundings<'_>, options: &mut BuildOptions) -> Result<(), UsageError> {
    let OutputFlags {
        tag, output, load, push, manifest, label, annotation, env, unsetenv, unsetlabel, format, squash, squash_all, layers, omit_history,
        timestamp, source_date_epoch: epoch, rewrite_timestamp, iidfile: _, metadata_file: _, progress: _, provenance, sbom, attest,
        compress: _, builder,
    } = output;
    if let Some(text) = attest.iter().find(|text| !text.split(',').any(|field| field == "disabled=true")) {
        return Err(UsageError::value("--attest", text, "kelp makes no attestations; only disabled=true is taken"));
    }
    if let Some(name) = builder.filter(|name| !matches!(name.as_str(), "" | "default")) {
        return Err(UsageError::value("--builder", &name, "kelp builds itself and has one builder, default"));
    }
    for (flag, value) in [("--provenance", provenance), ("--sbom", sbom)] {
        if let Some(value) = value.filter(|value| !matches!(value.as_str(), "false" | "0" | "none")) {
            return Err(UsageError::value(flag, &value, "kelp makes no attestations; only false is taken"));
        }
    }
    options.tags = tag;
    for (key, value) in pairs("--annotation", annotation)? {
        annotate(&key, value, options)?;
    }
    for text in &output {
        where_to::output(text, around, options)?;
    }
    where_to::more(push, load, options)?;
    if !options.index_annotations.is_empty() && options.platforms.is_empty() && manifest.is_none() {
        return Err(UsageError::new("an annotation of an index needs one: build for several platforms, or into a list (--manifest)"));
    }
    let text = |text: &String| match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (text.clone(), String::new()),
    };
    options.labels = label.iter().map(text).collect();
    options.env = env.iter().filter_map(|text| variable(text, around)).collect();
    (options.unset_env, options.unset_labels) = (unsetenv, unsetlabel);
    options.format = match format.as_deref() {
        None => options.format,
        Some("oci") => crate::build::options::Format::Oci,
        Some("docker" | "v2s2") => crate::build::options::Format::Docker,
        Some(other) => return Err(UsageError::value("--format", other, "use oci or docker")),
    };
    options.squash = match (squash_all, squash || layers == Some(false)) {
        (true, _) => Squash::All,
        (false, true) => Squash::New,
        (false, false) => Squash::No,
    };
    options.omit_history = omit_history;
    if timestamp.is_some() && epoch.is_some() {
        return Err(UsageError::conflict("--timestamp", "--source-date-epoch"));
    }
    let arg = options.args.iter().rev().find(|(name, _)| name == "SOURCE_DATE_EPOCH").map(|(_, value)| value.clone());
    options.epoch = match (timestamp.or(epoch), arg) {
        (Some(seconds), _) => Some(seconds),
        // That of the context is known when it is here.
        (None, Some(text)) if text == "context" => None,
        (None, Some(text)) if !text.is_empty() => Some(parse("--build-arg SOURCE_DATE_EPOCH", &text)?),
        (None, _) => source_date_epoch()?,
    };
    if rewrite_timestamp && options.epoch.is_none() {
        return Err(UsageError::new("--rewrite-timestamp needs a time: give --source-date-epoch"));
    }
    Ok(())
}

/// `--annotation [LEVEL[,LEVEL]:]KEY=VALUE`.
fn annotate(key: &str, value: String, options: &mut BuildOptions) -> Result<(), UsageError> {
    const LEVELS: [&str; 4] = ["index", "manifest", "index-descriptor", "manifest-descriptor"];
    let (levels, key) = match key.split_once(':') {
        Some((levels, key)) if levels.split(',').all(|level| LEVELS.contains(&level)) => (levels, key),
        _ => ("manifest", key),
    };
    for level in levels.split(',') {
        let place = match level {
            "index" => &mut options.index_annotations,
            "manifest" => &mut options.annotations,
            _ => return Err(UsageError::value("--annotation", level, "only index and manifest can be annotated")),
        };
        place.insert(key.to_owned(), value.clone());
    }
    Ok(())
}

fn read_cache(cache: CacheFlags, around: &Surroundings<'_>, options: &mut BuildOptions) -> Result<(), UsageError> {
    let CacheFlags { no_cache, no_cache_filter, cache_from, cache_to, rm, force_rm: _ } = cache;
    if rm == Some(false) {
        return Err(UsageError::new("--rm=false is not supported: steps leave no containers; --debug-shell shows a failed one"));
    }
    options.no_cache = no_cache;
    options.no_cache_stages = no_cache_filter;
    for text in &cache_from {
        let place = where_to::cache_from(text, around)?;
        options.cache_from.push(place);
    }
    for text in &cache_to {
        let target = where_to::cache_to(text, around)?;
        options.cache_to.push(target);
    }
    Ok(())
}

fn read_run(run: RunFlags, around: &Surroundings<'_>, options: &mut BuildOptions) -> Result<(), UsageError> {
    let RunFlags {
        network, add_host, dns, dns_search, dns_option, no_hosts, no_hostname, http_proxy: _, allow, cap_add, cap_drop, device,
        volume, security_opt, ulimit, fake_ids, shm_size, group_add, userns, isolation, jobs, resources,
    } = run;
    options.network = match network.as_deref() {
        None | Some("" | "default" | "private") => None,
        Some(text) => Some(parse::<NetworkMode>("--network", text)?),
    };
    if let Some(what) = allow.iter().find(|what| !matches!(what.as_str(), "security.insecure" | "network.host")) {
        return Err(UsageError::value("--allow", what, "use security.insecure or network.host"));
    }
    options.allow = allow;
    let spec = &mut options.spec;
    (spec.network.add_hosts, spec.network.dns, spec.network.dns_search) = (add_host, dns, dns_search);
    (spec.network.dns_options, spec.network.no_hosts, spec.network.no_hostname) = (dns_option, no_hosts, no_hostname);
    for entry in &spec.network.add_hosts {
        parse::<crate::spec::host_entry::HostEntry>("--add-host", entry)?;
    }
    for (flag, words) in [("--cap-add", &cap_add), ("--cap-drop", &cap_drop)] {
        for word in words.iter().flat_map(|word| word.split(',')) {
            parse::<crate::spec::CapWord>(flag, word)?;
        }
    }
    let split = |words: Vec<String>| words.iter().flat_map(|word| word.split(',')).map(str::to_owned).collect();
    (spec.security.cap_add, spec.security.cap_drop) = (split(cap_add), split(cap_drop));
    (spec.security.options, spec.security.ulimits) = (security_opt, ulimit);
    spec.security.fake_ids = super::security::fakes(fake_ids)?;
    spec.storage.devices = device;
    spec.storage.shm_size = bytes("--shm-size", shm_size)?;
    spec.process.groups = added_groups(group_add).map_err(|reason| UsageError::value("--group-add", KEEP_GROUPS, reason))?;
    resources.apply(&mut spec.resources)?;
    if let Some(mode) = userns.filter(|mode| !matches!(mode.as_str(), "" | "host" | "private" | "auto")) {
        return Err(UsageError::value("--userns", &mode, "steps always have a user namespace of their own; use host or private"));
    }
    if let Some(kind) = isolation.filter(|kind| !matches!(kind.as_str(), "" | "default" | "oci" | "rootless")) {
        return Err(UsageError::value("--isolation", &kind, "steps are always isolated as by run; use default, oci or rootless"));
    }
    options.jobs = jobs.unwrap_or(0);
    for text in volume {
        let parts: Vec<&str> = text.split(':').collect();
        let (from, to, read_only) = match parts[..] {
            [from, to] => (from, to, false),
            [from, to, mode] => (from, to, mode.split(',').any(|word| word == "ro")),
            _ => return Err(UsageError::value("--volume", &text, "expected HOST:CONTAINER[:ro]")),
        };
        let from = around.absolute(Path::new(from));
        if !to.starts_with('/') || to == "/" {
            return Err(UsageError::value("--volume", &text, "the place in the container must be an absolute path"));
        }
        if !from.is_dir() {
            return Err(UsageError::value("--volume", &text, format!("no such directory: {}", from.display())));
        }
        options.volumes.push((from, to.to_owned(), read_only));
    }
    Ok(())
}

/// Fields of `--metadata-file`, docker's names.
pub(crate) fn metadata(built: &crate::build::options::Built) -> serde_json::Value {
    let mut all = BTreeMap::new();
    if let Some(image) = &built.image {
        all.insert("containerimage.config.digest", image.clone());
    }
    if let Some(manifest) = &built.manifest {
        all.insert("containerimage.digest", manifest.clone());
    }
    if !built.names.is_empty() {
        all.insert("image.name", built.names.join(","));
    }
    let mut all = serde_json::json!(all);
    if let (Some(manifest), Some(size)) = (&built.manifest, built.manifest_size) {
        let (media_type, _, _) = built.format.media_types();
        all["containerimage.descriptor"] = serde_json::json!({"mediaType": media_type, "digest": manifest, "size": size});
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::context::Environment;

    fn around() -> Surroundings<'static> {
        Surroundings { directory: Path::new("/here"), caller: &Environment }
    }

    #[test]
    fn secrets() {
        let read = |text: &str| secret_source(text, &around());
        assert_eq!(read("id=a,env=HOME"), Ok(("a".into(), SecretSource::Env("HOME".into()))));
        assert_eq!(read("id=a,src=/dev/null"), Ok(("a".into(), SecretSource::File("/dev/null".into()))));
        assert_eq!(read("id=HOME"), Ok(("HOME".into(), SecretSource::Env("HOME".into()))));
        for bad in ["id=a", "src", "id=a,src=/dev/null,env=HOME", "env=HOME", "id=a,x=y,src=/dev/null"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
