//! The default network and published ports against the real kernel, without images: `cargo test --test net`.
//!
//! Runs itself three times over: in the host's network as the test, in a user namespace as the monitor would, and in a
//! nested one with a network namespace of its own as the container would. With arguments it is a tool for measuring:
//! `net PORT... -- COMMAND...` publishes the ports of a namespace that runs the command.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout, clippy::zombie_processes)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use kelp::network::netlink::{Netlink, Local, group};
use kelp::network::private::{Inside, PrivateNetwork};
use kelp::network::slirp::{self, SlirpNet};
use kelp::network::ports;
use kelp::spec::network::SlirpOptions;
use kelp::spec::port::Port;

const ROLE: &str = "KELP_NET_TEST_ROLE";
/// Descriptors the monitor may have.
const FEW: &str = "KELP_NET_TEST_DESCRIPTORS";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match std::env::var(ROLE).as_deref() {
        Ok("monitor") => monitor(&arguments),
        Ok("container") => container(&arguments),
        Ok("routes") => routes(),
        _ if arguments.iter().any(|a| a == "--") => tool(&arguments),
        _ => run_tests(&arguments),
    }
    ExitCode::SUCCESS
}

fn again(role: &str, flags: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user"]).args(flags);
    command.arg(std::env::current_exe().unwrap()).env(ROLE, role);
    command
}

/// Published ports with, behind them, this program's own servers.
struct Fixture {
    monitor: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Fixture {
    fn start(ports: &[&str], command: &[&str]) -> (Self, Vec<SocketAddr>) {
        Self::start_with(ports, command, None)
    }

    fn start_with(ports: &[&str], command: &[&str], descriptors: Option<&str>) -> (Self, Vec<SocketAddr>) {
        let mut monitor = again("monitor", &[])
            .envs(descriptors.map(|few| (FEW, few)))
            .args(ports)
            .arg("--")
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = monitor.stdin.take().unwrap();
        let mut stdout = BufReader::new(monitor.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let bound = line.split_whitespace().map(|a| a.parse().unwrap()).collect();
        (Self { monitor, stdin, stdout }, bound)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        drop(self.stdin.write_all(b"end\n"));
        let mut rest = String::new();
        drop(self.stdout.read_to_string(&mut rest));
        drop(self.monitor.wait());
    }
}

fn split(arguments: &[String]) -> (&[String], &[String]) {
    let at = arguments.iter().position(|a| a == "--").unwrap_or(arguments.len());
    (&arguments[..at], arguments.get(at + 1..).unwrap_or(&[]))
}

/// As the monitor: mapped root, host's network. Says where the ports are, then waits for a line.
fn monitor(arguments: &[String]) {
    let (ports, command) = split(arguments);
    let ports: Vec<Port> = ports.iter().map(|p| p.parse().unwrap()).collect();
    let listeners = ports::bind(&ports, &[]).unwrap();
    let bound: Vec<String> = listeners.iter().map(|l| l.binding().host()).collect();
    let began = Instant::now();
    let mut container = again("container", &["--net"])
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let mut stdout = BufReader::new(container.stdout.take().unwrap());
    stdout.read_line(&mut ready).unwrap();
    let made = began.elapsed();
    let netns = std::fs::File::open(format!("/proc/{}/ns/net", container.id())).unwrap();
    let options = SlirpOptions::default();
    let net = SlirpNet::new(&options, true);
    let program = slirp::find(std::env::var_os("PATH").as_deref()).unwrap();
    let mut network = PrivateNetwork::start(&program, netns.as_fd(), &net, &options).unwrap();
    let mut forwarder = Inside::forward(netns.as_fd(), network.target(), listeners).unwrap();
    network.wait_configured(Duration::from_secs(10)).unwrap();
    forwarder.result().unwrap();
    let configured = began.elapsed();
    eprintln!("namespace {made:?} configured {:?}", configured - made);
    let mut container_in = container.stdin.take().unwrap();
    container_in.write_all(b"go\n").unwrap();
    ready.clear();
    stdout.read_line(&mut ready).unwrap();
    if let Some(limit) = std::env::var(FEW).ok().and_then(|text| text.parse().ok()) {
        let limit = rustix::process::Rlimit { current: Some(limit), maximum: Some(limit) };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    }
    println!("{}", bound.join(" "));
    let mut line = String::new();
    loop {
        line.clear();
        std::io::stdin().read_line(&mut line).unwrap();
        if line.trim() != "restart" {
            break;
        }
        let another = || slirp::Slirp::start(&program, netns.as_fd(), &net, &options).unwrap();
        // As after somebody killed it.
        let pid = rustix::process::Pid::from_raw(i32::try_from(network.slirp_pid()).unwrap());
        rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL).unwrap();
        rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
        network.replace(another(), netns.as_fd()).unwrap();
        let routes = format!("/proc/{}/net/route", container.id());
        while std::fs::read_to_string(&routes).unwrap().lines().count() < 2 {
            std::thread::sleep(Duration::from_millis(2));
            // A process of the old one may have held the device a moment longer; the monitor tries again too.
            let pid = rustix::process::Pid::from_raw(i32::try_from(network.slirp_pid()).unwrap());
            if rustix::process::waitpid(pid, rustix::process::WaitOptions::NOHANG).unwrap().is_some() {
                network.replace(another(), netns.as_fd()).unwrap();
            }
        }
        println!("{}", network.slirp_pid());
    }
    let ending = Instant::now();
    container.kill().unwrap();
    network.stop(false);
    let listeners = forwarder.stop();
    eprintln!("stopped in {:?}, {} listeners back", ending.elapsed(), listeners.len());
}

/// As the container: its own namespaces. Starts when the network is there.
fn container(arguments: &[String]) {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    println!("made");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    match arguments.first().map(String::as_str) {
        Some("servers") => servers(),
        Some(program) => {
            println!("serving");
            // Replaced, so that killing the container kills it.
            let error = Command::new(program).args(&arguments[1..]).stdout(std::io::stderr()).exec();
            panic!("{program}: {error}");
        }
        None => {
            println!("serving");
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
}

/// 1: tells the client's address. 2: echoes until the client's end. 3: sends 64 MiB. 4 (UDP): echoes with the address, 8 likewise on IPv4 only.
/// 5: on the inside's loopback only. 6: IPv4 only. 7: accepts and resets. 9: sends a byte and waits for the end, all in one thread.
fn servers() {
    fn each(address: &str, serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) {
        let listener = TcpListener::bind(address).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream));
            }
        });
    }
    let name = |mut stream: TcpStream| {
        let peer = stream.peer_addr().unwrap();
        drop(stream.write_all(peer.to_string().as_bytes()));
    };
    each("[::]:1", name);
    each("127.0.0.1:5", name);
    each("0.0.0.0:6", name);
    each("[::]:2", |mut stream| {
        let mut copy = stream.try_clone().unwrap();
        drop(std::io::copy(&mut stream, &mut copy));
        drop(copy.shutdown(Shutdown::Write));
    });
    each("[::]:3", |mut stream| {
        let block = vec![7; 1 << 20];
        for _ in 0..64 {
            if stream.write_all(&block).is_err() {
                return;
            }
        }
    });
    each("[::]:7", |stream| {
        // Unread data makes the close a reset.
        std::thread::sleep(Duration::from_millis(300));
        drop(stream);
    });
    let crowd = TcpListener::bind("[::]:9").unwrap();
    // std's queue of 128 would make the kernel drop and repeat connections.
    rustix::net::listen(&crowd, 4096).unwrap();
    std::thread::spawn(move || {
        let mut kept: Vec<TcpStream> = Vec::new();
        crowd.set_nonblocking(true).unwrap();
        loop {
            while let Ok((mut stream, _)) = crowd.accept() {
                drop(stream.write_all(b"k"));
                stream.set_nonblocking(true).unwrap();
                kept.push(stream);
            }
            // Those that have ended.
            kept.retain_mut(|stream| stream.read(&mut [0; 1]).is_err());
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let udp = UdpSocket::bind("[::]:4").unwrap();
    let udp4 = UdpSocket::bind("0.0.0.0:8").unwrap();
    println!("serving");
    std::thread::spawn(move || echo_datagrams(&udp4));
    echo_datagrams(&udp);
}

fn echo_datagrams(udp: &UdpSocket) {
    let mut buffer = [0; 65536];
    loop {
        let Ok((length, peer)) = udp.recv_from(&mut buffer) else { continue };
        let mut answer = format!("{peer} ").into_bytes();
        answer.extend(&buffer[..length]);
        drop(udp.send_to(&answer, peer));
    }
}

fn tool(arguments: &[String]) {
    let (ports, command) = split(arguments);
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let (fixture, bound) = Fixture::start(&ports, &command);
    println!("{bound:?} monitor {}", fixture.monitor.id());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// More clients than descriptors: they wait for each other, and nobody is turned away.
fn few_descriptors() {
    let (_fixture, bound) = Fixture::start_with(&["127.0.0.1::2"], &["servers"], Some("48"));
    let streams: Vec<TcpStream> = (0..120).map(|_| connect(at(&bound, 0, LOOPBACK))).collect();
    for mut stream in streams {
        // Large enough that it would be spliced, were there a descriptor for it.
        let sent = vec![9; 100_000];
        let mut writer = stream.try_clone().unwrap();
        let copy = sent.clone();
        let thread = std::thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        thread.join().unwrap();
        assert!(got == sent);
    }
}

fn run_tests(arguments: &[String]) {
    let tests: [(&str, fn()); 14] = [
        ("addresses_are_kept", addresses_are_kept),
        ("half_close_and_volume", half_close_and_volume),
        ("nobody_listening_is_a_reset", nobody_listening_is_a_reset),
        ("resets_pass", resets_pass),
        ("udp_sessions", udp_sessions),
        ("udp_falls_back_to_ipv4", udp_falls_back_to_ipv4),
        ("stalled_readers", stalled_readers),
        ("many_connections", many_connections),
        ("ten_thousand_connections", ten_thousand_connections),
        ("few_descriptors", few_descriptors),
        ("many_ports", many_ports),
        ("slirp_restarts", slirp_restarts),
        ("default_route_is_never_missed", default_route_is_never_missed),
        ("slirp_leaves_with_its_monitor", slirp_leaves_with_its_monitor),
    ];
    if arguments.iter().any(|a| a == "--list") {
        if !arguments.iter().any(|a| a == "--ignored") {
            tests.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return;
    }
    let usable = again("probe", &["--net", "true"]).stdout(Stdio::null()).output();
    let usable = usable.is_ok_and(|o| o.status.success()) && PathBuf::from("/dev/net/tun").exists();
    if !usable || slirp::find(std::env::var_os("PATH").as_deref()).is_err() {
        println!("skipped: no nested user and network namespaces, /dev/net/tun or slirp4netns here");
        return;
    }
    let arguments: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|a| name.contains(a.as_str()));
    for (name, test) in tests.into_iter().filter(|(name, _)| wanted(name)) {
        let began = Instant::now();
        test();
        println!("test {name} ... ok ({:?})", began.elapsed());
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut text = String::new();
    connect(address).read_to_string(&mut text)?;
    Ok(text)
}

/// An address of this host that is not loopback, by asking for a way out (nothing is sent).
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

fn at(bound: &[SocketAddr], index: usize, ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, bound[index].port())
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn addresses_are_kept() {
    let (_fixture, bound) = Fixture::start(&["0.0.0.0::1", "[::]::1", "0.0.0.0::6", "[::]::6"], &["servers"]);
    // Loopback clients are the gateway, with their own port.
    let mut stream = connect(at(&bound, 0, LOOPBACK));
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("[::ffff:10.0.2.2]:{}", stream.local_addr().unwrap().port()));
    assert!(ask(at(&bound, 1, "::1".parse().unwrap())).unwrap().starts_with("[fd00::2]:"));
    // IPv6 clients of an IPv4 server too.
    assert!(ask(at(&bound, 3, "::1".parse().unwrap())).unwrap().starts_with("10.0.2.2:"));
    if let Some(own) = own_address() {
        let mut stream = connect(at(&bound, 2, own));
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, stream.local_addr().unwrap().to_string());
    }
}

fn half_close_and_volume() {
    let (_fixture, bound) = Fixture::start(&["127.0.0.1::2", "127.0.0.1::3"], &["servers"]);
    let mut stream = connect(at(&bound, 0, LOOPBACK));
    let sent: Vec<u8> = (0..24_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let thread = std::thread::spawn(move || {
        // Pieces of every size cross the border between copying and splicing.
        let mut rest = copy.as_slice();
        let mut size = 1;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(size.min(rest.len()));
            writer.write_all(piece).unwrap();
            rest = more;
            size = (size * 3) % 400_009 + 1;
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    thread.join().unwrap();
    assert!(got == sent, "echo differs: {} of {} bytes", got.len(), sent.len());
    let mut all = Vec::new();
    connect(at(&bound, 1, LOOPBACK)).read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 64 << 20);
    assert!(all.iter().all(|b| *b == 7));
}

fn nobody_listening_is_a_reset() {
    let (_fixture, bound) = Fixture::start(&["127.0.0.1::99", "127.0.0.1::5"], &["servers"]);
    for index in 0..2 {
        let error = ask(at(&bound, index, LOOPBACK)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "port {index}");
    }
}

fn resets_pass() {
    let (_fixture, bound) = Fixture::start(&["127.0.0.1::7"], &["servers"]);
    let mut stream = connect(at(&bound, 0, LOOPBACK));
    stream.write_all(b"never read").unwrap();
    let error = stream.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

fn udp_sessions() {
    let (_fixture, bound) = Fixture::start(&["0.0.0.0::4/udp", "[::]::4/udp"], &["servers"]);
    let mut targets = vec![(at(&bound, 0, LOOPBACK), "[::ffff:10.0.2.2]".to_owned())];
    if let Some(own) = own_address() {
        targets.push((at(&bound, 0, own), format!("[::ffff:{own}]")));
    }
    targets.push((at(&bound, 1, "::1".parse().unwrap()), "[fd00::2]".to_owned()));
    for (address, inside) in targets {
        let any = if address.is_ipv6() { "[::1]:0".to_owned() } else { format!("{}:0", address.ip()) };
        let client = UdpSocket::bind(any).unwrap();
        client.connect(address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        for size in [0, 1, 1400, 40_000] {
            client.send(&vec![b'x'; size]).unwrap();
            let mut buffer = [0; 65536];
            let length = client.recv(&mut buffer).unwrap_or_else(|e| panic!("{address} {size}: {e}"));
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let want = format!("{inside}:{} ", client.local_addr().unwrap().port());
            assert!(answer.starts_with(&want), "{} is not {want}", &answer[..answer.len().min(60)]);
            assert_eq!(answer.len(), want.len() + size);
        }
    }
}

/// The first datagram finds out that the server is not on IPv6, and is sent again: whoever asks once is answered.
fn udp_falls_back_to_ipv4() {
    let (_fixture, bound) = Fixture::start(&["[::1]::8/udp"], &["servers"]);
    let client = UdpSocket::bind("[::1]:0").unwrap();
    client.connect(bound[0]).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut buffer = [0; 100];
    for _ in 0..3 {
        client.send(b"x").unwrap();
        let length = client.recv(&mut buffer).unwrap();
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(answer.starts_with("10.0.2.2:"), "{answer}");
    }
}

fn stalled_readers() {
    let (_fixture, bound) = Fixture::start(&["127.0.0.1::3", "127.0.0.1::1"], &["servers"]);
    let stalled: Vec<TcpStream> = (0..50).map(|_| connect(at(&bound, 0, LOOPBACK))).collect();
    std::thread::sleep(Duration::from_millis(300));
    assert!(ask(at(&bound, 1, LOOPBACK)).is_ok());
    for mut stream in stalled.into_iter().take(5) {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 64 << 20);
    }
}

fn many_connections() {
    let (_fixture, bound) = Fixture::start(&["127.0.0.1::2"], &["servers"]);
    let mut streams: Vec<TcpStream> = (0..150).map(|_| connect(at(&bound, 0, LOOPBACK))).collect();
    for round in 0..3u8 {
        for stream in &mut streams {
            stream.write_all(&[round; 10]).unwrap();
        }
        for stream in &mut streams {
            let mut got = [0; 10];
            stream.read_exact(&mut got).unwrap();
            assert_eq!(got, [round; 10]);
        }
    }
}

/// As many at once as descriptors are allowed, two for each, up to ten thousand: none is refused, and the memory they take
/// is bounded and given back.
fn ten_thousand_connections() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let count = usize::try_from(maximum.unwrap_or(u64::MAX) / 2).unwrap().saturating_sub(100).min(10_000);
    let (fixture, bound) = Fixture::start(&["127.0.0.1::9", "127.0.0.1::1"], &["servers"]);
    let private = || {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", fixture.monitor.id())).unwrap();
        // Pages of the program itself are the page cache's, whoever else maps them at the moment.
        let lines = rollup.lines().filter(|line| line.starts_with("Private_Dirty"));
        lines.map(|line| line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()).sum::<usize>()
    };
    assert!(ask(at(&bound, 1, LOOPBACK)).is_ok());
    let before = private();
    let mut streams: Vec<TcpStream> = (0..count).map(|_| connect(at(&bound, 0, LOOPBACK))).collect();
    for stream in &mut streams {
        stream.read_exact(&mut [0; 1]).unwrap();
    }
    let during = private();
    drop(streams);
    let end = Instant::now() + Duration::from_secs(20);
    while private() > before + 512 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    eprintln!("{count} connections: {before} kB, {during} kB, {} kB after them", private());
    assert!(during < before + 8 * 1024, "{during} kB are too many for {count} connections");
    assert!(private() <= before + 512, "{} kB are not given back", private());
    assert!(ask(at(&bound, 1, LOOPBACK)).is_ok());
}

fn many_ports() {
    let (_fixture, bound) = Fixture::start(&["127.0.0.1::1000-1999", "127.0.0.1::1"], &["servers"]);
    assert_eq!(bound.len(), 1001);
    assert!(ask(at(&bound, 1000, LOOPBACK)).is_ok());
    assert!(ask(at(&bound, 999, LOOPBACK)).is_err());
}

/// In a namespace of its own: a default route that comes while the routes are listed is either listed or an event.
fn routes() {
    let mut netlink = Netlink::open(0).unwrap();
    let link = netlink.link_index("lo").unwrap();
    netlink.link_up(link).unwrap();
    let to = Local { link, source: None };
    // So many routes that a list takes several parts.
    for n in 0..1000u16 {
        let [high, low] = n.to_be_bytes();
        netlink.add_route(Ipv4Addr::new(10, high, low, 0).into(), 24, to, 254).unwrap();
    }
    for round in 0..500 {
        let mut watch = Netlink::open(group::IPV4_ROUTE).unwrap();
        let maker = std::thread::spawn(move || {
            let mut netlink = Netlink::open(0).unwrap();
            // An event carries the number of the request that made it; it must not be that of the list.
            netlink.link_index("lo").unwrap();
            std::thread::sleep(Duration::from_micros(round % 50 * 10));
            netlink.add_route(Ipv4Addr::UNSPECIFIED.into(), 0, to, 254).unwrap();
        });
        let listed = watch.has_default_route(None).unwrap();
        maker.join().unwrap();
        assert!(listed || watch.read_events().unwrap(), "round {round}: neither listed nor told");
        netlink.delete_route(Ipv4Addr::UNSPECIFIED.into(), 0, to, 254).unwrap();
    }
}

fn default_route_is_never_missed() {
    let status = again("routes", &["--net"]).status().unwrap();
    assert!(status.success());
}

fn restart(fixture: &mut Fixture) -> u32 {
    fixture.stdin.write_all(b"restart\n").unwrap();
    let mut line = String::new();
    fixture.stdout.read_line(&mut line).unwrap();
    line.trim().parse().unwrap()
}

fn slirp_restarts() {
    let (mut fixture, bound) = Fixture::start(&["127.0.0.1::1", "[::1]::1"], &["servers"]);
    for _ in 0..3 {
        restart(&mut fixture);
        assert!(ask(at(&bound, 0, LOOPBACK)).is_ok());
        assert!(ask(at(&bound, 1, "::1".parse().unwrap())).is_ok());
    }
}

fn slirp_leaves_with_its_monitor() {
    let (mut fixture, _) = Fixture::start(&["127.0.0.1::1"], &["servers"]);
    let slirp = restart(&mut fixture);
    let alive = || std::fs::read_to_string(format!("/proc/{slirp}/stat")).is_ok_and(|s| !s.contains(") Z "));
    assert!(alive());
    fixture.monitor.kill().unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while alive() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!alive(), "slirp4netns outlived its monitor");
}
