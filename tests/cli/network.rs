//! Networks without names: none, host, another container's, the default one, and published ports.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::needs;
use crate::support::{Kelp, SOON, free_port, http, until};

const HTTPD: &[&str] = &["busybox", "httpd", "-f", "-p", "80", "-h", "/var/www"];

#[track_caller]
fn page(port: u16) -> String {
    let mut text = String::new();
    until(&format!("a page on port {port}"), SOON, || match http::get(("127.0.0.1", port), "/index.html") {
        Ok(answer) if answer.status == 200 => {
            text = answer.text();
            true
        }
        _ => false,
    });
    text
}

#[test]
fn none_and_host() {
    let kelp = Kelp::busybox();
    kelp.sh(&["--network", "none"], "ls /sys/class/net 2>/dev/null || awk -F: 'NR>2{print $1}' /proc/net/dev").success().stdout("lo");
    kelp.sh(&["--network", "none"], "ping -c 1 -w 2 127.0.0.1 >/dev/null && echo up").success().stdout("up");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"host says hi\n").unwrap();
    });
    kelp.sh(&["--network", "host"], &format!("nc 127.0.0.1 {port} < /dev/null")).success().stdout("host says hi");
    server.join().unwrap();
    // The host's name, which leads somewhere there; and who is not root listens on any port of a network of its own.
    let name = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    kelp.sh(&["--network", "host"], "hostname").success().stdout(&name);
    kelp.sh(&["--network", "host", "--hostname", "own"], "hostname").success().stdout("own");
    let listens = "httpd -p 127.0.0.1:80 -h / && echo fine";
    kelp.sh(&["--network", "none", "-u", "1000"], listens).success().stdout("fine");
    let start = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start";
    kelp.sh(&["--network", "none", "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024"], start).success().stdout("1024");
    kelp.sh(&["--network", "none", "--hostname", "h", "--domainname", "d.example"], "hostname -f").success().stdout("h.d.example");
    kelp.run(["run", "--rm", "--network", "bogus:x", "busybox", "true"]).code(125).stderr_has("bogus");
}

#[test]
fn the_default_network_reaches_out_but_not_back_home() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let out = kelp.sh(&[], "ip -4 addr show; ip route; cat /etc/resolv.conf");
    out.success().stdout_has("10.0.2.100").stdout_has("default via 10.0.2.2").stdout_has("nameserver");
    // An address of this host that is not loopback is reached; loopback is not.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    probe.connect("192.0.2.1:9").unwrap();
    let own = probe.local_addr().unwrap().ip();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"reached\n");
        }
    });
    kelp.sh(&[], &format!("nc -w 5 {own} {port} < /dev/null")).success().stdout("reached");
    for address in ["127.0.0.1", "10.0.2.2"] {
        kelp.sh(&[], &format!("nc -w 2 {address} {port} < /dev/null")).stdout_lacks("reached");
    }
    kelp.nothing_left();
}

#[test]
fn another_containers_network() {
    let kelp = Kelp::busybox();
    kelp.detached(&[&["--name", "server", "--network", "none"], HTTPD].concat());
    let out = kelp.sh(&["--network", "container:server"], "sleep 0.3; wget -q -O - http://127.0.0.1/index.html; hostname");
    out.success().stdout_has("hello from inside");
    for flags in [["--dns", "9.9.9.9"], ["--add-host", "x:1.2.3.4"], ["--hostname", "own"]] {
        let args = ["run", "--rm", flags[0], flags[1], "--network", "container:server", "busybox", "true"];
        kelp.run(args).code(125).stderr_has(flags[0]).stderr_has("--network container");
    }
    kelp.run(["run", "--rm", "--network", "container:nosuch", "busybox", "true"]).code(125).stderr_has("nosuch");
}

#[test]
fn a_network_namespace_by_its_path() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.detached(&[&["--name", "server"], HTTPD].concat());
    let network = format!("ns:/proc/{}/ns/net", kelp.inspect("server", "{{.State.Pid}}"));
    let look = "sleep 0.3; wget -q -O - http://127.0.0.1/index.html; ip addr show tap0; id -u; touch /written";
    kelp.sh(&["--network", &network], look).success().stdout_has("hello from inside").stdout_has("10.0.2.100");
    kelp.detached(&["--name", "beside", "--network", &network, "busybox", "sleep", "1000"]);
    kelp.run(["exec", "beside", "ip", "addr", "show", "tap0"]).stdout_has("10.0.2.100");
    for (network, reason) in [
        ("ns:/nonexistent", "No such file"),
        ("ns:/etc/passwd", "Invalid argument"),
        ("ns:/proc/self/ns/net", "below your own user namespace"),
    ] {
        kelp.run(["run", "--rm", "--network", network, "busybox", "true"]).code(125).stderr_has(reason);
    }
    kelp.run(["run", "--rm", "-p", "8080:80", "--network", &network, "busybox", "true"]).code(125).stderr_has("cannot be published");
    let joined = ["run", "--rm", "--pid", "container:server", "--network", &network, "busybox", "true"];
    kelp.run(joined).code(125).stderr_has("cannot be combined");
}

#[test]
fn published_ports() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let port = free_port();
    kelp.detached(&[&["--name", "web", "-p", &format!("127.0.0.1:{port}:80")], HTTPD].concat());
    assert_eq!(page(port), "hello from inside\n");
    assert_eq!(kelp.ok(["port", "web"]), format!("80/tcp -> 127.0.0.1:{port}"));
    assert_eq!(kelp.ok(["port", "web", "80"]), format!("127.0.0.1:{port}"));
    kelp.run(["port", "web", "81"]).failure();
    assert_eq!(kelp.ok(["ps", "--format", "{{.Ports}}"]), format!("127.0.0.1:{port}->80/tcp"));
    assert_eq!(kelp.inspect("web", "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}"), port.to_string());
    for _ in 0..20 {
        assert_eq!(http::get(("127.0.0.1", port), "/index.html").unwrap().status, 200);
    }
    kelp.ok(["stop", "-t", "0", "web"]);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is closed with its container");
    kelp.ok(["start", "web"]);
    assert_eq!(page(port), "hello from inside\n");
    kelp.ok(["rm", "-f", "-t", "0", "web"]);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    kelp.nothing_left();
}

#[test]
fn chosen_ports_and_ranges() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.detached(&[&["--name", "any", "-p", "127.0.0.1::80"], HTTPD].concat());
    let chosen = kelp.ok(["port", "any", "80"]);
    assert_eq!(page(chosen.rsplit(':').next().unwrap().parse().unwrap()), "hello from inside\n");
    let image = crate::support::Image::busybox().config("ExposedPorts", serde_json::json!({"80/tcp": {}}));
    kelp.load_image(&image, "exposed");
    kelp.detached(&["--name", "all", "-P", "exposed", "httpd", "-f", "-p", "80", "-h", "/var/www"]);
    let first = kelp.run(["port", "all", "80"]).lines().remove(0);
    assert_eq!(page(first.rsplit(':').next().unwrap().parse().unwrap()), "hello from inside\n");
    // What -p says something of, -P leaves alone.
    let fixed = format!("127.0.0.1:{}:80", free_port());
    kelp.detached(&["--name", "some", "-P", "--expose", "81-82", "-p", &fixed, "exposed", "httpd", "-f", "-p", "80", "-h", "/var/www"]);
    let ports = kelp.run(["port", "some"]).lines();
    assert_eq!(ports.iter().filter(|line| line.starts_with("80/")).count(), 1, "{ports:?}");
    assert!(["81/", "82/"].iter().all(|port| ports.iter().any(|line| line.starts_with(port))), "{ports:?}");
    let base = free_port();
    let range = format!("127.0.0.1:{base}-{}:80-81", base + 1);
    kelp.detached(&[&["--name", "range", "-p", &range], HTTPD].concat());
    assert_eq!(page(base), "hello from inside\n");
    assert_eq!(kelp.run(["port", "range"]).lines().len(), 2);
}

#[test]
fn sockets_of_systemd_are_used() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let publish = format!("127.0.0.1:{port}:80");
    // As systemd does: descriptor 3 listens, and two variables say so.
    let with_socket = |pid: &str, args: &[&str]| {
        let script = format!("export LISTEN_FDS=1 LISTEN_PID={pid}; exec \"$@\" 3<&0 </dev/null");
        let program = crate::support::program();
        let program = program.to_str().unwrap();
        let args = [&["-c", &script, "sh", program], args].concat();
        let socket = std::os::fd::OwnedFd::from(listener.try_clone().unwrap());
        kelp.tool("/bin/sh", args).stdin_file(socket.into()).output()
    };
    let run = ["run", "-d", "--name", "web", "--env-host", "--restart", "always", "-p", &publish];
    let args = [&run[..], HTTPD].concat();
    with_socket("1", &args).code(125).stderr_has("in use");
    drop(kelp.run(["rm", "-f", "web"]));
    with_socket("$$", &args).success();
    assert_eq!(page(port), "hello from inside\n");
    assert_eq!(kelp.ok(["port", "web", "80"]), format!("127.0.0.1:{port}"));
    kelp.run(["exec", "web", "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ; ls -l /proc/1/fd"]).success().stdout_lacks("LISTEN_");
    // Its next run has the same socket, which nobody could open again.
    let pid = kelp.inspect("web", "{{.State.Pid}}");
    std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    until("another run", SOON, || !["0", &pid].contains(&kelp.inspect("web", "{{.State.Pid}}").as_str()));
    assert_eq!(page(port), "hello from inside\n");
    kelp.ok(["rm", "-f", "-t", "0", "web"]);
    // One that no port matches is left alone.
    let out = with_socket("$$", &["run", "--rm", "-p", "127.0.0.1::80", "busybox", "sh", "-c", "ls /proc/self/fd | wc -l"]);
    out.success().stdout("4");
    kelp.nothing_left();
}

#[test]
fn a_taken_port_is_refused_first() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let dir = kelp.open_dir("d");
    let bind = format!("{}:/mnt", dir.display());
    let out = kelp.run(["run", "--rm", "-v", &bind, "-p", &format!("127.0.0.1:{port}:80"), "busybox", "touch", "/mnt/started"]);
    out.code(125).stderr_has(&port.to_string()).stderr_has("in use");
    assert!(!dir.join("started").exists(), "it ran all the same");
    kelp.nothing_left();
    kelp.run(["run", "--rm", "-p", "99999:80", "busybox", "true"]).code(125).stderr_has("99999");
    kelp.run(["run", "--rm", "-p", "80:bogus", "busybox", "true"]).code(125).stderr_has("bogus");
}

#[test]
fn the_clients_address_is_kept() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let port = free_port();
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    probe.connect("192.0.2.1:9").unwrap();
    let own = probe.local_addr().unwrap().ip();
    let serve = "while :; do nc -l -p 80 -e sh -c 'netstat -tn | grep :80 | head -n 1'; done";
    kelp.detached(&["-p", &format!("{port}:80"), "busybox", "sh", "-c", serve]);
    let mut answer = String::new();
    until("an answer", SOON, || {
        answer.clear();
        let Ok(mut stream) = TcpStream::connect((own, port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read_to_string(&mut answer).is_ok() && answer.contains("ESTABLISHED")
    });
    assert!(answer.contains(&own.to_string()), "{own} is not in {answer:?}");
}

#[test]
fn ipv6_on_the_host_side() {
    needs!("slirp");
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let kelp = Kelp::busybox();
    let port = free_port();
    kelp.detached(&[&["--name", "six", "-p", &format!("[::1]:{port}:80")], HTTPD].concat());
    until("a page over IPv6", SOON, || http::get(("::1", port), "/index.html").is_ok_and(|a| a.text() == "hello from inside\n"));
    assert_eq!(kelp.ok(["port", "six", "80"]), format!("[::1]:{port}"));
}

#[test]
fn a_lot_through_a_port() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let port = free_port();
    kelp.detached(&["-p", &format!("127.0.0.1:{port}:80"), "busybox", "sh", "-c", "while :; do nc -l -p 80 -e sh -c 'cat | wc -c'; done"]);
    let mut stream = None;
    until("it listens", SOON, || {
        // A server that is not there yet answers with a reset.
        let Ok(mut candidate) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        std::thread::sleep(Duration::from_millis(50));
        let good = candidate.write_all(b"x").is_ok() && candidate.take_error().is_ok_and(|e| e.is_none());
        stream = good.then_some(candidate);
        good
    });
    let mut stream = stream.unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        stream.write_all(&block).unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.trim(), ((64 << 20) + 1).to_string());
}
