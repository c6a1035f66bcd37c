//! Resource limits a container starts with: what `--ulimit` asks, within what the caller has.
//!
//! Pure: the caller's own limits come as a function. Nobody without CAP_SYS_RESOURCE over the host can raise a hard
//! limit, so asking for more is an error here, before anything is started, and not a failed setrlimit(2) later.

use crate::spec::ulimit::{Resource, Ulimit, UlimitWord};

/// As many open files as docker and podman give where the host allows it.
const DEFAULT_NOFILE: u64 = 1 << 20;

/// A limit above what the caller has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "ulimit {asked}: your own hard limit of {} is {have}, and only the administrator can raise it (a line in \
     /etc/security/limits.conf, or LimitNOFILE= and the like of the systemd user manager)",
    .asked.resource.name()
)]
pub struct UlimitTooHigh {
    /// What was asked.
    pub asked: Ulimit,
    /// The caller's hard limit.
    pub have: u64,
}

/// The limits to set; resources not listed are inherited. `own` tells the caller's soft and hard limit.
///
/// The last of several for one resource counts. Without `--ulimit` open files are raised to the hard limit (at most
/// 2²⁰), as programs in a container expect of docker; `host` keeps everything as it is.
pub fn resolve(
    asked: &[UlimitWord],
    own: impl Fn(Resource) -> (u64, u64),
) -> Result<Vec<Ulimit>, UlimitTooHigh> {
    let mut limits: Vec<Ulimit> = Vec::new();
    let mut host = false;
    for word in asked {
        match word {
            UlimitWord::Host => host = true,
            UlimitWord::Limit(limit) => {
                limits.retain(|other| other.resource != limit.resource);
                limits.push(*limit);
            }
        }
    }
    for limit in &limits {
        let (_, have) = own(limit.resource);
        if limit.hard > have {
            return Err(UlimitTooHigh {
                asked: *limit,
                have,
            });
        }
    }
    if !host
        && !limits
            .iter()
            .any(|limit| limit.resource == Resource::Nofile)
    {
        let (soft, hard) = own(Resource::Nofile);
        let most = hard.min(DEFAULT_NOFILE);
        if most > soft {
            limits.push(Ulimit {
                resource: Resource::Nofile,
                soft: most,
                hard,
            });
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ulimit::UNLIMITED;

    fn plan(asked: &[&str]) -> Result<Vec<String>, String> {
        let asked: Vec<UlimitWord> = asked.iter().map(|text| text.parse().unwrap()).collect();
        let own = |resource| match resource {
            Resource::Nofile => (1024, 4096),
            Resource::Core => (0, UNLIMITED),
            _ => (100, 200),
        };
        let shown = |limits: Vec<Ulimit>| limits.iter().map(ToString::to_string).collect();
        resolve(&asked, own)
            .map(shown)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn within_what_the_caller_has() {
        assert_eq!(plan(&[]).unwrap(), ["nofile=4096:4096"]);
        assert_eq!(plan(&["host"]).unwrap(), [] as [String; 0]);
        assert_eq!(
            plan(&["nofile=10:20", "nofile=30"]).unwrap(),
            ["nofile=30:30"]
        );
        assert_eq!(plan(&["core=-1", "host"]).unwrap(), ["core=-1:-1"]);
        assert_eq!(
            plan(&["nproc=1:200"]).unwrap(),
            ["nproc=1:200", "nofile=4096:4096"]
        );
        let error = plan(&["nproc=1:201"]).unwrap_err();
        assert!(
            error.starts_with("ulimit nproc=1:201: your own hard limit of nproc is 200"),
            "{error}"
        );
        assert!(plan(&["nproc=-1"]).is_err());
    }
}
