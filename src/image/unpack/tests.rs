//! Archives, friendly and hostile, unpacked into a scratch root beside a canary.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

mod formats;
mod random;

/// A scratch directory with the root to unpack into and a canary beside it.
struct Scratch {
    base: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let base = std::env::temp_dir().join(format!(
            "kelp-unpack-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir_all(base.join("root")).unwrap();
        fs::create_dir_all(base.join("canary/dir")).unwrap();
        fs::write(base.join("canary/file"), "alive").unwrap();
        Self { base }
    }

    fn root(&self) -> PathBuf {
        self.base.join("root")
    }

    fn unpack(&self, tar: &[u8]) -> Result<UnpackReport, UnpackError> {
        let options = UnpackOptions {
            owners: Owners::Caller,
            ..UnpackOptions::default()
        };
        self.unpack_with(tar, &options)
    }

    fn unpack_with(
        &self,
        tar: &[u8],
        options: &UnpackOptions,
    ) -> Result<UnpackReport, UnpackError> {
        let before = listing(&self.base.join("canary"));
        let dir = fs::File::open(self.root()).unwrap();
        let result = unpack_layer(tar, dir.as_fd(), options);
        assert_eq!(
            before,
            listing(&self.base.join("canary")),
            "the canary changed"
        );
        let beside: Vec<_> = fs::read_dir(&self.base).unwrap().collect();
        assert_eq!(beside.len(), 2, "something appeared beside the root");
        result
    }

    fn list(&self) -> Vec<String> {
        listing(&self.root())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let parent = fs::File::open(self.base.parent().unwrap()).unwrap();
        let name = std::ffi::CString::new(self.base.file_name().unwrap().as_bytes()).unwrap();
        crate::sys::tree::remove_tree(parent.as_fd(), &name).unwrap();
    }
}

/// Every object below `dir`: path, type, mode, size, target, content.
fn listing(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, prefix: &str, out: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(dir) else {
            return;
        };
        for entry in entries {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let meta = fs::symlink_metadata(&path).unwrap();
            let kind = meta.file_type();
            let mode = meta.permissions().mode() & 0o7777;
            if kind.is_symlink() {
                out.push(format!(
                    "{name} -> {}",
                    fs::read_link(&path).unwrap().display()
                ));
            } else if kind.is_dir() {
                out.push(format!("{name}/ {mode:o}"));
                if path.as_os_str().len() < 3000 {
                    walk(&path, &format!("{name}/"), out);
                }
            } else if kind.is_file() {
                let text = fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
                out.push(format!("{name} {mode:o} {} {text}", meta.mtime()));
            } else if kind.is_char_device() {
                out.push(format!("{name} char {}", meta.rdev()));
            } else {
                out.push(format!("{name} special {mode:o}"));
            }
        }
    }
    let mut out = Vec::new();
    walk(dir, "", &mut out);
    out.sort();
    out
}

/// Writes archives no decent program would.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn raw(mut self, flag: u8, name: &str, link: &str, mode: u32, size: u64, data: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        let bytes = header.as_mut_bytes();
        bytes[..name.len().min(100)].copy_from_slice(&name.as_bytes()[..name.len().min(100)]);
        bytes[157..157 + link.len().min(100)]
            .copy_from_slice(&link.as_bytes()[..link.len().min(100)]);
        bytes[156] = flag;
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }
    fn file(self, name: &str, data: &str) -> Self {
        self.raw(b'0', name, "", 0o644, data.len() as u64, data.as_bytes())
    }
    fn dir(self, name: &str) -> Self {
        self.raw(b'5', name, "", 0o755, 0, b"")
    }
    fn link(self, name: &str, target: &str) -> Self {
        self.raw(b'2', name, target, 0o777, 0, b"")
    }
    fn hard(self, name: &str, target: &str) -> Self {
        self.raw(b'1', name, target, 0o644, 0, b"")
    }
    fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = format!(" {key}={value}\n");
            let mut length = rest.len() + 1;
            while length != rest.len() + length.to_string().len() {
                length += 1;
            }
            data.extend_from_slice(format!("{length}{rest}").as_bytes());
        }
        self.raw(b'x', "pax", "", 0o644, data.len() as u64, &data)
    }
    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

#[test]
fn an_ordinary_layer() {
    let scratch = Scratch::new();
    let tar = Tar::default()
        .dir("./")
        .dir("./usr/")
        .raw(b'0', "./usr/su", "", 0o4755, 3, b"#!x")
        .raw(b'5', "./tmp", "", 0o1777, 0, b"")
        .raw(b'5', "./mail", "", 0o2775, 0, b"")
        .file("./mail/box", "m")
        .hard("./usr/sudo", "./usr/su")
        .link("./lib", "usr/lib")
        .raw(b'6', "./fifo", "", 0o622, 0, b"")
        .raw(b'3', "./null", "", 0o666, 0, b"")
        .raw(b'g', "global", "", 0, 5, b"junk!")
        .file("./a/b/implicit", "deep")
        .pax(&[
            ("path", &format!("{}/long", "n".repeat(120))),
            ("mtime", "5.25"),
        ])
        .file("short", "long name")
        .end();
    let report = scratch.unpack(&tar).unwrap();
    let long = format!("{}/", "n".repeat(120));
    assert_eq!(
        scratch.list(),
        [
            "a/ 755".to_owned(),
            "a/b/ 755".to_owned(),
            "a/b/implicit 644 1000000000 deep".to_owned(),
            "fifo special 622".to_owned(),
            "lib -> usr/lib".to_owned(),
            "mail/ 2775".to_owned(),
            "mail/box 644 1000000000 m".to_owned(),
            format!("{long} 755"),
            format!("{long}long 644 5 long name"),
            "tmp/ 1777".to_owned(),
            "usr/ 755".to_owned(),
            "usr/su 4755 1000000000 #!x".to_owned(),
            "usr/sudo 4755 1000000000 #!x".to_owned(),
        ]
    );
    assert_eq!(report.skipped_devices, 1);
    assert_eq!(
        report.implicit_dirs,
        ["a".to_owned(), "a/b".to_owned(), "n".repeat(120)]
    );
    assert_eq!(report.archive_bytes, tar.len() as u64);
    let meta = fs::metadata(scratch.root().join("usr")).unwrap();
    assert_eq!(
        meta.mtime(),
        1_000_000_000,
        "directory times survive their contents"
    );
    assert_eq!(
        fs::metadata(scratch.root().join("usr/su")).unwrap().nlink(),
        2
    );
}

#[test]
fn names_that_lead_out_are_refused_or_kept_inside() {
    for name in [
        "../canary/file",
        "a/../../canary/file",
        "..",
        "./../canary/new",
    ] {
        let scratch = Scratch::new();
        assert!(
            scratch
                .unpack(&Tar::default().file(name, "x").end())
                .is_err(),
            "{name}"
        );
        assert!(
            scratch
                .unpack(&Tar::default().link(name, "x").end())
                .is_err(),
            "{name}"
        );
        assert!(
            scratch
                .unpack(&Tar::default().hard("in", name).end())
                .is_err(),
            "{name}"
        );
    }
    let scratch = Scratch::new();
    scratch
        .unpack(&Tar::default().file("/abs", "x").file("/../up", "y").end())
        .unwrap();
    assert_eq!(
        scratch.list(),
        ["abs 644 1000000000 x", "up 644 1000000000 y"]
    );
    // The root itself is a directory and nothing else.
    for flag in [b'0', b'1', b'2', b'6'] {
        for name in [".", "", "/", "a/.."] {
            let tar = Tar::default().raw(flag, name, "t", 0o644, 0, b"").end();
            // A file whose name ends in a slash is a directory, by the oldest rule of all.
            if flag != b'0' || name != "/" {
                assert!(Scratch::new().unpack(&tar).is_err(), "{flag} {name:?}");
            }
        }
    }
}

#[test]
fn links_of_the_archive_are_followed_inside_the_root_only() {
    let absolute = Scratch::new();
    let outside = absolute.base.join("canary");
    let tar = Tar::default()
        .link("out", outside.to_str().unwrap())
        .file("out/file", "x")
        .link("up", "../../../../canary")
        .file("up/dir/new", "y")
        .end();
    absolute.unpack(&tar).unwrap();
    // Both went to where a process inside would have put them.
    let inside = absolute.root().join(outside.strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(inside.join("file")).unwrap(), "x");
    assert_eq!(
        fs::read_to_string(absolute.root().join("canary/dir/new")).unwrap(),
        "y"
    );

    let usr_merge = Scratch::new();
    let tar = Tar::default()
        .link("lib", "usr/lib")
        .file("lib/x", "1")
        .dir("usr/lib")
        .file("usr/lib/y", "2")
        .end();
    usr_merge.unpack(&tar).unwrap();
    assert_eq!(
        usr_merge.list(),
        [
            "lib -> usr/lib",
            "usr/ 755",
            "usr/lib/ 755",
            "usr/lib/x 644 1000000000 1",
            "usr/lib/y 644 1000000000 2"
        ]
    );

    let last = Scratch::new();
    // A link as the last component is replaced, never written through.
    let outside = last.base.join("canary/file");
    let tar = Tar::default()
        .link("f", outside.to_str().unwrap())
        .file("f", "new")
        .link("d", last.base.join("canary").to_str().unwrap())
        .raw(b'5', "d", "", 0o700, 0, b"")
        .end();
    last.unpack(&tar).unwrap();
    assert_eq!(last.list(), ["d/ 700", "f 644 1000000000 new"]);

    for tar in [
        Tar::default()
            .link("a", "b")
            .link("b", "a")
            .file("a/x", "")
            .end(),
        Tar::default().link("a", "a/a/a").file("a/x", "").end(),
        Tar::default().file("a", "").file("a/x", "").end(),
        Tar::default()
            .raw(b'6', "a", "", 0o644, 0, b"")
            .file("a/x", "")
            .end(),
    ] {
        assert!(Scratch::new().unpack(&tar).is_err());
    }
}

#[test]
fn hard_links_reach_nothing_outside() {
    let scratch = Scratch::new();
    symlink(scratch.base.join("canary"), scratch.root().join("planted")).unwrap();
    for target in [
        "planted/file",
        "../canary/file",
        "/canary/file",
        "nothing",
        ".",
        "",
    ] {
        let tar = Tar::default().hard("stolen", target).end();
        assert!(scratch.unpack(&tar).is_err(), "{target}");
    }
    // A hard link to a symbolic link is that link; writing to the name later replaces it.
    let tar = Tar::default()
        .link("sym", scratch.base.join("canary/file").to_str().unwrap())
        .hard("hard", "sym")
        .file("hard", "mine")
        .file("self", "s")
        .hard("self", "self")
        .dir("d")
        .end();
    scratch.unpack(&tar).unwrap();
    assert_eq!(
        fs::read_to_string(scratch.root().join("hard")).unwrap(),
        "mine"
    );
    assert_eq!(
        fs::read_to_string(scratch.root().join("self")).unwrap(),
        "s"
    );
    assert!(
        scratch
            .unpack(&Tar::default().hard("h", "d").end())
            .is_err()
    );
}

#[test]
fn whiteouts_become_overlay_marks() {
    let scratch = Scratch::new();
    let tar = Tar::default()
        .file(".wh.gone", "")
        .dir("new")
        .file(".wh.new", "")
        .file(".wh.later", "")
        .file("later/x", "x")
        .file(".wh.again", "")
        .file("again", "back")
        .file("kept", "k")
        .file(".wh.kept", "")
        .file("opq/.wh..wh..opq", "")
        .file(".wh..wh.plnk", "")
        .file(".wh..wh.orph/1.2", "x")
        .end();
    scratch.unpack(&tar).unwrap();
    assert_eq!(
        scratch.list(),
        [
            "again 644 1000000000 back",
            "gone char 0",
            "kept 644 1000000000 k",
            "later/ 755",
            "later/x 644 1000000000 x",
            "new/ 755",
            "opq/ 755",
        ]
    );
    let opaque = |name: &str| {
        let mut value = [0u8; 8];
        rustix::fs::getxattr(scratch.root().join(name), "user.overlay.opaque", &mut value) == Ok(1)
    };
    assert!(opaque("new") && opaque("later") && opaque("opq"));
    for bad in [".wh.", ".wh...", ".wh..", "d/.wh..", "d/.wh.e/f", ".wh.d/e/f"] {
        assert!(
            scratch.unpack(&Tar::default().file(bad, "").end()).is_err(),
            "{bad}"
        );
    }
    let root = Scratch::new();
    assert!(
        root.unpack(&Tar::default().file(".wh..wh..opq", "").end())
            .unwrap()
            .opaque_root
    );
    let literal = UnpackOptions {
        whiteouts: Whiteouts::Literal,
        owners: Owners::Caller,
        ..UnpackOptions::default()
    };
    root.unpack_with(&Tar::default().file(".wh.x", "").end(), &literal)
        .unwrap();
    assert_eq!(root.list(), [".wh.x 644 1000000000 "]);
}

#[test]
fn repeated_names_end_as_the_last_entry() {
    let scratch = Scratch::new();
    let tar = Tar::default()
        .file("a", "1")
        .file("a", "2")
        .dir("b")
        .file("b/x", "")
        .file("b", "file now")
        .file("c", "")
        .dir("c")
        .file("c/y", "y")
        .dir("d")
        .dir("d/sub")
        .file("d/sub/z", "")
        .link("d", "c")
        .file("d/w", "through the link")
        .raw(b'5', "c", "", 0o711, 0, b"")
        .end();
    scratch.unpack(&tar).unwrap();
    assert_eq!(
        scratch.list(),
        [
            "a 644 1000000000 2",
            "b 644 1000000000 file now",
            "c/ 711",
            "c/w 644 1000000000 through the link",
            "c/y 644 1000000000 y",
            "d -> c",
        ]
    );
}

#[test]
fn damaged_and_oversized_archives_are_errors() {
    let ok = Tar::default().file("a", "data").end();
    for cut in [1, 100, 511, 513, 515, 600] {
        assert!(Scratch::new().unpack(&ok[..cut]).is_err(), "cut at {cut}");
    }
    Scratch::new().unpack(&ok[..1024]).unwrap();
    Scratch::new().unpack(b"").unwrap();
    let mut flipped = ok.clone();
    flipped[0] ^= 1;
    assert!(Scratch::new().unpack(&flipped).is_err());
    let negative = {
        let mut tar = Tar::default().file("a", "data").0;
        tar[124..136].copy_from_slice(&[0xff; 12]);
        tar[148..156].copy_from_slice(b"        ");
        let sum: u32 = tar[..512].iter().map(|&b| u32::from(b)).sum();
        tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar
    };
    assert!(matches!(
        Scratch::new().unpack(&negative),
        Err(UnpackError::Tar(TarError::Damaged { what, .. })) if what == "a negative size"
    ));
    for tar in [
        Tar::default().raw(b'0', "a", "", 0o644, 1 << 62, b"").end(),
        Tar::default()
            .pax(&[("size", "9223372036854775807")])
            .file("a", "")
            .end(),
        Tar::default()
            .pax(&[("size", "99999999999999999999")])
            .file("a", "")
            .end(),
        Tar::default().pax(&[("size", "-1")]).file("a", "").end(),
        Tar::default()
            .raw(b'L', "x", "", 0, 1 << 40, b"")
            .file("a", "")
            .end(),
        Tar::default()
            .raw(b'x', "x", "", 0, (1 << 20) + 1, b"")
            .file("a", "")
            .end(),
        Tar::default().raw(b'K', "x", "", 0, 3, b"abc").end(),
        Tar::default().raw(b'9', "x", "", 0, 0, b"").end(),
        Tar::default()
            .pax(&[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.realsize", "10"),
            ])
            .file("a", "9999999999\n")
            .end(),
        Tar::default()
            .pax(&[("GNU.sparse.size", "10"), ("GNU.sparse.map", "0,4,2,4")])
            .file("a", "12345678")
            .end(),
        Tar::default()
            .pax(&[
                ("GNU.sparse.size", "9223372036854775807"),
                ("GNU.sparse.map", "0,4"),
            ])
            .file("a", "1234")
            .end(),
    ] {
        assert!(
            Scratch::new().unpack(&tar).is_err(),
            "{:?}",
            String::from_utf8_lossy(&tar[..600])
        );
    }
    let many = (0..20)
        .fold(Tar::default(), |tar, _| tar.raw(b'L', "x", "", 0, 1, b"a"))
        .file("a", "")
        .end();
    assert!(Scratch::new().unpack(&many).is_err());
    let limits = UnpackOptions {
        owners: Owners::Caller,
        limits: Limits {
            entries: 2,
            bytes: 10,
            file: 8,
        },
        ..UnpackOptions::default()
    };
    for tar in [
        Tar::default().dir("a").dir("b").dir("c").end(),
        Tar::default().file("a", "123456").file("b", "123456").end(),
        Tar::default().file("a", "123456789").end(),
    ] {
        assert!(matches!(
            Scratch::new().unpack_with(&tar, &limits),
            Err(UnpackError::Limit { .. })
        ));
    }
}

#[test]
fn a_pax_size_decides_where_the_next_header_is() {
    // The header says 0, PAX says 512: the block after it is content, whatever it looks like.
    let fake = Tar::default().file("smuggled", "").0;
    let tar = Tar::default()
        .pax(&[("size", "512")])
        .raw(b'0', "carrier", "", 0o644, 0, &fake)
        .file("after", "")
        .end();
    let scratch = Scratch::new();
    scratch.unpack(&tar).unwrap();
    let names: Vec<_> = fs::read_dir(scratch.root())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2);
    assert_eq!(
        fs::metadata(scratch.root().join("carrier")).unwrap().len(),
        512
    );
    // A size before a long name belongs to the file, not to the name.
    let tar = Tar::default()
        .pax(&[("size", "4")])
        .raw(b'L', "x", "", 0, 5, b"named")
        .raw(b'0', "short", "", 0o644, 0, b"data")
        .file("after", "")
        .end();
    let scratch = Scratch::new();
    scratch.unpack(&tar).unwrap();
    assert_eq!(
        scratch.list(),
        ["after 644 1000000000 ", "named 644 1000000000 data"]
    );
}

#[test]
fn deep_and_long_paths() {
    let scratch = Scratch::new();
    // As deep as a name may be, in one go; far more levels than descriptors.
    let deep = "d/".repeat(2000);
    let tar = Tar::default()
        .pax(&[("path", &format!("{deep}f"))])
        .file("x", "deep")
        .pax(&[("path", &format!("{deep}g"))])
        .file("x", "deep")
        .pax(&[("path", &format!("{}h", "d/".repeat(1000)))])
        .file("x", "deep")
        .end();
    assert_eq!(scratch.unpack(&tar).unwrap().files, 3);
    let tar = Tar::default()
        .pax(&[("path", &"d/".repeat(100_000))])
        .file("x", "")
        .end();
    assert!(scratch.unpack(&tar).is_err());
    let tar = Tar::default()
        .pax(&[("path", &"n".repeat(300))])
        .file("x", "")
        .end();
    assert!(scratch.unpack(&tar).is_err());
}

#[test]
fn attributes_for_the_driver_are_dropped_and_others_kept() {
    let scratch = Scratch::new();
    let tar = Tar::default()
        .pax(&[
            ("SCHILY.xattr.user.overlay.redirect", "/../../canary"),
            ("SCHILY.xattr.user.containers.override_stat", "0:0:0777"),
            ("SCHILY.xattr.trusted.overlay.opaque", "y"),
            ("SCHILY.xattr.user.mine", "line\nline=2\n"),
        ])
        .file("a", "")
        .pax(&[("SCHILY.xattr.user.dir", "d")])
        .dir("d")
        .file("d/x", "")
        .end();
    assert_eq!(scratch.unpack(&tar).unwrap().skipped_xattrs, 3);
    let mut names = [0u8; 200];
    let size = rustix::fs::listxattr(scratch.root().join("a"), &mut names[..]).unwrap();
    assert_eq!(&names[..size], b"user.mine\0");
    let size = rustix::fs::getxattr(scratch.root().join("a"), "user.mine", &mut names[..]).unwrap();
    assert_eq!(&names[..size], b"line\nline=2\n");
    assert_eq!(
        rustix::fs::getxattr(scratch.root().join("d"), "user.dir", &mut names[..]),
        Ok(1)
    );
}

#[test]
fn owners_are_recorded_where_they_cannot_be_set() {
    let scratch = Scratch::new();
    let options = UnpackOptions {
        owners: Owners::Record,
        ..UnpackOptions::default()
    };
    let tar = Tar::default()
        .pax(&[("uid", "1000"), ("gid", "42")])
        .raw(b'0', "su", "", 0o4511, 1, b"x")
        .raw(b'5', "closed", "", 0o000, 0, b"")
        .file("closed/in", "")
        .raw(b'3', "null", "", 0o666, 0, b"")
        .link("l", "su")
        .end();
    let report = scratch.unpack_with(&tar, &options).unwrap();
    assert_eq!(report.skipped_devices, 0);
    let recorded = |name: &str| {
        let mut value = [0u8; 64];
        let size = rustix::fs::getxattr(
            scratch.root().join(name),
            "user.containers.override_stat",
            &mut value,
        )
        .unwrap();
        String::from_utf8(value[..size].to_vec()).unwrap()
    };
    assert_eq!(recorded("su"), "1000:42:04511:file");
    assert_eq!(recorded("closed"), "0:0:00:dir");
    assert_eq!(recorded("null"), "0:0:0666:char-0-0");
    assert_eq!(
        fs::metadata(scratch.root().join("su")).unwrap().mode() & 0o7777,
        0o711
    );
}
