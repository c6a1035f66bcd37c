//! Spec, image and configuration merged: what a container is, with nothing left open but what only its start can know.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::engine::Error;
use crate::image::ImageConfig;
use crate::image::config::Execution;
use crate::spec::NetworkMode;
use crate::spec::ContainerSpec;
use crate::spec::health::HealthCheck;
use crate::spec::container::{NamespaceMode, UserNamespaceMode};
use crate::state::record::ResolvedConfig;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PROXIES: [&str; 10] = [
    "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY",
    "NO_PROXY", "ALL_PROXY",
];

/// Merges; mounts are left to `mounts::resolve`, which has to make volumes.
pub(super) fn resolve(spec: &ContainerSpec, image: &ImageConfig, config: &Config, id: &str) -> Result<ResolvedConfig, Error> {
    let own = &image.config;
    let process = &spec.process;
    let (entrypoint, command) = match &process.entrypoint {
        // Another entry point has no use for the image's arguments.
        Some(entrypoint) => (entrypoint.clone(), process.command.clone()),
        None => {
            let command = if process.command.is_empty() { own.cmd.clone().unwrap_or_default() } else { process.command.clone() };
            (own.entrypoint.clone().unwrap_or_default(), command)
        }
    };
    if entrypoint.is_empty() && command.is_empty() {
        return Err(Error::Usage("no command specified: the image names none, so give one after it".to_owned()));
    }
    let workdir = match &process.workdir {
        Some(dir) if !dir.starts_with('/') => {
            return Err(Error::Usage(format!("the working directory \"{dir}\" is invalid, it needs to be an absolute path")));
        }
        Some(dir) => dir.clone(),
        None if own.working_dir.is_empty() => "/".to_owned(),
        None if own.working_dir.starts_with('/') => own.working_dir.clone(),
        None => format!("/{}", own.working_dir),
    };
    let mut labels: BTreeMap<String, String> = own.labels.clone();
    labels.extend(config.containers.labels.clone());
    labels.extend(spec.labels.clone());
    let stop = spec.lifecycle.stop_signal.as_deref().or(own.stop_signal.as_deref());
    let mut exposed: Vec<String> = own.exposed_ports.keys().cloned().collect();
    exposed.extend(spec.network.expose.iter().map(ToString::to_string));
    exposed.sort();
    exposed.dedup();
    Ok(ResolvedConfig {
        entrypoint,
        command,
        env: environment(spec, image, config, id),
        workdir,
        user: process.user.clone().unwrap_or_else(|| kept_user(spec).unwrap_or_else(|| own.user.clone())),
        hostname: hostname(spec, id),
        labels,
        stop_signal: match stop {
            Some(text) => crate::spec::signal::parse(text)
                .ok_or_else(|| Error::Usage(format!("invalid stop signal \"{text}\": give a name or number of signal(7)")))?,
            None => libc::SIGTERM,
        },
        exposed,
        mounts: Vec::new(),
        health: HealthCheck::resolve(&spec.health, Some(&health_of(own))),
    })
}

fn health_of(image: &Execution) -> HealthCheck {
    let check = image.healthcheck.clone().unwrap_or_default();
    HealthCheck {
        test: check.test,
        shell: image.shell.clone(),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: u32::try_from(check.retries).unwrap_or_default(),
        ..HealthCheck::default()
    }
}

/// `--userns keep-id` runs as the user it keeps, as podman does.
fn kept_user(spec: &ContainerSpec) -> Option<String> {
    let UserNamespaceMode::KeepId { uid, gid } = spec.namespaces.user else { return None };
    let uid = uid.unwrap_or_else(|| rustix::process::getuid().as_raw());
    let gid = gid.unwrap_or_else(|| rustix::process::getgid().as_raw());
    Some(format!("{uid}:{gid}"))
}

fn hostname(spec: &ContainerSpec, id: &str) -> String {
    let hosts = spec.namespaces.uts == NamespaceMode::Host || spec.network.modes.contains(&NetworkMode::Host);
    match &spec.network.hostname {
        Some(name) => name.clone(),
        // On the host's network it is found by the host's name alone.
        None if hosts => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        None => id[..12].to_owned(),
    }
}

/// docker's order: a default PATH, the configuration's, the image's, proxies, the user's; the last of a name wins.
fn environment(spec: &ContainerSpec, image: &ImageConfig, config: &Config, _id: &str) -> Vec<String> {
    let mut env: Vec<(String, String)> = Vec::new();
    let mut set = |key: &str, value: &str| match env.iter_mut().find(|(name, _)| name == key) {
        Some(entry) => value.clone_into(&mut entry.1),
        None => env.push((key.to_owned(), value.to_owned())),
    };
    set("PATH", DEFAULT_PATH);
    if spec.process.tty {
        set("TERM", "xterm");
    }
    set("container", "kelp");
    for entry in &config.containers.env {
        if let Some((key, value)) = entry.split_once('=') {
            set(key, value);
        }
    }
    if !spec.process.unset_env_all {
        for (key, value) in image.config.environment() {
            set(key, value);
        }
    }
    if spec.network.http_proxy.or(config.containers.http_proxy).unwrap_or(true) {
        for name in PROXIES {
            if let Ok(value) = std::env::var(name) {
                set(name, &value);
            }
        }
    }
    for (key, value) in &spec.process.env {
        if let Some(value) = value {
            set(key, value);
        }
    }
    let removed = |key: &str| {
        spec.process.env.iter().rev().find(|(name, _)| name == key).is_some_and(|(_, value)| value.is_none())
    };
    env.into_iter().filter(|(key, _)| !removed(key)).map(|(key, value)| format!("{key}={value}")).collect()
}
