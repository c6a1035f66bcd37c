//! What the configuration says for every container, put into a spec that says nothing of it; and the values of a spec
//! that mean something of this host (`--tz local`).

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::config::Config;
use crate::engine::Error;
use crate::spec::ContainerSpec;
use crate::spec::container::{LogDriver, UserNamespaceMode};
use crate::spec::mount::MountSpec;

/// Completes a spec before it is resolved.
///
/// # Errors
/// A value of the configuration, or a time zone, that is none.
pub(super) fn apply(spec: &mut ContainerSpec, config: &Config) -> Result<(), Error> {
    let defaults = &config.containers;
    let wrong = |key: &str, reason: &dyn std::fmt::Display| Error::Usage(format!("configuration, containers.{key}: {reason}"));
    let name = |limit: &str| limit.split('=').next().unwrap_or_default().to_owned();
    for limit in &defaults.ulimits {
        if !spec.security.ulimits.iter().any(|given| name(given) == name(limit)) {
            spec.security.ulimits.push(limit.clone());
        }
    }
    for text in &defaults.volumes {
        let mount: MountSpec = text.parse().map_err(|reason| wrong("volumes", &reason))?;
        let taken = spec.storage.mounts.iter().any(|given| given.target == mount.target)
            || spec.storage.tmpfs.iter().any(|given| given.target == mount.target);
        if !taken {
            spec.storage.mounts.push(mount);
        }
    }
    spec.resources.pids_limit = spec.resources.pids_limit.or(defaults.pids_limit);
    if spec.process.umask.is_none() {
        let mask = defaults.umask.as_deref().map(|text| u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777));
        spec.process.umask = mask.map(|mask| mask.ok_or_else(|| wrong("umask", &"expected an octal number up to 777"))).transpose()?;
    }
    if let (UserNamespaceMode::Private, Some(mode)) = (&spec.namespaces.user, &defaults.userns)
        && spec.namespaces.uid_map.is_empty()
        && spec.namespaces.gid_map.is_empty()
    {
        spec.namespaces.user = mode.parse().map_err(|reason: String| wrong("userns", &reason))?;
    }
    if let (LogDriver::K8sFile, Some(driver)) = (spec.logging.driver, config.log.driver) {
        spec.logging.driver = driver;
    }
    if let Some(address) = config.network.publish_address {
        spec.network.publish.iter_mut().filter(|port| port.host_ip.is_none()).for_each(|port| port.host_ip = Some(address));
    }
    if let Some(zone) = spec.process.timezone.as_ref().or(defaults.timezone.as_ref())
        && !spec.process.env.iter().any(|(name, _)| name == "TZ")
    {
        let rule = rule_of(zone)?;
        spec.process.env.insert(0, ("TZ".to_owned(), Some(rule)));
    }
    Ok(())
}

/// The rule of a zone in the notation of POSIX, which works in images without a zone database: the last line of the
/// host's file (RFC 8536, section 3.3).
fn rule_of(zone: &str) -> Result<String, Error> {
    let path = match zone {
        "local" => Path::new("/etc/localtime").to_owned(),
        zone if zone.split('/').any(|part| matches!(part, "" | "." | "..")) => {
            return Err(Error::Usage(format!("\"{zone}\" is no time zone: give a name such as Europe/Berlin, or local")));
        }
        zone => Path::new("/usr/share/zoneinfo").join(zone),
    };
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(1 << 20).read_to_end(&mut bytes));
    match (read, footer(&bytes)) {
        (Ok(_), Some(rule)) => Ok(rule),
        _ if matches!(zone, "local" | "UTC" | "Etc/UTC" | "GMT") => Ok("UTC0".to_owned()),
        _ => Err(Error::Usage(format!("unknown time zone \"{zone}\": this host has no {}", path.display()))),
    }
}

fn footer(bytes: &[u8]) -> Option<String> {
    let body = bytes.strip_prefix(b"TZif")?.strip_suffix(b"\n")?;
    let start = body.iter().rposition(|byte| *byte == b'\n')? + 1;
    let rule = std::str::from_utf8(&body[start..]).ok()?;
    (!rule.is_empty() && rule.chars().all(|c| c.is_ascii_graphic())).then(|| rule.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_zone_file() {
        assert_eq!(footer(b"TZif2...\0\n\nCET-1CEST,M3.5.0,M10.5.0/3\n").as_deref(), Some("CET-1CEST,M3.5.0,M10.5.0/3"));
        assert_eq!(footer(b"TZif2...\n\n"), None);
        assert_eq!(footer(b"text\nUTC0\n"), None);
        assert!(rule_of("../../etc/passwd").is_err() && rule_of("/etc/passwd").is_err() && rule_of("No/Where").is_err());
    }

    #[test]
    fn a_spec_wins_over_the_configuration() {
        let mut config = Config::default();
        config.containers.ulimits = vec!["nofile=1:2".into(), "core=0".into()];
        config.containers.volumes = vec!["data:/data".into(), "/etc:/host".into()];
        config.containers.pids_limit = Some(5);
        config.containers.umask = Some("027".into());
        config.log.driver = Some(LogDriver::None);
        let mut spec = ContainerSpec::default();
        spec.security.ulimits = vec!["nofile=9".into()];
        spec.storage.mounts = vec!["/srv:/data".parse().unwrap()];
        spec.resources.pids_limit = Some(7);
        apply(&mut spec, &config).unwrap();
        assert_eq!(spec.security.ulimits, ["nofile=9", "core=0"]);
        assert_eq!(spec.storage.mounts.iter().map(|mount| mount.target.as_str()).collect::<Vec<_>>(), ["/data", "/host"]);
        assert_eq!((spec.resources.pids_limit, spec.process.umask), (Some(7), Some(0o27)));
        assert_eq!(spec.logging.driver, LogDriver::None);
        config.containers.userns = Some("sideways".into());
        assert!(apply(&mut spec, &config).is_err());
    }
}
