//! Archives in and out: the two layouts, files and streams, lies in the documents.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::tarw::{TarWriter, TreeOptions};
use super::*;
use crate::image::compress::Settings;
use crate::image::compression::Compression;
use crate::image::layers::LayerStore;
use crate::image::store::{Image, ImageStore};
use crate::image::unpack::{UnpackOptions, unpack_layer};
use crate::spec::ShortNames;

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kelp-archive-{}-{next}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn store(&self, name: &str) -> ImageStore {
        ImageStore::open(&self.0.join(name), ShortNames::default())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn options() -> LoadOptions {
    LoadOptions {
        owners: Owners::Caller,
        no_sync: true,
        ..LoadOptions::default()
    }
}

/// A docker-archive of these layers.
fn simple(layers: &[Vec<u8>], tags: &[&str]) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len()).map(|at| format!("{at}/layer.tar")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(layers.iter().map(Vec::as_slice)).collect();
    let all: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    docker_archive(&members, &config(&all), tags)
}

fn stream(bytes: &[u8]) -> Input {
    /// Gives few bytes at a time, as a pipe may.
    struct Drip(std::io::Cursor<Vec<u8>>);
    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = buffer.len().min(777);
            self.0.read(&mut buffer[..count])
        }
    }
    Input::Stream(Box::new(Drip(std::io::Cursor::new(bytes.to_vec()))))
}

fn file(scratch: &Scratch, bytes: &[u8]) -> Input {
    let path = scratch.0.join("archive.tar");
    fs::write(&path, bytes).unwrap();
    Input::Path(path)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut out = TarWriter::new(Vec::new());
    for (name, content) in files {
        out.file(name, 0o644, 1, content.as_bytes()).unwrap();
    }
    out.finish().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<Digest> = layers.iter().map(|l| Digest::of(l)).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}});
    serde_json::to_vec(&config).unwrap()
}

/// A docker-archive in podman's order: layers, configuration, manifest last.
fn docker_archive(layers: &[(&str, &[u8])], config: &[u8], tags: &[&str]) -> Vec<u8> {
    let mut out = TarWriter::new(Vec::new());
    for (name, bytes) in layers {
        out.file(name, 0o444, 0, bytes).unwrap();
    }
    out.file("c.json", 0o444, 0, config).unwrap();
    let names: Vec<&str> = layers.iter().map(|l| l.0).collect();
    let manifest = json!([{"Config": "c.json", "RepoTags": tags, "Layers": names}]);
    out.file(
        "manifest.json",
        0o444,
        0,
        &serde_json::to_vec(&manifest).unwrap(),
    )
    .unwrap();
    out.finish().unwrap()
}

fn content(images: &ImageStore, image: &str, layer: usize, file: &str) -> String {
    let run = images.resolve_for_run(image).unwrap();
    fs::read_to_string(run.layers[layer].join(file)).unwrap()
}

#[test]
fn docker_archives_from_files_and_streams_compressed_or_not() {
    let (low, high) = (layer(&[("a", "low")]), layer(&[("b", "high")]));
    let config = config(&[&low, &high]);
    let packed = gzip(&high);
    let archive = docker_archive(
        &[("1/layer.tar", &low), ("2/layer.tar", &packed)],
        &config,
        &["demo:1", "quay.io/x/demo:2"],
    );
    let zstd = zstd::encode_all(&archive[..], 1).unwrap();
    for (round, form) in [&archive, &gzip(&archive), &zstd].into_iter().enumerate() {
        let scratch = Scratch::new();
        for (name, input) in [("f", file(&scratch, form)), ("s", stream(form))] {
            let images = scratch.store(name);
            let loaded = load(&images, input, &options(), &|_| ()).unwrap();
            assert_eq!(loaded.len(), 1, "{round} {name}");
            assert_eq!(loaded[0].id, Digest::of(&config));
            assert_eq!(loaded[0].names[1].to_string(), "quay.io/x/demo:2");
            assert_eq!(content(&images, "demo:1", 0, "a"), "low");
            assert_eq!(content(&images, "quay.io/x/demo:2", 1, "b"), "high");
            assert_eq!(
                LayerStore::open(images.data()).gc().unwrap(),
                0,
                "nothing is left over"
            );
        }
    }
}

/// What one image says of a directory is nothing to another one that has a layer in common with it.
#[test]
fn a_layer_that_images_share_has_the_directories_of_each() {
    let base = |mode: u32, deep: u32| {
        let mut tar = TarWriter::new(Vec::new());
        tar.directory("data", mode, 7).unwrap();
        tar.directory("a", deep, 7).unwrap();
        tar.finish().unwrap()
    };
    let (open, closed) = (base(0o777, 0o777), base(0o700, 0o711));
    let shared = layer(&[("data/x", "x"), ("a/b/c", "c")]);
    let top = layer(&[("data/y", "y")]);
    let alone = layer(&[("data/x", "x"), ("a/b/c", "c")]);
    assert_eq!(shared, alone);
    let scratch = Scratch::new();
    for (store, order) in [("one", [0, 1, 2]), ("other", [1, 2, 0]), ("third", [2, 0, 1])] {
        let images = scratch.store(store);
        let all: [(&str, Vec<&[u8]>); 3] = [("open:1", vec![&open, &shared, &top]), ("closed:1", vec![&closed, &shared, &top]), ("alone:1", vec![&shared])];
        for (name, layers) in order.map(|index| &all[index]) {
            let named: Vec<(String, &[u8])> = layers.iter().enumerate().map(|(n, layer)| (n.to_string(), *layer)).collect();
            let named: Vec<(&str, &[u8])> = named.iter().map(|(name, layer)| (name.as_str(), *layer)).collect();
            let archive = docker_archive(&named, &config(layers), &[name]);
            load(&images, stream(&archive), &options(), &|_| ()).unwrap();
        }
        // As an overlay shows it: the topmost that has it says.
        let mode = |image: &str, dir: &str| {
            let layers = images.resolve_for_run(image).unwrap().layers;
            let found = layers.iter().rev().find_map(|layer| fs::metadata(layer.join(dir)).ok()).unwrap();
            found.permissions().mode() & 0o7777
        };
        let modes = |image: &str| [mode(image, "data"), mode(image, "a"), mode(image, "a/b")];
        assert_eq!(modes("open:1"), [0o777, 0o777, 0o755], "{store}");
        assert_eq!(modes("closed:1"), [0o700, 0o711, 0o755], "{store}");
        assert_eq!(modes("alone:1"), [0o755, 0o755, 0o755], "{store}");
    }
}

#[test]
fn a_directory_without_an_entry_is_as_the_layer_below_says() {
    let mut low = TarWriter::new(Vec::new());
    low.directory("tmp", 0o1777, 77).unwrap();
    low.directory("a", 0o711, 77).unwrap();
    low.directory("a/b", 0o700, 77).unwrap();
    let low = low.finish().unwrap();
    let middle = layer(&[("other", ""), (".wh.a", "")]);
    let high = layer(&[("tmp/x", "x"), ("a/b/c", "c"), ("new/d", "")]);
    let config = config(&[&low, &middle, &high]);
    let archive = docker_archive(
        &[("l", &low), ("m", &middle), ("h", &high)],
        &config,
        &["demo:1"],
    );
    let scratch = Scratch::new();
    let images = scratch.store("s");
    load(&images, stream(&archive), &options(), &|_| ()).unwrap();
    let mode = |dir: &str| {
        let top = images
            .resolve_for_run("demo:1")
            .unwrap()
            .layers
            .pop()
            .unwrap();
        fs::metadata(top.join(dir)).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!(mode("tmp"), 0o1777);
    assert_eq!(
        (mode("a"), mode("a/b"), mode("new")),
        (0o755, 0o755, 0o755),
        "deleted in between"
    );
    assert_eq!(
        fs::metadata(images.resolve_for_run("demo:1").unwrap().layers[2].join("tmp"))
            .unwrap()
            .modified()
            .unwrap(),
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(77)
    );
    let mut saved = Vec::new();
    let image = images.resolve("demo:1").unwrap();
    save_some(&images, &[(image, Vec::new())], SaveFormat::Docker, &mut saved).unwrap();
}

#[test]
fn what_was_loaded_is_saved_byte_for_byte_and_loads_again() {
    let scratch = Scratch::new();
    let (low, high) = (layer(&[("a", "low")]), layer(&[("b", "high"), ("c", "")]));
    let config = config(&[&low, &high]);
    let archive = docker_archive(&[("x", &low), ("y", &high)], &config, &["demo:1"]);
    let first = scratch.store("first");
    load(&first, stream(&archive), &options(), &|_| ()).unwrap();
    let image = first.resolve("demo:1").unwrap();
    let names = image.names.clone();
    for format in [SaveFormat::Docker, SaveFormat::Oci] {
        let mut saved = Vec::new();
        let twice = [
            (image.clone(), names.clone()),
            (image.clone(), names.clone()),
        ];
        save_some(&first, &twice, format, &mut saved).unwrap();
        for layer in [&low, &high] {
            assert!(
                saved.windows(layer.len()).any(|w| w == &layer[..]),
                "{format:?}"
            );
        }
        assert!(
            saved.len() < low.len() + high.len() + 12_000,
            "shared parts are written once"
        );
        for (kind, input) in [("file", file(&scratch, &saved)), ("stream", stream(&saved))] {
            let again = scratch.store(&format!("{format:?}-{kind}"));
            let loaded = load(&again, input, &options(), &|_| ()).unwrap();
            // The same name twice in an OCI index is one image.
            assert_eq!(
                loaded.len(),
                if format == SaveFormat::Docker { 2 } else { 1 }
            );
            assert_eq!(loaded[0].id, image.record.id);
            assert_eq!(content(&again, "demo:1", 1, "b"), "high");
        }
        if format == SaveFormat::Oci {
            let dir = scratch.0.join("layout");
            fs::create_dir(&dir).unwrap();
            let fd = fs::File::open(&dir).unwrap();
            let plain = UnpackOptions {
                owners: Owners::Caller,
                ..UnpackOptions::default()
            };
            unpack_layer(&saved[..], fd.as_fd(), &plain).unwrap();
            let again = scratch.store("dir");
            load(&again, Input::Path(dir.clone()), &options(), &|_| ()).unwrap();
            assert_eq!(content(&again, "demo:1", 0, "a"), "low");
            // A layout whose blob is a link out of it is refused.
            let blob = dir.join("blobs").join(Digest::of(&low).path());
            fs::remove_file(&blob).unwrap();
            symlink("/etc/passwd", &blob).unwrap();
            let refused = load(
                &scratch.store("linked"),
                Input::Path(dir),
                &options(),
                &|_| (),
            );
            assert!(refused.is_err());
        }
    }
}

#[test]
fn a_layer_without_a_record_is_saved_from_its_blob() {
    let scratch = Scratch::new();
    let images = scratch.store("s");
    let layers = LayerStore::open(images.data());
    // Of files that are the caller's, as all are that this process unpacks.
    let files = scratch.0.join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("a"), "low").unwrap();
    let mut low = TarWriter::new(Vec::new());
    low.tree(fs::File::open(&files).unwrap().as_fd(), &TreeOptions { layer: true, ..TreeOptions::default() }).unwrap();
    let low = low.finish().unwrap();
    let id = Digest::of(&low);
    let packed = gzip(&low);
    // As a pull leaves it: blob, manifest and tree.
    let crate::image::Claim::Absent(txn) = layers.begin(&id, &mut || ()).unwrap() else {
        panic!("new store")
    };
    let plain = UnpackOptions {
        owners: Owners::Caller,
        ..UnpackOptions::default()
    };
    let report = unpack_layer(&low[..], txn.dir(), &plain).unwrap();
    txn.commit(&report).unwrap();
    let config = config(&[&low]);
    let blob = images.blobs().put(&packed).unwrap();
    let manifest = json!({"schemaVersion": 2,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(&config), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": blob, "size": packed.len()}]});
    let manifest = images
        .blobs()
        .put(&serde_json::to_vec(&manifest).unwrap())
        .unwrap();
    let new = crate::image::NewImage {
        config,
        manifests: vec![manifest],
        blobs: vec![blob.clone()],
        ..Default::default()
    };
    let name = images.reference("demo:1").unwrap();
    images.add(&new, std::slice::from_ref(&name)).unwrap().unwrap();
    let image = images.resolve("demo:1").unwrap();
    let mut saved = Vec::new();
    save_some(&images, &[(image.clone(), vec![name])], SaveFormat::Oci, &mut saved).unwrap();
    let again = scratch.store("again");
    load(&again, stream(&saved), &options(), &|_| ()).unwrap();
    assert_eq!(content(&again, "demo:1", 0, "a"), "low");
    // Without it from the files, as long as they give the very same archive.
    images.blobs().remove(&blob).unwrap();
    let mut by_files = Vec::new();
    save_some(&images, &[(image.clone(), Vec::new())], SaveFormat::Docker, &mut by_files).unwrap();
    assert!(by_files.windows(low.len()).any(|part| part == low));
    fs::write(layers.tree(&id).join("a"), "LOW").unwrap();
    let refused = save_some(&images, &[(image, Vec::new())], SaveFormat::Docker, &mut saved);
    assert!(refused.unwrap_err().to_string().contains("was not kept"));
}

#[test]
fn archives_that_lie_are_refused_and_leave_nothing() {
    let good = layer(&[("a", "x")]);
    let other = layer(&[("a", "y")]);
    let both = config(&[&good]);
    let hostile = layer(&[("../../../canary", "x")]);
    let mut cases = vec![
        docker_archive(&[("l", &other)], &both, &[]),
        docker_archive(&[("l", &good), ("m", &other)], &both, &[]),
        docker_archive(&[("l", b"not a tar archive at all")], &both, &[]),
        docker_archive(&[], &both, &[]),
        docker_archive(&[("l", &good)], b"{}", &[]),
        docker_archive(&[("l", &good)], b"nonsense", &[]),
        docker_archive(&[("l", &good)], &both, &["UPPER:case"]),
        docker_archive(&[("l", &hostile)], &config(&[&hostile]), &[]),
        // A name that claims to be a digest it is not.
        docker_archive(
            &[(&format!("{}.tar", Digest::of(&other).hex()), &good)],
            &config(&[&other]),
            &[],
        ),
        layer(&[("etc/passwd", "root")]),
        layer(&[(
            "index.json",
            "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:../../x\",\"size\":1}]}",
        )]),
        b"garbage".to_vec(),
        Vec::new(),
    ];
    let whole = docker_archive(&[("l", &good)], &both, &["demo"]);
    cases.push(whole[..700].to_vec());
    cases.push(gzip(&whole)[..200].to_vec());
    for (number, case) in cases.iter().enumerate() {
        let scratch = Scratch::new();
        for (name, input) in [("f", file(&scratch, case)), ("s", stream(case))] {
            let images = scratch.store(name);
            assert!(
                load(&images, input, &options(), &|_| ()).is_err(),
                "case {number} {name}"
            );
            assert!(images.list().unwrap().is_empty());
            let tmp = images.data().join("layers/tmp");
            assert!(
                !tmp.exists() || fs::read_dir(tmp).unwrap().next().is_none(),
                "case {number} {name}"
            );
        }
    }
}

#[test]
fn a_root_file_system_is_imported() {
    let scratch = Scratch::new();
    let images = scratch.store("s");
    let tar = layer(&[("bin/sh", "#!"), ("etc/os-release", "ID=x")]);
    let spec = ImportSpec {
        names: vec![images.reference("mine:v1").unwrap()],
        message: "by hand".to_owned(),
        created: Some("2020-01-01T00:00:00Z".to_owned()),
        ..ImportSpec::default()
    };
    let first = import(&images, stream(&gzip(&tar)), spec.clone(), &options()).unwrap();
    let second = import(&images, stream(&tar), spec, &options()).unwrap();
    assert_eq!(first.id, second.id);
    assert_eq!(content(&images, "mine:v1", 0, "etc/os-release"), "ID=x");
    assert!(import(&images, stream(b"junk"), ImportSpec::default(), &options()).is_err());
}

#[test]
fn trees_are_written_as_gnu_tar_reads_them() {
    let scratch = Scratch::new();
    let tree = scratch.0.join("tree");
    let long = "long".repeat(60);
    fs::create_dir_all(tree.join("d/sub")).unwrap();
    fs::write(tree.join("d/file"), "content").unwrap();
    fs::hard_link(tree.join("d/file"), tree.join("d/link")).unwrap();
    fs::write(tree.join(format!("d/{long}")), "x").unwrap();
    symlink(&long, tree.join("d/sym")).unwrap();
    fs::set_permissions(tree.join("d/sub"), fs::Permissions::from_mode(0o1777)).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        tree.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    rustix::fs::setxattr(
        tree.join("d/file"),
        "user.k",
        b"a\nb",
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    let dir = fs::File::open(&tree).unwrap();
    let write = || {
        let mut out = TarWriter::new(Vec::new());
        let newest = TreeOptions {
            newest: Some(1000),
            ..TreeOptions::default()
        };
        out.tree(dir.as_fd(), &newest).unwrap();
        out.finish().unwrap()
    };
    let tar = write();
    assert_eq!(tar, write(), "the same tree gives the same bytes");
    let copy = scratch.0.join("copy");
    fs::create_dir(&copy).unwrap();
    fs::write(scratch.0.join("t.tar"), &tar).unwrap();
    let status = std::process::Command::new("tar")
        .args(["--xattrs", "--numeric-owner", "-xpf", "../t.tar"])
        .current_dir(&copy)
        .status();
    let Ok(status) = status else { return };
    assert!(status.success());
    let same = std::process::Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([&tree.join("d"), &copy.join("d")])
        .status()
        .unwrap();
    assert!(same.success());
    let mut value = [0u8; 8];
    assert_eq!(
        rustix::fs::getxattr(copy.join("d/file"), "user.k", &mut value),
        Ok(3)
    );
    // And by our own reader, whole tree under another name.
    let mut out = TarWriter::new(Vec::new());
    out.one(dir.as_fd(), b"d", b"renamed", &TreeOptions::default())
        .unwrap();
    let tar = out.finish().unwrap();
    let ours = scratch.0.join("ours");
    fs::create_dir(&ours).unwrap();
    let plain = UnpackOptions {
        owners: Owners::Caller,
        ..UnpackOptions::default()
    };
    let into = fs::File::open(&ours).unwrap();
    unpack_layer(&tar[..], into.as_fd(), &plain).unwrap();
    let same = std::process::Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([&tree.join("d"), &ours.join("renamed")])
        .status()
        .unwrap();
    assert!(same.success());
}

#[test]
fn overlay_marks_become_whiteouts_again() {
    let scratch = Scratch::new();
    let tree: &Path = &scratch.0.join("tree");
    fs::create_dir(tree).unwrap();
    let tar = layer(&[("d/.wh..wh..opq", ""), ("d/f", "x"), (".wh.gone", "")]);
    let plain = UnpackOptions {
        owners: Owners::Caller,
        ..UnpackOptions::default()
    };
    let dir = fs::File::open(tree).unwrap();
    unpack_layer(&tar[..], dir.as_fd(), &plain).unwrap();
    let mut out = TarWriter::new(Vec::new());
    out.tree(
        dir.as_fd(),
        &TreeOptions {
            layer: true,
            ..TreeOptions::default()
        },
    )
    .unwrap();
    let tar = out.finish().unwrap();
    let mut reader = crate::image::unpack::TarReader::new(&tar[..]);
    let mut names = Vec::new();
    while let Some(member) = reader.next_member().unwrap() {
        names.push(String::from_utf8(member.path).unwrap());
    }
    assert_eq!(names, ["d/", "d/.wh..wh..opq", "d/f", ".wh.gone"]);
}

fn save_some(
    images: &ImageStore,
    wanted: &[(Image, Vec<Reference>)],
    format: SaveFormat,
    out: &mut dyn std::io::Write,
) -> Result<(), ArchiveError> {
    let subjects: Vec<Subject> =
        wanted.iter().map(|(image, names)| Subject::new(images, image, names)).collect::<Result<_, _>>()?;
    let options = SaveOptions { format, ..SaveOptions::default() };
    save(images, &subjects, &options, Target::Stream(out)).map(drop)
}

#[test]
fn directories_and_compressed_layers_load_again() {
    let scratch = Scratch::new();
    let first = scratch.store("first");
    let layers = [layer(&[("a", "low")]), layer(&[("b", &"x".repeat(100_000))])];
    let archive = simple(&layers, &["demo:1"]);
    load(&first, stream(&archive), &options(), &|_| ()).unwrap();
    let image = first.resolve("demo:1").unwrap();
    let subject = Subject::new(&first, &image, &image.names).unwrap();
    for compression in [None, Some(Compression::Gzip), Some(Compression::Zstd)] {
        for format in [SaveFormat::Oci, SaveFormat::Dir, SaveFormat::Docker] {
            let case = format!("{format:?}-{compression:?}");
            let dir = scratch.0.join(&case);
            let how = SaveOptions { format, compression: compression.map(Settings::new), manifest: None };
            let digest = save(&first, std::slice::from_ref(&subject), &how, Target::Directory(&dir)).unwrap();
            assert_eq!(digest.is_none(), format == SaveFormat::Docker);
            // Again, over what is there: the same files.
            save(&first, std::slice::from_ref(&subject), &how, Target::Directory(&dir)).unwrap();
            let again = scratch.store(&case);
            let loaded = load(&again, Input::Path(dir), &options(), &|_| ()).unwrap();
            assert_eq!((loaded.len(), &loaded[0].id), (1, &image.record.id), "{case}");
            assert_eq!(loaded[0].names.is_empty(), format == SaveFormat::Dir);
        }
    }
}

#[test]
fn one_of_several_is_chosen() {
    let scratch = Scratch::new();
    let first = scratch.store("first");
    let mut subjects = Vec::new();
    for tag in ["one", "two"] {
        load(&first, stream(&simple(&[layer(&[("a", tag)])], &[&format!("demo:{tag}")])), &options(), &|_| ()).unwrap();
        let image = first.resolve(&format!("demo:{tag}")).unwrap();
        subjects.push(Subject::new(&first, &image, &image.names).unwrap());
    }
    for (format, wanted) in [(SaveFormat::Docker, "demo:two"), (SaveFormat::Docker, "@1"), (SaveFormat::Oci, "docker.io/library/demo:two"), (SaveFormat::Oci, "@1")] {
        let mut bytes = Vec::new();
        let how = SaveOptions { format, ..SaveOptions::default() };
        save(&first, &subjects, &how, Target::Stream(&mut bytes)).unwrap();
        let again = scratch.store(&format!("{format:?}{}", wanted.len()));
        let select = |wanted: &str| LoadOptions { select: Some(wanted.to_owned()), ..options() };
        let loaded = load(&again, file(&scratch, &bytes), &select(wanted), &|_| ()).unwrap();
        assert_eq!(loaded.len(), 1);
        assert_eq!(content(&again, "demo:two", 0, "a"), "two");
        assert!(again.resolve("demo:one").is_err());
        assert!(load(&again, file(&scratch, &bytes), &select("nosuch"), &|_| ()).is_err());
        assert!(load(&again, file(&scratch, &bytes), &select("@2"), &|_| ()).is_err());
    }
}
