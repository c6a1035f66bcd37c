//! `RUN --mount`: its comma separated fields, and what they mean once expanded.

use crate::format::size;

use super::ast::{Mount, MountKind, MountOptions, Run, Script, Sharing};
use super::ast::CommandLine;
use super::error::{Fault, did_you_mean};
use super::expand::Word;
use super::lines;

/// Keys there are.
const KEYS: [&str; 19] = [
    "type", "from", "source", "src", "target", "dst", "destination", "readonly", "ro", "readwrite", "rw", "id", "sharing", "required",
    "mode", "uid", "gid", "size", "env",
];
/// Types there are.
const TYPES: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];

/// Splits a flag's value into its fields.
pub(super) fn split(text: &str) -> Result<MountOptions<Word>, Fault> {
    let field = |field: String| {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        if !KEYS.contains(&key.as_str()) {
            let fault = Fault::new(format!("unexpected key '{key}' in '{field}'"));
            return Err(Fault { hint: did_you_mean(&key, KEYS), ..fault });
        }
        if key == "from" && value.is_some_and(|value| value.contains('$')) {
            return Err(Fault::new("'from' doesn't support variable expansion, define alias stage instead")
                .hint("name the image in a stage of its own (FROM $IMAGE AS name) and mount from=name"));
        }
        if value.is_none() && !matches!(key.as_str(), "readonly" | "ro" | "readwrite" | "rw" | "required") {
            return Err(Fault::new(format!("invalid field '{field}' must be a key=value pair")));
        }
        Ok((key, value.map(Word::new)))
    };
    let fields = csv(text)?.into_iter().map(field).collect::<Result<Vec<_>, _>>()?;
    let options = MountOptions { fields };
    // What is wrong whatever the variables hold is said now.
    if options.fields.iter().all(|(_, value)| value.as_ref().is_none_or(|value| !value.raw().contains(['$', '\\', '"', '\'']))) {
        let fields = options.fields.iter().map(|(key, value)| (key.clone(), value.as_ref().map(|value| value.raw().to_owned())));
        read(&MountOptions { fields: fields.collect() }, 0)?;
    }
    Ok(options)
}

/// One line of comma separated values with `"` around those that hold commas.
fn csv(text: &str) -> Result<Vec<String>, Fault> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted).ok_or_else(|| Fault::new(format!("failed to parse csv mounts: wrong quotes in {text}")))?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => break,
            None => return Err(Fault::new(format!("failed to parse csv mounts: wrong quotes in {text}"))),
        }
    }
    Ok(fields)
}

/// The field after its opening quote, and what follows the closing one.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, rest)),
        }
    }
}

impl Run<String> {
    /// The mounts, read and checked.
    ///
    /// # Errors
    /// A value that makes no sense, or not for this type.
    pub fn mounts(&self) -> Result<Vec<Mount>, Fault> {
        let mut agents = 0;
        let mut mounts = Vec::new();
        for options in &self.mounts {
            let mount = read(options, agents)?;
            agents += usize::from(matches!(mount.kind, MountKind::Ssh { .. }));
            mounts.push(mount);
        }
        Ok(mounts)
    }
}

impl<W> Run<W> {
    /// What is executed, heredocs included.
    pub fn script(&self) -> Script {
        let line = match &self.command {
            CommandLine::Exec(argv) => return Script::Exec(argv.clone()),
            CommandLine::Shell(line) => line,
        };
        match self.heredocs.as_slice() {
            [] => Script::Shell(line.clone()),
            // Nothing but a heredoc: it is the script.
            [only] if lines::heredoc(line).is_some() => {
                if only.data.starts_with("#!") {
                    Script::File { name: only.name.clone(), data: only.content() }
                } else {
                    Script::Shell(only.content())
                }
            }
            heredocs => {
                let mut text = line.clone();
                for heredoc in heredocs {
                    text.push('\n');
                    text.push_str(&heredoc.data);
                    text.push_str(&heredoc.name);
                }
                Script::Shell(text)
            }
        }
    }
}

/// The fields with their values.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    from: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: Option<bool>,
    id: Option<String>,
    sharing: Option<Sharing>,
    required: Option<bool>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    size: Option<u64>,
    env: Option<String>,
}

fn fields(options: &MountOptions<String>) -> Result<Fields, Fault> {
    let mut all = Fields::default();
    for (key, value) in &options.fields {
        let invalid = || Fault::new(format!("invalid value for {key}: {}", value.as_deref().unwrap_or_default()));
        let text = || value.clone().ok_or_else(invalid);
        let switch = || value.as_deref().map_or(Some(true), boolean).ok_or_else(invalid);
        let number = |radix| u32::from_str_radix(text()?.trim_start_matches('+'), radix).map_err(|_| invalid());
        match key.as_str() {
            "type" => all.kind = Some(text()?.to_lowercase()),
            "from" => all.from = Some(text()?).filter(|from| !from.is_empty()),
            "source" | "src" => all.source = Some(text()?).filter(|source| !source.is_empty()),
            "target" | "dst" | "destination" => all.target = Some(text()?).filter(|target| !target.is_empty()),
            "readonly" | "ro" => all.read_only = Some(switch()?),
            "readwrite" | "rw" => all.read_only = Some(!switch()?),
            "id" => all.id = Some(text()?).filter(|id| !id.is_empty()),
            "sharing" => {
                all.sharing = Some(match text()?.to_lowercase().as_str() {
                    "shared" => Sharing::Shared,
                    "private" => Sharing::Private,
                    "locked" => Sharing::Locked,
                    other => {
                        let hint = did_you_mean(other, ["shared", "private", "locked"]);
                        let hint = hint.unwrap_or_else(|| "use shared, private or locked".to_owned());
                        return Err(Fault::new(format!("unsupported sharing value \"{other}\"")).hint(hint));
                    }
                });
            }
            "required" => all.required = Some(switch()?),
            "mode" => all.mode = Some(number(8)?).filter(|mode| *mode <= 0o7777).map(Some).ok_or_else(invalid)?,
            "uid" => all.uid = Some(number(10)?),
            "gid" => all.gid = Some(number(10)?),
            "size" => all.size = Some(size::parse_binary(&text()?).map_err(|_| invalid())?),
            "env" => all.env = Some(text()?).filter(|env| !env.is_empty()),
            other => return Err(Fault::new(format!("unexpected key '{other}'"))),
        }
    }
    Ok(all)
}

/// As Go reads them.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a mount; `agents` agents were mounted before it.
fn read(options: &MountOptions<String>, agents: usize) -> Result<Mount, Fault> {
    let all = fields(options)?;
    let kind = all.kind.as_deref().unwrap_or("bind").to_owned();
    if !TYPES.contains(&kind.as_str()) {
        let hint = did_you_mean(&kind, TYPES).unwrap_or_else(|| format!("use {}", TYPES.join(", ")));
        return Err(Fault::new(format!("unsupported mount type \"{kind}\"")).hint(hint));
    }
    check(&all, &kind)?;
    let read_only = all.read_only.unwrap_or(!matches!(kind.as_str(), "cache" | "tmpfs"));
    let target = all.target.clone();
    let (uid, gid, source) = (all.uid.unwrap_or(0), all.gid.unwrap_or(0), all.source.clone().unwrap_or_default());
    let required = all.required.unwrap_or(false);
    let (kind, target) = match kind.as_str() {
        "cache" => {
            let target = target.unwrap_or_else(|| ".".to_owned());
            let id = all.id.unwrap_or_else(|| target.clone());
            let sharing = all.sharing.unwrap_or_default();
            (MountKind::Cache { id, sharing, from: all.from, source, mode: all.mode, uid: all.uid, gid: all.gid }, target)
        }
        "tmpfs" => (MountKind::Tmpfs { size: all.size }, target.unwrap_or_else(|| ".".to_owned())),
        "secret" => {
            let base = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
            let id = all.id.or(all.source).or_else(|| target.as_deref().map(base)).unwrap_or_default();
            if id.is_empty() {
                return Err(Fault::new("invalid secret mount. one of source, target required").hint("write id=NAME"));
            }
            let file = target.is_some() || all.env.is_none();
            let target = target.unwrap_or_else(|| format!("/run/secrets/{}", base(&id)));
            (MountKind::Secret { id, env: all.env, file, required, mode: all.mode.unwrap_or(0o400), uid, gid }, target)
        }
        "ssh" => {
            let id = all.id.or(all.source).unwrap_or_else(|| "default".to_owned());
            let target = target.unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{agents}"));
            (MountKind::Ssh { id, required, mode: all.mode.unwrap_or(0o600), uid, gid }, target)
        }
        _ => (MountKind::Bind { from: all.from, source }, target.unwrap_or_else(|| ".".to_owned())),
    };
    Ok(Mount { kind, target, read_only })
}

/// Keys that do not fit the type.
fn check(all: &Fields, kind: &str) -> Result<(), Fault> {
    let only = |given: bool, key: &str, kinds: &[&str]| {
        if given && !kinds.contains(&kind) {
            let fault = Fault::new(format!("unexpected key '{key}' for mount type '{kind}'"));
            return Err(fault.hint(format!("{key} is for mounts of type {}", kinds.join(", "))));
        }
        Ok(())
    };
    only(all.mode.is_some(), "mode", &["cache", "secret", "ssh"])?;
    only(all.uid.is_some(), "uid", &["cache", "secret", "ssh"])?;
    only(all.gid.is_some(), "gid", &["cache", "secret", "ssh"])?;
    only(all.required.is_some(), "required", &["secret", "ssh"])?;
    only(all.size.is_some(), "size", &["tmpfs"])?;
    only(all.sharing.is_some(), "sharing", &["cache"])?;
    only(all.env.is_some(), "env", &["secret"])?;
    only(all.from.is_some(), "from", &["bind", "cache"])?;
    only(all.source.is_some(), "source", &["bind", "cache", "secret", "ssh"])?;
    only(all.id.is_some(), "id", &["cache", "secret", "ssh"])?;
    if kind == "secret" && all.source.is_some() && all.id.is_some() {
        return Err(Fault::new("both source and id can't be set"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(text: &str) -> Result<Mount, String> {
        let options = split(text).map_err(|fault| fault.message)?;
        let fields = options.fields.into_iter().map(|(key, value)| (key, value.map(|value| value.raw().to_owned())));
        read(&MountOptions { fields: fields.collect() }, 0).map_err(|fault| fault.message)
    }

    #[test]
    fn types_and_defaults() {
        let bind = mount("target=/x,source=a,from=base").unwrap();
        assert_eq!(bind, Mount { kind: MountKind::Bind { from: Some("base".into()), source: "a".into() }, target: "/x".into(), read_only: true });
        assert!(!mount("type=bind,target=/x,rw").unwrap().read_only);
        let MountKind::Cache { id, sharing, mode, .. } = mount("type=cache,dst=/c,sharing=LOCKED,mode=0700").unwrap().kind else { panic!() };
        assert_eq!((id.as_str(), sharing, mode), ("/c", Sharing::Locked, Some(0o700)));
        assert_eq!(mount("type=tmpfs,target=/t,size=1m").unwrap().kind, MountKind::Tmpfs { size: Some(1 << 20) });
        let secret = mount("type=secret,id=dir/key,required").unwrap();
        assert_eq!(secret.target, "/run/secrets/key");
        assert!(matches!(secret.kind, MountKind::Secret { file: true, required: true, mode: 0o400, .. }));
        let secret = mount("type=secret,id=key,env=KEY").unwrap();
        assert!(matches!(&secret.kind, MountKind::Secret { file: false, env: Some(env), .. } if env == "KEY"));
        assert!(matches!(mount("type=secret,target=/a/b").unwrap().kind, MountKind::Secret { id, .. } if id == "b"));
        assert_eq!(mount("type=ssh").unwrap().target, "/run/buildkit/ssh_agent.0");
        assert_eq!(mount("type=bind,\"target=/a,b\"").unwrap().target, "/a,b");
    }

    #[test]
    fn mistakes() {
        for (text, want) in [
            ("type=bnd,target=/x", "unsupported mount type"),
            ("type=cache,target=/x,sharing=x", "unsupported sharing"),
            ("traget=/x", "unexpected key 'traget'"),
            ("target", "must be a key=value pair"),
            ("type=bind,target=/x,uid=1", "unexpected key 'uid'"),
            ("type=secret", "one of source, target required"),
            ("type=secret,id=a,source=b", "both source and id"),
            ("type=tmpfs,target=/x,size=big", "invalid value for size"),
            ("type=cache,target=/x,mode=9", "invalid value for mode"),
            ("type=bind,target=/x,ro=maybe", "invalid value for ro"),
            ("from=$X,target=/x", "doesn't support variable expansion"),
            ("\"a", "csv"),
        ] {
            let error = mount(text).expect_err(text);
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
