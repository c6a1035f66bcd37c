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
fn servers_on_the_hosts_ipv6_loopback() {
    needs!("slirp");
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        eprintln!("SKIPPED, the host lacks IPv6");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"host says hi\n");
        }
    });
    let datagrams = std::net::UdpSocket::bind(("::1", port)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 99];
        while let Ok((_, peer)) = datagrams.recv_from(&mut buffer) {
            let _ = datagrams.send_to(b"host says hi\n", peer);
        }
    });
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "app"]);
    let access = format!("--host-access={port}");
    for network in ["bridge", "app"] {
        let flags = ["--network", network, &access];
        kelp.sh(&flags, &format!("nc -w 3 host.docker.internal {port} < /dev/null")).success().stdout("host says hi");
        if std::path::Path::new("/usr/bin/perl").exists() {
            // The host's perl, since busybox may have no nc of UDP.
            let flags = [&flags[..], &["-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro"]].concat();
            let ask = format!("IO::Socket::IP->new(PeerAddr => '169.254.1.2:{port}', Proto => 'udp')");
            let ask = format!("use IO::Socket::IP; alarm 5; my $s = {ask}; $s->send('hello'); $s->recv(my $m, 99); print $m");
            kelp.sh(&flags, &format!("/usr/bin/perl -e \"{}\"", ask.replace('$', "\\$"))).stdout("host says hi");
        }
    }
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
