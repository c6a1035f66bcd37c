//! Commands on images that run against each other, are killed, or find the disk full.

use std::time::Duration;

use crate::needs;
use crate::support::image::Packing;
use crate::support::registry::Registry;
use crate::support::{Image, Kelp, Layer, program};

/// Layers that are no one else's, with something that takes a while to unpack.
fn image(text: &str) -> Image {
    let mut image = Image::busybox().layer(Layer::new().file("mark", 0o644, text));
    for n in 0..3_u8 {
        let mut layer = Layer::new().dir(&format!("d{n}/"), 0o755);
        for file in 0..150 {
            layer = layer.file(&format!("d{n}/{file}"), 0o644, format!("{text} {n} {file} ").repeat(300));
        }
        image = image.layer(layer);
    }
    image
}

fn is_whole(kelp: &Kelp, name: &str, text: &str) {
    let bytes: usize = (0..3).flat_map(|n| (0..150).map(move |file| format!("{text} {n} {file} ").len() * 300)).sum();
    let script = "cat /mark; cat /d0/* /d1/* /d2/* | wc -c; ls /d0 /d1 /d2 | grep -c '^[0-9]'";
    kelp.run(["run", "--rm", "--pull", "never", name, "sh", "-c", script]).success().stdout(&format!("{text}{bytes}\n450\n"));
}

#[test]
fn nothing_is_cleared_away_under_a_pull() {
    needs!("registry");
    let registry = Registry::open();
    for text in ["one", "two"] {
        registry.push(&image(text), "app", text, Packing::Gzip);
    }
    let kelp = Kelp::new();
    let (one, two) = (registry.name("app:one"), registry.name("app:two"));
    for round in 0..8 {
        let pulls = [kelp.start(["pull", "-q", &one]), kelp.start(["pull", "-q", &two]), kelp.start(["pull", "-q", &one])];
        let others = [
            kelp.start(["gc"]),
            kelp.start(["image", "prune", "-af"]),
            kelp.start(["rmi", "-f", &two]),
            kelp.start(["gc"]),
            kelp.start(["system", "prune", "-af"]),
        ];
        for pull in pulls {
            pull.wait().success();
        }
        for other in others {
            let out = other.wait();
            // An image that is not there yet.
            assert!(out.code == 0 || (out.code == 1 && out.stderr.contains("no such image")), "round {round}: {out:?}");
        }
    }
    for (name, text) in [(&one, "one"), (&two, "two")] {
        kelp.ok(["pull", "-q", name]);
        is_whole(&kelp, name, text);
    }
    kelp.run(["system", "check"]).success();
    // What came from the registry is still all there to go back as it came.
    let to = Registry::open();
    kelp.ok(["push", "-q", &one, &to.name("app:one")]);
    assert_eq!(to.fetch("app/manifests/one"), registry.fetch("app/manifests/one"));
}

#[test]
fn loads_and_imports_killed_at_any_moment() {
    let kelp = Kelp::new();
    let archive = kelp.work().join("app.tar");
    image("loaded").write_oci_archive(&archive, "app:latest", Packing::Gzip);
    let root = kelp.work().join("root.tar");
    std::fs::write(&root, crate::support::image::busybox_layer().finish()).unwrap();
    for round in 0..20_u64 {
        let args: &[&str] = match round % 3 {
            0 => &["load", "-qi", "app.tar"],
            1 => &["import", "root.tar", "root"],
            _ => &["pull", "-q", "oci-archive:app.tar"],
        };
        let process = kelp.start(args);
        std::thread::sleep(Duration::from_millis(round * 9));
        process.signal(rustix::process::Signal::KILL);
        process.wait();
        kelp.run(["images", "-q"]).success();
        kelp.run(["system", "check"]).success();
        if round % 4 == 3 {
            kelp.run(["rmi", "-af"]);
            kelp.run(["gc"]).success();
        }
    }
    kelp.ok(["load", "-qi", "app.tar"]);
    is_whole(&kelp, "app", "loaded");
    kelp.ok(["import", "root.tar", "root"]);
    kelp.run(["run", "--rm", "root", "echo", "root"]).success().stdout("root");
    kelp.ok(["rmi", "-af"]);
    kelp.ok(["gc"]);
    crate::support::until("all is cleared away", Duration::from_secs(20), || {
        let count = |dir: &str| std::fs::read_dir(kelp.data().join(dir)).map_or(0, Iterator::count);
        (count("layers/sha256"), count("layers/tmp"), count("blobs/sha256")) == (0, 0, 0)
    });
}

#[test]
fn a_disk_that_fills_up_at_every_step() {
    needs!("userns", "registry");
    let registry = Registry::open();
    registry.push(&image("full"), "app", "latest", Packing::Gzip);
    let kelp = Kelp::new().untidy();
    let disk = kelp.open_dir("disk");
    let archive = kelp.work().join("app.tar");
    image("full").write_oci_archive(&archive, "app:latest", Packing::Gzip);
    let script = format!(
        r#"set -u
        echo root:1:65000 > {disk}/../subids
        mount --bind {disk}/../subids /etc/subuid; mount --bind {disk}/../subids /etc/subgid
        export XDG_DATA_HOME={disk}/data XDG_STATE_HOME={disk}/state XDG_CACHE_HOME={disk}/cache
        k={program}; err={disk}/../err
        for what in "pull -q {name}" "load -qi {archive}" "pull -q oci-archive:{archive}"; do
            whole=no
            for size in $(seq 200 700 9000); do
                mount -t tmpfs -o size=${{size}}k none {disk}
                $k $what >/dev/null 2>$err && whole=$size
                [ $whole != no ] || grep -qiE 'no space left|room|left on|quota' $err || {{ echo "$what, $size k:"; cat $err; }}
                $k images -q >/dev/null || echo "images fails with $size k"
                $k gc >/dev/null || echo "gc fails with $size k"
                if [ $whole != no ]; then
                    id=$($k images -q | head -n 1)
                    $k rmi -f $id >/dev/null || echo "rmi fails with $size k"
                fi
                left=$(find {disk} -type f -size +0 | grep -cv -e 'layers/tmp' -e '/lock' -e logs -e 'kelp/ids$') || true
                [ "$left" = 0 ] || {{ echo "$what, $size k leaves:"; find {disk} -type f -size +0; }}
                until umount {disk} 2>/dev/null; do sleep 0.1; done
                [ $whole = no ] || break
            done
            [ $whole != no ] || echo "$what never works"
        done
        mount -t tmpfs -o size=40m none {disk}
        $k load -qi {archive} >/dev/null
        for format in docker-archive oci-archive; do
            mkdir -p {disk}/small; mount -t tmpfs -o size=300k none {disk}/small
            $k save --format $format -o {disk}/small/out.tar app 2>$err && echo "save worked"
            grep -qi 'no space left' $err || cat $err
            [ -z "$(ls {disk}/small)" ] || echo "save leaves $(ls {disk}/small)"
            umount {disk}/small
        done
        $k run --name c --network none app sh -c 'cp -r /d0 /e' || echo "no run"
        dd if=/dev/zero of={disk}/filler bs=1k 2>/dev/null
        $k commit -q c made >/dev/null 2>$err && echo "commit worked"
        grep -qi 'no space left' $err || cat $err
        rm {disk}/filler
        $k commit -q c made >/dev/null || echo "no commit"
        $k run --rm --network none made sh -c 'ls /e | wc -l'
        echo done"#,
        disk = disk.display(),
        program = program().display(),
        archive = archive.display(),
        name = registry.name("app"),
    );
    let out = kelp.tool("unshare", ["--user", "--map-auto", "--map-root-user", "--mount", "sh", "-c", &script]).limit(Duration::from_secs(180)).output();
    out.success().stdout("150\ndone");
}
