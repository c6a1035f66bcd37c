//! What is looked at, one function each.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::host::{Account, program};
use super::{Finding, Package};
use crate::engine::child::in_child;
use crate::engine::{Engine, Error, system};
use crate::userns;

/// Ids an ordinary image needs.
const ENOUGH_IDS: u64 = 65536;
/// First id distributions hand out.
const FIRST_ID: u64 = 100_000;
/// Less room than this in the store is worth a warning.
const LITTLE_ROOM: u64 = 1 << 30;

/// Everything, what others depend on first.
pub(super) fn all(engine: &Engine, account: &Account) -> Vec<Finding> {
    let namespaces = user_namespaces(engine, account);
    let works = namespaces.level == super::Level::Ok;
    let overlay = overlay(engine, works);
    let fuse_needed = overlay.level != super::Level::Ok;
    vec![
        kernel(),
        namespaces,
        subordinate_ids(account),
        id_mappers(account),
        lost_ids(engine, account),
        fakes(),
        slirp(),
        device("/dev/net/tun", "the default network", "tun", true),
        user_networks(engine, works),
        overlay,
        device("/dev/fuse", "the fuse storage driver (for --userns keep-id, nomap and auto)", "fuse", fuse_needed),
        runtime_directory(engine, account),
        cgroups(),
        batch_job(),
        linger(account),
        store(engine),
    ]
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn kernel() -> Finding {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (5, 12) {
        Finding::ok("kernel", release)
    } else {
        Finding::missing("kernel", format!("{release}: 5.12 or newer is needed (mounts in user namespaces)"))
            .advise("install a newer kernel")
    }
}

/// Tries it; on failure looks for the reason.
fn user_namespaces(engine: &Engine, account: &Account) -> Finding {
    const WHAT: &str = "user namespaces";
    let tried = in_child(engine, true, || {
        // AppArmor lets the namespace be made and then forbids everything in it.
        crate::sys::mount::set_propagation(c"/", libc::MS_REC | libc::MS_PRIVATE)
            .map_err(|errno| Error::Internal(format!("mounting in one is forbidden: {errno}")))
    });
    let Err(error) = tried else { return Finding::ok(WHAT, "can be made, mounting in them works") };
    let flag = |path: &str| read(path).and_then(|text| text.parse::<i64>().ok());
    let sysctl = |name: &str, value: &str, detail: String| {
        Finding::missing(WHAT, detail)
            .file("/etc/sysctl.d/90-kelp.conf", format!("{name} = {value}\n"))
            .command(&["sysctl", "-q", "-w", &format!("{name}={value}")])
    };
    if flag("/proc/sys/user/max_user_namespaces") == Some(0) {
        return sysctl("user.max_user_namespaces", "15000", "switched off by sysctl user.max_user_namespaces".into());
    }
    if flag("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) && account.uid != 0 {
        return sysctl(
            "kernel.unprivileged_userns_clone",
            "1",
            "switched off for ordinary users by sysctl kernel.unprivileged_userns_clone".into(),
        );
    }
    if flag("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) && account.uid != 0 {
        return apparmor(&error);
    }
    // Missing ranges or helpers have findings of their own.
    Finding::missing(WHAT, error.to_string()).advise("see the findings below; else ask the administrator of this host")
}

/// Ubuntu forbids user namespaces to programs without a profile that allows them.
fn apparmor(error: &Error) -> Finding {
    let finding = Finding::missing("user namespaces", format!("AppArmor forbids them to programs without a profile ({error})"));
    let Some(binary) = std::env::current_exe().ok().and_then(|path| path.to_str().map(str::to_owned)) else {
        return finding.advise("give kelp an AppArmor profile with the rule userns");
    };
    let profile = format!(
        "# Lets kelp make user namespaces.\nabi <abi/4.0>,\ninclude <tunables/global>\n\n\
         profile kelp {binary:?} flags=(unconfined) {{\n  userns,\n\n  include if exists <local/kelp>\n}}\n"
    );
    finding.file("/etc/apparmor.d/kelp", profile).command(&["apparmor_parser", "-r", "/etc/apparmor.d/kelp"])
}

fn subordinate_ids(account: &Account) -> Finding {
    const WHAT: &str = "subordinate ids";
    let ranges = userns::ranges(account.uid);
    let count = |ranges: &[(u32, u32)]| ranges.iter().map(|range| u64::from(range.1)).sum::<u64>();
    let (uids, gids) = (count(&ranges.uids), count(&ranges.gids));
    if uids >= ENOUGH_IDS && gids >= ENOUGH_IDS {
        return Finding::ok(WHAT, format!("{uids} user ids, {gids} group ids"));
    }
    let first = free_id();
    let last = first + ENOUGH_IDS - 1;
    let range = format!("{first}-{last}");
    let detail = if uids == 0 && gids == 0 {
        format!("{} has none in /etc/subuid and /etc/subgid: single-id mode, where owners are recorded only", account.name)
    } else {
        format!("{} has {uids} user ids and {gids} group ids; images use up to {ENOUGH_IDS}", account.name)
    };
    let finding = Finding::missing(WHAT, detail);
    let finding = if program("usermod").is_some() { finding } else { finding.package(Package::Usermod) };
    let mut words = vec!["usermod"];
    if uids < ENOUGH_IDS {
        words.extend(["--add-subuids", &range]);
    }
    if gids < ENOUGH_IDS {
        words.extend(["--add-subgids", &range]);
    }
    words.push(&account.name);
    finding.command(&words)
}

/// Ids that files of the store may belong to, and that were taken away.
fn lost_ids(engine: &Engine, account: &Account) -> Finding {
    const WHAT: &str = "ids of the store";
    let lost = userns::lost::lost(&engine.paths.data, &engine.paths.run);
    if lost.is_empty() {
        return Finding::ok(WHAT, "are all yours");
    }
    let (data, name, ids) = (engine.paths.data.display(), &account.name, lost.text());
    if lost.asked {
        return Finding::warning(WHAT, format!("files in {data} may belong to ids {ids}, {}", lost.why()))
            .advise("leave containers.subordinate-ids out of the configuration, or keep to another store for one id (storage.directory)");
    }
    let before: Vec<String> = lost.before.iter().map(|(first, count)| format!("{name}:{first}:{count}")).collect();
    Finding::missing(WHAT, format!("files in {data} may belong to ids {ids}, which are no longer {name}'s: nobody but root can reach them")).advise(format!(
        "have them given back, in the same order ({} in /etc/subuid, and as much in /etc/subgid); or let root give you the files \
         (chown -R {name}: {data}) and begin anew with kelp system reset",
        before.join(", ")
    ))
}

/// Above every range there is.
fn free_id() -> u64 {
    let ends = |path: &str| {
        let text = read(path).unwrap_or_default();
        let end = |line: &str| {
            let mut fields = line.split(':').skip(1).map(|field| field.trim().parse::<u64>().ok());
            Some(fields.next()?? + fields.next()??)
        };
        text.lines().filter_map(end).max().unwrap_or(0)
    };
    ends("/etc/subuid").max(ends("/etc/subgid")).max(FIRST_ID)
}

fn id_mappers(account: &Account) -> Finding {
    const WHAT: &str = "newuidmap, newgidmap";
    if account.uid == 0 {
        return Finding::ok(WHAT, "root needs none");
    }
    for name in ["newuidmap", "newgidmap"] {
        let Some(path) = program(name) else {
            return Finding::missing(WHAT, format!("{name} is not installed")).package(Package::Uidmap);
        };
        let setuid = path.metadata().is_ok_and(|meta| meta.uid() == 0 && meta.permissions().mode() & 0o4000 != 0);
        let mut value = [0_u8; 64];
        let capable = rustix::fs::getxattr(&path, c"security.capability", &mut value[..]).is_ok_and(|size| size > 0);
        if !(setuid || capable) {
            let path = path.display().to_string();
            return Finding::missing(WHAT, format!("{path} may not map ids: it is neither setuid root nor has its capability"))
                .command(&["chmod", "u+s", &path]);
        }
    }
    if crate::sys::prctl::no_new_privs() == Ok(true) {
        return Finding::warning(WHAT, "of no use here: this session may not gain privileges (no_new_privs); single-id mode")
            .advise("start kelp outside of what set no_new_privs (a sandbox, NoNewPrivileges= of a service)");
    }
    Finding::ok(WHAT, "installed, allowed to map")
}

/// What single-id mode has to work with.
fn fakes() -> Finding {
    const WHAT: &str = "faked owners";
    use crate::engine::container::one_id::{CANNOT_NOTIFY, can_notify};
    if can_notify() {
        return Finding::ok(WHAT, "can be recorded where there is one id only");
    }
    Finding::warning(WHAT, format!("{CANNOT_NOTIFY}: with one id only, owners are not recorded"))
        .advise("install kernel 5.5 or newer, with CONFIG_SECCOMP_FILTER; start kelp outside of the sandbox")
}

/// Containers of a job stay in it.
fn batch_job() -> Finding {
    const WHAT: &str = "batch job";
    match crate::runtime::cgroup::batch_job() {
        Some(variable) => Finding::ok(WHAT, format!("{variable} is set: containers stay in the job's control group and end with it")),
        None => Finding::ok(WHAT, "none"),
    }
}

fn slirp() -> Finding {
    match program("slirp4netns") {
        Some(path) => Finding::ok("slirp4netns", path.display().to_string()),
        None => Finding::missing("slirp4netns", "not installed: only --network none and host work").package(Package::Slirp4netns),
    }
}

/// Bridges, and nf_tables with masquerade: tried, since modules may be loaded only then.
fn user_networks(engine: &Engine, works: bool) -> Finding {
    const WHAT: &str = "user networks";
    if !works {
        return Finding::warning(WHAT, "not tried without user namespaces");
    }
    match in_child(engine, false, || crate::network::holder::probe().map_err(Error::Network)) {
        Ok(()) => Finding::ok(WHAT, "bridges and masquerade work"),
        Err(error) => Finding::warning(WHAT, format!("{error}; `network create` is of no use without"))
            .command(&["sh", "-c", "modprobe -a bridge veth nf_tables nft_masq nft_chain_nat"]),
    }
}

fn device(path: &str, purpose: &str, module: &str, needed: bool) -> Finding {
    let minor = if module == "tun" { 200 } else { 229 };
    let opened = File::options().read(true).write(true).open(path);
    let problem = match opened.and_then(|file| file.metadata()).map_err(|error| error.raw_os_error()) {
        Ok(meta) if meta.rdev() == rustix::fs::makedev(10, minor) => return Finding::ok(path, "can be opened"),
        Ok(_) => "it is something else",
        Err(Some(libc::EACCES | libc::EPERM)) => "you may not open it",
        Err(Some(libc::ENOENT)) => "it does not exist",
        Err(_) => "it does not work (is the kernel module there?)",
    };
    let detail = format!("{problem}; {purpose} needs it");
    let finding = if needed { Finding::missing(path, detail) } else { Finding::warning(path, detail) };
    let name = path.rsplit('/').next().unwrap_or(path);
    let node = format!("mkdir -p {} && {{ [ -e {path} ] || mknod {path} c 10 {minor}; }}", path.rsplit_once('/').map_or("/dev", |parts| parts.0));
    finding
        .file(&format!("/etc/udev/rules.d/90-kelp-{name}.rules"), format!("KERNEL==\"{name}\", MODE=\"0666\"\n"))
        .file(&format!("/etc/modules-load.d/kelp-{name}.conf"), format!("{module}\n"))
        .command(&["sh", "-c", &format!("modprobe {module} 2>/dev/null; {node}")])
        .command(&["chmod", "0666", path])
}

/// Mounts one where the store is, in a child.
fn overlay(engine: &Engine, namespaces: bool) -> Finding {
    const WHAT: &str = "overlay mounts";
    if !namespaces {
        return Finding::warning(WHAT, "not tried: user namespaces do not work");
    }
    let data = engine.paths.data.clone();
    if let Err(error) = fs::create_dir_all(&data) {
        return Finding::warning(WHAT, format!("not tried: {}: {error}", data.display()));
    }
    let dir = data.join(format!(".doctor-{}", std::process::id()));
    let tried = in_child(engine, true, || {
        let made = ["", "lower", "upper", "work", "merged"].iter().try_for_each(|name| fs::create_dir(dir.join(name)));
        made.map_err(Error::io("create", &dir))?;
        let options = "lowerdir=lower,upperdir=upper,workdir=work,userxattr";
        std::env::set_current_dir(&dir).map_err(Error::io("enter", &dir))?;
        nix::mount::mount(Some("overlay"), "merged", Some("overlay"), nix::mount::MsFlags::empty(), Some(options))
            .map_err(|errno| Error::Internal(format!("{errno}")))?;
        let wrote = fs::write("merged/file", "").map_err(Error::io("write", "merged/file"));
        let _ = nix::mount::umount2("merged", nix::mount::MntFlags::MNT_DETACH);
        wrote
    });
    // The work directory holds what only root of the namespace may remove.
    let swept = in_child(engine, false, || fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir)));
    if swept.is_err() {
        fs::remove_dir_all(&dir).ok();
    }
    match tried {
        Ok(()) => Finding::ok(WHAT, format!("work in {}", data.display())),
        Err(error) => Finding::warning(WHAT, format!("do not work in {}: {error}; the fuse driver is used", data.display()))
            .advise("keep the store on ext4, xfs or btrfs with --root or XDG_DATA_HOME"),
    }
}

fn runtime_directory(engine: &Engine, account: &Account) -> Finding {
    const WHAT: &str = "runtime directory";
    let shown = engine.paths.run.display().to_string();
    let name = engine.paths.run.file_name().unwrap_or_default().to_string_lossy();
    if (name.starts_with("kelp-run-") || name == "run") && account.uid != 0 {
        return Finding::warning(WHAT, format!("neither XDG_RUNTIME_DIR nor /run/user/{} can be used; {shown} takes its place", account.uid))
            .advise("log in through systemd or elogind, or set XDG_RUNTIME_DIR to a private directory on a tmpfs");
    }
    Finding::ok(WHAT, shown)
}

fn cgroups() -> Finding {
    const WHAT: &str = "control groups";
    if !system::cgroup_v2() {
        return Finding::warning(WHAT, "version 1, or a mixture: limits (--memory, --cpus), pause and stats do not work")
            .advise("boot with systemd.unified_cgroup_hierarchy=1");
    }
    let own = read("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let dir = format!("/sys/fs/cgroup{path}");
    let writable = rustix::fs::access(format!("{dir}/cgroup.procs").as_str(), rustix::fs::Access::WRITE_OK).is_ok();
    let uid = rustix::process::getuid().as_raw();
    let service = format!("/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers");
    let controllers = read(&service).or_else(|| writable.then(|| read(format!("{dir}/cgroup.controllers"))).flatten());
    let Some(controllers) = controllers else {
        return Finding::warning(WHAT, "version 2, no group of your own: limits (--memory, --cpus) and pause do not work")
            .advise("log in through systemd, so that it gives you a group");
    };
    let lacking: Vec<&str> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|wanted| !controllers.split_whitespace().any(|have| have == *wanted))
        .collect();
    if lacking.is_empty() {
        return Finding::ok(WHAT, format!("version 2, yours: {controllers}"));
    }
    Finding::warning(WHAT, format!("version 2, but {} is not yours: such limits do not work", lacking.join(", ")))
        .file("/etc/systemd/system/user@.service.d/90-kelp.conf", "[Service]\nDelegate=cpu cpuset io memory pids\n")
        .command(&["systemctl", "daemon-reload"])
}

fn linger(account: &Account) -> Finding {
    const WHAT: &str = "containers after logout";
    if !Path::new("/run/systemd/system").exists() {
        return Finding::ok(WHAT, "no systemd here that would end them");
    }
    if account.uid == 0 || Path::new("/var/lib/systemd/linger").join(&account.name).exists() {
        return Finding::ok(WHAT, "live on");
    }
    Finding::warning(WHAT, "systemd may end them when you log out")
        .advise(format!("loginctl enable-linger {}", account.name))
}

fn store(engine: &Engine) -> Finding {
    const WHAT: &str = "store";
    let data = &engine.paths.data;
    let there = data.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let Ok(stat) = rustix::fs::statfs(there) else {
        return Finding::warning(WHAT, format!("{} cannot be looked at", there.display()));
    };
    #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)] // the type differs between architectures
    let kind = match crate::sys::mount::magic(&stat) {
        0xEF53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683E => "btrfs",
        0x0102_1994 => "tmpfs",
        0x6969 => "nfs",
        0xFF53_4D42 | 0xFE53_4D42 => "smb",
        0x794C_7630 => "overlay",
        0x2FC1_2FC1 => "zfs",
        0x6573_5546 => "fuse",
        _ => "another file system",
    };
    #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
    let room = (stat.f_bavail as u64).saturating_mul(stat.f_bsize as u64);
    let shown = format!("{} on {kind}, {} free", data.display(), crate::format::size::human3(room));
    if let Some(moved) = &engine.moved {
        return Finding::warning(WHAT, format!("{shown}; {} is no place for it: {}", moved.home.display(), moved.why))
            .advise("choose another with storage.directory in the configuration, KELP_TMP or XDG_DATA_HOME");
    }
    if rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_err() {
        return Finding::missing(WHAT, format!("{} cannot be written", there.display()))
            .advise("choose another place with --root or XDG_DATA_HOME");
    }
    if room < LITTLE_ROOM {
        return Finding::warning(WHAT, shown).advise("make room: kelp rmi, kelp container prune, kelp volume prune");
    }
    if matches!(kind, "nfs" | "smb") {
        return Finding::warning(WHAT, format!("{shown}: owners and overlay mounts do not work there as they should"))
            .advise("choose a local directory with --root or XDG_DATA_HOME");
    }
    if kind == "tmpfs" {
        return Finding::warning(WHAT, format!("{shown}: gone with the next boot"));
    }
    Finding::ok(WHAT, shown)
}
