//! The running name server against real sockets: clients on 127.0.0.1, other servers on further loopback addresses.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::wire::tests::question;
use super::wire::{Answer, Query, Reply, flag, kind, rcode};
use super::*;

const LONG: Duration = Duration::from_secs(60);

/// A name server elsewhere that answers as its function says; `None` is silence. Ends with its test.
struct Elsewhere {
    port: u16,
    asked: Arc<AtomicUsize>,
}

type Behaviour = fn(&Query, &[u8], usize) -> Option<Vec<u8>>;

fn addresses(count: u8, ttl: u32, query: &Query, message: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut answer = Answer::begin(&mut out, query, message, limit);
    for n in 1..=count {
        answer.address(ttl, IpAddr::from([192, 0, 2, n]));
    }
    answer.finish();
    out
}

/// Another port for as long as the other protocol's half of the one the kernel chose is taken.
fn free<T, E: std::fmt::Debug>(mut bind: impl FnMut() -> Result<T, E>) -> T {
    (0..100).find_map(|_| bind().ok()).unwrap_or_else(|| bind().unwrap())
}

impl Elsewhere {
    fn start(ip: &str, port: u16, behaviour: Behaviour) -> Self {
        let (udp, tcp) = free(|| {
            let udp = UdpSocket::bind((ip, port))?;
            let tcp = TcpListener::bind((ip, udp.local_addr()?.port()))?;
            Ok::<_, std::io::Error>((udp, tcp))
        });
        let port = udp.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
                count.fetch_add(1, Ordering::SeqCst);
                let query = Query::parse(&buffer[..length]).unwrap();
                if let Some(answer) = behaviour(&query, &buffer[..length], query.udp_limit()) {
                    udp.send_to(&answer, peer).unwrap();
                }
            }
        });
        let count = asked.clone();
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let Some(message) = receive(&mut stream) else { continue };
                let query = Query::parse(&message).unwrap();
                if let Some(answer) = behaviour(&query, &message, 65535) {
                    send(&mut stream, &answer);
                }
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn send(stream: &mut TcpStream, message: &[u8]) {
    let mut whole = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    whole.extend(message);
    stream.write_all(&whole).unwrap();
}

fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

struct Fixture {
    _resolver: Resolver,
    zones: SharedZones,
    address: SocketAddr,
    conf: PathBuf,
    client: UdpSocket,
}

impl Fixture {
    /// With these servers in the host's resolv.conf.
    fn start(name: &str, servers: &[&str], port: u16) -> Self {
        let conf = std::env::temp_dir().join(format!("kelp-resolver-{name}-{}", std::process::id()));
        write_conf(&conf, servers);
        let mut zones = Zones::default();
        let subnets = vec![Subnet { address: "10.9.0.0".parse().unwrap(), prefix: 24 }];
        zones.set_network("net", NetworkZone { subnets, forward: true, ..NetworkZone::default() });
        for n in 1..=200 {
            let addresses = vec![IpAddr::from([10, 9, 0, n])];
            let member = Member { name: format!("c{n}"), names: vec!["all".into()], addresses, servers: Vec::new(), host: None };
            zones.set_member("net", &format!("id{n}"), member);
        }
        let zones: SharedZones = Arc::new(RwLock::new(zones));
        let resolver = Resolver::start(zones.clone(), Options { resolv_conf: conf.clone(), port }).unwrap();
        let sockets = free(|| Sockets::open(&["127.0.0.1".parse().unwrap()], 0, None));
        let bound = rustix::net::getsockname(sockets.first()).unwrap();
        resolver.serve("net", sockets);
        let address = SocketAddr::try_from(bound).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(address).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        Self { _resolver: resolver, zones, address, conf, client }
    }

    fn exchange(&self, message: &[u8]) -> Vec<u8> {
        self.client.send(message).unwrap();
        self.receive()
    }

    fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 65536];
        let length = self.client.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    fn ask(&self, name: &str, kind: u16) -> Reply {
        Reply::parse(&self.exchange(&question(name, kind, None))).unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.conf));
    }
}

fn write_conf(path: &std::path::Path, servers: &[&str]) {
    let text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    let aside = path.with_extension("new");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(aside, path).unwrap();
}

const NOWHERE: &[&str] = &["127.77.0.1"];

#[test]
fn own_names_over_udp_and_tcp() {
    let fixture = Fixture::start("own", NOWHERE, 1);
    let reply = fixture.ask("C7", kind::A);
    assert_eq!((reply.rcode(), reply.lifetimes.len()), (rcode::NO_ERROR, 1));
    assert!(reply.flags & flag::AUTHORITATIVE != 0);
    assert_eq!(fixture.ask("c7", kind::AAAA).lifetimes.len(), 0);
    assert_eq!(fixture.ask("nobody.kelp.internal", kind::A).rcode(), rcode::NO_NAME);
    assert_eq!(fixture.ask("7.0.9.10.in-addr.arpa", kind::PTR).lifetimes.len(), 1);
    // More than fits is cut off, and whole over TCP.
    let reply = fixture.ask("all", kind::A);
    assert!(reply.flags & flag::TRUNCATED != 0 && reply.lifetimes.len() == 30, "{reply:?}");
    let mut stream = fixture.connect();
    for _ in 0..3 {
        send(&mut stream, &question("all", kind::A, None));
    }
    for _ in 0..3 {
        assert_eq!(Reply::parse(&receive(&mut stream).unwrap()).unwrap().lifetimes.len(), 200);
    }
    // A change is there with the next question.
    fixture.zones.write().unwrap().remove_network("net");
    assert_eq!(fixture.ask("c7", kind::A).rcode(), rcode::NO_NAME);
}

#[test]
fn nonsense_is_refused_or_ignored() {
    let fixture = Fixture::start("nonsense", NOWHERE, 1);
    fixture.client.send(b"").unwrap();
    fixture.client.send(b"short").unwrap();
    fixture.client.send(&[0xff; 100]).unwrap();
    let mut message = question("c1", kind::A, None);
    message[5] = 7;
    assert_eq!(fixture.exchange(&message)[3] & 15, rcode::FORM_ERROR);
    message[2] = 0x10;
    assert_eq!(fixture.exchange(&message)[3] & 15, rcode::NOT_IMPLEMENTED);
    assert_eq!(fixture.ask("c1", 252).rcode(), rcode::REFUSED);
    let mut later = question("c1", kind::A, Some(1232));
    let version = later.len() - 5;
    later[version] = 1;
    let answer = fixture.exchange(&later);
    assert_eq!((answer[3] & 15, answer[answer.len() - 6]), (0, 1));
    // Over TCP: what announces too much, or an answer, or half a question, hurts nobody else.
    let mut bad = fixture.connect();
    bad.write_all(&[0xff, 0xff, 0, 0]).unwrap();
    assert_eq!(bad.read(&mut [0; 8]).unwrap_or(0), 0);
    let mut half = fixture.connect();
    half.write_all(&[0, 50, 1]).unwrap();
    let mut answers = fixture.connect();
    send(&mut answers, &[0xff; 50]);
    send(&mut answers, &question("c1", kind::A, None));
    answers.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(receive(&mut answers).is_some());
    assert_eq!(answers.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn other_names_are_asked_and_kept() {
    let elsewhere = Elsewhere::start("127.0.0.1", 0, |query, message, limit| Some(addresses(2, 60, query, message, limit)));
    let fixture = Fixture::start("forward", &["127.0.0.1"], elsewhere.port);
    for name in ["www.example", "WWW.example", "www.EXAMPLE"] {
        let reply = fixture.ask(name, kind::A);
        assert_eq!((reply.rcode(), reply.lifetimes.len(), reply.id), (rcode::NO_ERROR, 2, 0x1234));
        assert!(reply.flags & flag::RECURSION != 0);
    }
    assert_eq!(elsewhere.asked(), 1);
    fixture.ask("www.example", kind::AAAA);
    assert_eq!(elsewhere.asked(), 2);
    // Over TCP from what is known, then over TCP all the way.
    let mut stream = fixture.connect();
    send(&mut stream, &question("www.example", kind::A, None));
    assert!(receive(&mut stream).is_some());
    assert_eq!(elsewhere.asked(), 2);
    send(&mut stream, &question("tcp.example", kind::A, Some(1232)));
    assert_eq!(Reply::parse(&receive(&mut stream).unwrap()).unwrap().lifetimes.len(), 2);
    assert_eq!(elsewhere.asked(), 3);
    // Without recursion wanted, nobody is asked.
    let mut message = question("quiet.example", kind::A, None);
    message[2] = 0;
    assert_eq!(fixture.exchange(&message)[3] & 15, rcode::REFUSED);
}

#[test]
fn large_answers_go_over_tcp() {
    let elsewhere = Elsewhere::start("127.0.0.1", 0, |query, message, limit| Some(addresses(200, 60, query, message, limit)));
    let fixture = Fixture::start("large", &["127.0.0.1"], elsewhere.port);
    assert!(fixture.ask("large.example", kind::A).flags & flag::TRUNCATED != 0);
    let mut stream = fixture.connect();
    send(&mut stream, &question("large.example", kind::A, None));
    assert_eq!(Reply::parse(&receive(&mut stream).unwrap()).unwrap().lifetimes.len(), 200);
}

#[test]
fn unusable_servers_are_passed_over() {
    // One refuses at once (nobody listens), one has no answer, one is silent, one knows.
    let good = Elsewhere::start("127.0.0.4", 0, |query, message, limit| Some(addresses(1, 0, query, message, limit)));
    let silent = Elsewhere::start("127.0.0.3", good.port, |_, _, _| None);
    let useless = Elsewhere::start("127.0.0.2", good.port, |query, message, limit| {
        let mut out = Vec::new();
        let mut answer = Answer::begin(&mut out, query, message, limit);
        answer.rcode(rcode::SERVER_FAILURE);
        answer.finish();
        Some(out)
    });
    let fixture = Fixture::start("unusable", &["127.77.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"], good.port);
    assert_eq!(fixture.ask("a.example", kind::A).lifetimes.len(), 1);
    assert_eq!((useless.asked(), good.asked()), (1, 1));
    let before = silent.asked();
    // Known by now to be silent: the last to be asked.
    assert_eq!(fixture.ask("b.example", kind::A).lifetimes.len(), 1);
    assert_eq!(silent.asked(), before);
    // Another list from now on, and with it another truth.
    write_conf(&fixture.conf, &["127.0.0.2"]);
    assert_eq!(fixture.ask("a.example", kind::A).rcode(), rcode::SERVER_FAILURE);
    write_conf(&fixture.conf, NOWHERE);
    assert_eq!(fixture.ask("a.example", kind::A).rcode(), rcode::SERVER_FAILURE);
}

#[test]
fn forged_answers_are_not_believed() {
    let elsewhere = Elsewhere::start("127.0.0.1", 0, |query, message, limit| {
        let mut wrong = addresses(1, 60, query, message, limit);
        // The right socket, but first not the number, then not the name.
        match FORGED.fetch_add(1, Ordering::SeqCst) {
            0 => wrong[0] ^= 1,
            2 => wrong[13] ^= 1,
            _ => {}
        }
        Some(wrong)
    });
    static FORGED: AtomicUsize = AtomicUsize::new(0);
    let fixture = Fixture::start("forged", &["127.0.0.1"], elsewhere.port);
    for (round, name) in ["bank.example", "shop.example"].into_iter().enumerate() {
        assert_eq!(fixture.ask(name, kind::A).lifetimes.len(), 1);
        assert_eq!(elsewhere.asked(), 2 * (round + 1));
    }
}

#[test]
fn a_flood_is_bounded_and_hurts_only_itself() {
    let elsewhere = Elsewhere::start("127.0.0.1", 0, |_, _, _| None);
    let fixture = Fixture::start("flood", &["127.0.0.1"], elsewhere.port);
    // One client has so many questions under way; the others are told at once.
    let mut refused = 0;
    for n in 0..3000 {
        fixture.client.send(&question(&format!("x{n}.example"), kind::A, None)).unwrap();
        if n >= 96 {
            assert_eq!(Reply::parse(&fixture.receive()).unwrap().rcode(), rcode::SERVER_FAILURE);
            refused += 1;
        }
    }
    assert_eq!(refused, 2904);
    assert!(elsewhere.asked() <= 96 * 2);
    // Names of ours are answered all the same, between the failures of the others.
    fixture.client.send(&question("c1", kind::A, None)).unwrap();
    while Reply::parse(&fixture.receive()).unwrap().rcode() != rcode::NO_ERROR {}
}

/// Questions faster than they can be answered: those of others wait in queues of their own.
#[test]
fn a_flood_fills_its_own_queue() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let fixture = Fixture::start("queues", NOWHERE, 1);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let flood = UdpSocket::bind("127.0.0.7:0").unwrap();
                flood.set_nonblocking(true).unwrap();
                let question = question("c2", kind::A, None);
                while !over.load(Ordering::Relaxed) {
                    // Answers are not read: that is a flood's way.
                    drop(flood.send_to(&question, fixture.address));
                }
            });
        }
        for _ in 0..200 {
            assert_eq!(fixture.ask("c1", kind::A).rcode(), rcode::NO_ERROR);
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn many_connections_are_bounded() {
    let fixture = Fixture::start("streams", NOWHERE, 1);
    let idle: Vec<TcpStream> = (0..100).map(|_| fixture.connect()).collect();
    // This client has too many; another address is served.
    let stream = TcpStream::connect(fixture.address).unwrap();
    drop(idle);
    drop(stream);
    let mut served = false;
    for _ in 0..1000 {
        let mut stream = fixture.connect();
        let mut whole = vec![0, 20];
        whole.extend(question("c1", kind::A, None));
        if stream.write_all(&whole).is_ok() && receive(&mut stream).is_some() {
            served = true;
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(served);
}
