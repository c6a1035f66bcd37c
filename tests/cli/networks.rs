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
    role(kelp, "__holder").first().map_or_else(Vec::new, |holder| children(*holder))
}

/// The processes a process has started.
fn children(of: i32) -> Vec<i32> {
    let parent = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|pid| parent(*pid) == Some(of)).collect()
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
    assert_eq!(kelp.inspect("c", "{{.NetworkSettings.Networks.app.NetworkID}}"), id);
    kelp.run(["network", "rm", "app"]).code(2).stderr_has("in use by container c");
    kelp.run(["network", "rm", "nosuch"]).code(1).stderr_has("no such network");
    kelp.run(["network", "rm", "-f", "nosuch"]).success();
    kelp.run(["network", "rm", "bridge"]).failure().stderr_has("pre-defined");
    assert_eq!(kelp.ok(["ps", "-a", "-q", "--no-trunc", "--filter", "network=app"]), kelp.ok(["ps", "-aq", "--no-trunc"]));
    kelp.ok(["rm", "c"]);
    kelp.ok(["network", "create", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.254", "--ip-range", "10.77.0.128/25", "--aux-address", "printer=10.77.0.129", "lab"]);
    let config = kelp.ok(["network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{.AuxiliaryAddresses.printer}}{{end}}", "lab"]);
    assert_eq!(config, "10.77.0.0/24 10.77.0.254 10.77.0.129");
    let short = kelp.ok(["network", "ls", "--filter", "type=builtin", "-q"]);
    assert_eq!(short.lines().collect::<std::collections::BTreeSet<_>>().len(), 3, "{short}");
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
    let hosts = kelp.run(["exec", "shop", "cat", "/etc/hosts"]).text();
    assert!(hosts.contains(" shop") && !hosts.contains("web"), "{}", hosts);
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
    kelp.ok(["network", "create", "--subnet", "10.78.3.0/24", "--ip-range", "10.78.3.8-10.78.3.9", "--aux-address", "router=10.78.3.8", "narrow"]);
    assert_eq!(kelp.ok(["run", "--rm", "--network", "narrow", "busybox", "hostname", "-i"]), "10.78.3.9");
    up(&kelp, "last", &["--network", "narrow"], SLEEP);
    kelp.run(["run", "--rm", "--network", "narrow", "busybox", "true"]).code(125).stderr_has("all addresses from 10.78.3.8 to 10.78.3.9");
    kelp.run(["run", "--rm", "--network", "narrow", "--ip", "10.78.3.8", "busybox", "true"]).code(125).stderr_has("reserved for router");
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
    // A link follows the other's new name.
    up(&kelp, "linked", &["--link", "some-db:db"], SLEEP);
    assert_eq!(kelp.inspect("linked", "{{index .HostConfig.Links 0}}"), "/some-db:/linked/db");
    kelp.ok(["rename", "some-db", "other-db"]);
    kelp.ok(["restart", "-t", "0", "linked"]);
    kelp.run(["exec", "linked", "cat", "/etc/hosts"]).stdout_has("\tdb ").stdout_has("other-db");
    assert_eq!(kelp.inspect("linked", "{{index .HostConfig.Links 0}}"), "/other-db:/linked/db");
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
fn commands_right_after_the_holders_death() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "one"]);
    kelp.ok(["network", "create", "two"]);
    let filler = up(&kelp, "filler", &["--network", "one"], SLEEP);
    up(&kelp, "web", &["--network", "one"], HTTPD);
    up(&kelp, "client", &["--network", "one", "--network", "two"], SLEEP);
    // So that a lower address is free than the one it has.
    kelp.ok(["rm", "-f", &filler]);
    let before = address(&kelp, "web", "one");
    let die = || role(&kelp, "__holder").into_iter().for_each(kill);
    for _ in 0..5 {
        die();
        kelp.ok(["network", "connect", "two", "web"]);
        let other = address(&kelp, "web", "two");
        assert_eq!(address(&kelp, "web", "one"), before, "connected");
        page(&kelp, "client", &other);
        page(&kelp, "client", &before);
        die();
        kelp.ok(["network", "disconnect", "two", "web"]);
        die();
        kelp.ok(["rename", "web", "shop"]);
        page(&kelp, "client", "shop");
        assert_eq!(address(&kelp, "shop", "one"), before, "disconnected and renamed");
        die();
        kelp.ok(["rename", "shop", "web"]);
        page(&kelp, "client", "web");
    }
    kelp.ok(["rm", "-f", "-t", "0", "-a"]);
    kelp.nothing_left();
}

#[test]
fn a_way_out_that_dies_comes_back() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let pasta = ["/usr/bin/pasta", "/usr/local/bin/pasta"].iter().any(|path| std::path::Path::new(path).exists());
    for (network, program) in [("bridge", "slirp4netns"), ("pasta", "pasta")].into_iter().filter(|(_, program)| *program != "pasta" || pasta) {
        let port = free_port();
        up(&kelp, network, &["--network", network, "-p", &format!("127.0.0.1:{port}:80")], HTTPD);
        let monitor: i32 = kelp.inspect(network, "{{.State.ConmonPid}}").parse().unwrap();
        let is = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(program));
        let helpers = || children(monitor).into_iter().filter(is).collect::<Vec<_>>();
        let mut last = 0;
        // One after the other, faster than it is worth to start another at once.
        for _ in 0..4 {
            until(&format!("another {program}"), SOON, || helpers().iter().any(|pid| *pid != last));
            last = helpers()[0];
            kill(last);
        }
        until("a way out", SOON, || {
            kelp.run(["exec", network, "ip", "route"]).text().contains("default") && helpers().iter().any(|pid| *pid != last)
        });
        until("the published port", SOON, || is_answered(port));
        kelp.ok(["rm", "-f", "-t", "0", network]);
    }
    kelp.nothing_left();
}

#[test]
fn a_crowd_comes_and_goes_at_once() {
    needs!("slirp");
    const CROWD: usize = 100;
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
    all(&|n| kelp.start(["network", "connect", "two", &name(n)]));
    all(&|n| kelp.start(["network", "disconnect", "two", &name(n)]));
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

#[test]
fn names_are_for_the_containers_of_their_network() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    for (network, flags) in [("app", &[][..]), ("other", &[]), ("inner", &["--internal"])] {
        kelp.ok([&["network", "create"], flags, &[network]].concat());
        up(&kelp, &format!("in-{network}"), &["--network", network, "--network-alias", "all"], SLEEP);
    }
    let gateway = |network: &str| kelp.ok(["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network]);
    let ask = |from: &str, name: &str, server: &str| kelp.run(["exec", from, "timeout", "3", "nslookup", name, server]);
    ask("in-app", "in-app.kelp.internal", &gateway("app")).success();
    // Every gateway is reached from everywhere, but answers its own network alone.
    for network in ["other", "inner"] {
        let name = format!("in-{network}.kelp.internal");
        ask("in-app", &name, &gateway(network)).failure().stdout_lacks(&address(&kelp, &format!("in-{network}"), network));
        ask(&format!("in-{network}"), &name, &gateway(network)).success();
    }
    // Of several with one name each gets its turn.
    up(&kelp, "twin", &["--network", "app", "--network-alias", "all"], SLEEP);
    let first = || {
        let text = ask("twin", "all", &gateway("app")).text();
        text.lines().filter(|line| line.starts_with("Address")).nth(1).map(str::to_owned)
    };
    assert_ne!(first(), first());
    // The host has a name for who may reach it.
    up(&kelp, "guest", &["--network", "app", "--host-access", "80"], SLEEP);
    ask("guest", "host.docker.internal", &gateway("app")).stdout_has("169.254.1.2");
    ask("twin", "host.containers.internal", &gateway("app")).failure();
}

/// What a command has done is what the next question is answered with.
#[test]
fn names_change_with_the_command_that_changes_them() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "app"]);
    up(&kelp, "client", &["--network", "app"], SLEEP);
    let known = |name: &str| kelp.run(["exec", "client", "nslookup", &format!("{name}.kelp.internal")]).code == 0;
    for _ in 0..5 {
        up(&kelp, "web", &["--network", "app"], SLEEP);
        assert!(known("web"), "started");
        kelp.ok(["rename", "web", "shop"]);
        assert!(known("shop") && !known("web"), "renamed");
        kelp.ok(["network", "disconnect", "app", "shop"]);
        assert!(!known("shop"), "disconnected");
        kelp.ok(["network", "connect", "--alias", "mall", "app", "shop"]);
        assert!(known("shop") && known("mall"), "connected");
        kelp.ok(["stop", "-t", "0", "shop"]);
        assert!(!known("shop") && !known("mall"), "stopped");
        kelp.ok(["rm", "shop"]);
    }
    // One that ends by itself.
    let ends = kelp.detached(&["--name", "brief", "--network", "app", "busybox", "true"]);
    kelp.ok(["wait", &ends]);
    assert!(!known("brief"), "ended");
}

/// Whether a server says something at this port of the host. One that never answers and never hangs up is a failure.
fn is_answered(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // It may have been reset by now.
    drop(std::io::Write::write_all(&mut stream, b"GET /index.html HTTP/1.0\r\n\r\n"));
    let mut answer = String::new();
    match std::io::Read::read_to_string(&mut stream, &mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("port {port} is silent"),
        _ => answer.contains("200 OK"),
    }
}

#[test]
fn a_published_port_of_a_container_without_networks() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "app"]);
    let port = free_port();
    up(&kelp, "web", &["--network", "app", "-p", &format!("127.0.0.1:{port}:80")], HTTPD);
    until("on the network", SOON, || is_answered(port));
    kelp.ok(["network", "disconnect", "app", "web"]);
    assert!(!is_answered(port), "without a network");
    kelp.ok(["network", "connect", "app", "web"]);
    until("connected", SOON, || is_answered(port));
    // The same where it is started without one.
    kelp.ok(["network", "disconnect", "app", "web"]);
    kelp.ok(["restart", "-t", "0", "web"]);
    assert_eq!(kelp.ok(["port", "web"]), format!("80/tcp -> 127.0.0.1:{port}"));
    assert!(!is_answered(port), "restarted without a network");
    kelp.ok(["network", "connect", "app", "web"]);
    until("connected after a restart", SOON, || is_answered(port));
    kelp.ok(["rm", "-f", "-t", "0", "web"]);
    kelp.nothing_left();
}

#[test]
fn the_default_network_comes_and_goes() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "app"]);
    let port = free_port();
    up(&kelp, "web", &["--network", "app", "-p", &format!("127.0.0.1:{port}:80")], HTTPD);
    up(&kelp, "client", &["--network", "app"], SLEEP);
    let published = |when: &str| until(when, SOON, || http::get(("127.0.0.1", port), "/index.html").is_ok_and(|answer| answer.status == 200));
    let links = || kelp.run(["exec", "web", "ip", "-4", "addr"]).text();
    let names = || kelp.inspect("web", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}");
    published("on the user network");
    kelp.run(["network", "connect", "bridge", "web"]).success().stdout("");
    assert!(links().contains("tap0") && links().contains("eth0"), "{}", links());
    assert_eq!(names().trim(), "app bridge");
    assert_eq!(kelp.ok(["network", "inspect", "-f", "{{range .Containers}}{{.Name}}{{end}}", "bridge"]), "web");
    published("on both");
    page(&kelp, "client", "web");
    kelp.run(["network", "connect", "bridge", "web"]).failure().stderr_has("already connected");
    kelp.ok(["network", "disconnect", "app", "web"]);
    published("on the default network");
    kelp.ok(["network", "disconnect", "bridge", "web"]);
    assert!(!links().contains("tap0"), "{}", links());
    assert!(!is_answered(port), "there is nobody to answer");
    kelp.ok(["network", "connect", "bridge", "web"]);
    published("on the default network again");
    // So it is after a restart, and where it was done while it did not run.
    kelp.ok(["restart", "-t", "0", "web"]);
    published("after a restart");
    kelp.ok(["stop", "-t", "0", "web"]);
    kelp.ok(["network", "connect", "app", "web"]);
    kelp.ok(["network", "disconnect", "bridge", "web"]);
    kelp.ok(["start", "web"]);
    published("on the user network again");
    assert!(!links().contains("tap0"), "{}", links());
    kelp.run(["network", "disconnect", "bridge", "web"]).failure().stderr_has("not connected");
    kelp.run(["network", "connect", "host", "web"]).failure().stderr_has("choose it when the container is made");
    kelp.ok(["rm", "-f", "-t", "0", "-a"]);
    kelp.nothing_left();
}

#[test]
fn routes_metrics_and_a_network_removed_with_its_containers() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "--subnet", "10.81.0.0/24", "--route", "10.82.0.0/16,10.81.0.9,7", "-o", "metric=55", "a"]);
    kelp.ok(["network", "create", "-o", "no_default_route=true", "b"]);
    let routes = kelp.sh(&["--network", "a", "--network", "b"], "ip route");
    routes.success().stdout_has("default via 10.81.0.1 dev eth0  metric 55").stdout_has("10.82.0.0/16 via 10.81.0.9 dev eth0  metric 7");
    assert_eq!(routes.text().matches("default").count(), 1, "{routes:?}");
    assert_eq!(kelp.ok(["network", "inspect", "-f", "{{(index .Routes 0).Gateway}}", "a"]), "10.81.0.9");
    kelp.run(["network", "create", "--route", "10.82.0.0/16,10.99.0.1", "c"]).failure().stderr_has("not in its subnet");
    up(&kelp, "runs", &["--network", "a"], SLEEP);
    kelp.ok(["create", "--name", "waits", "--network", "a", "busybox"]);
    kelp.run(["network", "rm", "-t", "1", "a"]).failure().stderr_has("needs --force");
    kelp.run(["network", "rm", "-f", "a"]).failure().stderr_has("in use");
    kelp.ok(["network", "rm", "-f", "-t", "1", "a"]);
    assert_eq!(kelp.ok(["ps", "-aq"]), "");
}

/// TCP and UDP, IPv4 and IPv6: the server sees who asks, on networks of either family and of both.
#[test]
fn published_ports_tell_the_client_apart() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    probe.connect("192.0.2.1:9").unwrap();
    let own = probe.local_addr().unwrap().ip();
    let own6 = UdpSocket::bind("[::]:0").ok().and_then(|socket| {
        socket.connect("[2001:db8::1]:9").ok()?;
        socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
    });
    // The host's perl, for want of a server of UDP in busybox.
    let serve = "use IO::Socket::IP; my %u = (LocalPort => 53, Proto => 'udp'); my %t = (LocalPort => 80, Listen => 9, ReuseAddr => 1); \
        for my $v6 (0, 1) { fork and next; my $a = $v6 ? '::' : '0.0.0.0'; my @o = (LocalHost => $a, V6Only => 1); \
            if (fork) { my $s = IO::Socket::IP->new(@o, %u) or die; while ($s->recv(my $m, 99)) { $s->send($s->peerhost . ':') } } \
            my $s = IO::Socket::IP->new(@o, %t) or die; while (my $c = $s->accept) { print $c $c->peerhost . ':' } } sleep 1000";
    let programs = ["-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro"];
    if !std::path::Path::new("/usr/bin/perl").exists() {
        eprintln!("SKIPPED, the host lacks perl");
        return;
    }
    let pasta = ["/usr/bin/pasta", "/usr/local/bin/pasta"].iter().any(|path| std::path::Path::new(path).exists());
    let networks = [("four", Some(&[][..])), ("both", Some(&["--ipv6"])), ("six", Some(&["--ipv6", "--ipv4=false"])), ("pasta", None)];
    for (network, flags) in networks.into_iter().filter(|(network, _)| *network != "pasta" || pasta) {
        if let Some(flags) = flags {
            kelp.ok([&["network", "create"], flags, &[network]].concat());
        }
        let (tcp, udp) = (free_port(), free_port());
        let publish = [format!("{tcp}:80"), format!("{udp}:53/udp")];
        let flags = [&["--network", network, "-p", &publish[0], "-p", &publish[1]], &programs[..]].concat();
        up(&kelp, network, &flags, &["busybox", "/usr/bin/perl", "-e", serve]);
        // From here to one of the host's own addresses. Behind pasta that is the container's too: there the client is another.
        let seen = |ip: IpAddr, answer: &str| answer.contains(':') && (network == "pasta") != answer.contains(&format!("{ip}:"));
        let loopback: IpAddr = "::1".parse().unwrap();
        for ip in [Some(own), own6, own6.map(|_| loopback).filter(|_| network == "pasta")].into_iter().flatten() {
            until(&format!("{ip} over TCP on {network}"), SOON, || {
                let Ok(mut stream) = TcpStream::connect((ip, tcp)) else { return false };
                stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                let mut answer = String::new();
                std::io::Read::read_to_string(&mut stream, &mut answer).is_ok() && seen(ip, &answer)
            });
            until(&format!("{ip} over UDP on {network}"), SOON, || {
                let client = UdpSocket::bind((ip, 0)).unwrap();
                client.connect((ip, udp)).unwrap();
                client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
                let mut buffer = [0; 2000];
                let answered = client.send(b"who am I\n").and_then(|_| client.recv(&mut buffer));
                answered.is_ok_and(|length| seen(ip, &String::from_utf8_lossy(&buffer[..length])))
            });
        }
    }
    kelp.ok(["rm", "-f", "-t", "0", "-a"]);
    kelp.nothing_left();
}

#[test]
fn a_program_of_the_host_visits_the_networks() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    // With no container there yet: a way out, and a server of names.
    let alone = kelp.run(["unshare", "--rootless-netns", "cat", "/proc/net/route", "/etc/resolv.conf"]);
    assert!(alone.text().contains("tap0\t00000000") && alone.text().ends_with("nameserver 10.0.2.3"), "{alone:?}");
    kelp.ok(["network", "create", "app"]);
    up(&kelp, "web", &["--network", "app"], HTTPD);
    let url = format!("http://{}/index.html", address(&kelp, "web", "app"));
    until("the page", SOON, || kelp.run(["unshare", "--rootless-netns", "busybox", "wget", "-q", "-O", "-", &url]).text() == "hello from inside");
    kelp.run(["unshare", "busybox", "wget", "-q", "-T", "2", "-O", "-", &url]).failure();
    kelp.ok(["rm", "-f", "web"]);
    kelp.no_process_left();
}

#[test]
fn networks_are_the_users_whatever_the_data_directory() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "shared"]);
    up(&kelp, "here", &["--network", "shared"], SLEEP);
    let other = kelp.dir().join("elsewhere");
    let other = ["--root", other.to_str().unwrap()];
    let run = |args: &[&str]| kelp.run([&other[..], args].concat());
    run(&["network", "rm", "shared"]).failure().stderr_has("another data directory");
    run(&["network", "prune", "-f"]).success();
    assert!(kelp.ok(["network", "ls"]).contains("shared"));
    kelp.ok(["rm", "-f", "here"]);
    run(&["network", "rm", "shared"]).success();
}
