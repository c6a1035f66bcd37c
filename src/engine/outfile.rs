//! Files that commands write archives to: there whole, or as they were before.
//!
//! Links are followed, dangling ones too. Pipes and devices are written in place, and a name of standard output
//! (`/dev/stdout`) means what is open there, at the position it has.

use std::fs::{self, File, Metadata};
use std::io::{BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Error;

const BUFFER: usize = 1 << 20;
/// As many links in a row as the kernel follows.
const MAX_LINKS: usize = 40;

/// Where the bytes of a name go.
enum Place {
    /// Here.
    Open(File),
    /// Beside this file, and then in its place.
    File(PathBuf),
}

/// Has `work` write a file.
///
/// # Errors
/// Those of `work`; what opening, writing and renaming say.
pub fn to_file<T, E: From<Error>>(path: &Path, work: impl FnOnce(&mut dyn Write) -> Result<T, E>) -> Result<T, E> {
    match place(path)? {
        Place::Open(file) => filled(file, path, work),
        Place::File(real) => {
            let mut aside = real.as_os_str().to_owned();
            aside.push(format!(".{}.part", std::process::id()));
            let aside = PathBuf::from(aside);
            let file = File::create(&aside).map_err(Error::io("create", path))?;
            let done = filled(file, path, work).and_then(|done| {
                fs::rename(&aside, &real).map_err(Error::io("create", path))?;
                Ok(done)
            });
            if done.is_err() {
                fs::remove_file(&aside).ok();
            }
            done
        }
    }
}

/// Has `work` write to standard output.
///
/// # Errors
/// Those of `work`; what writing says.
pub fn to_stdout<T, E: From<Error>>(work: impl FnOnce(&mut dyn Write) -> Result<T, E>) -> Result<T, E> {
    filled(stdout()?, Path::new("standard output"), work)
}

fn filled<T, E: From<Error>>(file: File, path: &Path, work: impl FnOnce(&mut dyn Write) -> Result<T, E>) -> Result<T, E> {
    let mut out = BufWriter::with_capacity(BUFFER, file);
    let done = work(&mut out);
    if done.is_err() {
        // What failed was told; the rest is not worth another try.
        drop(out.into_parts());
        return done;
    }
    out.flush().map_err(Error::io("write", path))?;
    done
}

fn stdout() -> Result<File, Error> {
    let fd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3);
    Ok(File::from(fd.map_err(|errno| Error::io("write", "standard output")(errno.into()))?))
}

fn place(path: &Path) -> Result<Place, Error> {
    let Ok(there) = path.metadata() else { return Ok(Place::File(real(path)?)) };
    if is_stdout(path) {
        return Ok(Place::Open(stdout()?));
    }
    let real = real(path)?;
    // A link of /proc leads to files that have another name, or none.
    if there.is_file() && real.metadata().is_ok_and(|meta| is_same(&meta, &there)) {
        return Ok(Place::File(real));
    }
    let file = File::options().write(true).truncate(there.is_file()).open(path).map_err(Error::io("open", path))?;
    Ok(Place::Open(file))
}

/// Whether a name leads to what standard output is open on, other than by being a file of that name.
#[must_use]
pub fn is_stdout(path: &Path) -> bool {
    let named = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    let open = || stdout().and_then(|out| out.metadata().map_err(Error::io("find", path)));
    !named && path.metadata().is_ok_and(|there| open().is_ok_and(|open| is_same(&open, &there)))
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The file a name leads to, which need not be there.
fn real(path: &Path) -> Result<PathBuf, Error> {
    let mut real = std::path::absolute(path).map_err(Error::io("find", path))?;
    for _ in 0..MAX_LINKS {
        match fs::read_link(&real) {
            Ok(target) => real = real.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => return Ok(real),
        }
    }
    Err(Error::io("open", path)(rustix::io::Errno::LOOP.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn write(path: &Path, text: &str) -> Result<(), Error> {
        to_file(path, |out| out.write_all(text.as_bytes()).map_err(Error::io("write", path)))
    }

    #[test]
    fn whole_or_as_before() {
        let dir = std::env::temp_dir().join(format!("kelp-outfile-{}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(dir.join("sub")).unwrap();
        write(&dir.join("new"), "one").unwrap();
        let failed = to_file(&dir.join("new"), |out| {
            out.write_all(b"half").unwrap();
            Err::<(), _>(Error::Usage("no".to_owned()))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(dir.join("new")).unwrap(), "one");
        // Links stay and are written through, dangling or not.
        symlink("sub/far", dir.join("link")).unwrap();
        symlink("link", dir.join("again")).unwrap();
        for text in ["two", "3"] {
            write(&dir.join("again"), text).unwrap();
            assert_eq!(fs::read_to_string(dir.join("sub/far")).unwrap(), text);
        }
        symlink("loop", dir.join("loop")).unwrap();
        assert!(write(&dir.join("loop"), "x").is_err());
        assert!(write(&dir.join("sub"), "x").is_err());
        assert!(write(&dir.join("none/x"), "x").is_err());
        write(Path::new("/dev/null"), "x").unwrap();
        assert!(write(Path::new("/dev/full"), "x").is_err());
        // A pipe is written, not replaced.
        rustix::fs::mknodat(rustix::fs::CWD, dir.join("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        let fifo = dir.join("fifo");
        let reader = std::thread::spawn(move || fs::read_to_string(fifo).unwrap());
        write(&dir.join("fifo"), "piped").unwrap();
        assert_eq!(reader.join().unwrap(), "piped");
        assert_eq!(names(&dir), ["again", "fifo", "link", "loop", "new", "sub"]);
        assert_eq!(names(&dir.join("sub")), ["far"]);
        fs::remove_dir_all(&dir).unwrap();
    }
}
