//! `import --change` and `commit --change`: single Dockerfile instructions that set part of an image's configuration.

use crate::engine::Error;
use crate::image::config::{Execution, Unit};
use crate::spec::Expose;

/// The configuration some instructions make.
///
/// # Errors
/// An instruction that is unknown or wrong.
pub(super) fn apply(changes: &[String]) -> Result<Execution, Error> {
    let mut execution = Execution::default();
    apply_to(&mut execution, changes)?;
    Ok(execution)
}

/// Changes a configuration by some instructions.
///
/// # Errors
/// An instruction that is unknown or wrong.
pub(crate) fn apply_to(execution: &mut Execution, changes: &[String]) -> Result<(), Error> {
    changes.iter().try_for_each(|change| {
        one(execution, change).map_err(|reason| Error::Usage(format!("invalid change \"{change}\": {reason}")))
    })
}

/// Puts a `config` object (docker's keys, as in an image's configuration) over another one; what it does not say stays.
///
/// # Errors
/// A text that is no such object.
pub(crate) fn merge(execution: &mut Execution, text: &str) -> Result<(), Error> {
    let invalid = |reason: String| Error::Usage(format!("invalid configuration: {reason}"));
    let new: serde_json::Value = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let serde_json::Value::Object(new) = new else { return Err(invalid("it is no JSON object".to_owned())) };
    let mut whole = serde_json::to_value(&*execution).map_err(|error| invalid(error.to_string()))?;
    for (key, value) in new {
        match (&mut whole[&key], value) {
            (serde_json::Value::Object(old), serde_json::Value::Object(more)) => old.extend(more),
            (old, value) => *old = value,
        }
    }
    *execution = serde_json::from_value(whole).map_err(|error| invalid(error.to_string()))?;
    Ok(())
}

fn one(execution: &mut Execution, change: &str) -> Result<(), String> {
    let change = change.trim();
    // podman's spelling CMD=… beside docker's CMD ….
    let (word, value) = change.split_once([' ', '=']).ok_or("expected INSTRUCTION VALUE")?;
    let value = value.trim();
    if value.is_empty() {
        return Err("the value is missing".into());
    }
    match word.to_ascii_uppercase().as_str() {
        "CMD" => execution.cmd = Some(command(value)?),
        "ENTRYPOINT" => execution.entrypoint = Some(command(value)?),
        "ENV" => {
            for (key, value) in pairs(value)? {
                match execution.env.iter_mut().find(|entry| entry.split('=').next() == Some(&key)) {
                    Some(entry) => *entry = format!("{key}={value}"),
                    None => execution.env.push(format!("{key}={value}")),
                }
            }
        }
        "LABEL" => execution.labels.extend(pairs(value)?),
        "EXPOSE" => {
            for port in value.split_whitespace() {
                let port: Expose = port.parse().map_err(|error| format!("{error}"))?;
                execution.exposed_ports.insert(port.to_string(), Unit);
            }
        }
        "USER" => value.clone_into(&mut execution.user),
        "WORKDIR" => value.clone_into(&mut execution.working_dir),
        "STOPSIGNAL" => execution.stop_signal = Some(value.to_owned()),
        "VOLUME" => {
            let paths = if value.starts_with('[') { command(value)? } else { words(value)? };
            execution.volumes.extend(paths.into_iter().map(|path| (path, Unit)));
        }
        "HEALTHCHECK" => execution.healthcheck = Some(super::health::read(value)?),
        "ONBUILD" => execution.on_build.push(value.to_owned()),
        other => {
            return Err(format!(
                "{other} cannot be set here: use CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, \
                 VOLUME or WORKDIR"
            ));
        }
    }
    Ok(())
}

/// A JSON array is the command; anything else goes to a shell.
fn command(value: &str) -> Result<Vec<String>, String> {
    if value.starts_with('[') {
        return serde_json::from_str(value).map_err(|error| format!("not a JSON array of strings: {error}"));
    }
    Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), value.to_owned()])
}

/// `K=V K="V W"`, or the old form `K V`.
fn pairs(value: &str) -> Result<Vec<(String, String)>, String> {
    let words = words(value)?;
    if let [key, rest @ ..] = words.as_slice() {
        if !key.contains('=') && !rest.is_empty() {
            return Ok(vec![(key.clone(), rest.join(" "))]);
        }
    }
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(format!("\"{word}\" is not KEY=VALUE")),
        })
        .collect()
}

/// Words between blanks, with quotes and backslashes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".into());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<Execution, String> {
        apply(&changes.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn instructions() {
        let made = changed(&[
            "CMD [\"sh\", \"-l\"]",
            "entrypoint /init",
            "ENV A=1 B=\"two words\"",
            "ENV A=2",
            "ENV C three words",
            "LABEL x=y",
            "EXPOSE 80 53/udp",
            "USER www:www",
            "WORKDIR /srv",
            "VOLUME /data /more",
            "STOPSIGNAL SIGINT",
        ])
        .expect("valid");
        assert_eq!(made.cmd, Some(vec!["sh".to_owned(), "-l".to_owned()]));
        assert_eq!(made.entrypoint, Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), "/init".to_owned()]));
        assert_eq!(made.env, ["A=2", "B=two words", "C=three words"]);
        assert_eq!(made.exposed_ports.keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
        assert_eq!(made.volumes.keys().collect::<Vec<_>>(), ["/data", "/more"]);
        assert_eq!((made.user.as_str(), made.working_dir.as_str()), ("www:www", "/srv"));
    }

    #[test]
    fn a_configuration_goes_over_another() {
        let mut execution = changed(&["ENV A=1", "USER u", "LABEL a=1"]).expect("valid");
        merge(&mut execution, r#"{"User": "v", "Labels": {"b": "2"}, "Cmd": ["x"]}"#).expect("an object");
        assert_eq!((execution.user.as_str(), execution.labels.len(), execution.env.len()), ("v", 2, 1));
        assert_eq!(execution.cmd, Some(vec!["x".to_owned()]));
        assert!(merge(&mut execution, "[]").is_err());
    }

    #[test]
    fn mistakes() {
        for bad in ["CMD", "RUN true", "CMD [1]", "ENV =x", "LABEL \"x", "EXPOSE http"] {
            assert!(changed(&[bad]).is_err(), "{bad}");
        }
    }
}
