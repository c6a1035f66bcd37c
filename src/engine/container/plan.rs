//! From a container's record to what its monitor needs: the plan of namespaces, mounts, limits, capabilities and filter.

use std::path::Path;

use crate::engine::{Engine, Error};
use crate::engine::network::wire::{Wiring, wire};
use crate::monitor::protocol::Start;
use crate::network::files::NameFiles;
use crate::network::slirp::{SlirpNet, has_ipv6_default_route};
use crate::runtime::plan::mounts::{self, Standard};
use crate::runtime::plan::seccomp::{self, Arch, Context, Profile};
use crate::runtime::plan::{Accounts, Fill, Mount, Namespace, Namespaces, OwnAccount, Plan, Process, Root, What, masks, ulimit};
use crate::spec::caps::{CapSet, CapWord};
use crate::spec::container::{ImageSource, LogDriver, NamespaceMode, NamespaceSpec, ProcessSpec, UserNamespaceMode};
use crate::spec::mount::{DevptsOptions, MountOptions, Propagation, TmpfsOptions};
use crate::spec::network::{NetworkMode, SlirpOptions};
use crate::spec::port::{Expose, Port, PortRange};
use crate::spec::security::{SeccompChoice, SecurityOpts};
use crate::spec::sysctl::{Sysctl, SysctlNamespace};
use crate::state::record::{ContainerRecord, MountKind, ResolvedMount};
use crate::sys::mount::{attribute, flag};
use crate::volume::Volumes;
use crate::userns::{Extent, IdMap};

use super::{devices, files, idmap, layered, one_id};

/// Shared memory unless `--shm-size` says otherwise, as docker has it.
const SHM_SIZE: u64 = 64 << 20;
const LOG_SIZE: u64 = 10 << 20;
const LOG_FILES: u32 = 3;
const STOP_TIMEOUT: u32 = 10;

/// What a start decides beyond the record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wishes {
    /// The starting command is connected to the container's streams.
    pub(super) attached: bool,
    /// Rows and columns of its terminal.
    pub(super) size: Option<(u16, u16)>,
    /// First id of the user's namespace and how many, chosen for `--userns auto`.
    pub(super) ids: Option<(u32, u32)>,
}

/// Makes the plan. `layers` are directories on the host, lowest first; `map` is that of the user's namespace.
pub(super) fn start(
    engine: &Engine,
    record: &ContainerRecord,
    layers: &[std::path::PathBuf],
    map: &IdMap,
    wishes: Wishes,
) -> Result<Start, Error> {
    let (paths, spec) = (&engine.paths, &record.spec);
    let Wiring { base: network, member, wishes: networks, names, env, host_access } = wire(engine, record)?;
    let mut plan = plan(engine, record, layers, map, (&network, names.as_ref()), wishes)?;
    plan.process.env.extend(env);
    let log = &spec.logging;
    let slirp = if let NetworkMode::Default(options) = &network { Some(with_mtu(engine, options)) } else { None };
    let net = slirp.as_ref().map(|options| SlirpNet::new(options, false));
    let mut ports = spec.network.publish.clone();
    if spec.network.publish_all {
        ports.extend(exposed_ports(record)?);
    }
    if slirp.is_none() && networks.is_empty() && !ports.is_empty() && !matches!(network, NetworkMode::Host | NetworkMode::Named(_) | NetworkMode::Pasta(_)) {
        return Err(Error::Usage(format!("ports cannot be published with --network {network}")));
    }
    let driver = log.driver;
    Ok(Start {
        id: record.id.clone(),
        name: record.name.clone(),
        plan,
        data: paths.data.clone(),
        run: paths.run.clone(),
        log: log.path.clone().unwrap_or_else(|| paths.log(&record.id)),
        log_driver: driver,
        log_size: log.max_size.or(engine.config.log.max_size).unwrap_or(LOG_SIZE),
        log_files: log.max_files.or(engine.config.log.max_file).unwrap_or(LOG_FILES),
        interactive: spec.process.interactive,
        stdin_once: spec.process.interactive && wishes.attached,
        attached: wishes.attached,
        passthrough: driver == LogDriver::Passthrough,
        preserved: 0,
        joins: joined(record).is_some(),
        sockets: 0,
        ids: wishes.ids,
        ip: net.map(|net| net.address.to_string()),
        slirp,
        pasta: if let NetworkMode::Pasta(options) = &network { Some(options.clone()) } else { None },
        member,
        networks,
        names,
        host_access,
        host_ipv6: std::fs::read_to_string("/proc/net/ipv6_route").is_ok_and(|table| has_ipv6_default_route(&table)),
        ports: if matches!(network, NetworkMode::Host) { Vec::new() } else { ports },
        restart: spec.lifecycle.restart,
        remove: spec.lifecycle.remove,
        anonymous_volumes: anonymous_volumes(record),
        stop_signal: record.config.stop_signal,
        stop_timeout: spec.lifecycle.stop_timeout.or(engine.config.containers.stop_timeout).unwrap_or(STOP_TIMEOUT),
        timeout: spec.lifecycle.timeout.unwrap_or(0),
        cgroup: None,
        pid_file: spec.lifecycle.pid_file.clone(),
        monitor_pid_file: spec.lifecycle.monitor_pid_file.clone(),
        tag: log.tag.clone().unwrap_or_else(|| record.name.clone()),
        health: super::health::start(engine, record)?,
    })
}

pub(super) fn anonymous_volumes(record: &ContainerRecord) -> Vec<String> {
    record.config.mounts.iter().filter(|mount| mount.anonymous).map(|mount| mount.name.clone()).collect()
}

fn with_mtu(engine: &Engine, options: &SlirpOptions) -> SlirpOptions {
    SlirpOptions { mtu: options.mtu.or(engine.config.network.mtu), ..options.clone() }
}

/// `-P`: every exposed port that `-p` does not say something else of, at a random one of the host.
fn exposed_ports(record: &ContainerRecord) -> Result<Vec<Port>, Error> {
    let published: Vec<_> =
        record.spec.network.publish.iter().flat_map(Port::mappings).map(|own| (own.container, own.protocol)).collect();
    let mut ports = Vec::new();
    for text in &record.config.exposed {
        let exposed = text.parse::<Expose>().map_err(|error| Error::Usage(error.to_string()))?.publish();
        let free = exposed.mappings().filter(|port| !published.contains(&(port.container, port.protocol)));
        ports.extend(free.map(|port| Port { container: PortRange::single(port.container), ..exposed.clone() }));
    }
    Ok(ports)
}

/// The container whose namespaces are joined, by name.
pub(super) fn joined(record: &ContainerRecord) -> Option<String> {
    let spaces = &record.spec.namespaces;
    let by_mode = [&spaces.pid, &spaces.ipc, &spaces.uts, &spaces.cgroup].into_iter().find_map(|mode| match mode {
        NamespaceMode::Container(name) => Some(name.clone()),
        _ => None,
    });
    let by_network = record.spec.network.modes.iter().find_map(|mode| match mode {
        NetworkMode::Container(name) => Some(name.clone()),
        _ => None,
    });
    let by_user = if let UserNamespaceMode::Container(name) = &spaces.user { Some(name.clone()) } else { None };
    by_mode.or(by_network).or(by_user)
}

fn namespaces(record: &ContainerRecord, network: &NetworkMode) -> Result<Namespaces, Error> {
    let spaces = &record.spec.namespaces;
    let one = |mode: &NamespaceMode, what: &str| match mode {
        NamespaceMode::Private | NamespaceMode::None => Ok(Namespace::New),
        NamespaceMode::Host => Ok(Namespace::Host),
        NamespaceMode::Container(_) => Ok(Namespace::Join),
        NamespaceMode::Path(path) => Err(Error::Usage(format!(
            "--{what} ns:{} is not supported: a namespace made elsewhere does not belong to your user namespace",
            path.display()
        ))),
    };
    let net = match network {
        NetworkMode::Host => Namespace::Host,
        NetworkMode::Container(_) => Namespace::Join,
        NetworkMode::Ns(path) if joined(record).is_some() => {
            return Err(Error::Usage(format!(
                "--network ns:{} cannot be combined with namespaces of another container: use its network too",
                path.display()
            )));
        }
        // Nobody's below the container: as little its own as the host's.
        NetworkMode::Ns(_) => Namespace::Host,
        _ => Namespace::New,
    };
    Ok(Namespaces {
        pid: one(&spaces.pid, "pid")?,
        net,
        ipc: one(&spaces.ipc, "ipc")?,
        uts: match network {
            // docker: who shares a network shares its name, unless told otherwise.
            NetworkMode::Container(_) if spaces.uts == NamespaceMode::Private => Namespace::Join,
            _ => one(&spaces.uts, "uts")?,
        },
        cgroup: one(&spaces.cgroup, "cgroupns")?,
        user: if joined(record).is_some() { Namespace::Join } else { Namespace::New },
    })
}

pub(super) fn plan(
    engine: &Engine,
    record: &ContainerRecord,
    layers: &[std::path::PathBuf],
    map: &IdMap,
    (network, names): (&NetworkMode, Option<&NameFiles>),
    wishes: Wishes,
) -> Result<Plan, Error> {
    let (spec, security) = (&record.spec, &record.spec.security);
    let options = SecurityOpts::parse(&security.options).map_err(|error| Error::Usage(error.to_string()))?;
    let spaces = namespaces(record, network)?;
    let user_map = map;
    let map = if user_map.is_single() && spec.namespaces.user == UserNamespaceMode::Private && spec.namespaces.uid_map.is_empty() && spec.namespaces.gid_map.is_empty() {
        one_id::map(engine, record, layers)
    } else {
        container_map(user_map, &spec.namespaces, wishes.ids)?
    };
    let one_id = one_id::of(engine, record, user_map, &map)?;
    let masks = masks::resolve(&options, security.privileged, &[]);
    let mut all = mounts::standard(Standard {
        own_pid: spaces.pid != Namespace::Host,
        own_net: spaces.net != Namespace::Host,
        own_ipc: spaces.ipc == Namespace::New,
        no_shm: spec.namespaces.ipc == NamespaceMode::None,
        shm_size: spec.storage.shm_size.or(engine.config.containers.shm_size).unwrap_or(SHM_SIZE),
        cgroup2: is_cgroup2(),
        own_cgroup: spaces.cgroup == Namespace::New,
        tty_group: map.gids.iter().any(|extent| extent.inside <= 5 && 5 - extent.inside < extent.count),
        privileged: security.privileged,
    });
    if spec.storage.read_only && spec.storage.read_only_tmpfs.unwrap_or(true) {
        for target in ["/run", "/tmp", "/var/tmp"] {
            let flags = flag::NOSUID | flag::NODEV;
            all.push(tmpfs_mount(target, flags, "mode=1777".to_owned(), false));
        }
    }
    let files = files::write(engine, record, network, names)?;
    let read_only = if spec.storage.read_only { attribute::RDONLY } else { 0 };
    for (source, target) in &files {
        if !record.config.mounts.iter().any(|mount| mount.target == *target) {
            all.push(mounts::bind(source, target, attribute::NOSUID | attribute::NODEV | attribute::NOEXEC | read_only));
        }
    }
    let (mut fill, mut beneath, mut chown) = (Vec::new(), Vec::new(), Vec::new());
    for mount in &record.config.mounts {
        let user_mount = user_mount(engine, record, mount, (user_map, &map))?;
        all.retain(|other| other.target != user_mount.target || other.target == "/proc" || other.target == "/sys");
        if !mount.subpath.is_empty() {
            beneath.push((mount.target.clone(), mount.subpath.clone()));
        }
        if mount.options.chown {
            chown.push(mount.target.clone());
        }
        fill.extend(new_volume(engine, mount));
        all.push(user_mount);
    }
    all.extend(devices::devices(spec.storage.devices.as_slice(), security.privileged)?);
    Ok(Plan {
        accounts: accounts(&record.spec.process),
        namespaces: spaces,
        hostname: Some(record.config.hostname.clone()).filter(|_| spaces.uts == Namespace::New),
        domainname: spec.network.domainname.clone(),
        loopback: spaces.net == Namespace::New,
        root: root(engine, record, layers, user_map.is_single())?,
        mounts: all,
        dev_links: mounts::LINKS.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned())).collect(),
        owners: wishes.ids.map(|_| idmap::of_files(engine, record)),
        fill,
        beneath,
        chown,
        network_path: if let NetworkMode::Ns(path) = network { Some(path.display().to_string()) } else { None },
        sysctls: sysctls(record, spaces)?,
        masked: masks.masked,
        read_only_paths: masks.read_only,
        read_only_root: spec.storage.read_only,
        root_propagation: 0,
        own_account: own_account(record, &map),
        process: Process { one_id, ..process(record, engine, &options, wishes)? },
        map,
    })
}

/// The user in a container that keeps the user's id. A directory that is the container's root stays as it is.
fn own_account(record: &ContainerRecord, map: &IdMap) -> Option<OwnAccount> {
    let kept = matches!(record.spec.namespaces.user, UserNamespaceMode::KeepId { .. });
    let ProcessSpec { passwd, passwd_entry, .. } = &record.spec.process;
    if !kept || *passwd == Some(false) || passwd_entry.is_some() || matches!(record.spec.image, ImageSource::Rootfs { overlay: false, .. }) {
        return None;
    }
    let (uid, gid) = map.inside(0, 0)?;
    let fits = |text: &str| !text.contains([':', '\n']);
    let name = crate::userns::user_name(rustix::process::getuid().as_raw()).filter(|name| fits(name))?;
    let home = record.config.env.iter().find_map(|entry| entry.strip_prefix("HOME=")).filter(|home| fits(home)).unwrap_or("/");
    Some(OwnAccount { name, uid, gid, home: home.to_owned() })
}

/// A volume nobody has filled yet. One that was stays so.
fn new_volume(engine: &Engine, mount: &ResolvedMount) -> Option<Fill> {
    let volumes = Volumes::new(&engine.paths);
    let waits = mount.kind == MountKind::Volume && mount.subpath.is_empty() && volumes.waits_for_copy_up(&mount.name);
    waits.then(|| Fill {
        target: mount.target.clone(),
        volume: volumes.volume_dir(&mount.name).display().to_string(),
        copy: !mount.options.no_copy,
    })
}

fn is_cgroup2() -> bool {
    rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|stat| crate::sys::mount::magic(&stat) == 0x6367_7270)
}

/// The ids a stopped container will have, in those of the user's namespace `map`; none when they are chosen at its start.
pub(super) fn future_map(record: &ContainerRecord, map: &IdMap) -> Result<Option<IdMap>, Error> {
    let spaces = &record.spec.namespaces;
    let chosen = spaces.uid_map.is_empty() && spaces.gid_map.is_empty() && matches!(spaces.user, UserNamespaceMode::Auto { .. });
    if chosen { Ok(None) } else { container_map(map, spaces, None).map(Some) }
}

/// The container's own user namespace in ids of the user's.
fn container_map(map: &IdMap, spec: &NamespaceSpec, chosen: Option<(u32, u32)>) -> Result<IdMap, Error> {
    if !spec.uid_map.is_empty() || !spec.gid_map.is_empty() {
        let uids = idmap::parse(if spec.uid_map.is_empty() { &spec.gid_map } else { &spec.uid_map })?;
        let gids = if spec.gid_map.is_empty() { uids.clone() } else { idmap::parse(&spec.gid_map)? };
        idmap::check(if spec.uid_map.is_empty() { "--gidmap" } else { "--uidmap" }, &uids)?;
        idmap::check(if spec.gid_map.is_empty() { "--uidmap" } else { "--gidmap" }, &gids)?;
        return idmap::within(map, &uids, &gids);
    }
    match &spec.user {
        UserNamespaceMode::Private | UserNamespaceMode::Container(_) => Ok(map.identity()),
        UserNamespaceMode::KeepId { uid, gid } => {
            // Of the map, not of this process, which may be root inside by now.
            let own = |extents: &[Extent]| extents.iter().find(|extent| extent.inside == 0).map_or(0, |extent| extent.outside);
            let (uid, gid) = (uid.unwrap_or_else(|| own(&map.uids)), gid.unwrap_or_else(|| own(&map.gids)));
            idmap::within(map, &idmap::keep(&map.uids, uid), &idmap::keep(&map.gids, gid))
        }
        UserNamespaceMode::NoMap => idmap::within(map, &idmap::skip(&map.uids, 1, None)?, &idmap::skip(&map.gids, 1, None)?),
        UserNamespaceMode::Auto { .. } => {
            let (first, count) = chosen.ok_or_else(|| Error::Internal("no ids were chosen for --userns auto".to_owned()))?;
            let part = [Extent { inside: 0, outside: first, count }];
            idmap::within(map, &part, &part)
        }
    }
}

/// Whether the container's ids differ from the image's as the kernel's overlay would show them.
pub(super) fn is_shifted(spaces: &NamespaceSpec) -> bool {
    !spaces.uid_map.is_empty()
        || !spaces.gid_map.is_empty()
        || matches!(spaces.user, UserNamespaceMode::KeepId { .. } | UserNamespaceMode::NoMap | UserNamespaceMode::Auto { .. })
}

/// Whether a layer is another user's: the kernel's overlay could not copy its files up, whose owner has no id here. The
/// directory around it tells; the image's root may be anybody's.
pub(super) fn is_foreign(layer: &Path) -> bool {
    rustix::fs::stat(layer.parent().unwrap_or(layer)).is_ok_and(|stat| stat.st_uid != rustix::process::getuid().as_raw())
}

/// `single` when the user has one id.
fn root(engine: &Engine, record: &ContainerRecord, layers: &[std::path::PathBuf], single: bool) -> Result<Root, Error> {
    let dir = engine.paths.container(&record.id);
    let text = |path: std::path::PathBuf| path.display().to_string();
    let lower: Vec<String> = match &record.spec.image {
        ImageSource::Rootfs { path, overlay: false } => return Ok(Root::Dir { path: path.display().to_string() }),
        ImageSource::Rootfs { path, overlay: true } => vec![path.display().to_string()],
        ImageSource::Image(_) => layers.iter().rev().map(|layer| layer.display().to_string()).collect(),
    };
    let (upper, work, target) = (text(dir.join("upper")), text(dir.join("work")), text(dir.join("merged")));
    // A volatile overlay cannot be mounted a second time: only for what is thrown away.
    let volatile = record.spec.lifecycle.remove;
    let shifted = is_shifted(&record.spec.namespaces) && !single || layers.iter().any(|layer| is_foreign(layer));
    if single {
        super::one_id::mark(&dir.join("upper"));
    }
    let all = [layers, &[dir.join("upper")]].concat();
    let driver = super::driver::choose_for(engine, shifted, single, &all)?;
    Ok(match driver {
        super::driver::Driver::Overlay => Root::Overlay { lower, upper, work, target, volatile },
        super::driver::Driver::Fuse => Root::Fuse { lower, upper, work, target, volatile },
    })
}

fn tmpfs_mount(target: &str, flags: u64, data: String, copy: bool) -> Mount {
    let what = if copy { What::CopiedTmpfs { flags, data } } else { What::New { kind: "tmpfs".to_owned(), flags, data } };
    Mount { target: target.to_owned(), strict: false, what, set: 0, clear: 0, propagation: 0 }
}

fn user_mount(engine: &Engine, record: &ContainerRecord, mount: &ResolvedMount, maps: (&IdMap, &IdMap)) -> Result<Mount, Error> {
    if let Some(options) = &mount.tmpfs {
        let (flags, data) = tmpfs_options(options);
        return Ok(tmpfs_mount(&mount.target, flags, data, options.copy_up));
    }
    let options = &mount.options;
    if let Some(devpts) = &mount.devpts {
        let what = What::New { kind: "devpts".to_owned(), flags: flag::NOSUID | flag::NOEXEC, data: devpts_options(devpts) };
        return Ok(Mount { target: mount.target.clone(), strict: false, what, set: 0, clear: 0, propagation: 0 });
    }
    let what = if layered::is(mount) {
        What::Layered(layered::of(engine, record, mount, maps)?)
    } else {
        What::Bind { source: mount.source.clone(), recursive: !options.non_recursive, optional: false }
    };
    let (mut set, clear) = attributes(options);
    if let What::Layered(_) = what {
        // Nobody said that its programs may lend rights.
        set |= (attribute::NOSUID | attribute::NODEV) & !clear;
    }
    let propagation = match options.propagation {
        None | Some(Propagation::Private | Propagation::RPrivate) => flag::PRIVATE,
        Some(Propagation::Slave | Propagation::RSlave) => flag::SLAVE,
        Some(Propagation::Shared | Propagation::RShared) => flag::SHARED,
    };
    Ok(Mount { target: mount.target.clone(), strict: false, what, set, clear, propagation })
}

fn attributes(options: &MountOptions) -> (u64, u64) {
    let mut set = if options.read_only { attribute::RDONLY } else { 0 };
    let mut clear = 0;
    for (wish, bit) in
        [(options.nosuid, attribute::NOSUID), (options.nodev, attribute::NODEV), (options.noexec, attribute::NOEXEC)]
    {
        match wish {
            Some(true) => set |= bit,
            Some(false) => clear |= bit,
            None => {}
        }
    }
    (set, clear)
}

fn tmpfs_options(options: &TmpfsOptions) -> (u64, String) {
    let mut flags = 0;
    for (lifted, bit) in [(options.exec, flag::NOEXEC), (options.suid, flag::NOSUID), (options.dev, flag::NODEV)] {
        if !lifted {
            flags |= bit;
        }
    }
    if options.read_only {
        flags |= flag::RDONLY;
    }
    let mut data = format!("mode={:o}", options.mode.unwrap_or(0o1777));
    let numbers = [
        ("size", options.size),
        ("nr_inodes", options.inodes),
        ("uid", options.uid.map(u64::from)),
        ("gid", options.gid.map(u64::from)),
    ];
    for (key, value) in numbers {
        if let Some(value) = value {
            data.push_str(&format!(",{key}={value}"));
        }
    }
    (flags, data)
}

/// Always an instance of its own.
fn devpts_options(options: &DevptsOptions) -> String {
    let mut data = format!("newinstance,ptmxmode=0666,mode={:o}", options.mode.unwrap_or(0o600));
    for (key, value) in [("uid", options.uid), ("gid", options.gid), ("max", options.max)] {
        if let Some(value) = value {
            data.push_str(&format!(",{key}={value}"));
        }
    }
    data
}

/// How a container's senders adapt to loss. All its connections end on this machine, at the latest in its slirp4netns,
/// and there BBR's pacing costs a third of the throughput; reno is always there.
const CONGESTION: &str = "net.ipv4.tcp_congestion_control";

/// A network of its own has no ports that belong to root: who is not root listens on 80 too, as with docker.
const PORT_START: &str = "net.ipv4.ip_unprivileged_port_start";

/// What a network namespace of its own gets unless something else is asked for.
fn own_network() -> Vec<(String, String)> {
    let paced = std::fs::read("/proc/sys/net/ipv4/tcp_congestion_control").is_ok_and(|host| host.starts_with(b"bbr"));
    let mut all = vec![(PORT_START.to_owned(), "0".to_owned())];
    all.extend(paced.then(|| (CONGESTION.to_owned(), "reno".to_owned())));
    all
}

fn sysctls(record: &ContainerRecord, spaces: Namespaces) -> Result<Vec<(String, String)>, Error> {
    let asked = &record.spec.security.sysctls;
    let mut own = if spaces.net == Namespace::New { own_network() } else { Vec::new() };
    own.retain(|(key, _)| !asked.iter().any(|(other, _)| other.replace('/', ".") == *key));
    asked
        .iter()
        .chain(own.iter().map(|(key, value)| (key, value)))
        .map(|(key, value)| {
            let sysctl = Sysctl::new(key, value).map_err(|error| Error::Usage(error.to_string()))?;
            let (space, name) = match sysctl.namespace() {
                SysctlNamespace::Ipc => (spaces.ipc, "ipc"),
                SysctlNamespace::Net => (spaces.net, "network"),
                SysctlNamespace::Uts => (spaces.uts, "uts"),
            };
            if space == Namespace::Host {
                return Err(Error::Usage(format!("sysctl {key} cannot be set: the container uses the host's {name} namespace")));
            }
            Ok((sysctl.path(), value.clone()))
        })
        .collect()
}

fn words(texts: &[String]) -> Result<Vec<CapWord>, Error> {
    texts.iter().map(|text| text.parse::<CapWord>().map_err(|error| Error::Usage(error.to_string()))).collect()
}

/// What was asked for by name: programs of users that are not root have it too, as with podman.
pub(super) fn ambient(record: &ContainerRecord) -> Result<CapSet, Error> {
    let security = &record.spec.security;
    Ok(CapSet::resolve(CapSet::EMPTY, &words(&security.cap_add)?, &words(&security.cap_drop)?, false))
}

pub(super) fn capabilities(record: &ContainerRecord, engine: &Engine) -> Result<CapSet, Error> {
    let security = &record.spec.security;
    let base = match &engine.config.containers.capabilities {
        Some(names) => CapSet::resolve(CapSet::EMPTY, &words(names)?, &[], false),
        None => CapSet::DOCKER_DEFAULT,
    };
    Ok(CapSet::resolve(base, &words(&security.cap_add)?, &words(&security.cap_drop)?, security.privileged))
}

/// The system call filter, one instruction per number; empty is none.
pub(super) fn filter(choice: &SeccompChoice, privileged: bool, caps: CapSet, engine: &Engine) -> Result<Vec<u64>, Error> {
    let pack = |filter: &[crate::sys::seccomp::BpfInsn]| filter.iter().map(|&instruction| u64::from(instruction)).collect();
    let file = match (choice, &engine.config.containers.seccomp_profile) {
        (SeccompChoice::Unconfined, _) => return Ok(Vec::new()),
        (SeccompChoice::File(path), _) => Path::new(path).to_owned(),
        (SeccompChoice::Builtin, _) if privileged => return Ok(Vec::new()),
        (SeccompChoice::Builtin, Some(path)) => path.clone(),
        (SeccompChoice::Builtin, None) => {
            let filter = seccomp::default_filter(caps).map_err(|error| Error::Usage(error.to_string()))?;
            return Ok(pack(&filter));
        }
    };
    let text = std::fs::read(&file).map_err(Error::io("read seccomp profile", &file))?;
    let profile = Profile::parse(&text).map_err(|error| Error::Usage(format!("{}: {error}", file.display())))?;
    if profile.notifies() {
        return Err(Error::Usage(format!("{}: SCMP_ACT_NOTIFY needs a supervisor, which kelp does not run", file.display())));
    }
    let arch = Arch::native().ok_or_else(|| Error::Usage(seccomp::Error::Unsupported.to_string()))?;
    let context = Context { arch, caps, kernel: kernel_version() };
    seccomp::compile(&profile, &context)
        .map(|filter| pack(&filter))
        .map_err(|error| Error::Usage(format!("{}: {error}", file.display())))
}

fn process(record: &ContainerRecord, engine: &Engine, options: &SecurityOpts, wishes: Wishes) -> Result<Process, Error> {
    let (spec, config) = (&record.spec, &record.config);
    let caps = capabilities(record, engine)?;
    let mut argv = config.entrypoint.clone();
    argv.extend(config.command.clone());
    let mut env = config.env.clone();
    if !env.iter().any(|entry| entry.starts_with("HOSTNAME=")) {
        env.push(format!("HOSTNAME={}", config.hostname));
    }
    Ok(Process {
        argv,
        env,
        cwd: config.workdir.clone(),
        user: config.user.clone(),
        groups: spec.process.groups.clone(),
        tty: spec.process.tty,
        size: wishes.size,
        caps: caps.bits(),
        ambient: ambient(record)?.bits(),
        no_new_privs: options.no_new_privileges,
        seccomp: filter(&options.seccomp, spec.security.privileged, caps, engine)?,
        rlimits: limits(engine, &spec.security.ulimits)?,
        umask: spec.process.umask.unwrap_or(0o022),
        oom_score_adj: spec.resources.oom_score_adj,
        make_cwd: true,
        init: spec.process.init || engine.config.containers.init,
        one_id: None,
    })
}

pub(super) fn limits(engine: &Engine, asked: &[String]) -> Result<Vec<(u32, u64, u64)>, Error> {
    let words = engine
        .config
        .containers
        .ulimits
        .iter()
        .chain(asked)
        .map(|text| text.parse().map_err(|error: crate::spec::ulimit::UlimitError| Error::Usage(error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let own = |resource: crate::spec::ulimit::Resource| crate::sys::process::rlimit(resource.number());
    let limits = ulimit::resolve(&words, own).map_err(|error| Error::Usage(error.to_string()))?;
    Ok(limits.into_iter().map(|limit| (limit.resource.number(), limit.soft, limit.hard)).collect())
}

/// Major and minor number of the running kernel.
pub(super) fn kernel_version() -> (u32, u32) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn accounts(process: &ProcessSpec) -> Option<Accounts> {
    let ProcessSpec { passwd, passwd_entry, group_entry, .. } = process;
    let asked = passwd.unwrap_or(passwd_entry.is_some() || group_entry.is_some());
    asked.then(|| Accounts { passwd: passwd_entry.clone(), group: group_entry.clone() })
}
