//! `inspect`: one container as docker's JSON object.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::size::Sizes;
use crate::engine::network::{built_in_id, endpoint_id};
use crate::engine::network::link::shown;
use crate::engine::network::wire::attachments;
use crate::engine::{Engine, Error};
use crate::format::time;
use crate::network::store::Networks;
use crate::spec::container::{NamespaceMode, UserNamespaceMode};
use crate::spec::{Expose, NetworkMode};
use crate::spec::network::Attachment;
use crate::state::lease::Lease;
use crate::state::record::{MountKind, ResolvedMount};
use crate::state::{ContainerRecord, Containers, Entry, Status};

/// Everything that is known of a container, with docker's keys; `size` adds `SizeRw` and `SizeRootFs`.
///
/// # Errors
/// No such container; a damaged record.
pub fn inspect(engine: &Engine, container: &str, size: bool) -> Result<Value, Error> {
    let entry = Containers::new(&engine.paths).get(container)?;
    let mut value = object(engine, &entry);
    if size {
        let (own, total) = Sizes::open(engine).of(&entry.record);
        value["SizeRw"] = own.into();
        value["SizeRootFs"] = total.into();
    }
    Ok(value)
}

/// `--link` as docker writes it: `/TARGET:/CONTAINER/ALIAS`.
fn shown_links(engine: &Engine, record: &ContainerRecord) -> Vec<String> {
    let shown = |link: &String| {
        let (target, alias) = link.split_once(':').unwrap_or((link, link));
        format!("/{}:/{}/{alias}", name_of(engine, target), record.name)
    };
    record.spec.network.links.iter().map(shown).collect()
}

/// The name of a container by its id; the short id when it has just gone.
pub fn name_of(engine: &Engine, id: &str) -> String {
    let short = || id.get(..12).unwrap_or(id).to_owned();
    Containers::new(&engine.paths).read(id).map_or_else(|_| short(), |record| record.name)
}

fn object(engine: &Engine, entry: &Entry) -> Value {
    let record = &entry.record;
    let argv: Vec<&String> = record.config.entrypoint.iter().chain(&record.config.command).collect();
    let dir = engine.paths.container(&record.id);
    let mut host = host_config(record);
    host["Links"] = null_if_empty(&shown_links(engine, record));
    json!({
        "Id": record.id,
        "Created": time::rfc3339_nano(record.created),
        "Path": argv.first().map_or("", |path| path.as_str()),
        "Args": argv.get(1..).unwrap_or_default(),
        "State": state(entry, engine),
        "Image": image_id(record),
        "ImageName": record.image.name,
        "ResolvConfPath": dir.join("resolv.conf"),
        "HostnamePath": dir.join("hostname"),
        "HostsPath": dir.join("hosts"),
        "LogPath": engine.paths.log(&record.id),
        "Name": format!("/{}", record.name),
        "RestartCount": restarts(&entry.status),
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": host,
        "GraphDriver": {
            "Name": "overlay",
            "Data": {
                "LowerDir": lower(engine, record),
                "MergedDir": dir.join("merged"),
                "UpperDir": dir.join("upper"),
                "WorkDir": dir.join("work"),
            },
        },
        "Mounts": record.config.mounts.iter().filter_map(mount).collect::<Vec<_>>(),
        "Config": config(record),
        "NetworkSettings": network_settings(engine, entry),
    })
}

fn image_id(record: &ContainerRecord) -> String {
    if record.image.id.is_empty() { String::new() } else { format!("sha256:{}", record.image.id) }
}

/// Topmost layer first, as overlay's option has it.
fn lower(engine: &Engine, record: &ContainerRecord) -> String {
    let store = engine.paths.data.join("layers/sha256");
    let usual = |layer: &String| store.join(layer.strip_prefix("sha256:").unwrap_or(layer)).join("fs");
    // Where they would be, when they are not here.
    let layers = super::inside::layers(engine, record).unwrap_or_else(|_| record.image.layers.iter().rev().map(usual).collect());
    layers.iter().map(|layer| layer.display().to_string()).collect::<Vec<_>>().join(":")
}

fn restarts(status: &Status) -> u32 {
    match status {
        Status::Running(run) | Status::Paused(run) | Status::Restarting(run, _) => run.restarts,
        Status::Exited(exit) => exit.restarts,
        Status::Created => 0,
    }
}

fn state(entry: &Entry, engine: &Engine) -> Value {
    let status = &entry.status;
    let run = status.run();
    let exit = match status {
        Status::Exited(exit) | Status::Restarting(_, exit) => exit.clone(),
        Status::Created | Status::Running(_) | Status::Paused(_) => crate::state::ExitRecord::default(),
    };
    let some = |nanos: i64| (nanos != 0).then_some(nanos);
    let started = run.map_or(exit.started, |run| run.started);
    json!({
        "Status": status.word(),
        // docker counts a paused container, and one between two runs, as running.
        "Running": run.is_some(),
        "Paused": matches!(status, Status::Paused(_)),
        "Restarting": matches!(status, Status::Restarting(..)),
        "OOMKilled": exit.oom,
        "Dead": false,
        "Pid": run.and_then(|run| run.init).map_or(0, |init| init.pid),
        "ConmonPid": run.map_or(0, |run| run.monitor.pid),
        "ExitCode": exit.code,
        "Error": exit.error,
        "StartedAt": time::rfc3339_or_never(some(started)),
        "FinishedAt": time::rfc3339_or_never(some(exit.finished)),
        "CgroupPath": run.and_then(|run| run.cgroup.clone()).unwrap_or_default(),
        "ConmonPidFile": "",
        "PidFile": entry.record.spec.lifecycle.pid_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        "Health": super::health::shown(engine, &entry.record),
    })
}

fn config(record: &ContainerRecord) -> Value {
    let (spec, config) = (&record.spec, &record.config);
    let set = |texts: &[String]| -> Value {
        if texts.is_empty() {
            return Value::Null;
        }
        texts.iter().map(|text| (text.clone(), json!({}))).collect::<Map<_, _>>().into()
    };
    let volumes: Vec<String> = config.mounts.iter().filter(|mount| mount.anonymous).map(|mount| mount.target.clone()).collect();
    let attach = !spec.lifecycle.detach;
    let mut value = json!({
        "Hostname": config.hostname,
        "Domainname": spec.network.domainname.clone().unwrap_or_default(),
        "User": config.user,
        "AttachStdin": attach && spec.process.interactive,
        "AttachStdout": attach,
        "AttachStderr": attach,
        "Tty": spec.process.tty,
        "OpenStdin": spec.process.interactive,
        "StdinOnce": attach && spec.process.interactive,
        "Env": config.env,
        "Cmd": null_if_empty(&config.command),
        "Healthcheck": super::health::configured(record),
        "Image": record.image.name,
        "Volumes": set(&volumes),
        "WorkingDir": config.workdir,
        "Entrypoint": null_if_empty(&config.entrypoint),
        "OnBuild": null,
        "Labels": config.labels,
        "Annotations": spec.annotations,
        "StopSignal": signal_name(config.stop_signal),
        "StopTimeout": spec.lifecycle.stop_timeout.map_or(10, |seconds| if seconds == u32::MAX { -1 } else { i64::from(seconds) }),
        "Timeout": spec.lifecycle.timeout.unwrap_or(0),
        "Umask": format!("{:04o}", spec.process.umask.unwrap_or(0o022)),
        "CreateCommand": null,
    });
    let exposed: Vec<String> = exposed(record).into_iter().collect();
    if !exposed.is_empty() {
        value["ExposedPorts"] = set(&exposed);
    }
    value
}

fn null_if_empty(words: &[String]) -> Value {
    if words.is_empty() { Value::Null } else { json!(words) }
}

/// The name of a signal number as docker writes it.
fn signal_name(number: i32) -> String {
    const NAMES: &[(i32, &str)] = &[
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGUSR1, "SIGUSR1"),
        (libc::SIGUSR2, "SIGUSR2"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGCONT, "SIGCONT"),
        (libc::SIGSTOP, "SIGSTOP"),
        (libc::SIGWINCH, "SIGWINCH"),
        (libc::SIGPWR, "SIGPWR"),
    ];
    match NAMES.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => (*name).to_owned(),
        None if number == 0 => "SIGTERM".to_owned(),
        None if number >= 34 => format!("SIGRTMIN+{}", number - 34),
        None => number.to_string(),
    }
}

/// The container ports, single, as `80/tcp`.
fn exposed(record: &ContainerRecord) -> Vec<String> {
    let mut ports: Vec<String> = Vec::new();
    let from_image = record.config.exposed.iter().filter_map(|text| text.parse::<Expose>().ok());
    for expose in from_image {
        ports.extend((expose.container.first..=expose.container.last).map(|port| format!("{port}/{}", expose.protocol)));
    }
    for port in &record.spec.network.publish {
        ports.extend(port.mappings().map(|port| format!("{}/{}", port.container, port.protocol)));
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn host_config(record: &ContainerRecord) -> Value {
    let spec = &record.spec;
    let (resources, security, network) = (&spec.resources, &spec.security, &spec.network);
    let mut options: BTreeMap<&str, String> = BTreeMap::new();
    if let Some(size) = spec.logging.max_size {
        options.insert("max-size", size.to_string());
    }
    if let Some(files) = spec.logging.max_files {
        options.insert("max-file", files.to_string());
    }
    let binds: Vec<String> = record.config.mounts.iter().filter_map(bind).collect();
    let tmpfs: BTreeMap<String, String> =
        spec.storage.tmpfs.iter().map(|mount| (mount.target.clone(), tmpfs_options(&mount.options))).collect();
    let first: Vec<Value> = vec![
        json!({
            "Binds": if binds.is_empty() { Value::Null } else { json!(binds) },
            "ContainerIDFile": spec.lifecycle.cid_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            "LogConfig": {"Type": spec.logging.driver.name(), "Config": options, "Path": "", "Tag": spec.logging.tag.clone().unwrap_or_default()},
            "NetworkMode": network_mode(record),
            "PortBindings": port_bindings(record),
            "RestartPolicy": {
                "Name": spec.lifecycle.restart.name(),
                "MaximumRetryCount": spec.lifecycle.restart.max_retries(),
            },
            "AutoRemove": spec.lifecycle.remove,
            "VolumeDriver": "",
            "VolumesFrom": null_if_empty(&spec.storage.volumes_from),
            "ConsoleSize": [0, 0],
            "Annotations": spec.annotations,
            "CapAdd": null_if_empty(&security.cap_add),
            "CapDrop": null_if_empty(&security.cap_drop),
            "CgroupnsMode": mode(&spec.namespaces.cgroup),
            "Dns": network.dns,
            "DnsOptions": network.dns_options,
            "DnsSearch": network.dns_search,
            "ExtraHosts": null_if_empty(&network.add_hosts),
            "GroupAdd": null_if_empty(&spec.process.groups),
            "IpcMode": mode(&spec.namespaces.ipc),
            "Cgroup": "",
        }),
        json!({
            "OomScoreAdj": resources.oom_score_adj.unwrap_or(0),
            "PidMode": mode(&spec.namespaces.pid),
            "Privileged": security.privileged,
            "PublishAllPorts": network.publish_all,
            "ReadonlyRootfs": spec.storage.read_only,
            "SecurityOpt": null_if_empty(&security.options),
            "Sysctls": security.sysctls,
            "Tmpfs": tmpfs,
            "UTSMode": mode(&spec.namespaces.uts),
            "UsernsMode": userns(&spec.namespaces.user),
            "ShmSize": spec.storage.shm_size.unwrap_or(64 << 20),
            "Runtime": "kelp",
            "Isolation": "",
            "Init": spec.process.init,
            "Ulimits": security.ulimits,
            "Devices": spec.storage.devices.iter().map(|text| device(text)).collect::<Vec<_>>(),
            "MaskedPaths": null,
            "ReadonlyPaths": null,
        }),
        json!({
            "Memory": resources.memory.unwrap_or(0),
            "MemoryReservation": resources.memory_reservation.unwrap_or(0),
            "MemorySwap": resources.memory_swap.or(resources.memory.map(|memory| memory.saturating_mul(2).cast_signed())).unwrap_or(0),
            "MemorySwappiness": null,
            "NanoCpus": resources.cpu_millionths.unwrap_or(0) * 1000,
            "CpuPeriod": resources.cpu_period.unwrap_or(0),
            "CpuQuota": resources.cpu_quota.unwrap_or(0),
            "CpuShares": resources.cpu_shares.unwrap_or(0),
            "CpusetCpus": resources.cpuset_cpus.clone().unwrap_or_default(),
            "CpusetMems": resources.cpuset_mems.clone().unwrap_or_default(),
            "CpuRealtimePeriod": 0,
            "CpuRealtimeRuntime": 0,
            "CgroupParent": resources.cgroup_parent.clone().unwrap_or_default(),
            "PidsLimit": resources.pids_limit,
            "BlkioWeight": 0,
            "OomKillDisable": false,
        }),
    ];
    let merged: Map<String, Value> =
        first.into_iter().filter_map(|part| if let Value::Object(map) = part { Some(map) } else { None }).flatten().collect();
    merged.into()
}

fn mode(mode: &NamespaceMode) -> String {
    mode.to_string()
}

fn userns(mode: &UserNamespaceMode) -> String {
    match mode {
        UserNamespaceMode::Private => String::new(),
        UserNamespaceMode::KeepId { .. } => "keep-id".to_owned(),
        UserNamespaceMode::NoMap => "nomap".to_owned(),
        UserNamespaceMode::Auto { .. } => "auto".to_owned(),
        UserNamespaceMode::Container(name) => format!("container:{name}"),
    }
}

fn device(text: &str) -> Value {
    let mut parts = text.split(':');
    let host = parts.next().unwrap_or_default();
    let inside = parts.next().unwrap_or(host);
    json!({"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": parts.next().unwrap_or("rwm")})
}

fn tmpfs_options(options: &crate::spec::mount::TmpfsOptions) -> String {
    let mut words = Vec::new();
    words.extend(options.size.map(|size| format!("size={size}")));
    words.extend(options.mode.map(|mode| format!("mode={mode:o}")));
    words.extend(options.uid.map(|uid| format!("uid={uid}")));
    words.extend(options.gid.map(|gid| format!("gid={gid}")));
    words.extend(options.read_only.then(|| "ro".to_owned()));
    words.extend(options.exec.then(|| "exec".to_owned()));
    words.join(",")
}

/// `SOURCE:TARGET[:OPTIONS]`, as `-v` would have it.
fn bind(mount: &ResolvedMount) -> Option<String> {
    let source = match mount.kind {
        MountKind::Bind => &mount.source,
        MountKind::Volume if !mount.anonymous => &mount.name,
        MountKind::Volume | MountKind::Tmpfs | MountKind::Image | MountKind::Devpts => return None,
    };
    let mode = mount_mode(mount);
    Some(if mode.is_empty() { format!("{source}:{}", mount.target) } else { format!("{source}:{}:{mode}", mount.target) })
}

fn mount_mode(mount: &ResolvedMount) -> String {
    let options = &mount.options;
    let mut words = Vec::new();
    for (set, word) in [
        (options.read_only, "ro"),
        (options.relabel_shared, "z"),
        (options.relabel_private, "Z"),
        (options.chown, "U"),
        (options.overlay, "O"),
        (options.no_copy, "nocopy"),
    ] {
        if set {
            words.push(word.to_owned());
        }
    }
    if let Some(dirs) = &options.overlay_dirs {
        words.push(format!("upperdir={}", dirs.upper.display()));
        words.push(format!("workdir={}", dirs.work.display()));
    }
    words.extend(options.propagation.map(|propagation| propagation.name().to_owned()));
    words.join(",")
}

fn mount(mount: &ResolvedMount) -> Option<Value> {
    let propagation = mount.options.propagation.map_or("rprivate", crate::spec::mount::Propagation::name);
    let (kind, name, driver) = match mount.kind {
        MountKind::Bind => ("bind", None, None),
        MountKind::Volume => ("volume", Some(&mount.name), Some("local")),
        MountKind::Tmpfs => ("tmpfs", None, None),
        MountKind::Image => ("image", Some(&mount.name), None),
        MountKind::Devpts => ("devpts", None, None),
    };
    // docker shows `--mount type=tmpfs` here and `--tmpfs` in HostConfig alone.
    let mut value = json!({
        "Type": kind,
        "Source": if mount.subpath.is_empty() { mount.source.clone() } else { format!("{}/{}", mount.source, mount.subpath) },
        "Destination": mount.target,
        "Mode": mount_mode(mount),
        "RW": !mount.options.read_only,
        "Propagation": if mount.kind == MountKind::Bind { propagation } else { "" },
        "Driver": driver.unwrap_or_default(),
        "Options": [],
    });
    if let Some(name) = name {
        value["Name"] = json!(name);
    }
    Some(value)
}

/// What was asked of the host's side.
fn port_bindings(record: &ContainerRecord) -> Value {
    let mut map: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for port in record.spec.network.publish.iter().flat_map(|port| port.mappings().collect::<Vec<_>>()) {
        let host = match port.host {
            crate::spec::port::HostPort::Any => String::new(),
            crate::spec::port::HostPort::Fixed(port) => port.to_string(),
            crate::spec::port::HostPort::OneOf(range) => range.to_string(),
        };
        let address = port.host_ip.map(|ip| ip.to_string()).unwrap_or_default();
        map.entry(format!("{}/{}", port.container, port.protocol)).or_default().push(json!({"HostIp": address, "HostPort": host}));
    }
    json!(map)
}

fn network_settings(engine: &Engine, entry: &Entry) -> Value {
    let record = &entry.record;
    let run = entry.status.run();
    let mut ports: BTreeMap<String, Value> = BTreeMap::new();
    if let Some(run) = run {
        ports.extend(exposed(record).into_iter().map(|port| (port, Value::Null)));
        for port in &run.ports {
            let binding = json!({"HostIp": port.host_ip.to_string(), "HostPort": port.host_port.to_string()});
            match ports.entry(port.container()).or_insert(Value::Null) {
                Value::Array(list) => list.push(binding),
                slot => *slot = json!([binding]),
            }
        }
    }
    let ip = run.and_then(|run| run.ip.clone()).unwrap_or_default();
    let default = [NetworkMode::default()];
    let modes = if record.spec.network.modes.is_empty() { &default[..] } else { &record.spec.network.modes[..] };
    let leases = run.map(|run| run.networks.as_slice()).unwrap_or_default();
    let mut networks: Map<String, Value> = modes.iter().flat_map(|mode| endpoints(engine, mode, &record.id, &ip)).collect();
    // What is between two runs has leases of the last one, also on networks it has been taken from since.
    networks.extend(leases.iter().filter_map(|lease| {
        let wanted = attachments(modes).into_iter().find(|each| each.network == lease.network || lease.network_id.starts_with(&each.network))?;
        Some((lease.network.clone(), user_network(record, lease, &wanted)))
    }));
    for wanted in attachments(modes) {
        if let Some(value) = networks.get_mut(&wanted.network) {
            value["Links"] = null_if_empty(&shown(engine, &wanted.links));
            value["DriverOpts"] = if wanted.driver_options.is_empty() { Value::Null } else { json!(wanted.driver_options) };
            value["GwPriority"] = wanted.priority.into();
        }
    }
    let on_default = modes.iter().any(|mode| matches!(mode, NetworkMode::Default(_) | NetworkMode::Pasta(_))) && !ip.is_empty();
    json!({
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": run.and_then(|run| run.init).map_or(String::new(), |init| format!("/proc/{}/ns/net", init.pid)),
        "Ports": ports,
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "EndpointID": "",
        "Gateway": if on_default { gateway(modes) } else { String::new() },
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": if on_default { ip.clone() } else { String::new() },
        "IPPrefixLen": if on_default { 24 } else { 0 },
        "IPv6Gateway": "",
        "MacAddress": "",
        "Networks": networks,
    })
}

/// The entry of a user network that a running container is on.
fn user_network(record: &ContainerRecord, lease: &Lease, wanted: &Attachment) -> Value {
    let text = |ip: Option<std::net::IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
    let short = record.id.get(..12).unwrap_or(&record.id);
    let mut names = vec![record.name.clone(), short.to_owned()];
    names.extend(lease.aliases.iter().filter(|alias| **alias != record.name).cloned());
    let ipam = match (wanted.ip, wanted.ip6) {
        (None, None) => Value::Null,
        (ip, ip6) => json!({"IPv4Address": text(ip.map(Into::into)), "IPv6Address": text(ip6.map(Into::into))}),
    };
    json!({
        "IPAMConfig": ipam,
        "Links": null,
        "Aliases": null_if_empty(&lease.aliases),
        "MacAddress": lease.mac,
        "DriverOpts": null,
        "GwPriority": 0,
        "NetworkID": lease.network_id,
        "EndpointID": endpoint_id(&lease.network_id, &record.id),
        "Gateway": text(lease.gateway.map(Into::into)),
        "IPAddress": text(lease.ip.map(Into::into)),
        "IPPrefixLen": lease.prefix,
        "IPv6Gateway": text(lease.gateway6.map(Into::into)),
        "GlobalIPv6Address": text(lease.ip6.map(Into::into)),
        "GlobalIPv6PrefixLen": lease.prefix6,
        "DNSNames": names,
    })
}

/// What `--network` would have to say.
fn network_mode(record: &ContainerRecord) -> String {
    match record.spec.network.modes.as_slice() {
        [] => NetworkMode::default().to_string(),
        modes => modes.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

fn gateway(modes: &[NetworkMode]) -> String {
    let options = modes.iter().find_map(|mode| if let NetworkMode::Default(options) = mode { Some(options) } else { None });
    options.map_or_else(String::new, |options| options.cidr.map_or_else(|| "10.0.2.2".to_owned(), |cidr| cidr.host(2).to_string()))
}

/// The entries of `NetworkSettings.Networks` for one mode.
fn endpoints(engine: &Engine, mode: &NetworkMode, id: &str, ip: &str) -> Vec<(String, Value)> {
    let endpoint = |name: String, ip: &str, gateway: String, mac: String, aliases: &[String]| {
        let prefix = if ip.is_empty() { 0 } else { 24 };
        let value = json!({
            "IPAMConfig": null,
            "Links": null,
            "Aliases": null_if_empty(aliases),
            "MacAddress": mac,
            "DriverOpts": null,
            "GwPriority": 0,
            "NetworkID": name,
            "EndpointID": "",
            "Gateway": gateway,
            "IPAddress": ip,
            "IPPrefixLen": prefix,
            "IPv6Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "DNSNames": [id.get(..12).unwrap_or(id)],
        });
        (name, value)
    };
    match mode {
        NetworkMode::None | NetworkMode::Host => {
            let (name, mut value) = endpoint(mode.to_string(), "", String::new(), String::new(), &[]);
            value["NetworkID"] = built_in_id(&name).into();
            vec![(name, value)]
        }
        NetworkMode::Default(_) => {
            let gateway = if ip.is_empty() { String::new() } else { gateway(std::slice::from_ref(mode)) };
            let (name, mut value) = endpoint("bridge".to_owned(), ip, gateway, String::new(), &[]);
            value["NetworkID"] = built_in_id(&name).into();
            vec![(name, value)]
        }
        NetworkMode::Pasta(_) => vec![endpoint("pasta".to_owned(), ip, String::new(), String::new(), &[])],
        NetworkMode::Named(list) => list
            .iter()
            .map(|attachment| {
                let ip = attachment.ip.map(|ip| ip.to_string()).unwrap_or_default();
                let mac = attachment.mac.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":")).unwrap_or_default();
                // One that is gone has no id any more.
                let id = Networks::new(&engine.paths).get(&attachment.network).map(|network| network.id).unwrap_or_default();
                let (name, mut value) = endpoint(attachment.network.clone(), &ip, String::new(), mac, &attachment.aliases);
                value["NetworkID"] = id.into();
                (name, value)
            })
            .collect(),
        NetworkMode::Container(_) | NetworkMode::Ns(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ExitRecord, Paths, RunRecord};

    fn engine() -> Engine {
        let of = |part: &str| std::path::PathBuf::from("/nowhere").join(part);
        let paths = Paths { data: of("data"), config: of("config"), state: of("state"), cache: of("cache"), run: of("run") };
        Engine { paths, config: crate::config::Config::default(), moved: None }
    }

    fn record() -> ContainerRecord {
        let mut record = ContainerRecord { id: "ab".repeat(32), name: "web".into(), ..ContainerRecord::default() };
        record.image.id = "cd".repeat(32);
        record.image.layers = vec!["sha256:11".into(), "sha256:22".into()];
        record.config.command = vec!["sh".into(), "-c".into(), "true".into()];
        record.config.exposed = vec!["9000/tcp".into()];
        record.spec.network.publish = vec!["8080:80".parse().unwrap()];
        record.config.mounts.push(ResolvedMount {
            kind: MountKind::Volume,
            name: "data".into(),
            source: "/nowhere/data/volumes/data/_data".into(),
            target: "/data".into(),
            ..ResolvedMount::default()
        });
        record
    }

    #[test]
    fn keys_that_scripts_read_are_there() {
        let run = RunRecord {
            init: Some(crate::state::record::ProcessId { pid: 42, start: 1 }),
            ports: vec![crate::spec::PortBinding {
                host_ip: [0, 0, 0, 0].into(),
                host_port: 8080,
                container_port: 80,
                protocol: crate::spec::Protocol::Tcp,
            }],
            ip: Some("10.0.2.100".into()),
            ..RunRecord::default()
        };
        let value = object(&engine(), &Entry { record: record(), status: Status::Running(run) });
        for pointer in [
            "/Id", "/Created", "/Path", "/Args", "/Name", "/Image", "/RestartCount", "/State/OOMKilled", "/State/Dead",
            "/State/Error", "/State/StartedAt", "/State/FinishedAt", "/State/Health/Status", "/Config/Hostname", "/Config/User",
            "/Config/Env", "/Config/Cmd", "/Config/Entrypoint", "/Config/Image", "/Config/Labels", "/Config/WorkingDir",
            "/Config/ExposedPorts", "/Config/Tty", "/Config/StopSignal", "/HostConfig/Binds", "/HostConfig/NetworkMode",
            "/HostConfig/PortBindings", "/HostConfig/RestartPolicy/Name", "/HostConfig/RestartPolicy/MaximumRetryCount",
            "/HostConfig/AutoRemove", "/HostConfig/Privileged", "/HostConfig/Memory", "/HostConfig/NanoCpus",
            "/HostConfig/LogConfig/Type", "/Mounts/0/Type", "/Mounts/0/Name", "/Mounts/0/Source", "/Mounts/0/Destination",
            "/Mounts/0/Driver", "/Mounts/0/Mode", "/Mounts/0/RW", "/Mounts/0/Propagation",
            "/NetworkSettings/Networks/bridge/Gateway", "/NetworkSettings/Networks/bridge/MacAddress",
            "/NetworkSettings/Networks/bridge/Aliases",
        ] {
            assert!(value.pointer(pointer).is_some(), "{pointer}");
        }
        assert_eq!(value["State"]["Pid"], 42);
        assert_eq!(value["Name"], "/web");
        assert_eq!(value["Args"], json!(["-c", "true"]));
        assert_eq!(value["NetworkSettings"]["Ports"]["80/tcp"], json!([{"HostIp": "0.0.0.0", "HostPort": "8080"}]));
        assert_eq!(value["NetworkSettings"]["Ports"]["9000/tcp"], Value::Null);
        assert_eq!(value["NetworkSettings"]["IPAddress"], "10.0.2.100");
        assert_eq!(value["HostConfig"]["PortBindings"]["80/tcp"], json!([{"HostIp": "", "HostPort": "8080"}]));
        assert_eq!(value["HostConfig"]["Binds"], json!(["data:/data"]));
        assert_eq!(
            value["GraphDriver"]["Data"]["LowerDir"],
            "/nowhere/data/layers/sha256/22/fs:/nowhere/data/layers/sha256/11/fs"
        );
    }

    #[test]
    fn a_stopped_container_has_no_ports_and_a_time_of_death() {
        let exit = ExitRecord { code: 137, started: 1, finished: 1_767_323_045_000_000_000, oom: true, ..ExitRecord::default() };
        let value = object(&engine(), &Entry { record: record(), status: Status::Exited(exit) });
        assert_eq!(value["State"]["ExitCode"], 137);
        assert_eq!(value["State"]["OOMKilled"], true);
        assert_eq!(value["State"]["FinishedAt"], "2026-01-02T03:04:05Z");
        assert_eq!(value["NetworkSettings"]["Ports"], json!({}));
        let created = object(&engine(), &Entry { record: record(), status: Status::Created });
        assert_eq!(created["State"]["StartedAt"], "0001-01-01T00:00:00Z");
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(0), "SIGTERM");
        assert_eq!(signal_name(libc::SIGQUIT), "SIGQUIT");
        assert_eq!(signal_name(37), "SIGRTMIN+3");
    }
}
