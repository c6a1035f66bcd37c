//! The network of the running container: the default network's slirp4netns, its place on user networks, its published
//! ports, its name files. What each of them is, `network` knows; here they live and die with the container.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::Monitor;
use super::life::StartError;
use super::protocol::{Reply, Start};
use crate::network::holder::client::{HolderError, Plug};
use crate::network::holder::protocol::Wish;
use crate::network::files::HostsLink;
use crate::network::host_access::{self, HostAccess};
use crate::network::pasta;
use crate::network::ports::{Listeners, Target};
use crate::network::private::{Inside, NetworkError, PrivateNetwork};
use crate::network::slirp::{self, Slirp, SlirpNet};
use crate::spec::network::SlirpOptions;
use crate::state::lease::{self, Lease};
use crate::state::files;

/// How long slirp4netns may take to make its device.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A holder that ends sooner after it was reached is not started again at once.
const REST: Duration = Duration::from_secs(1);
/// How often a lost holder is started again before the container is given up.
const TRIES: u32 = 8;

/// The network of a run.
#[derive(Debug, Default)]
pub(super) struct Net {
    private: Option<PrivateNetwork>,
    plug: Option<Plug>,
    /// Servers of the host it may reach.
    host: Option<HostAccess>,
    leases: Vec<Lease>,
    /// Published ports, and the address they lead to.
    ports: Option<(Inside, Target)>,
}

impl Net {
    /// Process id of slirp4netns.
    pub(super) fn slirp_pid(&self) -> Option<i32> {
        self.private.as_ref().and_then(|private| i32::try_from(private.slirp_pid()).ok())
    }

    /// Becomes readable when the holder has ended.
    pub(super) fn holder_fd(&self) -> Option<BorrowedFd<'_>> {
        self.plug.as_ref().map(Plug::end_fd)
    }

    /// Its place on user networks.
    pub(super) fn leases(&self) -> &[Lease] {
        &self.leases
    }

    /// Waits until the container may start.
    pub(super) fn wait_configured(&mut self) -> Result<(), NetworkError> {
        if let Some(private) = &mut self.private {
            private.wait_configured(TIMEOUT)?;
        }
        if let Some((ports, _)) = &mut self.ports {
            ports.result()?;
        }
        Ok(())
    }

    /// Ends all of it, but for the reaping of slirp4netns; gives the listeners back.
    pub(super) fn stop(self, reaped: bool) -> Listeners {
        drop(self.plug);
        drop(self.host);
        if let Some(private) = self.private {
            private.stop(reaped);
        }
        self.ports.map(|(ports, _)| ports.stop()).unwrap_or_default()
    }

    /// Makes published ports lead where they should by now; without such a place, clients are turned away.
    fn forward(&mut self, wishes: &[Wish], netns: BorrowedFd<'_>, listeners: &mut Listeners) -> Result<(), NetworkError> {
        let target = self.target(wishes);
        let stale = |old: &Target| !target.is_same(old);
        if let Some((ports, _)) = self.ports.take_if(|(_, old)| stale(old)) {
            // Connections to the address that is gone end.
            listeners.extend(ports.stop());
        }
        if !listeners.is_empty() {
            self.ports = Some((Inside::forward(netns, target, std::mem::take(listeners))?, target));
        }
        Ok(())
    }

    /// Where published ports lead: the default network, else the first one with an IPv4 address, else the first. Clients of a
    /// family the network does not have come to addresses of the default network's, which nothing else uses there.
    fn target(&self, wishes: &[Wish]) -> Target {
        match &self.private {
            Some(private) => private.target(),
            None => self.user_target(wishes).unwrap_or_else(Target::nowhere),
        }
    }

    fn user_target(&self, wishes: &[Wish]) -> Option<Target> {
        let lease = self.leases.iter().find(|lease| lease.ip.is_some()).or(self.leases.first())?;
        let network = wishes.iter().map(|wish| &wish.network).find(|network| network.id == lease.network_id)?;
        let gateway = |ipv6: bool| network.subnet(ipv6).map(|subnet| subnet.gateway);
        let v4 = if let (Some(ip), Some(IpAddr::V4(gateway))) = (lease.ip, gateway(false)) { Some((ip, gateway)) } else { None };
        let v6 = if let (Some(ip), Some(IpAddr::V6(gateway))) = (lease.ip6, gateway(true)) { Some((ip, gateway)) } else { None };
        let other = SlirpNet::new(&SlirpOptions::default(), false);
        match (v4, v6) {
            (Some((ip, gateway)), Some((ip6, gateway6))) => Some(Target::on_link(ip, gateway, ip6, gateway6)),
            (Some((ip, gateway)), None) => Some(Target::new(ip, gateway, other.address6, other.gateway6)),
            (None, Some((ip6, gateway6))) => {
                let target = Target::on_link(other.address, other.gateway, ip6, gateway6);
                Some(Target { loopback: Some(other.address.into()), ..target })
            }
            (None, None) => None,
        }
    }
}

fn open_netns(pid: i32) -> Result<OwnedFd, String> {
    netns_of(pid)?.ok_or_else(|| "cannot open the network namespace: the container has just ended".to_owned())
}

/// None of a container whose end is still to be heard of: there is nothing to be done in it any more.
fn netns_of(pid: i32) -> Result<Option<OwnedFd>, String> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    match rustix::fs::open(format!("/proc/{pid}/ns/net"), flags, rustix::fs::Mode::empty()) {
        Ok(netns) => Ok(Some(netns)),
        // EACCES is what procfs says of a process that goes while the link is followed; of one that lives root may look.
        Err(Errno::NOENT | Errno::SRCH | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(format!("cannot open the network namespace: {errno}")),
    }
}

fn start_slirp(netns: BorrowedFd<'_>, net: &SlirpNet, options: &SlirpOptions) -> Result<PrivateNetwork, NetworkError> {
    let program = slirp::find(std::env::var_os("PATH").as_deref())?;
    PrivateNetwork::start(&program, netns, net, options)
}

fn done(outcome: Result<(), String>) -> Reply {
    outcome.map_or_else(|message| Reply::Error { message }, |()| Reply::Ok)
}

fn outside(error: impl std::fmt::Display) -> StartError {
    StartError::Outside(error.to_string())
}

impl Monitor {
    /// Whether ports are published: the container may be on a network, if it is on none now.
    pub(super) fn publishes(&self) -> bool {
        self.start.member.is_some() && !self.start.ports.is_empty()
    }

    /// Starts everything; [`Net::wait_configured`] waits for it. On failure the listeners stay here for another try.
    pub(super) fn start_network(&mut self, pid: i32, listeners: Listeners) -> Result<Option<Net>, StartError> {
        let Start { slirp, pasta, networks, host_access, .. } = &self.start;
        if slirp.is_none() && pasta.is_none() && networks.is_empty() && host_access.is_empty() && listeners.is_empty() {
            return Ok(None);
        }
        let netns = open_netns(pid).map_err(outside)?;
        let mut net = Net::default();
        (self.listeners, self.helper_reaped) = (listeners, false);
        match self.start_parts(&mut net, netns.as_fd()) {
            Ok(()) => Ok(Some(net)),
            Err(message) => {
                let helper = net.slirp_pid();
                self.listeners.extend(net.stop(false));
                if let Some(helper) = helper {
                    let _ = crate::sys::process::wait_for(helper);
                }
                Err(outside(message))
            }
        }
    }

    fn start_parts(&mut self, net: &mut Net, netns: BorrowedFd<'_>) -> Result<(), String> {
        let text = |error: NetworkError| error.to_string();
        if !self.start.host_access.is_empty() {
            net.host = Some(HostAccess::start(netns, &self.start.host_access).map_err(|error| error.to_string())?);
        }
        if let Some(options) = &self.start.slirp {
            net.private = Some(start_slirp(netns, &self.slirp_net(options), options).map_err(text)?);
        }
        if let Some(options) = &self.start.pasta {
            let started = self.start_pasta(netns, options)?;
            let network = pasta::network(host_access::own_address());
            net.private = Some(PrivateNetwork::with(started, netns, &network).map_err(text)?);
        }
        if !self.start.networks.is_empty() {
            self.attach(net, netns).map_err(|error| error.to_string())?;
            self.record_leases(&net.leases);
            self.watch_links();
            self.write_names(&net.leases)?;
        }
        net.forward(&self.start.networks, netns, &mut self.listeners).map_err(text)
    }

    /// The default network: the way out, unless another one is to be.
    fn slirp_net(&self, options: &SlirpOptions) -> SlirpNet {
        let steps_back = self.start.networks.iter().any(|wish| wish.priority > 0);
        SlirpNet { steps_back, ..SlirpNet::new(options, self.start.host_ipv6) }
    }

    fn start_pasta(&self, netns: BorrowedFd<'_>, options: &[String]) -> Result<Slirp, String> {
        let program = pasta::find(std::env::var_os("PATH").as_deref()).map_err(|error| error.to_string())?;
        let link = self.paths.container_run(&self.start.id).join("netns");
        pasta::start(&program, netns, &link, options).map_err(|error| error.to_string())
    }

    /// Puts the container on its networks, with the addresses it had.
    fn attach(&mut self, net: &mut Net, netns: BorrowedFd<'_>) -> Result<(), HolderError> {
        let Some(member) = &self.start.member else { return Ok(()) };
        let before = if net.leases.is_empty() { lease::read(&self.paths, &self.start.id) } else { net.leases.clone() };
        let mut wishes = self.start.networks.clone();
        for wish in &mut wishes {
            wish.before = before.iter().find(|lease| lease.network_id == wish.network.id).cloned();
            if let Some(had) = wish.before.as_ref().filter(|_| wish.interface.is_none() && net.plug.is_some()) {
                wish.interface = Some(had.interface.clone());
            }
        }
        net.plug = None;
        let (plug, leases) = Plug::attach(&self.network_run(), netns, member, &wishes)?;
        (net.plug, net.leases) = (Some(plug), leases);
        Ok(())
    }

    /// Where the networks' holder is, or is to be.
    fn network_run(&self) -> std::path::PathBuf {
        // A store that cannot be written has no container but this one's.
        drop(self.paths.claim_network_run());
        self.paths.network_run()
    }

    /// Without the record the container comes back with other addresses; it runs all the same.
    fn record_leases(&self, leases: &[Lease]) {
        drop(lease::write(&self.paths, &self.start.id, leases));
    }

    pub(super) fn write_names(&self, leases: &[Lease]) -> Result<(), String> {
        let Some(names) = &self.start.names else { return Ok(()) };
        names.write(&self.paths, leases, &std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
    }

    /// Everything that follows from a change of networks while the container runs.
    fn networks_changed(&mut self) -> Result<(), String> {
        let Some(init) = self.record.init else { return Ok(()) };
        let Some(net) = self.running.as_mut().and_then(|running| running.network.as_mut()) else { return Ok(()) };
        let forwarded = netns_of(init.pid).and_then(|netns| match netns {
            Some(netns) => net.forward(&self.start.networks, netns.as_fd(), &mut self.listeners).map_err(|error| error.to_string()),
            None => Ok(()),
        });
        let leases = net.leases.clone();
        self.record_leases(&leases);
        // A full disk leaves the files as they were.
        drop(self.write_names(&leases));
        self.record.networks = leases;
        drop(files::write_json(&self.paths.container_run(&self.start.id).join("run.json"), &self.record));
        forwarded
    }

    /// `network connect`.
    pub(super) fn connect_network(&mut self, wish: Wish, links: Vec<HostsLink>) -> Reply {
        let error = |message: String| Reply::Error { message };
        if self.start.member.is_none() {
            return error("the container has no network namespace of its own, so it cannot be connected".to_owned());
        }
        let netns = match self.record.init.map_or(Ok(None), |init| netns_of(init.pid)) {
            Ok(Some(netns)) => netns,
            Err(message) => return error(message),
            Ok(None) => {
                // Between two runs: the next has it.
                self.has_network(wish, links);
                return Reply::Ok;
            }
        };
        // The others first, if their holder has just ended: their addresses are theirs.
        if let Err(reason) = self.plug_again_if_lost() {
            return error(reason);
        }
        let connected = match self.join(netns.as_fd(), &wish) {
            // It ended under our hands.
            Err(reason) if !matches!(reason, HolderError::Refused(_)) => {
                self.holder_ended();
                self.plug_again_if_lost().and_then(|()| self.join(netns.as_fd(), &wish).map_err(|reason| reason.to_string()))
            }
            other => other.map_err(|reason| reason.to_string()),
        };
        if let Err(reason) = connected {
            return error(reason);
        }
        let Some(net) = self.running.as_mut().and_then(|running| running.network.as_mut()) else { return Reply::Ok };
        let back = match &mut net.private {
            Some(private) if wish.priority > 0 => private.step_back(netns.as_fd()).map_err(|reason| reason.to_string()),
            Some(_) | None => Ok(()),
        };
        let id = wish.network.id.clone();
        self.has_network(wish, links);
        let changed = back.and(self.networks_changed());
        if changed.is_err() {
            // Who asked is told that it could not be, so it is not.
            self.disconnect_network(&id);
        }
        done(changed)
    }

    /// Puts the running container on one more network.
    fn join(&mut self, netns: BorrowedFd<'_>, wish: &Wish) -> Result<(), HolderError> {
        let run = self.network_run();
        let (Some(running), Some(member)) = (&mut self.running, &self.start.member) else { return Err(HolderError::None) };
        let net = running.network.get_or_insert_default();
        match &net.plug {
            Some(plug) => net.leases.push(plug.connect(netns, wish)?),
            None => {
                let (plug, leases) = Plug::attach(&run, netns, member, std::slice::from_ref(wish))?;
                (net.plug, net.leases) = (Some(plug), leases);
            }
        }
        Ok(())
    }

    fn plug_again_if_lost(&mut self) -> Result<(), String> {
        let net = self.running.as_ref().and_then(|running| running.network.as_ref());
        if net.is_some_and(|net| net.plug.is_none() && !net.leases.is_empty()) { self.plug_again() } else { Ok(()) }
    }

    fn has_network(&mut self, wish: Wish, links: Vec<HostsLink>) {
        self.start.networks.push(wish);
        if let Some(names) = &mut self.start.names {
            names.links.extend(links);
        }
        self.watch_links();
    }

    /// `network disconnect`.
    pub(super) fn disconnect_network(&mut self, network: &str) -> Reply {
        self.start.networks.retain(|wish| wish.network.id != network);
        if let Some(names) = &mut self.start.names {
            names.links.retain(|link| link.network.as_deref() != Some(network));
        }
        let Some(init) = self.record.init else {
            // A store that cannot be written has not changed either.
            drop(lease::forget(&self.paths, &self.start.id, network));
            return Reply::Ok;
        };
        let Some(net) = self.running.as_mut().and_then(|running| running.network.as_mut()) else { return Reply::Ok };
        let Some(plug) = &net.plug else { return Reply::Ok };
        if net.leases.iter().all(|lease| lease.network_id != network) {
            return Reply::Ok;
        }
        let left = netns_of(init.pid).and_then(|netns| match netns.map(|netns| plug.disconnect(netns.as_fd(), network)) {
            Some(Err(HolderError::Refused(reason))) => Err(reason),
            // With a holder that has just ended, the network is left too; the others are made again.
            Some(Ok(()) | Err(_)) | None => Ok(()),
        });
        net.leases.retain(|lease| lease.network_id != network);
        if net.leases.is_empty() {
            net.plug = None;
        }
        let changed = self.networks_changed();
        done(left.and(changed))
    }

    /// `network connect bridge`, and with no options `network disconnect bridge`: the default network comes or goes.
    pub(super) fn set_default_network(&mut self, options: Option<SlirpOptions>) -> Reply {
        let error = |message: String| Reply::Error { message };
        self.start.slirp.clone_from(&options);
        let net = options.as_ref().map(|options| self.slirp_net(options));
        if let Some(names) = &mut self.start.names {
            names.address = net.map(|net| net.address.into());
            names.server = net.map(|net| (net.dns.into(), net.ipv6));
        }
        self.record.ip = net.map(|net| net.address.to_string());
        let Some(running) = &mut self.running else { return Reply::Ok };
        let netns = match netns_of(running.pid) {
            Ok(Some(netns)) => netns,
            // The next run has it.
            Ok(None) => return Reply::Ok,
            Err(message) => return error(message),
        };
        let network = running.network.get_or_insert_default();
        self.helper_at = None;
        if let Some(private) = network.private.take() {
            let pid = i32::try_from(private.slirp_pid());
            private.stop(self.helper_reaped);
            // Its device is gone then: the next one wants the name.
            if let Ok(pid) = pid
                && !self.helper_reaped
            {
                let _ = crate::sys::process::wait_for(pid);
            }
        }
        if let (Some(options), Some(net)) = (&options, &net) {
            let started = start_slirp(netns.as_fd(), net, options).and_then(|mut private| match private.wait_configured(TIMEOUT) {
                Ok(()) => Ok(private),
                Err(reason) => {
                    private.stop(false);
                    Err(reason)
                }
            });
            match started {
                Ok(private) => (network.private, self.helper_reaped) = (Some(private), false),
                Err(reason) => {
                    self.start.slirp = None;
                    return error(reason.to_string());
                }
            }
        }
        done(self.networks_changed())
    }

    /// `rename`: its names on its networks change.
    pub(super) fn renamed(&mut self, name: String) -> Reply {
        if let Some(member) = &mut self.start.member {
            member.name.clone_from(&name);
        }
        if let Some(names) = &mut self.start.names {
            names.name.clone_from(&name);
        }
        self.start.name = name;
        let leases = self.record.networks.clone();
        // A full disk leaves the files as they were.
        drop(self.write_names(&leases));
        let net = self.running.as_ref().and_then(|running| running.network.as_ref());
        match net.and_then(|net| net.plug.as_ref()).map(|plug| plug.rename(&self.start.name)) {
            Some(Err(HolderError::Refused(message))) => Reply::Error { message },
            // The next holder is told the new one.
            Some(Ok(()) | Err(_)) | None => Reply::Ok,
        }
    }

    /// `network reload`: off all networks and on again.
    pub(super) fn reload_networks(&mut self) -> Reply {
        done(self.plug_again())
    }

    pub(super) fn plug_again(&mut self) -> Result<(), String> {
        let Some(init) = self.record.init else { return Ok(()) };
        let Some(mut net) = self.running.as_mut().and_then(|running| running.network.take()) else { return Ok(()) };
        let plugged = netns_of(init.pid).and_then(|netns| match netns {
            Some(netns) => self.attach(&mut net, netns.as_fd()).map_err(|error| error.to_string()),
            None => Ok(()),
        });
        if let Some(running) = &mut self.running {
            running.network = Some(net);
        }
        plugged?;
        (self.holder_at, self.holder_reached) = (None, Some(Instant::now()));
        self.networks_changed()
    }

    /// The holder has ended, and the networks with it: they are made again, or the container ends with the reason.
    pub(super) fn holder_ended(&mut self) {
        if let Some(net) = self.running.as_mut().and_then(|running| running.network.as_mut()) {
            // Kept until the container is plugged in again: `leases` say with what.
            net.plug = None;
        }
        let too_soon = self.holder_reached.is_some_and(|time| time.elapsed() < REST);
        self.holder_tries = if too_soon { self.holder_tries } else { 0 };
        self.holder_at = Some(if too_soon { Instant::now() + REST } else { Instant::now() });
    }

    /// It is time to reach a holder again.
    pub(super) fn reach_holder(&mut self) {
        self.holder_at = None;
        self.holder_tries += 1;
        match self.plug_again() {
            Ok(()) => {}
            Err(reason) if self.holder_tries >= TRIES => {
                self.doom(&format!("its networks were lost and could not be restored: {reason}"));
            }
            Err(_) => self.holder_at = Some(Instant::now() + REST),
        }
    }

    /// The process of slirp4netns or pasta, unless it was reaped.
    pub(super) fn helper_pid(&self) -> Option<i32> {
        let net = self.running.as_ref()?.network.as_ref()?;
        net.slirp_pid().filter(|_| !self.helper_reaped)
    }

    /// slirp4netns or pasta was killed, or crashed: a new one takes over, after a rest where it ended as soon as it came.
    pub(super) fn helper_ended(&mut self) {
        self.helper_reaped = true;
        let too_soon = self.helper_started.is_some_and(|time| time.elapsed() < REST);
        self.helper_tries = if too_soon { self.helper_tries } else { 0 };
        self.helper_at = Some(if too_soon { Instant::now() + REST } else { Instant::now() });
    }

    /// It is time for another one.
    pub(super) fn start_helper(&mut self) {
        self.helper_at = None;
        self.helper_tries += 1;
        if self.helper_tries > TRIES {
            return self.doom("its network helper keeps ending");
        }
        match self.restart_helper() {
            Ok(()) => (self.helper_started, self.helper_reaped) = (Some(Instant::now()), false),
            Err(reason) if self.helper_tries == TRIES => {
                self.doom(&format!("its network helper ended and could not be started again: {reason}"));
            }
            Err(_) => self.helper_at = Some(Instant::now() + REST),
        }
    }

    fn restart_helper(&mut self) -> Result<(), String> {
        let Some(running) = &self.running else { return Ok(()) };
        let netns = open_netns(running.pid)?;
        let started = match (&self.start.slirp, &self.start.pasta) {
            (Some(options), _) => {
                let program = slirp::find(std::env::var_os("PATH").as_deref()).map_err(|error| error.to_string())?;
                Slirp::start(&program, netns.as_fd(), &self.slirp_net(options), options).map_err(|error| error.to_string())?
            }
            (None, Some(options)) => self.start_pasta(netns.as_fd(), options)?,
            (None, None) => return Ok(()),
        };
        let network = self.running.as_mut().and_then(|running| running.network.as_mut());
        match network.and_then(|network| network.private.as_mut()) {
            Some(private) => private.replace(started, netns.as_fd()).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }
}
