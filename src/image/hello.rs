//! The image that needs no network: kelp's own static program as its only file.
//!
//! Owns making it in the store on first use and again when the program has changed. What the program prints inside is the
//! engine's.

use std::fs::File;
use std::io::{Cursor, Read};

use super::archive::tarw::TarWriter;
use super::archive::{ArchiveError, ImportSpec, Input, LoadOptions, Loaded, import};
use super::config::Execution;
use super::store::{ImageStore, RunImage};
use crate::spec::{Reference, ShortNames};

/// First argument of the program inside the image: print what is seen of the isolation.
pub const HELLO_ROLE: &str = "__hello";
/// The image's full name.
pub const NAME: &str = "localhost/hello:latest";
/// Label that says which program is inside.
const PROGRAM: &str = "kelp.program";
/// Where the program is in the image.
const PATH: &str = "kelp";
/// How far into the program its build id is looked for.
const NOTES: u64 = 64 * 1024;

/// Whether what the user typed means this image.
#[must_use]
pub fn is_name(text: &str) -> bool {
    matches!(text, "hello" | "hello:latest" | "localhost/hello" | NAME)
}

/// The image, if it is in the store and holds the running program.
#[must_use]
pub fn current(images: &ImageStore) -> Option<RunImage> {
    let identity = identity(&File::open("/proc/self/exe").ok()?).ok()?;
    let run = images.resolve_for_run(NAME).ok()?;
    (run.config.config.labels.get(PROGRAM) == Some(&identity)).then_some(run)
}

/// Makes sure the image is in the store and holds the running program. Cheap when it does.
///
/// # Errors
/// When the program cannot be read or the image not stored.
pub fn ensure(images: &ImageStore, options: &LoadOptions) -> Result<Loaded, ArchiveError> {
    let program =
        File::open("/proc/self/exe").map_err(ArchiveError::io("open", "/proc/self/exe"))?;
    let identity = identity(&program).map_err(ArchiveError::io("read", "/proc/self/exe"))?;
    let name = Reference::parse(NAME, &ShortNames::default())?;
    if let Ok(run) = images.resolve_for_run(NAME)
        && run.config.config.labels.get(PROGRAM) == Some(&identity)
    {
        return Ok(Loaded {
            id: run.record.id,
            names: vec![name],
        });
    }
    let spec = ImportSpec {
        names: vec![name],
        execution: Execution {
            entrypoint: Some(vec![format!("/{PATH}"), HELLO_ROLE.to_owned()]),
            env: vec!["PATH=/".to_owned()],
            working_dir: "/".to_owned(),
            labels: [(PROGRAM.to_owned(), identity)].into(),
            ..Execution::default()
        },
        message: "made by kelp from its own program".to_owned(),
        ..ImportSpec::default()
    };
    let archive = archive(program).map_err(ArchiveError::io("read", "/proc/self/exe"))?;
    import(images, Input::Stream(Box::new(archive)), spec, options)
}

/// The layer, as a stream: mount points, and the program.
fn archive(program: File) -> std::io::Result<impl Read + Send> {
    let size = program.metadata()?.len();
    let mut out = TarWriter::new(Vec::new());
    for (dir, mode) in [
        ("dev", 0o755),
        ("etc", 0o755),
        ("proc", 0o555),
        ("sys", 0o555),
        ("tmp", 0o1777),
    ] {
        out.directory(dir, mode, 0)?;
    }
    out.start_file(PATH, 0o755, 0, size)?;
    let head = std::mem::take(out.inner());
    out.pad(size)?;
    let tail = out.finish()?;
    Ok(Cursor::new(head)
        .chain(program.take(size))
        .chain(Cursor::new(tail)))
}

/// What tells this program from another: version, size and the linker's build id. Not its time: a sealed copy in memory has
/// another one each time.
fn identity(program: &File) -> std::io::Result<String> {
    /// Name size 4, content size 20, type 3, "GNU": the head of a build id note.
    const NOTE: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let size = program.metadata()?.len();
    let mut start = vec![0u8; usize::try_from(NOTES.min(size)).unwrap_or(0)];
    rustix::io::pread(program, &mut start[..], 0)?;
    let id = memchr::memmem::find(&start, NOTE)
        .and_then(|at| start.get(at + NOTE.len()..at + NOTE.len() + 20))
        .unwrap_or_default();
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{} {size} {hex}", env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::unpack::Owners;

    #[test]
    fn the_image_is_made_once_and_again_for_another_program() {
        let dir = std::env::temp_dir().join(format!("kelp-hello-{}", std::process::id()));
        let images = ImageStore::open(&dir, ShortNames::default());
        let options = LoadOptions {
            owners: Owners::Caller,
            no_sync: true,
            ..LoadOptions::default()
        };
        let first = ensure(&images, &options).unwrap();
        let second = ensure(&images, &options).unwrap();
        assert_eq!(first, second);
        assert_eq!(images.list().unwrap().len(), 1);
        let run = images.resolve_for_run("hello").unwrap();
        assert_eq!(run.record.id, first.id);
        let inside = run.layers[0].join(PATH);
        let own = std::fs::metadata("/proc/self/exe").unwrap();
        assert_eq!(std::fs::metadata(&inside).unwrap().len(), own.len());
        let identity = identity(&File::open("/proc/self/exe").unwrap()).unwrap();
        assert!(identity.len() > 50, "the build id is found: {identity}");
        // As another version would have left it.
        let spec = ImportSpec {
            names: first.names.clone(),
            ..ImportSpec::default()
        };
        let empty = TarWriter::new(Vec::new()).finish().unwrap();
        let other = import(
            &images,
            Input::Stream(Box::new(Cursor::new(empty))),
            spec,
            &options,
        )
        .unwrap();
        assert_ne!(ensure(&images, &options).unwrap().id, other.id);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
