//! User networks: containers that find each other by name, and what happens to them when something dies.

use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::needs;
use crate::support::{Kelp, Process, SOON, free_port, http, until};

const HTTPD: &[&str] = &["busybox", "httpd", "-f", "-p", "80", "-h", "/var/www"];
const SLEEP: &[&str] = &["busybox", "sleep", "1000"];

/// An image that can do what is asked of it here; `HTTPD` or `SLEEP` of a container called so on these networks.
fn up(kelp: &Kelp, name: &str, flags: &[&str], command: &[&str]) -> String {
    kelp.detached(&[&["--name", name, "--stop-signal", "KILL"], flags, command].concat())
}

/// The page of the server at this name or address, as a container sees it.
#[track_caller]
fn page(kelp: &Kelp, from: &str, at: &str) {
    let begun = Instant::now();
    loop {
        let out = kelp.run(["exec", from, "timeout", "3", "wget", "-q", "-O", "-", &format!("http://{at}/index.html")]);
        if out.text() == "hello from inside" {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{from} does not get the page of {at}: {out:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn reaches(kelp: &Kelp, from: &str, at: &str) -> bool {
    kelp.run(["exec", from, "timeout", "2", "wget", "-q", "-O", "-", &format!("http://{at}/index.html")]).text() == "hello from inside"
}

fn address(kelp: &Kelp, name: &str, network: &str) -> String {
    kelp.inspect(name, &format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}"))
}

/// The processes of this role.
fn role(kelp: &Kelp, word: &str) -> Vec<i32> {
    let is = |pid: i32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(word));
    kelp.processes().iter().map(|process| process.pid()).filter(|pid| is(*pid)).collect()
}

/// The slirp4netns of the one holder; none when there is none.
fn slirp(kelp: &Kelp) -> Vec<i32> {
    let Some(holder) = role(kelp, "__holder").first().copied() else { return Vec::new() };
    let parent = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|pid| parent(*pid) == Some(holder)).collect()
}

fn kill(pid: i32) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
}

#[test]
fn networks_are_made_listed_and_removed() {
    let kelp = Kelp::busybox();
    let id = kelp.ok(["network", "create", "--label", "a=b", "app"]);
    assert_eq!(id.len(), 64);
    kelp.run(["network", "create", "app"]).failure().stderr_has("already in use");
    assert_eq!(kelp.ok(["network", "create", "--ignore", "app"]), id);
    let list = kelp.run(["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"]).lines();
    assert_eq!(list, ["app bridge local", "bridge bridge local", "host host local", "none null local"]);
    assert_eq!(kelp.ok(["network", "ls", "-q", "--no-trunc", "-f", "label=a=b"]), id);
    assert_eq!(kelp.ok(["network", "inspect", "-f", "{{.Name}} {{.Internal}}", &id[..12]]), "app false");
    assert_eq!(kelp.ok(["inspect", "-f", "{{.Driver}}", "app"]), "bridge");
    kelp.run(["network", "exists", "app"]).code(0);
    kelp.run(["network", "exists", "nosuch"]).code(1);
    kelp.ok(["create", "--name", "c", "--network", "app", "busybox"]);
    kelp.run(["network", "rm", "app"]).code(2).stderr_has("in use by container c");
    kelp.run(["network", "rm", "nosuch"]).code(1).stderr_has("no such network");
    kelp.run(["network", "rm", "-f", "nosuch"]).success();
    kelp.run(["network", "rm", "bridge"]).failure().stderr_has("pre-defined");
    assert_eq!(kelp.ok(["ps", "-a", "-q", "--no-trunc", "--filter", "network=app"]), kelp.ok(["ps", "-aq", "--no-trunc"]));
    kelp.ok(["rm", "c"]);
    kelp.ok(["network", "create", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.254", "--ip-range", "10.77.0.128/25", "lab"]);
    let config = kelp.ok(["network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}}", "lab"]);
    assert_eq!(config, "10.77.0.0/24 10.77.0.254");
    kelp.run(["network", "create", "--subnet", "10.77.0.0/16", "x"]).failure().stderr_has("overlaps that of network lab");
    kelp.run(["network", "create", "-o", "vlan=3", "x"]).failure().stderr_has("unknown option");
    let pruned = kelp.run(["network", "prune", "-f"]);
    pruned.success().stdout_has("Deleted Networks:\napp\nlab");
    kelp.run(["run", "--rm", "--network", "app", "busybox", "true"]).code(125).stderr_has("no such network: app");
    assert!(role(&kelp, "__holder").is_empty(), "nothing ran, nothing was started");
}

#[test]
fn containers_find_each_other_by_name() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "app"]);
    let id = up(&kelp, "web", &["--network", "app:alias=www"], HTTPD);
    up(&kelp, "client", &["--network", "app", "--network-alias", "c1"], SLEEP);
    let ip = address(&kelp, "web", "app");
    for name in ["web", "www", &id[..12], "web.app", &ip] {
        page(&kelp, "client", name);
    }
    kelp.run(["exec", "web", "ping", "-c", "1", "-W", "5", "c1"]).success();
    assert_eq!(kelp.ok(["resolve", "www"]), format!("{ip}  web  app"));
    kelp.run(["resolve", "nosuch"]).failure().stderr_has("no such name");
    kelp.run(["exec", "web", "nslookup", &address(&kelp, "client", "app")]).stdout_has("client");
    // Names follow renames, stops and starts at once.
    kelp.ok(["rename", "web", "shop"]);
    assert!(reaches(&kelp, "client", "shop") && !reaches(&kelp, "client", "web"));
    kelp.ok(["stop", "-t", "0", "shop"]);
    kelp.run(["exec", "client", "nslookup", "shop.kelp.internal"]).failure();
    kelp.ok(["start", "shop"]);
    assert_eq!(address(&kelp, "shop", "app"), ip, "it comes back with its address");
    page(&kelp, "client", "shop");
    // Nobody else sees them.
    up(&kelp, "other", &["--network", "bridge"], SLEEP);
    assert!(!reaches(&kelp, "other", "shop") && !reaches(&kelp, "other", &ip));
    kelp.ok(["rm", "-f", "-t", "0", "shop", "client", "other"]);
    kelp.nothing_left();
    let sockets = std::fs::read_dir(kelp.runtime()).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("net-"));
    assert_eq!(sockets.count(), 0, "the holder's socket is gone with it");
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "app-network"]);
    up(&kelp, "mysql", &[], HTTPD);
    up(&kelp, "blog", &["--network", "app-network"], SLEEP);
    kelp.run(["network", "connect", "--alias", "db", "app-network", "mysql"]).success().stdout("");
    page(&kelp, "blog", "mysql");
    page(&kelp, "blog", "db");
    kelp.run(["exec", "mysql", "ping", "-c", "1", "-W", "5", "blog"]).success();
    kelp.run(["exec", "mysql", "cat", "/etc/hosts"]).stdout_has(&address(&kelp, "mysql", "app-network"));
    kelp.run(["network", "connect", "app-network", "mysql"]).failure().stderr_has("already connected");
    // It has both networks after a restart too.
    kelp.ok(["restart", "-t", "0", "mysql"]);
    page(&kelp, "blog", "mysql");
    assert_eq!(kelp.inspect("mysql", "{{len .NetworkSettings.Networks}}"), "2");
    kelp.run(["network", "disconnect", "app-network", "mysql"]).success().stdout("");
    kelp.run(["exec", "blog", "nslookup", "mysql.kelp.internal"]).failure();
    kelp.run(["exec", "mysql", "ip", "addr"]).stdout_lacks("eth0").stdout_has("tap0");
    kelp.run(["exec", "mysql", "cat", "/etc/resolv.conf"]).stdout_has("10.0.2.3").stdout_lacks("kelp.internal");
    kelp.run(["network", "disconnect", "app-network", "mysql"]).failure().stderr_has("not connected");
    kelp.run(["network", "disconnect", "-f", "app-network", "mysql"]).success();
    // Stopped ones are connected too, and see it when they start.
    kelp.ok(["stop", "-t", "0", "mysql"]);
    kelp.ok(["network", "connect", "app-network", "mysql"]);
    kelp.ok(["start", "mysql"]);
    page(&kelp, "blog", "mysql");
    up(&kelp, "alone", &["--network", "none"], SLEEP);
    kelp.run(["network", "connect", "app-network", "alone"]).failure().stderr_has("--network none");
}

#[test]
fn addresses_as_asked_and_several_networks() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "--subnet", "10.78.1.0/24", "one"]);
    kelp.ok(["network", "create", "--subnet", "10.78.2.0/24", "--ipv6", "-o", "mtu=1400", "two"]);
    let flags = ["--network", "one:ip=10.78.1.77,mac=02:42:0a:4e:01:99", "--network", "two:interface_name=lan0"];
    up(&kelp, "both", &flags, HTTPD);
    let addr = kelp.run(["exec", "both", "ip", "addr"]);
    addr.success().stdout_has("10.78.1.77/24").stdout_has("02:42:0a:4e:01:99").stdout_has("lan0").stdout_has("mtu 1400").stdout_has("inet6 fd");
    assert_eq!(kelp.inspect("both", "{{(index .NetworkSettings.Networks \"one\").MacAddress}}"), "02:42:0a:4e:01:99");
    kelp.run(["exec", "both", "ip", "route"]).stdout_has("default via 10.78.1.1 dev eth0");
    up(&kelp, "left", &["--network", "one", "--ip", "10.78.1.9"], SLEEP);
    up(&kelp, "right", &["--network", "two"], SLEEP);
    page(&kelp, "left", "both");
    page(&kelp, "right", "both");
    let ip6 = kelp.inspect("both", "{{(index .NetworkSettings.Networks \"two\").GlobalIPv6Address}}");
    page(&kelp, "right", &format!("[{ip6}]"));
    kelp.run(["exec", "right", "nslookup", "-type=aaaa", "both"]).stdout_has(&ip6);
    kelp.run(["run", "--rm", "--network", "one", "--ip", "10.78.1.9", "busybox", "true"]).code(125).stderr_has("already in use by container");
    kelp.run(["run", "--rm", "--network", "one", "--ip", "10.79.1.9", "busybox", "true"]).code(125).stderr_has("10.79.1.9");
    kelp.run(["run", "--rm", "--ip", "10.78.1.9", "busybox", "true"]).code(125).stderr_has("needs a user network");
    kelp.ok(["network", "disconnect", "one", "both"]);
    kelp.run(["exec", "both", "ip", "route"]).stdout_has("default via 10.78.2.1 dev lan0");
    page(&kelp, "right", "both");
    assert!(!reaches(&kelp, "left", "both"));
}

#[test]
fn networks_are_kept_apart() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "a"]);
    kelp.ok(["network", "create", "b"]);
    kelp.ok(["network", "create", "--internal", "inner"]);
    for open in ["open1", "open2"] {
        kelp.ok(["network", "create", "-o", "isolate=false", open]);
        up(&kelp, open, &["--network", open], HTTPD);
    }
    up(&kelp, "a", &["--network", "a"], HTTPD);
    up(&kelp, "b", &["--network", "b"], HTTPD);
    up(&kelp, "in1", &["--network", "inner"], HTTPD);
    up(&kelp, "in2", &["--network", "inner"], SLEEP);
    let at = |name: &str, network: &str| address(&kelp, name, network);
    page(&kelp, "in2", "in1");
    page(&kelp, "open1", &at("open2", "open2"));
    for (from, to) in [("a", at("b", "b")), ("open1", at("a", "a")), ("a", at("open1", "open1")), ("open1", at("in1", "inner"))] {
        assert!(!reaches(&kelp, from, &to), "{from} reaches {to}");
    }
    // The way out: there, but not from an internal network.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    probe.connect("192.0.2.1:9").unwrap();
    let own = probe.local_addr().unwrap().ip();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = std::io::Write::write_all(&mut stream, b"reached\n");
        }
    });
    let out = |from: &str, ip: &str| kelp.run(["exec", from, "sh", "-c", &format!("nc -w 2 {ip} {port} </dev/null")]).text();
    assert_eq!(out("a", &own.to_string()), "reached");
    assert_eq!(out("in2", &own.to_string()), "");
    // The host's loopback stays closed.
    assert_eq!(out("a", "127.0.0.1"), "");
    assert_eq!(out("a", "10.0.2.2"), "");
}

#[test]
fn links_as_docker_had_them() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    up(&kelp, "some-db", &["--expose", "80", "-e", "PASSWORD=x"], HTTPD);
    let out = kelp.sh(&["--name", "app", "--link", "some-db:db"], "env | sort; cat /etc/hosts; timeout 5 wget -q -O - http://db/index.html");
    let ip = address(&kelp, "some-db", "kelp-links");
    out.success().stdout_has("hello from inside").stdout_has("DB_ENV_PASSWORD=x").stdout_has("DB_NAME=/app/db");
    out.stdout_has(&format!("DB_PORT_80_TCP_ADDR={ip}")).stdout_has(&format!("{ip}\tdb"));
    // On a network both are on, that one is used.
    kelp.ok(["network", "create", "app"]);
    up(&kelp, "db2", &["--network", "app"], HTTPD);
    let out = kelp.sh(&["--network", "app", "--link", "db2:db"], "timeout 5 wget -q -O - http://db/index.html");
    out.success().stdout("hello from inside");
    assert_eq!(kelp.inspect("db2", "{{len .NetworkSettings.Networks}}"), "1");
    kelp.ok(["kill", "db2"]);
    kelp.ok(["wait", "db2"]);
    kelp.run(["run", "--rm", "--link", "db2", "busybox", "true"]).code(125).stderr_has("not running");
    kelp.run(["run", "--rm", "--link", "nosuch", "busybox", "true"]).code(125).stderr_has("nosuch");
}

#[test]
fn published_ports_on_user_networks() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "app"]);
    let port = free_port();
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    probe.connect("192.0.2.1:9").unwrap();
    let own = probe.local_addr().unwrap().ip();
    let serve = "while :; do nc -l -p 80 -e sh -c 'netstat -tn | grep :80 | head -n 1'; done";
    up(&kelp, "web", &["--network", "app", "-p", &format!("{port}:80")], &["busybox", "sh", "-c", serve]);
    let gateway = kelp.ok(["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "app"]);
    // The host's own addresses are kept; loopback ones never appear inside.
    for (address, seen) in [(own, own.to_string()), ("127.0.0.1".parse::<IpAddr>().unwrap(), gateway)] {
        let mut answer = String::new();
        until("an answer", SOON, || {
            answer.clear();
            let Ok(mut stream) = TcpStream::connect((address, port)) else { return false };
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            std::io::Read::read_to_string(&mut stream, &mut answer).is_ok() && answer.contains("ESTABLISHED")
        });
        assert!(answer.contains(&seen), "{seen} is not in {answer:?}");
    }
    // From another container, through the host's address.
    up(&kelp, "client", &["--network", "app"], SLEEP);
    let out = kelp.run(["exec", "client", "sh", "-c", &format!("nc -w 5 {own} {port} </dev/null")]);
    out.success().stdout_has(&format!("{own}:"));
    assert_eq!(kelp.ok(["port", "client"]), "");
    kelp.ok(["rm", "-f", "-t", "0", "web"]);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn networks_survive_the_death_of_what_holds_them() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "app"]);
    let port = free_port();
    up(&kelp, "web", &["--network", "app", "-p", &format!("127.0.0.1:{port}:80")], HTTPD);
    up(&kelp, "client", &["--network", "app"], SLEEP);
    let before = address(&kelp, "web", "app");
    page(&kelp, "client", "web");
    for _ in 0..2 {
        let holder = role(&kelp, "__holder");
        assert_eq!(holder.len(), 1, "one holder");
        kill(holder[0]);
        until("another holder", SOON, || role(&kelp, "__holder").iter().any(|pid| *pid != holder[0]));
        page(&kelp, "client", "web");
        page(&kelp, "client", &before);
        assert_eq!(address(&kelp, "web", "app"), before);
    }
    until("the published port", SOON, || http::get(("127.0.0.1", port), "/index.html").is_ok_and(|answer| answer.status == 200));
    // The way out is made again too.
    let first = slirp(&kelp);
    assert_eq!(first.len(), 1, "the way out");
    kill(first[0]);
    until("another slirp4netns", SOON, || slirp(&kelp).iter().any(|pid| *pid != first[0]));
    page(&kelp, "client", "web");
    // A monitor that dies takes its container along; nothing of it stays on the network.
    let monitor: i32 = kelp.inspect("web", "{{.State.ConmonPid}}").parse().unwrap();
    kill(monitor);
    until("its name is gone", SOON, || !kelp.run(["exec", "client", "nslookup", "web.kelp.internal"]).text().contains(&before));
    kelp.wait_state("web", "exited");
    up(&kelp, "second", &["--network", "app", "--ip", &before], HTTPD);
    page(&kelp, "client", "second");
    kelp.ok(["rm", "-f", "-t", "0", "-a"]);
    kelp.nothing_left();
}

#[test]
fn a_crowd_comes_and_goes_at_once() {
    needs!("slirp");
    const CROWD: usize = 12;
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "one"]);
    kelp.ok(["network", "create", "two"]);
    let name = |n: usize| format!("c{n}");
    let all = |what: &dyn Fn(usize) -> Process| {
        let running: Vec<Process> = (0..CROWD).map(what).collect();
        running.into_iter().for_each(|process| {
            process.wait().success();
        });
    };
    all(&|n| kelp.start(["run", "-d", "--name", &name(n), "--network", "one", "busybox", "sleep", "1000"]));
    for _ in 0..2 {
        all(&|n| kelp.start(["network", "connect", "two", &name(n)]));
        all(&|n| kelp.start(["network", "disconnect", "two", &name(n)]));
    }
    all(&|n| kelp.start(["network", "connect", "two", &name(n)]));
    let each: Vec<String> = (0..CROWD).flat_map(|n| ["one", "two"].map(|network| address(&kelp, &name(n), network))).collect();
    let different: std::collections::BTreeSet<&String> = each.iter().collect();
    let all_of = kelp.run(["ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.Status}}"]);
    assert_eq!(different.len(), 2 * CROWD, "everybody has an address of its own: {each:?} {all_of:?}");
    kelp.run(["exec", "c0", "ping", "-c", "1", "-W", "5", &name(CROWD - 1)]).success();
    all(&|n| kelp.start(["rm", "-f", "-t", "0", &name(n)]));
    kelp.nothing_left();
    kelp.ok(["network", "rm", "one", "two"]);
}
