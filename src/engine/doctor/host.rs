//! Facts of the host: accounts, programs, the package manager. Reads files only.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Package;
use crate::engine::{Paths, system};

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: PathBuf,
}

fn accounts() -> Vec<Account> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
            Some(Account {
                name: (*name).to_owned(),
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
                home: home.into(),
            })
        })
        .collect()
}

/// By name or number.
pub(super) fn account(name: &str) -> Option<Account> {
    accounts().into_iter().find(|account| account.name == name || account.uid.to_string() == name)
}

/// By number; one that no file knows (a directory service has it) gets its name from the environment.
pub(super) fn account_of(uid: u32) -> Account {
    accounts().into_iter().find(|account| account.uid == uid).unwrap_or_else(|| Account {
        name: std::env::var("USER").unwrap_or_else(|_| uid.to_string()),
        uid,
        gid: rustix::process::getgid().as_raw(),
        home: std::env::var_os("HOME").map(PathBuf::from).unwrap_or_else(|| "/".into()),
    })
}

/// All groups of an account.
pub(super) fn groups(account: &Account) -> Vec<u32> {
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    let mut groups: Vec<u32> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let id = fields.nth(2)?.parse().ok()?;
            fields.next()?.split(',').any(|member| member == account.name).then_some(id)
        })
        .collect();
    groups.push(account.gid);
    groups
}

/// The directories an account has without settings of its own.
pub(super) fn paths(account: &Account) -> Paths {
    let home = |rest: &str| account.home.join(rest).join("kelp");
    let session = PathBuf::from(format!("/run/user/{}", account.uid));
    let run = if session.exists() { session.join("kelp") } else { std::env::temp_dir().join(format!("kelp-run-{}", account.uid)) };
    Paths {
        data: home(".local/share"),
        config: home(".config"),
        state: home(".local/state"),
        cache: home(".cache"),
        run,
    }
}

/// A program on the path, or where administrators' programs are.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let executable = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    path.split(':')
        .chain(["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"])
        .filter(|dir| dir.starts_with('/'))
        .map(|dir| Path::new(dir).join(name))
        .find(|path| executable(path))
}

/// How packages come to this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    Apt,
    Dnf,
    Pacman,
    Apk,
    Zypper,
}

impl Manager {
    /// By os-release(5), else by what is installed.
    pub(super) fn here() -> Option<Self> {
        let ids = format!(
            "{} {}",
            system::os_release("ID").unwrap_or_default(),
            system::os_release("ID_LIKE").unwrap_or_default()
        );
        Self::of(&ids).or_else(|| {
            [("apt-get", Self::Apt), ("dnf", Self::Dnf), ("pacman", Self::Pacman), ("apk", Self::Apk), ("zypper", Self::Zypper)]
                .into_iter()
                .find_map(|(name, manager)| program(name).map(|_| manager))
        })
    }

    fn of(ids: &str) -> Option<Self> {
        ids.split_whitespace().find_map(|id| match id {
            "debian" | "ubuntu" => Some(Self::Apt),
            "fedora" | "rhel" | "centos" => Some(Self::Dnf),
            "arch" => Some(Self::Pacman),
            "alpine" => Some(Self::Apk),
            "suse" | "opensuse" => Some(Self::Zypper),
            _ => None,
        })
    }

    /// What this distribution calls a package.
    fn package(self, package: Package) -> &'static str {
        match (package, self) {
            (Package::Slirp4netns, _) => "slirp4netns",
            (Package::Uidmap, Self::Apt) => "uidmap",
            (Package::Uidmap, Self::Apk) => "shadow-uidmap",
            (Package::Uidmap | Package::Usermod, Self::Dnf) => "shadow-utils",
            (Package::Uidmap, Self::Pacman | Self::Zypper) => "shadow",
            (Package::Usermod, Self::Apt) => "passwd",
            (Package::Usermod, Self::Pacman | Self::Apk | Self::Zypper) => "shadow",
        }
    }

    /// The commands that install packages.
    pub(super) fn install(self, packages: &[Package]) -> Vec<Vec<String>> {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut commands = match self {
            Self::Apt => vec![words("apt-get update -q"), words("apt-get install -y -q --no-install-recommends")],
            Self::Dnf => vec![words("dnf install -y")],
            Self::Pacman => vec![words("pacman -S --needed --noconfirm")],
            Self::Apk => vec![words("apk add")],
            Self::Zypper => vec![words("zypper --non-interactive install")],
        };
        let mut names: Vec<&str> = packages.iter().map(|package| self.package(*package)).collect();
        names.sort_unstable();
        names.dedup();
        if let Some(last) = commands.last_mut() {
            last.extend(names.into_iter().map(str::to_owned));
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions() {
        assert_eq!(Manager::of("linuxmint ubuntu debian"), Some(Manager::Apt));
        assert_eq!(Manager::of("rocky rhel centos fedora"), Some(Manager::Dnf));
        assert_eq!(Manager::of("plan9"), None);
        let commands = Manager::Apt.install(&[Package::Uidmap, Package::Slirp4netns]);
        assert_eq!(commands[1].join(" "), "apt-get install -y -q --no-install-recommends slirp4netns uidmap");
    }
}
