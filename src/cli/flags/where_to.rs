//! `--output`, `--cache-from` and `--cache-to` of `build`: where results go and caches come from.

use std::path::Path;

use super::build::fields;
use super::Surroundings;
use crate::build::options::{BuildOptions, CachePlace, CacheTarget, Format, Output};
use crate::cli::exit::UsageError;
use crate::engine::options::{LayerCompression, PushOptions};

/// The tag of a cache in an OCI layout, as BuildKit's.
const TAG: &str = "latest";

fn is_true(flag: &str, text: &str, value: &str) -> Result<bool, UsageError> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(UsageError::value(flag, text, format!("\"{value}\" is neither true nor false"))),
    }
}

/// The fields that say how layers are sent; whether `key` is one of them.
fn sending(flag: &str, text: &str, (key, value): (&str, &str), push: &mut PushOptions) -> Result<bool, UsageError> {
    match key {
        "compression" => {
            push.compression = Some(match value {
                "gzip" => LayerCompression::Gzip,
                "zstd" => LayerCompression::Zstd,
                "uncompressed" => LayerCompression::None,
                _ => return Err(UsageError::value(flag, text, "compression is one of gzip, zstd, uncompressed")),
            });
        }
        "compression-level" => {
            let level = value.parse().map_err(|_| UsageError::value(flag, text, "compression-level is a number"))?;
            push.level = Some(level);
        }
        "force-compression" => push.force_compression = Some(is_true(flag, text, value)?),
        "registry.insecure" => push.registry.tls_verify = Some(!is_true(flag, text, value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads one `--output` and adds what it asks for.
pub(super) fn output(text: &str, around: &Surroundings<'_>, options: &mut BuildOptions) -> Result<(), UsageError> {
    const FLAG: &str = "--output";
    if text == "-" {
        options.outputs.push(Output::Tar(None));
        return Ok(());
    }
    if !text.contains('=') {
        options.outputs.push(Output::Local(around.absolute(Path::new(text))));
        return Ok(());
    }
    let (mut kind, mut dest, mut push, mut tar, mut store) = (None, None, false, true, true);
    for (key, value) in fields(FLAG, text)? {
        if sending(FLAG, text, (&key, &value), &mut options.push)? {
            continue;
        }
        match key.as_str() {
            "type" => kind = Some(value),
            "dest" => dest = Some(value),
            "name" => options.tags.extend(value.split(',').map(str::to_owned)),
            "push" => push = is_true(FLAG, text, &value)?,
            "tar" => tar = is_true(FLAG, text, &value)?,
            // Kelp's store always unpacks, and files always get the time of the image when there is one.
            "store" => store = is_true(FLAG, text, &value)?,
            "unpack" | "rewrite-timestamp" => drop(is_true(FLAG, text, &value)?),
            "oci-mediatypes" => options.format = if is_true(FLAG, text, &value)? { Format::Oci } else { Format::Docker },
            key if key.starts_with("annotation-index.") => {
                options.index_annotations.insert(key.trim_start_matches("annotation-index.").to_owned(), value);
            }
            _ => match key.strip_prefix("annotation.").or_else(|| key.strip_prefix("annotation-manifest.")) {
                Some(name) => drop(options.annotations.insert(name.to_owned(), value)),
                None => {
                    let known = "use type, dest, name, push, tar, compression, compression-level, force-compression, oci-mediatypes, annotation.KEY";
                    return Err(UsageError::value(FLAG, text, format!("unknown field {key}: {known}")));
                }
            },
        }
    }
    let path = match dest.as_deref() {
        None | Some("-") => None,
        Some(path) => Some(around.absolute(Path::new(path))),
    };
    let needs = || UsageError::value(FLAG, text, "dest is missing");
    options.outputs.push(match kind.as_deref() {
        Some("local") => Output::Local(path.ok_or_else(needs)?),
        Some("tar") => Output::Tar(path),
        Some("oci") if !tar => Output::OciLayout(path.ok_or_else(needs)?),
        Some("oci") => Output::Oci(path),
        Some("docker") if dest.is_none() => Output::Image,
        Some("docker") if !tar => return Err(UsageError::value(FLAG, text, "only type=oci can be written as a directory")),
        Some("docker") => Output::Docker(path),
        Some("registry") => Output::Push,
        Some("image") if !store && push => {
            return Err(UsageError::value(FLAG, text, "what is pushed is kept here: leave out store=false, and remove the image afterwards"));
        }
        Some("image") if !store => Output::Nothing,
        Some("image") => if push { Output::Push } else { Output::Image },
        Some("cacheonly") => Output::Nothing,
        _ => return Err(UsageError::value(FLAG, text, "type is one of local, tar, oci, docker, image, registry, cacheonly")),
    });
    Ok(())
}

/// What `--push`, `--load` and the lack of all add to the outputs.
pub(super) fn more(push: bool, load: bool, options: &mut BuildOptions) -> Result<(), UsageError> {
    if push {
        options.outputs.push(Output::Push);
    }
    if options.outputs.contains(&Output::Push) && options.tags.is_empty() {
        return Err(UsageError::new("pushing needs a name to push to: give one with --tag"));
    }
    if load || options.outputs.is_empty() {
        options.outputs.push(Output::Image);
    }
    Ok(())
}

/// A place of a cache: its fields are left to `more`.
fn place(
    flag: &str,
    text: &str,
    path_key: &str,
    around: &Surroundings<'_>,
    more: &mut dyn FnMut(&str, &str) -> Result<bool, UsageError>,
) -> Result<CachePlace, UsageError> {
    let directory = |path: &str, tag: &str| {
        let path = around.absolute(Path::new(path));
        if path.as_os_str().as_encoded_bytes().contains(&b':') {
            return Err(UsageError::value(flag, text, "a directory of a cache cannot have a colon in its path"));
        }
        Ok(CachePlace::Directory(path, tag.to_owned()))
    };
    if !text.contains('=') {
        return if text.starts_with(['.', '/']) { directory(text, TAG) } else { Ok(CachePlace::Registry(text.to_owned())) };
    }
    let (mut kind, mut path, mut name, mut tag) = (None, None, None, TAG.to_owned());
    for (key, value) in fields(flag, text)? {
        match key.as_str() {
            "type" => kind = Some(value),
            "ref" => name = Some(value),
            "tag" => tag = value,
            key if key == path_key => path = Some(value),
            key if more(key, &value)? => {}
            other => return Err(UsageError::value(flag, text, format!("unknown field {other}"))),
        }
    }
    let missing = |what: &str| UsageError::value(flag, text, format!("{what} is missing"));
    match kind.as_deref() {
        Some("local") => directory(&path.ok_or_else(|| missing(path_key))?, &tag),
        Some("registry") | None => Ok(CachePlace::Registry(name.ok_or_else(|| missing("ref"))?)),
        Some("inline") => Err(UsageError::value(flag, text, "an image does not carry its cache: use type=registry with a name of its own")),
        Some(_) => Err(UsageError::value(flag, text, "type is registry or local")),
    }
}

/// Reads one `--cache-from`.
pub(super) fn cache_from(text: &str, around: &Surroundings<'_>) -> Result<CachePlace, UsageError> {
    place("--cache-from", text, "src", around, &mut |key, _| Ok(key == "digest"))
}

/// Reads one `--cache-to`.
pub(super) fn cache_to(text: &str, around: &Surroundings<'_>) -> Result<CacheTarget, UsageError> {
    const FLAG: &str = "--cache-to";
    let (mut all, mut ignore_error, mut push) = (true, false, PushOptions::default());
    let place = place(FLAG, text, "dest", around, &mut |key, value| {
        match (key, value) {
            ("mode", "min") => all = false,
            ("mode", "max") => all = true,
            ("mode", _) => return Err(UsageError::value(FLAG, text, "mode is min or max")),
            ("ignore-error", value) => ignore_error = is_true(FLAG, text, value)?,
            ("oci-mediatypes" | "image-manifest", value) => {
                if !is_true(FLAG, text, value)? {
                    return Err(UsageError::value(FLAG, text, "a cache is always an OCI image"));
                }
            }
            (key, value) => return sending(FLAG, text, (key, value), &mut push),
        }
        Ok(true)
    })?;
    Ok(CacheTarget { place, all, ignore_error, push })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::context::Environment;

    fn around() -> Surroundings<'static> {
        Surroundings { directory: Path::new("/here"), caller: &Environment }
    }

    #[test]
    fn outputs() {
        let read = |text: &str| {
            let mut options = BuildOptions::default();
            output(text, &around(), &mut options).map(|()| options)
        };
        let one = |text: &str| read(text).map(|mut options| options.outputs.pop().unwrap());
        assert_eq!(one("-"), Ok(Output::Tar(None)));
        assert_eq!(one("out"), Ok(Output::Local("/here/out".into())));
        assert_eq!(one("type=local,dest=/x"), Ok(Output::Local("/x".into())));
        assert_eq!(one("type=tar"), Ok(Output::Tar(None)));
        assert_eq!(one("type=oci,dest=a.tar"), Ok(Output::Oci(Some("/here/a.tar".into()))));
        assert_eq!(one("type=oci,tar=false,dest=a"), Ok(Output::OciLayout("/here/a".into())));
        assert_eq!(one("type=docker"), Ok(Output::Image));
        assert_eq!(one("type=cacheonly"), Ok(Output::Nothing));
        let pushed = read("type=image,push=true,\"name=a,b\",compression=zstd,annotation.k=v").unwrap();
        assert_eq!((&pushed.outputs[..], &pushed.tags[..]), (&[Output::Push][..], &["a".to_owned(), "b".to_owned()][..]));
        assert_eq!((pushed.push.compression, pushed.annotations["k"].as_str()), (Some(LayerCompression::Zstd), "v"));
        for bad in ["type=local", "type=x", "dest=y", "type=tar,what=x", "type=image,push=maybe", "type=docker,dest=x,tar=false"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn caches() {
        let directory = |path: &str| CachePlace::Directory(path.into(), "latest".into());
        assert_eq!(cache_from("./c", &around()), Ok(directory("/here/./c")));
        assert_eq!(cache_from("type=local,src=c,digest=sha256:0", &around()), Ok(directory("/here/c")));
        assert_eq!(cache_from("reg/x:c", &around()), Ok(CachePlace::Registry("reg/x:c".into())));
        let to = cache_to("type=registry,ref=reg/x,mode=min,ignore-error=true", &around()).unwrap();
        assert_eq!((to.place, to.all, to.ignore_error), (CachePlace::Registry("reg/x".into()), false, true));
        assert!(cache_to("./c", &around()).unwrap().all);
        for bad in ["type=local", "type=gha", "type=inline", "type=registry", "type=local,dest=x,mode=all", "type=local,dest=a:b", "type=local,dest=x,y=z"] {
            assert!(cache_to(bad, &around()).is_err(), "{bad}");
        }
    }
}
