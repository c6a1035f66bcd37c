//! A container's places on its networks: links that follow, the way out, options of the links inside.

use crate::needs;
use crate::support::{Kelp, SOON, until};

const SLEEP: &[&str] = &["busybox", "sleep", "1000"];
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=0";
const IFNAME: &str = "com.docker.network.endpoint.ifname=lan7";

fn up(kelp: &Kelp, name: &str, flags: &[&str]) {
    kelp.detached(&[&["--name", name, "--stop-signal", "KILL"], flags, SLEEP].concat());
}

fn networks(kelp: &Kelp) {
    for (name, number) in [("a", 1), ("b", 5), ("c", 3)] {
        kelp.ok(["network", "create", "--subnet", &format!("10.92.{number}.0/24"), name]);
    }
}

/// The gateways of a container's default routes, the one that is used first, each with the last part of its address but one.
fn ways_out(kelp: &Kelp, name: &str) -> String {
    let routes = kelp.run(["exec", name, "ip", "route"]).success().lines();
    let mut ways: Vec<(u32, String)> = Vec::new();
    for line in routes.iter().filter_map(|line| line.strip_prefix("default via ")) {
        let metric = line.rsplit_once("metric ").map_or(0, |(_, metric)| metric.trim().parse().unwrap());
        ways.push((metric, line.split(' ').next().unwrap().rsplit('.').nth(1).unwrap().to_owned()));
    }
    ways.sort();
    ways.into_iter().map(|(_, way)| way).collect::<Vec<_>>().join(" ")
}

#[test]
fn links_follow_addresses() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    networks(&kelp);
    up(&kelp, "db", &["--network", "a"]);
    up(&kelp, "app", &["--network", "a", "--link", "db:store"]);
    let line = |alias: &str| {
        let hosts = kelp.run(["exec", "app", "cat", "/etc/hosts"]).success().lines();
        hosts.iter().find(|line| line.contains(alias)).map(|line| line.split('\t').next().unwrap().to_owned())
    };
    let is = |alias: &str, ip: &str| until(&format!("{alias} is at {ip}"), SOON, || line(alias).as_deref() == Some(ip));
    is("store", "10.92.1.2");
    kelp.ok(["network", "disconnect", "a", "db"]);
    until("it leads nowhere", SOON, || line("store").is_none());
    kelp.ok(["network", "connect", "--ip", "10.92.1.77", "a", "db"]);
    is("store", "10.92.1.77");
    // Another address where it was stopped meanwhile.
    kelp.ok(["stop", "-t", "0", "db"]);
    kelp.ok(["network", "disconnect", "a", "db"]);
    kelp.ok(["network", "connect", "--ip", "10.92.1.78", "a", "db"]);
    kelp.ok(["start", "db"]);
    is("store", "10.92.1.78");
    // A link of one network, to one that is not there yet.
    kelp.ok(["network", "connect", "--link", "db:cellar", "c", "app"]);
    assert_eq!(line("cellar"), None);
    assert_eq!(kelp.inspect("app", "{{index .NetworkSettings.Networks.c.Links 0}}"), "db:cellar");
    kelp.ok(["network", "connect", "c", "db"]);
    is("cellar", "10.92.3.3");
    kelp.ok(["restart", "-t", "0", "app"]);
    is("cellar", "10.92.3.3");
    is("store", "10.92.1.78");
    kelp.ok(["network", "disconnect", "c", "app"]);
    assert_eq!(line("cellar"), None);
    kelp.run(["network", "connect", "--link", "nosuch:x", "c", "app"]).failure().stderr_has("no such container");
    kelp.ok(["rm", "-f", "-t", "0", "-a"]);
    kelp.nothing_left();
}

#[test]
fn the_way_out() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    networks(&kelp);
    up(&kelp, "c", &["--network", "c", "--network", "a", "--network", "name=b,gw-priority=5"]);
    assert_eq!(ways_out(&kelp, "c"), "5 1 3");
    kelp.ok(["network", "disconnect", "b", "c"]);
    kelp.ok(["network", "connect", "--gw-priority", "-1", "b", "c"]);
    assert_eq!(ways_out(&kelp, "c"), "1 3 5");
    // The network bridge is before those without a priority, whether it comes first or last.
    kelp.ok(["network", "connect", "bridge", "c"]);
    assert_eq!(ways_out(&kelp, "c"), "2 1 3 5");
    assert!(kelp.run(["exec", "c", "ip", "route"]).text().contains("default via 10.0.2.2 dev tap0 \n"));
    kelp.ok(["network", "disconnect", "a", "c"]);
    kelp.ok(["network", "connect", "--gw-priority=7", "a", "c"]);
    assert_eq!(ways_out(&kelp, "c"), "1 2 3 5");
    assert_eq!(kelp.inspect("c", "{{.NetworkSettings.Networks.a.GwPriority}}"), "7");
    kelp.ok(["restart", "-t", "0", "c"]);
    assert_eq!(ways_out(&kelp, "c"), "1 2 3 5");
    kelp.ok(["network", "disconnect", "a", "c"]);
    assert_eq!(ways_out(&kelp, "c"), "2 3 5");
    kelp.run(["network", "connect", "--gw-priority=7", "bridge", "c"]).failure().stderr_has("nothing to choose");
    kelp.ok(["rm", "-f", "-t", "0", "-a"]);
    kelp.nothing_left();
}

#[test]
fn one_that_keeps_ending_is_connected_and_disconnected() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    networks(&kelp);
    kelp.detached(&["--name", "c", "--network", "a", "--restart", "always", "busybox", "sh", "-c", "sleep 0.0$(($$ % 7)); exit 1"]);
    // Whatever it is doing at that moment.
    for _ in 0..30 {
        for (verb, network) in [("connect", "b"), ("disconnect", "a"), ("connect", "bridge"), ("connect", "a"), ("disconnect", "b"), ("disconnect", "bridge")] {
            kelp.ok(["network", verb, network, "c"]);
        }
    }
    let names = kelp.inspect("c", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}");
    assert_eq!(names.trim(), "a");
    kelp.ok(["rm", "-f", "-t", "0", "c"]);
    kelp.nothing_left();
}

#[test]
fn options_of_the_link() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    networks(&kelp);
    let look = "cat /proc/sys/net/ipv4/conf/lan7/log_martians /proc/sys/net/ipv4/conf/lan7/forwarding";
    let long = format!("name=a,alias=x,\"driver-opt={SYSCTLS}\",driver-opt={IFNAME},ip=10.92.1.9");
    kelp.sh(&["--network", &long], &format!("{look}; ip addr show lan7")).success().stdout_has("1\n0\n").stdout_has("10.92.1.9/24");
    up(&kelp, "c", &["--network", "b"]);
    kelp.ok(["network", "connect", "--driver-opt", SYSCTLS, "--driver-opt", IFNAME, "a", "c"]);
    kelp.run(["exec", "c", "sh", "-c", look]).stdout("1\n0\n");
    kelp.ok(["restart", "-t", "0", "c"]);
    kelp.run(["exec", "c", "sh", "-c", look]).stdout("1\n0\n");
    assert_eq!(kelp.inspect("c", "{{index .NetworkSettings.Networks.a.DriverOpts \"com.docker.network.endpoint.ifname\"}}"), "lan7");
    kelp.ok(["network", "disconnect", "a", "c"]);
    let bogus = SYSCTLS.replace("log_martians", "bogus");
    kelp.run(["network", "connect", "--driver-opt", &bogus, "a", "c"]).failure().stderr_has("/proc/sys/net/ipv4/conf/eth1/bogus");
    for (option, reason) in [("x=y", "is not supported"), ("com.docker.network.endpoint.ifname=lo", "not lo, tap0")] {
        kelp.run(["network", "connect", "--driver-opt", option, "a", "c"]).failure().stderr_has(reason);
        let long = format!("name=a,driver-opt={option}");
        kelp.run(["run", "--rm", "--network", &long, "busybox", "true"]).code(125).stderr_has(reason);
    }
    // Nothing is left of what was refused.
    kelp.ok(["network", "connect", "a", "c"]);
    kelp.ok(["rm", "-f", "-t", "0", "-a"]);
    kelp.nothing_left();
}
