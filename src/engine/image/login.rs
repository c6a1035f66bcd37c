//! `login` and `logout`: credentials asked of the registry and kept for the next command.

use std::path::{Path, PathBuf};

use super::pull::registry;
use crate::engine::options::PullOptions;
use crate::engine::{Engine, Error};
use crate::image::registry::auth_file::{self, Keeper};
use crate::image::registry::credentials::{self, AuthFile};
use crate::image::registry::{Credentials, CredentialsError, login as ask};
use crate::spec::Reference;

/// How to log in, or out.
#[derive(Debug, Clone, Default)]
pub struct LoginOptions {
    /// Certificates, retries, and `--authfile`.
    pub registry: PullOptions,
    /// `--compat-auth-file`: a file as docker has it.
    pub compat_auth_file: Option<PathBuf>,
}

/// A registry as typed (`HOST[:PORT]`, a namespace of one, docker's address of its hub): host, and key in the files.
fn parse(text: &str) -> Result<(String, String), Error> {
    let bare = text.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let bare = match bare {
        "" | "index.docker.io/v1" | "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    let wrong = || Error::Usage(format!("\"{text}\" is no registry: expected HOST[:PORT]"));
    // The grammar of references knows hosts and paths.
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    let probe = format!("{host}/{}x", if path.is_empty() { String::new() } else { format!("{path}/") });
    let reference: Reference = probe.parse().map_err(|_| wrong())?;
    if reference.domain() != host {
        return Err(wrong());
    }
    Ok((host.to_owned(), if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }))
}

fn keeper(options: &LoginOptions) -> Result<Keeper, Error> {
    match (&options.registry.auth_file, &options.compat_auth_file) {
        (Some(_), Some(_)) => Err(Error::Usage("--authfile and --compat-auth-file cannot be given together".into())),
        (Some(path), None) => Ok(Keeper { path: path.clone(), docker: false }),
        (None, Some(path)) => Ok(Keeper { path: path.clone(), docker: true }),
        (None, None) => auth_file::default_keeper(&|name| std::env::var_os(name)).map_err(wrong),
    }
}

fn files(options: &LoginOptions) -> Vec<AuthFile> {
    let named = options.registry.auth_file.iter().chain(&options.compat_auth_file).next();
    match named {
        Some(path) => vec![AuthFile { path: path.clone(), required: false }],
        None => {
            let mut files = credentials::default_files(&|name| std::env::var_os(name));
            files.iter_mut().for_each(|file| file.required = false);
            files
        }
    }
}

fn wrong(error: CredentialsError) -> Error {
    Error::Registry(error.to_string())
}

/// The helpers that registries.conf wants asked instead of the files; none when a file was named.
fn helpers(options: &LoginOptions) -> Result<Vec<String>, Error> {
    let named = options.registry.auth_file.is_some() || options.compat_auth_file.is_some();
    Ok(if named { Vec::new() } else { super::pull::registries()?.credential_helpers().to_vec() })
}

fn known(registry: &str, options: &LoginOptions) -> Result<(String, Option<Credentials>), Error> {
    let (host, key) = parse(registry)?;
    let path = key.strip_prefix(&host).unwrap_or_default().trim_start_matches('/');
    let found = credentials::look_up(&helpers(options)?, &files(options), &host, path).map_err(wrong)?;
    Ok((key, found))
}

/// Who is logged in to a registry (`--get-login`).
///
/// # Errors
/// Nobody; a file that cannot be read.
pub fn login_of(registry: &str, options: &LoginOptions) -> Result<String, Error> {
    match known(registry, options)? {
        (_, Some(Credentials::Basic { username, .. })) => Ok(username),
        (_, Some(Credentials::Identity(_) | Credentials::Bearer(_))) => Ok("<token>".to_owned()),
        (key, None) => Err(Error::Registry(format!("not logged into {key}"))),
    }
}

/// Whether credentials are here and the registry still accepts them; whose.
///
/// # Errors
/// The registry cannot be reached.
pub fn existing_login(engine: &Engine, registry_name: &str, options: &LoginOptions) -> Result<Option<String>, Error> {
    let (Some(found), user) = (known(registry_name, options)?.1, login_of(registry_name, options)) else { return Ok(None) };
    let (host, _) = parse(registry_name)?;
    match ask::verify(&host, &found, &client(engine, &host, options)?) {
        Ok(_) => user.map(Some),
        Err(crate::image::registry::RegistryError::Login { .. }) => Ok(None),
        Err(error) => Err(registry(error)),
    }
}

/// Logs in and keeps the credentials; the file they are in, or the helper.
///
/// # Errors
/// The registry refuses, or they cannot be kept.
pub fn login(
    engine: &Engine,
    registry_name: &str,
    username: String,
    password: String,
    options: &LoginOptions,
) -> Result<PathBuf, Error> {
    let (host, key) = parse(registry_name)?;
    let keeper = keeper(options)?;
    if username.contains(':') {
        return Err(Error::Usage("a user name with a colon cannot be told from its password".into()));
    }
    let given = Credentials::Basic { username, password };
    let kept = ask::verify(&host, &given, &client(engine, &host, options)?).map_err(registry)?;
    match helpers(options)?.first().filter(|helper| *helper != credentials::FILES) {
        Some(_) if key != host => Err(Error::Usage(format!("{key}: credential helpers know whole registries only; log in to {host}"))),
        Some(helper) => {
            auth_file::store_with(helper, &key, &kept).map_err(wrong)?;
            Ok(PathBuf::from(format!("docker-credential-{helper}")))
        }
        None => {
            keeper.store(&key, &kept).map_err(wrong)?;
            Ok(keeper.path)
        }
    }
}

fn client(engine: &Engine, host: &str, options: &LoginOptions) -> Result<crate::image::registry::ClientOptions, Error> {
    let probe: Reference = format!("{host}/x").parse()?;
    let asked = PullOptions { credentials: None, auth_file: None, ..options.registry.clone() };
    super::pull::direct_client(engine, &probe, &asked)
}

/// Forgets a login; whether there was one. An error when it is docker's, which only `docker logout` or
/// `--compat-auth-file` should change.
///
/// # Errors
/// A file cannot be changed.
pub fn logout(registry: &str, options: &LoginOptions) -> Result<bool, Error> {
    let (_, key) = parse(registry)?;
    let mut there = false;
    for keeper in keepers(options)? {
        there |= keeper.erase(&key).map_err(wrong)?;
    }
    for helper in helpers(options)?.iter().filter(|helper| *helper != credentials::FILES) {
        there |= auth_file::erase_with(helper, &key).map_err(wrong)?;
    }
    if !there && let (_, Some(_)) = known(registry, options)? {
        return Err(Error::Conflict(format!(
            "{key} is logged into by docker's configuration; use --compat-auth-file with its config.json to remove that"
        )));
    }
    Ok(there)
}

/// Forgets all logins but docker's.
///
/// # Errors
/// A file cannot be changed.
pub fn logout_all(options: &LoginOptions) -> Result<usize, Error> {
    keepers(options)?.iter().try_fold(0, |sum, keeper| Ok(sum + keeper.erase_all().map_err(wrong)?))
}

/// The files a logout changes: the one named, else all we read but docker's.
fn keepers(options: &LoginOptions) -> Result<Vec<Keeper>, Error> {
    let first = keeper(options)?;
    if options.registry.auth_file.is_some() || options.compat_auth_file.is_some() {
        return Ok(vec![first]);
    }
    let is_docker = |path: &Path| path.file_name().is_some_and(|name| name == "config.json");
    let mut all: Vec<Keeper> = files(options)
        .into_iter()
        .filter(|file| !is_docker(&file.path) && file.path.exists())
        .map(|file| Keeper { path: file.path, docker: false })
        .collect();
    if !all.iter().any(|other| other.path == first.path) && first.path.exists() {
        all.insert(0, first);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_as_people_type_them() {
        let of = |text| parse(text).map_err(|e| e.to_string());
        let same = |host: &str| Ok((host.to_owned(), host.to_owned()));
        for hub in ["", "docker.io", "https://index.docker.io/v1/", "index.docker.io"] {
            assert_eq!(of(hub), same("docker.io"), "{hub}");
        }
        assert_eq!(of("https://reg.example:5000/"), same("reg.example:5000"));
        assert_eq!(of("localhost"), same("localhost"));
        assert_eq!(of("reg.example/v2/"), same("reg.example"));
        assert_eq!(of("reg.example/team/a"), Ok(("reg.example".to_owned(), "reg.example/team/a".to_owned())));
        for wrong in ["what", "reg.example:port", "reg.example/UP", "a b.c", "reg.example/x:tag"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
