//! Selecting, hashing and placing on a real file system.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::*;

/// A context and an image's root, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("kelp-context-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(dir.join("context")).unwrap();
        fs::create_dir_all(dir.join("root")).unwrap();
        Self(dir)
    }

    /// Files by name, with their name as content; a name ending in `/` is a directory, `a -> b` a link.
    fn with(self, names: &[&str]) -> Self {
        for name in names {
            let (path, target) = name.split_once(" -> ").map_or((*name, None), |(path, target)| (path, Some(target)));
            let at = self.0.join(path);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            match target {
                Some(target) => symlink(target, at).unwrap(),
                None if path.ends_with('/') => fs::create_dir_all(at).unwrap(),
                None => fs::write(at, path).unwrap(),
            }
        }
        self
    }

    fn tree(&self, ignore: &str) -> Tree {
        let ignore = Ignore::parse(".dockerignore", ignore).unwrap();
        Tree::context(&self.0.join("context"), ignore, ".dockerignore").unwrap()
    }

    fn copy(&self, ignore: &str, request: &Request, dest: &str) -> Result<Placed, ContextError> {
        self.copy_as(ignore, request, &|placement| placement.dest = dest)
    }

    fn copy_as<'a>(&self, ignore: &str, request: &Request, change: &dyn Fn(&mut Placement<'a>)) -> Result<Placed, ContextError> {
        let tree = self.tree(ignore);
        let selection = tree.select(request)?;
        let root = File::open(self.0.join("root")).unwrap();
        let mine = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let mut placement = Placement { dest: "", workdir: "/", chown: Some(mine), chmod: None, keep_owners: false };
        change(&mut placement);
        copy_into(root.as_fd(), &selection, &placement)
    }

    /// All there is in the root, sorted; links with their targets.
    fn listing(&self) -> Vec<String> {
        let root = self.0.join("root");
        let mut found = Vec::new();
        let mut todo = vec![root.clone()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(dir).unwrap().flatten() {
                let path = entry.path();
                let mut name = path.strip_prefix(&root).unwrap().display().to_string();
                if let Ok(target) = fs::read_link(&path) {
                    name = format!("{name} -> {}", target.display());
                } else if path.is_dir() {
                    name.push('/');
                    todo.push(path);
                }
                found.push(name);
            }
        }
        found.sort();
        found
    }

    fn root(&self, path: &str) -> PathBuf {
        self.0.join("root").join(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn sources(sources: &[&str]) -> Request {
    Request { sources: sources.iter().map(|&source| source.to_owned()).collect(), ..Request::default() }
}

#[test]
fn where_things_land() {
    let files = ["context/a", "context/d/x", "context/d/e/y", "context/link -> d", "context/d/in -> x"];
    for (names, dest, want) in [
        (&["a"][..], "/b", "b"),
        (&["a"], "/b/", "b/ b/a"),
        (&["a"], "b", "b"),
        (&["a"], "", "a"),
        (&["a"], "/there", "there/ there/a"),
        (&["a"], "/n/m/b", "n/ n/m/ n/m/b"),
        (&["a"], "../../b", "b"),
        (&["d"], "/n", "n/ n/e/ n/e/y n/in -> x n/x"),
        (&["d/"], "/there", "there/ there/e/ there/e/y there/in -> x there/x"),
        (&["d", "a"], "/n/", "n/ n/a n/e/ n/e/y n/in -> x n/x"),
        (&["link"], "/n/", "n/ n/e/ n/e/y n/in -> x n/x"),
        (&["d/in"], "/n/", "n/ n/in"),
        (&["?"], "/n/", "n/ n/a n/e/ n/e/y n/in -> x n/x"),
        (&["d/*"], "/n/", "n/ n/in n/x n/y"),
        (&["*/x"], "/n", "n"),
        (&["nothing*"], "/n", ""),
        (&["../../../a"], "/n", "n"),
    ] {
        let place = Place::new(&format!("land{}", dest.replace('/', "_") + names[0].trim_matches(['*', '/', '?']).trim_start_matches("../").trim_end_matches('/').replace('/', "_").as_str() + &names.len().to_string())).with(&files);
        if dest.contains("there") {
            fs::create_dir(place.root("there")).unwrap();
        }
        place.copy("", &sources(names), dest).unwrap_or_else(|error| panic!("{names:?} {dest}: {error}"));
        assert_eq!(place.listing().join(" "), want, "{names:?} {dest}");
    }
}

#[test]
fn names_that_look_like_patterns() {
    let place = Place::new("odd").with(&["context/a[1].txt", "context/d[x]/f", "context/back\\slash"]);
    place.copy("", &sources(&["a\\[1\\].txt", "d[[]x]/f", "back\\slash"]), "/n/").unwrap();
    assert_eq!(place.listing().join(" "), "n/ n/a[1].txt n/back\\slash n/f");
    assert!(place.copy("", &sources(&["a\\[2\\].txt"]), "/n/").is_err());
}

#[test]
fn mistakes() {
    let place = Place::new("mistakes").with(&["context/a", "context/b", "context/d/x", "root/file", "root/dir/", "root/dangling -> nowhere", "root/one -> two", "root/two -> one"]);
    let said = |names: &[&str], dest: &str| place.copy("b\nd", &sources(names), dest).expect_err(dest).to_string();
    assert_eq!(said(&["none"], "/x"), "/none: not found in the build context");
    assert!(said(&["b"], "/x").contains("excluded by .dockerignore"));
    assert!(said(&["d/x"], "/x").contains("excluded by .dockerignore"));
    assert!(said(&["a", "a"], "/x").contains("must be a directory and end with a /"));
    assert!(said(&["a"], "/file/x").contains("not a directory"));
    assert!(said(&["["], "/x").contains("invalid pattern"));
    place.copy("", &sources(&["a"]), "/dangling/x").unwrap();
    assert!(place.root("nowhere/x").exists());
    assert!(said(&["a"], "/one/x").contains("/one"));
    assert!(place.copy("", &sources(&["d"]), "/file").expect_err("a file").to_string().contains("not a directory"));
    fs::create_dir(place.root("dir/a")).unwrap();
    assert!(said(&["a"], "/dir/").contains("cannot replace a directory"));
}

#[test]
fn links_never_lead_out() {
    let place = Place::new("links").with(&[
        "context/out -> ../secret",
        "context/abs -> /a",
        "context/deep/up -> ../../../../../../etc",
        "context/a",
        "context/lib/new",
        "secret",
        "root/usr/lib/old",
        "root/lib -> /usr/lib",
        "root/evil -> ../context/a",
        "root/esc -> ../../context",
    ]);
    assert!(matches!(place.copy("", &sources(&["out"]), "/x"), Err(ContextError::NotFound { .. })));
    assert!(matches!(place.copy("", &sources(&["deep/up/passwd"]), "/x"), Err(ContextError::NotFound { .. })));
    // Absolute links start at the context.
    place.copy("", &sources(&["abs"]), "/abs").unwrap();
    assert_eq!(fs::read_to_string(place.root("abs")).unwrap(), "context/a");
    // Merged through the image's link, inside its root.
    place.copy("", &sources(&["."]), "/").unwrap();
    assert_eq!(fs::read_to_string(place.root("usr/lib/new")).unwrap(), "context/lib/new");
    // What it stands for inside the root is replaced.
    fs::write(place.0.join("context/evil"), "new").unwrap();
    place.copy("", &sources(&["evil"]), "/evil").unwrap();
    assert_eq!(fs::read_to_string(place.0.join("context/a")).unwrap(), "context/a");
    assert_eq!(fs::read_to_string(place.root("context/a")).unwrap(), "new");
    place.copy("", &sources(&["a"]), "/esc/a2").unwrap();
    assert!(place.root("context/a2").exists() && !place.0.join("context/a2").exists());
}

#[test]
fn ignoring_and_excluding() {
    let files = ["context/keep", "context/a.log", "context/d/b.log", "context/d/k", "context/node_modules/p/q", "context/only/x/in"];
    let place = Place::new("ignore").with(&files);
    place.copy("**/*.log\nnode_modules\nonly\n!only/x/in\n", &sources(&["."]), "/").unwrap();
    assert_eq!(place.listing().join(" "), "d/ d/k keep only/ only/x/ only/x/in");
    let place = Place::new("exclude").with(&files);
    let request = Request { exclude: vec!["*.log".into(), "d/*".into(), "only".into(), "node_modules".into()], ..sources(&["."]) };
    place.copy("", &request, "/").unwrap();
    assert_eq!(place.listing().join(" "), "d/ keep");
    let place = Place::new("exclude2").with(&files);
    place.copy("", &Request { exclude: vec!["*.log".into()], ..sources(&["*e*", "a*"]) }, "/n/").unwrap();
    assert_eq!(place.listing().join(" "), "n/ n/keep n/p/ n/p/q");
}

#[test]
fn parents() {
    let place = Place::new("parents").with(&["context/x/a/b/c.txt", "context/x/a/d.txt", "context/y/e.txt", "context/y/f.md"]);
    fs::set_permissions(place.0.join("context/x/a"), PermissionsExt::from_mode(0o700)).unwrap();
    let request = |names: &[&str]| Request { parents: true, ..sources(names) };
    place.copy("", &request(&["x/./a/b/c.txt", "**/*.md"]), "/p/").unwrap();
    assert_eq!(place.listing().join(" "), "p/ p/a/ p/a/b/ p/a/b/c.txt p/y/ p/y/f.md");
    assert_eq!(fs::metadata(place.root("p/a")).unwrap().mode() & 0o7777, 0o700);
    place.copy("", &request(&["*/./e.txt", "x/a"]), "/q/").unwrap();
    assert!(place.root("q/e.txt").exists() && place.root("q/x/a/b/c.txt").exists());
    assert!(place.copy("", &request(&["x/./none"]), "/p/").is_err());
}

#[test]
fn modes_times_and_hard_links() {
    let place = Place::new("modes").with(&["context/d/f", "context/d/g"]);
    let context = place.0.join("context/d");
    fs::hard_link(context.join("f"), context.join("h")).unwrap();
    fs::set_permissions(context.join("f"), PermissionsExt::from_mode(0o4711)).unwrap();
    fs::set_permissions(&context, PermissionsExt::from_mode(0o700)).unwrap();
    File::open(context.join("g")).unwrap().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(77)).unwrap();
    place.copy("", &sources(&["."]), "/n").unwrap();
    let meta = |path: &str| fs::metadata(place.root(path)).unwrap();
    assert_eq!((meta("n/d/f").mode() & 0o7777, meta("n/d").mode() & 0o7777, meta("n").mode() & 0o7777), (0o4711, 0o700, 0o755));
    assert_eq!((meta("n/d/g").mtime(), meta("n/d/f").ino() == meta("n/d/h").ino()), (77, true));
    let change = Change::parse("u=rwX,go=rX").unwrap();
    place.copy_as("", &sources(&["."]), &|placement| (placement.dest, placement.chmod) = ("/m", Some(&change))).unwrap();
    assert_eq!((meta("m/d/f").mode() & 0o7777, meta("m/d/g").mode() & 0o777, meta("m/d").mode() & 0o7777), (0o755, 0o644, 0o755));
    let tree = place.tree("");
    let inline = Selection { items: vec![Item::Inline { name: "EOF".into(), data: b"hi".to_vec() }], ..tree.select(&sources(&[])).unwrap() };
    let root = File::open(place.0.join("root")).unwrap();
    let mine = (meta("m").uid(), meta("m").gid());
    let placement = Placement { dest: "in/", workdir: "/w", chown: Some(mine), chmod: None, keep_owners: false };
    copy_into(root.as_fd(), &inline, &placement).unwrap();
    assert_eq!((fs::read_to_string(place.root("w/in/EOF")).unwrap().as_str(), meta("w/in/EOF").mode() & 0o777), ("hi", 0o644));
}

#[test]
fn digests_see_content_and_not_times() {
    let place = Place::new("digest").with(&["context/d/f", "context/d/l -> f", "context/ignored"]);
    let digest = |names: &[&str]| place.tree("ignored").select(&sources(names)).unwrap().digest(&Hashes::forgetful(), false).unwrap();
    let first = digest(&["."]);
    let file = place.0.join("context/d/f");
    File::open(&file).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::write(place.0.join("context/ignored"), "other").unwrap();
    fs::rename(&file, place.0.join("context/d/x")).unwrap();
    fs::rename(place.0.join("context/d/x"), &file).unwrap();
    assert_eq!(digest(&["."]), first);
    let mut seen = vec![first];
    let mut changed = |what: &str| {
        let now = digest(&["."]);
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    fs::write(&file, "context/D/f").unwrap();
    changed("content");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    changed("mode");
    fs::rename(&file, place.0.join("context/d/g")).unwrap();
    changed("name");
    fs::remove_file(place.0.join("context/d/l")).unwrap();
    symlink("g", place.0.join("context/d/l")).unwrap();
    changed("link");
    fs::create_dir(place.0.join("context/empty")).unwrap();
    changed("directory");
    assert_ne!(digest(&["d/g"]), digest(&["d"]));
    assert_eq!(place.tree("").digest_at("d", &Hashes::forgetful()).unwrap(), place.tree("").digest_at("/d/", &Hashes::forgetful()).unwrap());
}

#[test]
fn owners_are_looked_up_in_the_image() {
    let place = Place::new("owner").with(&["root/etc/"]);
    fs::write(place.root("etc/passwd"), "root:x:0:0::/:\napp:x:1234:1235::/:\n").unwrap();
    fs::write(place.root("etc/group"), "root:x:0:\nweb:x:33:\n").unwrap();
    let root = File::open(place.0.join("root")).unwrap();
    let look = |text: &str| owner(root.as_fd(), text).map_err(|error| error.to_string());
    assert_eq!(look("app"), Ok((1234, 1235)));
    assert_eq!(look("app:web"), Ok((1234, 33)));
    assert_eq!(look("55"), Ok((55, 55)));
    assert_eq!(look("1:2"), Ok((1, 2)));
    assert_eq!(look("1:web"), Ok((1, 33)));
    assert!(look("nobody").unwrap_err().contains("invalid chown \"nobody\""));
    // A link out of the image finds nothing.
    fs::remove_file(place.root("etc/passwd")).unwrap();
    symlink("/../../../../etc/passwd", place.root("etc/passwd")).unwrap();
    assert!(look("daemon").is_err());
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn a_directory_as_deep_as_it_gets_is_refused_not_followed() {
    let place = Place::new("deep");
    let mut at = File::open(place.0.join("context")).unwrap();
    for _ in 0..500 {
        rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, "d", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap().into();
    }
    assert!(place.copy("", &sources(&["."]), "/").unwrap_err().to_string().contains("nested too deep"));
    let context = File::open(&place.0).unwrap();
    crate::sys::tree::remove_tree(context.as_fd(), c"context").unwrap();
    let root = File::open(&place.0).unwrap();
    crate::sys::tree::remove_tree(root.as_fd(), c"root").unwrap();
}
