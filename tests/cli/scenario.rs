//! What people do all day, on a real Debian: a web server from packages, a database that outlives its containers,
//! a shell, a published UDP service.

use std::ffi::OsStr;
use std::net::UdpSocket;
use std::time::Duration;

use crate::needs;
use crate::support::{Kelp, debian_tar, free_port, http, until};

const MINUTES: Duration = Duration::from_secs(400);

fn debian() -> Kelp {
    let kelp = Kelp::new();
    let tar = debian_tar().unwrap();
    kelp.run([OsStr::new("import"), OsStr::new("-c"), OsStr::new("CMD [\"bash\"]"), tar.as_os_str(), OsStr::new("debian")]).success();
    kelp
}

/// Installs packages the way a Dockerfile would.
fn install(packages: &str) -> String {
    format!(
        "set -e; export DEBIAN_FRONTEND=noninteractive; printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; \
         chmod 755 /usr/sbin/policy-rc.d; apt-get update -qq; apt-get install -y -qq --no-install-recommends {packages} >/dev/null"
    )
}

#[test]
#[ignore = "needs a Debian mirror"]
fn nginx_from_packages_serves_a_page() {
    needs!("debian", "slirp");
    let kelp = debian();
    let port = free_port();
    let script = format!("{}; echo 'made by packages' > /var/www/html/index.html; exec nginx -g 'daemon off;'", install("nginx-light"));
    let publish = format!("127.0.0.1:{port}:80");
    kelp.detached(&["--name", "web", "-p", &publish, "debian", "bash", "-c", &script]);
    until("the page", MINUTES, || {
        assert_eq!(kelp.inspect("web", "{{.State.Running}}"), "true", "{:?}", kelp.run(["logs", "web"]));
        http::get(("127.0.0.1", port), "/").is_ok_and(|answer| answer.status == 200 && answer.text() == "made by packages\n")
    });
    // Its workers run as www-data, which is a subordinate id outside.
    kelp.run(["exec", "web", "sh", "-c", "cat /var/log/nginx/access.log | wc -l"]).success();
    kelp.run(["top", "web"]).success().stdout_has("worker process");
    kelp.ok(["restart", "-t", "5", "web"]);
}

#[test]
#[ignore = "needs a Debian mirror"]
fn postgres_keeps_its_data() {
    needs!("debian", "slirp");
    let kelp = debian();
    // An image of our own: install, export, import.
    let script = install("postgresql-15 postgresql-client-15");
    kelp.cmd(["run", "--name", "build", "debian", "bash", "-c", &script]).limit(MINUTES).output().success();
    let tar = kelp.work().join("pg.tar");
    kelp.cmd([OsStr::new("export"), OsStr::new("-o"), tar.as_os_str(), OsStr::new("build")]).limit(MINUTES).output().success();
    kelp.ok(["rm", "build"]);
    kelp.cmd([OsStr::new("import"), tar.as_os_str(), OsStr::new("pg")]).limit(MINUTES).output().success();
    std::fs::remove_file(tar).unwrap();
    let serve = "set -e; d=/data/db; mkdir -p $d; chown postgres:postgres $d; chmod 700 $d; cd /; export PATH=$PATH:/usr/lib/postgresql/15/bin; \
        [ -e $d/PG_VERSION ] || su postgres -c \"PATH=$PATH initdb -D $d -A trust\" >/dev/null; \
        exec su postgres -c \"PATH=$PATH exec postgres -D $d -c unix_socket_directories=/tmp -c listen_addresses=\"";
    let sql = |name: &str, sql: &str| kelp.run(["exec", "-u", "postgres", name, "psql", "-h", "/tmp", "-AtX", "-c", sql]);
    let dir = kelp.open_dir("pgdata");
    for place in ["pgvolume:/data".to_owned(), format!("{}:/data", dir.display())] {
        let start = |name: &str| {
            kelp.detached(&["--name", name, "--network", "none", "--shm-size", "128m", "-v", &place, "pg", "bash", "-c", serve]);
            until("the database answers", Duration::from_secs(90), || {
                assert_eq!(kelp.inspect(name, "{{.State.Running}}"), "true", "{:?}", kelp.run(["logs", name]));
                sql(name, "select 1").text() == "1"
            });
        };
        start("one");
        sql("one", "create table t (n int); insert into t select generate_series(1, 1000)").success();
        // Killed without warning and removed: what was committed must be there.
        kelp.ok(["kill", "one"]);
        kelp.ok(["wait", "one"]);
        kelp.ok(["rm", "one"]);
        start("two");
        sql("two", "select count(*), sum(n) from t").success().stdout("1000|500500");
        sql("two", "insert into t values (0)").success();
        kelp.run(["stop", "-t", "30", "two"]).success();
        kelp.ok(["start", "two"]);
        until("it answers again", Duration::from_secs(60), || sql("two", "select count(*) from t").text() == "1001");
        kelp.ok(["rm", "-f", "-t", "0", "two"]);
    }
    kelp.ok(["volume", "rm", "pgvolume"]);
}

#[test]
#[ignore = "needs a tree of Debian"]
fn a_bash_session() {
    needs!("debian");
    let kelp = debian();
    let mut pty = kelp.pty(["run", "--rm", "-it", "--network", "none", "-h", "box", "debian"]);
    pty.expect("root@box:/#");
    pty.send("for i in 1 2 3; do echo n$((i*i)); done\r");
    pty.expect("n9");
    pty.expect("root@box:/#");
    pty.send("sleep 100 &\r");
    pty.expect("[1]");
    pty.send("kill %1; wait; jobs; echo over\r");
    pty.expect("over");
    pty.expect("root@box:/#");
    pty.send("cat > /tmp/f\r");
    // Keys typed before the shell has given the terminal back would be taken as they are.
    std::thread::sleep(Duration::from_millis(500));
    pty.send("typed by hand\r\x04");
    pty.expect("root@box:/#");
    pty.send("cat /tmp/f | tr a-z A-Z\r");
    pty.expect("TYPED BY HAND");
    // Typed ahead, a word survives what the shell does to the terminal meanwhile; an end-of-file key may not.
    pty.send("exit\r");
    assert_eq!(pty.end(), 0);
}

#[test]
#[ignore = "needs a tree of Debian"]
fn owners_set_by_packages_are_right() {
    needs!("debian");
    let kelp = debian();
    let script = "stat -c '%n %U:%G %a' /etc/shadow /tmp /usr/bin/su /var/mail /usr/bin/chage; su -s /bin/sh nobody -c 'id -un'; \
        su -s /bin/sh nobody -c 'cat /etc/shadow' 2>/dev/null || echo closed";
    kelp.run(["run", "--rm", "--network", "none", "debian", "bash", "-c", script]).success().stdout(
        "/etc/shadow root:shadow 640\n/tmp root:root 1777\n/usr/bin/su root:root 4755\n/var/mail root:mail 2775\n/usr/bin/chage root:shadow 2755\nnobody\nclosed",
    );
}

#[test]
#[ignore = "needs a tree of Debian"]
fn udp_through_a_published_port() {
    needs!("debian", "slirp");
    let kelp = debian();
    let port = free_port();
    let serve = "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 5353, Proto => 'udp') or die; \
        while (my $p = $s->recv(my $m, 2000)) { my ($n, $a) = sockaddr_in($p); $s->send(\"$m from \" . inet_ntoa($a)); }";
    let publish = format!("127.0.0.1:{port}:5353/udp");
    kelp.detached(&["--name", "u", "-p", &publish, "debian", "perl", "-MSocket", "-e", serve]);
    assert_eq!(kelp.ok(["port", "u"]), format!("5353/udp -> 127.0.0.1:{port}"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut buffer = [0; 100];
    until("an answer", Duration::from_secs(20), || {
        let _ = socket.send(b"ping");
        socket.recv(&mut buffer).is_ok_and(|n| buffer[..n].starts_with(b"ping from "))
    });
}

#[test]
fn pipelines_of_containers() {
    let kelp = Kelp::busybox();
    let run = format!("{} run --rm -i --network none busybox", crate::support::program().display());
    let script = format!("echo data | {run} cat | {run} tr a-z A-Z | {run} sh -c 'cat; echo end'");
    kelp.tool("/bin/sh", ["-c", &script]).output().success().stdout("DATA\nend");
    let script = format!("seq 1 50000 | {run} sort -n | {run} awk '{{s+=$1}} END {{print s}}'");
    kelp.tool("/bin/sh", ["-c", &script]).output().success().stdout("1250025000");
}
