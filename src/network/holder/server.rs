//! The holder's loop: one thread in the holder's network namespace.
//!
//! Requests are few and each is a handful of netlink messages, so they are served one after the other. Containers that
//! have ended are forgotten before anybody new is served; their links are removed by a second thread.

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::bridges::{Bridges, Link};
use super::outside::Outside;
use super::protocol::{self, FoundName, Member, Reply, Request, Wish};
use crate::network::masquerade::masquerade;
use crate::network::netlink::{Netlink, NetlinkError};
use crate::network::private::add_ipv6;
use crate::network::resolver::{self, NetworkZone, PORT, Resolver, SharedZones, Sockets, Zones};
use crate::network::slirp::{Slirp, SlirpNet, TAP};
use crate::network::store::NetworkRecord;
use crate::spec::network::SlirpOptions;
use crate::sys::{process, socket};

/// How long the holder stays without containers: scripts start one after the other.
const LINGER: Duration = Duration::from_millis(500);
/// How long slirp4netns may take to make its device.
const SLIRP_TIMEOUT: Duration = Duration::from_secs(20);
/// A slirp4netns that ends sooner is not started again at once.
const SLIRP_REST: Duration = Duration::from_secs(1);

/// One connection.
struct Client {
    socket: OwnedFd,
    member: Option<Member>,
    links: Vec<Link>,
    gone: bool,
}

struct Server {
    bridges: Bridges,
    outside: Outside,
    clients: Vec<Client>,
    zones: SharedZones,
    resolver: Resolver,
    slirp: Option<Slirp>,
    slirp_started: Option<Instant>,
    /// It ended too soon; tried again then.
    slirp_again: Option<Instant>,
    masquerading: bool,
    ipv6: bool,
    empty_since: Instant,
}

/// Serves until no container is left.
pub(super) fn run(listener: OwnedFd, outside: Outside, zones: SharedZones, resolver: Resolver) {
    let mut server = match Server::open(outside, zones, resolver) {
        Ok(server) => server,
        Err(message) => return refuse_all(&listener, &message),
    };
    while !server.is_over() {
        server.wait(&listener);
    }
    if let Some(slirp) = server.slirp.take() {
        slirp.kill();
    }
}

/// Nothing works here: whoever comes is told why, until nobody comes any more.
fn refuse_all(listener: &OwnedFd, message: &str) {
    let timeout = Timespec::try_from(LINGER).unwrap_or_default();
    while poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&timeout)).is_ok_and(|ready| ready > 0) {
        while let Ok(Some(client)) = socket::accept(listener.as_fd()) {
            let _ = protocol::send(client.as_fd(), &Reply::Error { message: message.to_owned() }, &[]);
        }
    }
}

/// A zone's table, whatever a thread that panicked has left of it.
fn write(zones: &SharedZones) -> std::sync::RwLockWriteGuard<'_, Zones> {
    zones.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Server {
    fn open(outside: Outside, zones: SharedZones, resolver: Resolver) -> Result<Self, String> {
        process::unshare(process::NEWNET).map_err(|errno| format!("cannot make a network namespace: {errno}"))?;
        let (gone, links) = channel::<String>();
        let bridges = Bridges::open(gone)?;
        std::thread::Builder::new()
            .name("sweeper".into())
            .stack_size(64 << 10)
            .spawn(move || {
                // It inherits this thread's namespace.
                let Ok(mut netlink) = Netlink::open(0) else { return };
                while let Ok(link) = links.recv() {
                    // One that went with its container's namespace is fine.
                    drop(netlink.delete_link(&link));
                }
            })
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self {
            bridges,
            outside,
            clients: Vec::new(),
            zones,
            resolver,
            slirp: None,
            slirp_started: None,
            slirp_again: None,
            masquerading: false,
            ipv6: false,
            empty_since: Instant::now(),
        })
    }

    fn is_over(&self) -> bool {
        self.clients.is_empty() && self.empty_since.elapsed() >= LINGER
    }

    fn wait(&mut self, listener: &OwnedFd) {
        let due = [self.clients.is_empty().then(|| self.empty_since + LINGER), self.slirp_again].into_iter().flatten().min();
        let timeout = due.map(|due| Timespec::try_from(due.saturating_duration_since(Instant::now())).unwrap_or_default());
        let mut fds = vec![PollFd::new(listener, PollFlags::IN)];
        fds.extend(self.clients.iter().map(|client| PollFd::new(&client.socket, PollFlags::IN)));
        if let Some(slirp) = &self.slirp {
            fds.push(PollFd::from_borrowed_fd(slirp.ended_fd(), PollFlags::empty()));
        }
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let slirp_ended = self.slirp.is_some() && fds.last().is_some_and(|fd| fd.revents().contains(PollFlags::HUP));
        drop(fds);
        // Clients first: one that has left may hold the address that a new one wants.
        for index in 0..self.clients.len() {
            if ready[index + 1] {
                self.serve(index);
            }
        }
        self.forget_gone();
        if slirp_ended {
            self.slirp_ended();
        }
        if self.slirp_again.is_some_and(|time| time <= Instant::now()) {
            self.slirp_again = None;
            // The next request, or the next second, tries again.
            if self.start_slirp().is_err() {
                self.slirp_again = Some(Instant::now() + SLIRP_REST);
            }
        }
        if ready[0] {
            while let Ok(Some(socket)) = socket::accept(listener.as_fd()) {
                // Only this user, who is root here; the directory is closed to others anyway.
                if socket::peer_uid(socket.as_fd()) == Ok(0) {
                    self.clients.push(Client { socket, member: None, links: Vec::new(), gone: false });
                }
            }
        }
    }

    /// Takes the containers of ended connections off their networks.
    fn forget_gone(&mut self) {
        let (gone, stay): (Vec<Client>, Vec<Client>) = std::mem::take(&mut self.clients).into_iter().partition(|client| client.gone);
        self.clients = stay;
        for client in &gone {
            let Some(member) = &client.member else { continue };
            for link in &client.links {
                self.leave(member, link, false);
            }
        }
        if !gone.is_empty() && self.clients.is_empty() {
            self.empty_since = Instant::now();
        }
    }

    fn leave(&mut self, member: &Member, link: &Link, now: bool) {
        write(&self.zones).remove_member(&link.lease.network, &member.id);
        self.bridges.unplug(member, link, now);
        if let Some(record) = self.bridges.remove_if_empty(&link.lease.network_id) {
            self.resolver.forget(&record.name);
            write(&self.zones).remove_network(&record.name);
        }
    }

    fn serve(&mut self, index: usize) {
        let socket = self.clients[index].socket.as_fd();
        let (request, fds) = match protocol::receive::<Request>(socket, false) {
            Err(rustix::io::Errno::AGAIN) => return,
            Ok(Some(packet)) => packet,
            Ok(None) | Err(_) => {
                self.clients[index].gone = true;
                return;
            }
        };
        let reply = self.answer(index, request, fds.first()).unwrap_or_else(|message| Reply::Error { message });
        let own = [self.bridges.own()];
        let fds = if matches!(reply, Reply::Netns) { &own[..] } else { &[] };
        if protocol::send(self.clients[index].socket.as_fd(), &reply, fds).is_err() {
            self.clients[index].gone = true;
        }
    }

    fn answer(&mut self, index: usize, request: Request, netns: Option<&OwnedFd>) -> Result<Reply, String> {
        const NO_NAMESPACE: &str = "the request came without a network namespace";
        match request {
            Request::Attach { member, wishes } => {
                let netns = netns.ok_or(NO_NAMESPACE)?;
                if self.clients[index].member.is_some() {
                    return Err("the connection has a container already".to_owned());
                }
                self.clients[index].member = Some(member);
                let leases = wishes.iter().map(|wish| self.connect(index, wish, netns)).collect::<Result<Vec<_>, _>>()?;
                Ok(Reply::Leases(leases))
            }
            Request::Connect { wish } => Ok(Reply::Leases(vec![self.connect(index, &wish, netns.ok_or(NO_NAMESPACE)?)?])),
            Request::Disconnect { network } => {
                let client = &mut self.clients[index];
                let place = client.links.iter().position(|link| link.lease.network_id == network);
                let (Some(place), Some(member)) = (place, client.member.clone()) else {
                    return Err("the container is not on this network".to_owned());
                };
                let link = client.links.remove(place);
                self.leave(&member, &link, true);
                Ok(Reply::Ok)
            }
            Request::Rename { name } => {
                let client = &mut self.clients[index];
                let member = client.member.as_mut().ok_or("the connection has no container")?;
                member.name = name;
                let mut zones = write(&self.zones);
                for link in &client.links {
                    zones.set_member(&link.lease.network, &member.id, names(member, link));
                }
                Ok(Reply::Ok)
            }
            Request::Update { network } => {
                if let Some(live) = self.bridges.get_mut(&network.id) {
                    live.record.dns_servers.clone_from(&network.dns_servers);
                    let record = live.record.clone();
                    write(&self.zones).set_network(&record.name, zone(&record));
                }
                Ok(Reply::Ok)
            }
            Request::Status => Ok(Reply::Pid(std::process::id())),
            Request::Visit => {
                if self.slirp.is_none() {
                    self.start_slirp()?;
                    self.wait_for_slirp()?;
                }
                Ok(Reply::Netns)
            }
            Request::Resolve { name } => {
                let found = self.zones.read().unwrap_or_else(std::sync::PoisonError::into_inner).find(&name);
                let found = found.into_iter().map(|found| FoundName {
                    network: found.network,
                    container: found.container,
                    addresses: found.addresses,
                });
                Ok(Reply::Found(found.collect()))
            }
        }
    }

    /// Puts the container of a connection on a network, which comes to be with the first one.
    fn connect(&mut self, index: usize, wish: &Wish, netns: &OwnedFd) -> Result<crate::state::lease::Lease, String> {
        let member = self.clients[index].member.clone().ok_or("the connection has no container")?;
        if self.clients[index].links.iter().any(|link| link.lease.network_id == wish.network.id) {
            return Err(format!("the container is on network {} already", wish.network.name));
        }
        let record = &wish.network;
        // slirp4netns starts while the rest is done; its device is waited for at the end.
        let waits = if record.internal || self.slirp.is_some() {
            false
        } else {
            self.ipv6 = member.host_ipv6;
            self.start_slirp()?;
            true
        };
        if self.bridges.ensure(record, &member.data, member.mtu).map_err(|error| error.to_string())? {
            self.open_names(record);
        }
        let plugged = self.plug(index, &member, wish, netns);
        if plugged.is_err()
            && let Some(record) = self.bridges.remove_if_empty(&record.id)
        {
            self.resolver.forget(&record.name);
            write(&self.zones).remove_network(&record.name);
        }
        let lease = plugged?;
        if waits && let Err(error) = self.masquerade().and_then(|()| self.wait_for_slirp()) {
            if let Some(link) = self.clients[index].links.pop() {
                self.leave(&member, &link, true);
            }
            return Err(error);
        }
        Ok(lease)
    }

    fn plug(&mut self, index: usize, member: &Member, wish: &Wish, netns: &OwnedFd) -> Result<crate::state::lease::Lease, String> {
        let mut inner = self.bridges.enter(netns.as_fd())?;
        let client = &mut self.clients[index];
        let plugged = self.bridges.plug(member, netns.as_fd(), &mut inner, wish, &mut client.links);
        plugged.map_err(|error| error.to_string())?;
        let link = client.links.last().ok_or("the link is gone")?;
        write(&self.zones).set_member(&link.lease.network, &member.id, names(member, link));
        Ok(link.lease.clone())
    }

    fn open_names(&mut self, record: &NetworkRecord) {
        write(&self.zones).set_network(&record.name, zone(record));
        // A port 53 that cannot be opened costs the names, not the network.
        if let Ok(sockets) = Sockets::open(&record.name_servers(), PORT, Some(&record.interface)) {
            self.resolver.serve(&record.name, sockets);
        }
    }

    fn start_slirp(&mut self) -> Result<(), String> {
        let options = SlirpOptions { ipv6: Some(self.ipv6), ..SlirpOptions::default() };
        let net = SlirpNet::new(&options, self.ipv6);
        let own = self.bridges.own().try_clone_to_owned().map_err(|error| format!("dup: {error}"))?;
        self.slirp = Some(self.outside.start_slirp(own, net, options)?);
        self.slirp_started = Some(Instant::now());
        Ok(())
    }

    fn masquerade(&mut self) -> Result<(), String> {
        if self.masquerading {
            return Ok(());
        }
        masquerade(TAP, false).map_err(|error| error.to_string())?;
        // Without it IPv6 stays between the containers.
        if self.ipv6 {
            drop(masquerade(TAP, true));
        }
        self.masquerading = true;
        Ok(())
    }

    /// Waits for the device of a slirp4netns that was just started: the default route is the last thing it makes.
    fn wait_for_slirp(&mut self) -> Result<(), String> {
        let end = Instant::now() + SLIRP_TIMEOUT;
        let text = |error: NetlinkError| error.to_string();
        while !self.bridges.netlink().has_default_route(None).map_err(text)? {
            while !self.bridges.netlink().read_events().map_err(text)? {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(format!("slirp4netns made no device within {} s", SLIRP_TIMEOUT.as_secs()));
                }
                let Some(slirp) = &mut self.slirp else { return Err("slirp4netns is gone".to_owned()) };
                let timeout = Timespec::try_from(left).unwrap_or_default();
                let netlink = self.bridges.netlink();
                let mut fds =
                    [PollFd::new(netlink, PollFlags::IN), PollFd::from_borrowed_fd(slirp.ended_fd(), PollFlags::empty())];
                // An interrupted wait looks again.
                let ready = poll(&mut fds, Some(&timeout));
                if ready.is_ok() && fds[1].revents().contains(PollFlags::HUP) {
                    let failure = slirp.failure().to_string();
                    self.reap_slirp();
                    return Err(failure);
                }
            }
        }
        if self.ipv6 {
            let net = SlirpNet::new(&SlirpOptions::default(), true);
            // Without it, IPv4 still works.
            drop(add_ipv6(self.bridges.netlink(), &net));
        }
        Ok(())
    }

    fn reap_slirp(&mut self) {
        if let Some(slirp) = self.slirp.take()
            && let Ok(pid) = i32::try_from(slirp.pid())
        {
            let _ = process::wait_for(pid);
        }
    }

    /// It was killed, or crashed: another takes over, connections through the old one are lost.
    fn slirp_ended(&mut self) {
        self.reap_slirp();
        let too_soon = self.slirp_started.is_some_and(|time| time.elapsed() < SLIRP_REST);
        if too_soon || self.start_slirp().and_then(|()| self.wait_for_slirp()).is_err() {
            self.slirp_again = Some(Instant::now() + SLIRP_REST);
        }
    }
}

/// What the name server is told of a network.
fn zone(record: &NetworkRecord) -> NetworkZone {
    let subnet = |subnet: crate::spec::Subnet| resolver::Subnet { address: subnet.address(), prefix: subnet.prefix() };
    NetworkZone {
        subnets: record.subnets.iter().map(|each| subnet(each.subnet)).collect(),
        forward: !record.internal,
        servers: record.dns_servers.clone(),
    }
}

/// The names of a container on a network.
fn names(member: &Member, link: &Link) -> resolver::Member {
    let short = member.id.get(..12).unwrap_or(&member.id).to_owned();
    let mut names = vec![member.name.clone(), short];
    names.extend(link.lease.aliases.iter().cloned());
    if !member.hostname.is_empty() {
        names.push(member.hostname.clone());
    }
    resolver::Member {
        name: member.name.clone(),
        names,
        addresses: [link.lease.ip.map(IpAddr::from), link.lease.ip6.map(IpAddr::from)].into_iter().flatten().collect(),
        servers: member.servers.clone(),
        host: member.host,
    }
}
