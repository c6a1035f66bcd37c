//! `--host-access`, `host-gateway` and the host's names: what of the host a container reaches, and that it is no more.

use std::io::Write;
use std::net::TcpListener;

use crate::needs;
use crate::support::Kelp;

/// A server on the host's loopback that says hi to everybody; its port.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"host says hi\n");
        }
    });
    port
}

#[test]
fn ports_of_the_host_as_asked_and_no_others() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let (open, closed) = (server(), server());
    kelp.ok(["network", "create", "app"]);
    let access = format!("--host-access={open}");
    for network in ["bridge", "app"] {
        let ask = |name: &str, port: u16| format!("nc -w 5 {name} {port} < /dev/null");
        for name in ["host.docker.internal", "host.containers.internal", "me"] {
            let flags = ["--network", network, &access, "--add-host", "me:host-gateway"];
            kelp.sh(&flags, &ask(name, open)).success().stdout("host says hi");
            kelp.sh(&flags, &ask(name, closed)).stdout_lacks("hi");
        }
        kelp.sh(&["--network", network], "cat /etc/hosts").success().stdout_lacks("host.docker.internal");
    }
    let all = kelp.sh(&["--host-access", "all"], &format!("nc -w 5 host.docker.internal {closed} < /dev/null"));
    all.success().stdout("host says hi");
    kelp.nothing_left();
}

#[test]
fn impossible_access_is_refused() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "app"]);
    for (flags, reason) in [
        (["--network", "app", "--host-access", "all"], "name the ports"),
        (["--network", "none", "--host-access", "80"], "no network of its own"),
        (["--network", "host", "--host-access", "80"], "it is the host's network"),
        (["--network", "app", "--host-access", "web"], "ports separated by commas"),
    ] {
        kelp.run([&["run", "--rm"], &flags[..], &["busybox", "true"]].concat()).code(125).stderr_has(reason);
    }
    // Taken in the container's place before it starts: an address no other network has.
    kelp.sh(&["--host-access", "80"], "nc -l -p 80 -w 1 >/dev/null 2>&1; ip addr show lo").stdout_has("169.254.1.2");
    kelp.nothing_left();
}

#[test]
fn a_container_behind_pasta() {
    needs!("slirp");
    if !["/usr/bin/pasta", "/usr/local/bin/pasta"].iter().any(|path| std::path::Path::new(path).exists()) {
        eprintln!("skipped: pasta is not installed");
        return;
    }
    let kelp = Kelp::busybox();
    let (open, closed) = (server(), server());
    let access = format!("--host-access={open}");
    let flags = ["--network", "pasta", &access];
    kelp.sh(&flags, "ip route").success().stdout_has("default");
    kelp.sh(&flags, &format!("nc -w 5 host.docker.internal {open} < /dev/null")).success().stdout("host says hi");
    kelp.sh(&flags, &format!("nc -w 5 host.docker.internal {closed} < /dev/null")).stdout_lacks("hi");
    kelp.run(["run", "--rm", "--network", "pasta:--bogus", "busybox", "true"]).code(125).stderr_has("unrecognized option");
    let port = crate::support::free_port();
    let publish = format!("127.0.0.1:{port}:80");
    let web = ["--network", "pasta", "-p", &publish, "--name", "web", "--stop-signal", "KILL"];
    kelp.detached(&[&web[..], &["busybox", "busybox", "httpd", "-f", "-p", "80", "-h", "/var/www"]].concat());
    crate::support::until("a page through pasta", crate::support::SOON, || {
        crate::support::http::get(("127.0.0.1", port), "/index.html").is_ok_and(|answer| answer.status == 200)
    });
    kelp.ok(["rm", "-f", "web"]);
    kelp.nothing_left();
}
