//! Files with credentials, written: `auth.json` of containers and `config.json` of docker.
//!
//! Owns changing one entry and leaving everything else in the file as it is. A file is written aside, for the user alone,
//! and renamed; two who change it at once take turns. Secrets go to a credential helper where the file names one.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value, json};

use super::credentials::{Credentials, CredentialsError, run_helper};

const MAX_FILE: u64 = 4 << 20;

/// A file credentials are kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is docker's, which knows its hub by another name.
    pub docker: bool,
}

/// Where a login is kept when no file was named: as podman does, for the session, or in the home directory where there is
/// no runtime directory. `env` reads the environment.
///
/// # Errors
/// When there is neither.
pub fn default_keeper(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Keeper, CredentialsError> {
    let var = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let keep = |path| Ok(Keeper { path, docker: false });
    if let Some(path) = var("REGISTRY_AUTH_FILE") {
        return keep(path);
    }
    if let Some(path) = var("DOCKER_CONFIG") {
        return Ok(Keeper { path: path.join("config.json"), docker: true });
    }
    if let Some(runtime) = var("XDG_RUNTIME_DIR").filter(|dir| dir.is_dir()) {
        return keep(runtime.join("containers/auth.json"));
    }
    let config = var("XDG_CONFIG_HOME").or_else(|| var("HOME").map(|home| home.join(".config")));
    config.map_or(Err(CredentialsError::NoPlace), |config| keep(config.join("containers/auth.json")))
}

impl Keeper {
    /// Keeps credentials for `key` (`HOST[:PORT][/NAMESPACE]`).
    ///
    /// # Errors
    /// When file or helper do not take them.
    pub fn store(&self, key: &str, credentials: &Credentials) -> Result<(), CredentialsError> {
        let name = self.name_of(key);
        self.change(|config| {
            let mut entry = Map::new();
            match helper_of(config, &name) {
                Some(helper) => {
                    store_with(&helper, &name, credentials)?;
                }
                None => match credentials {
                    Credentials::Basic { username, password } => {
                        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
                        entry.insert("auth".to_owned(), pair.into());
                    }
                    Credentials::Identity(token) => {
                        entry.insert("identitytoken".to_owned(), token.as_str().into());
                    }
                    Credentials::Bearer(token) => {
                        entry.insert("registrytoken".to_owned(), token.as_str().into());
                    }
                },
            }
            if let Some(auths) = auths_of(config, true) {
                auths.insert(name.clone(), Value::Object(entry));
            }
            Ok(true)
        })
        .map(drop)
    }

    /// Forgets those for `key`; whether there were any.
    ///
    /// # Errors
    /// When file or helper cannot be changed.
    pub fn erase(&self, key: &str) -> Result<bool, CredentialsError> {
        let names = self.all_names_of(key);
        self.change(|config| {
            let mut there = false;
            for name in &names {
                if let Some(helper) = helper_of(config, name) {
                    there |= erase_with(&helper, name)?;
                }
                there |= auths_of(config, false).is_some_and(|auths| auths.remove(name).is_some());
            }
            Ok(there)
        })
    }

    /// Forgets all; how many entries there were.
    ///
    /// # Errors
    /// As [`Keeper::erase`].
    pub fn erase_all(&self) -> Result<usize, CredentialsError> {
        let mut count = 0;
        self.change(|config| {
            let names: Vec<String> = auths_of(config, false).map(|auths| auths.keys().cloned().collect()).unwrap_or_default();
            for name in &names {
                if let Some(helper) = helper_of(config, name) {
                    run_helper(&helper, name, "erase", name.as_bytes())?;
                }
            }
            count = names.len();
            if let Some(auths) = auths_of(config, false) {
                auths.clear();
            }
            Ok(count > 0)
        })?;
        Ok(count)
    }

    /// What a key is called in this file.
    fn name_of(&self, key: &str) -> String {
        match key {
            "docker.io" if self.docker => "https://index.docker.io/v1/".to_owned(),
            other => other.to_owned(),
        }
    }

    /// What it may be called, by whoever wrote it.
    fn all_names_of(&self, key: &str) -> Vec<String> {
        let mut names = vec![key.to_owned()];
        if key == "docker.io" {
            names.extend(["https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io"].map(str::to_owned));
        } else {
            names.extend(["https://", "http://"].map(|scheme| format!("{scheme}{key}")));
        }
        names
    }

    /// Reads, changes and, if that is wanted, writes the file; what `change` returned.
    fn change(
        &self,
        change: impl FnOnce(&mut Map<String, Value>) -> Result<bool, CredentialsError>,
    ) -> Result<bool, CredentialsError> {
        let failed = |source| CredentialsError::Write { path: self.path.clone(), source };
        // Those who keep the file elsewhere have a link here.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let dir = path.parent().map(Path::to_owned).unwrap_or_default();
        let dir = if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir };
        let lock = match File::open(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
                File::open(&dir).map_err(failed)?
            }
            other => other.map_err(failed)?,
        };
        // File systems without locks do without.
        rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive)).ok();
        let mut config = self.read(&path)?;
        let changed = change(&mut config)?;
        if changed {
            let mut text = serde_json::to_vec_pretty(&config).map_err(|e| failed(e.into()))?;
            text.push(b'\n');
            write_private(&path, &text).map_err(failed)?;
        }
        Ok(changed)
    }

    fn read(&self, path: &Path) -> Result<Map<String, Value>, CredentialsError> {
        use std::io::Read as _;
        let mut text = Vec::new();
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
            opened => opened
                .and_then(|file| file.take(MAX_FILE).read_to_end(&mut text))
                .map_err(|source| CredentialsError::File { path: path.to_owned(), source })?,
        };
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Map::new());
        }
        serde_json::from_slice(&text).map_err(|error| CredentialsError::Malformed {
            path: path.to_owned(),
            // Where, not what: the text may be a secret.
            reason: format!("it is no JSON object (line {}, column {})", error.line(), error.column()),
        })
    }
}

/// Has a helper keep credentials for `name`.
///
/// # Errors
/// When it does not.
pub fn store_with(helper: &str, name: &str, credentials: &Credentials) -> Result<(), CredentialsError> {
    let (username, secret) = match credentials {
        Credentials::Basic { username, password } => (username.as_str(), password),
        Credentials::Identity(token) | Credentials::Bearer(token) => ("<token>", token),
    };
    let request = json!({"ServerURL": name, "Username": username, "Secret": secret});
    run_helper(helper, name, "store", request.to_string().as_bytes()).map(drop)
}

/// Has a helper forget those for `name`; whether it had any.
///
/// # Errors
/// When it does not.
pub fn erase_with(helper: &str, name: &str) -> Result<bool, CredentialsError> {
    let known = run_helper(helper, name, "get", name.as_bytes())?.is_some();
    Ok(known && run_helper(helper, name, "erase", name.as_bytes())?.is_some())
}

/// The helper that keeps the secret of `name`, if one does.
fn helper_of(config: &Map<String, Value>, name: &str) -> Option<String> {
    let own = config.get("credHelpers").and_then(|all| all.get(name)).and_then(Value::as_str);
    let store = config.get("credsStore").and_then(Value::as_str);
    own.or(store).filter(|helper| !helper.is_empty()).map(str::to_owned)
}

fn auths_of(config: &mut Map<String, Value>, make: bool) -> Option<&mut Map<String, Value>> {
    if make && !config.get("auths").is_some_and(Value::is_object) {
        config.insert("auths".to_owned(), Value::Object(Map::new()));
    }
    config.get_mut("auths").and_then(Value::as_object_mut)
}

/// Replaces a file at once; nobody but the user may read it at any time.
fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let aside = path.with_file_name(name);
    let write = || {
        // What a process that died left under this name may have any mode.
        fs::remove_file(&aside).or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(text)?;
        // Cut short by a power cut it would lose all logins at once.
        file.sync_data()?;
        fs::rename(&aside, path)
    };
    write().inspect_err(|_| {
        fs::remove_file(&aside).ok();
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::credentials::{AuthFile, find};
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("kelp-auth-{name}-{}", std::process::id()));
        fs::remove_dir_all(&dir).ok();
        dir
    }

    fn basic(username: &str) -> Credentials {
        Credentials::Basic { username: username.to_owned(), password: "se:cret".to_owned() }
    }

    #[test]
    fn what_is_stored_is_found_and_erased() {
        let dir = scratch("store");
        for docker in [false, true] {
            let keeper = Keeper { path: dir.join(format!("{docker}/auth.json")), docker };
            let files = [AuthFile { path: keeper.path.clone(), required: false }];
            assert!(!keeper.erase("reg.example").unwrap());
            for (key, user) in [("docker.io", "hub"), ("reg.example:5000", "port"), ("reg.example/team", "team")] {
                keeper.store(key, &basic(user)).unwrap();
            }
            keeper.store("id.example", &Credentials::Identity("tok".to_owned())).unwrap();
            assert_eq!(fs::metadata(&keeper.path).unwrap().permissions().mode() & 0o777, 0o600);
            let found = |domain: &str, path: &str| find(&files, domain, path).unwrap();
            assert_eq!(found("docker.io", "library/x"), Some(basic("hub")));
            assert_eq!(found("reg.example:5000", "x"), Some(basic("port")));
            assert_eq!(found("reg.example", "team/x"), Some(basic("team")));
            assert_eq!(found("reg.example", "other"), None);
            assert_eq!(found("id.example", "x"), Some(Credentials::Identity("tok".to_owned())));
            assert!(keeper.erase("docker.io").unwrap());
            assert_eq!(found("docker.io", "library/x"), None);
            assert_eq!(keeper.erase_all().unwrap(), 3);
            assert_eq!(found("id.example", "x"), None);
            assert_eq!(fs::read_dir(keeper.path.parent().unwrap()).unwrap().count(), 1);
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn other_settings_links_and_odd_files_stay() {
        let dir = scratch("other");
        fs::create_dir_all(dir.join("real")).unwrap();
        let real = dir.join("real/config.json");
        fs::write(&real, r#"{"psFormat":"x","auths":{"a.example":{"auth":"dTpw","email":"e"}},"n":1}"#).unwrap();
        std::os::unix::fs::symlink(&real, dir.join("config.json")).unwrap();
        let keeper = Keeper { path: dir.join("config.json"), docker: true };
        keeper.store("b.example", &basic("b")).unwrap();
        let config: Value = serde_json::from_slice(&fs::read(&real).unwrap()).unwrap();
        assert_eq!(config["psFormat"], "x");
        assert_eq!(config["auths"]["a.example"]["email"], "e");
        assert!(fs::symlink_metadata(dir.join("config.json")).unwrap().is_symlink());
        fs::write(&real, r#"{"auths": "dTpw"}"#).unwrap();
        keeper.store("b.example", &basic("b")).unwrap();
        fs::write(&real, "{\"auths\": dTpw").unwrap();
        let error = keeper.store("b.example", &basic("b")).unwrap_err().to_string();
        assert!(!error.contains("dTpw"), "{error}");
        assert_eq!(fs::read(&real).unwrap(), b"{\"auths\": dTpw");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let dir = scratch("many");
        let keeper = Keeper { path: dir.join("auth.json"), docker: false };
        std::thread::scope(|scope| {
            for i in 0..8 {
                let keeper = &keeper;
                scope.spawn(move || keeper.store(&format!("r{i}.example"), &basic("u")).unwrap());
            }
        });
        assert_eq!(keeper.erase_all().unwrap(), 8);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn where_logins_are_kept() {
        let keeper = |vars: &[(&str, &str)]| {
            let vars: Vec<(String, OsString)> = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
            default_keeper(&move |name| vars.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()))
        };
        let path = |vars: &[(&str, &str)]| keeper(vars).unwrap().path;
        assert_eq!(path(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/")]), Path::new("/containers/auth.json"));
        assert_eq!(path(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/no/such")]), Path::new("/h/.config/containers/auth.json"));
        assert_eq!(path(&[("REGISTRY_AUTH_FILE", "/f")]), Path::new("/f"));
        assert!(keeper(&[("DOCKER_CONFIG", "/d")]).unwrap().docker);
        assert!(matches!(keeper(&[]), Err(CredentialsError::NoPlace)));
    }
}
