//! The default network of one container: slirp4netns outside, one thread inside.
//!
//! The monitor lives in the host's network namespace and cannot come back to it, so what must happen in the
//! container's happens in threads that enter it: one waits for slirp4netns' device, adds what slirp4netns does not, and ends;
//! another, on networks of all kinds, forwards published ports for as long as the container runs.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use crate::network::netlink::{Netlink, NetlinkError, group};
use crate::network::ports::{self, Listeners, Target};
use crate::network::slirp::{Slirp, SlirpError, SlirpNet, TAP};
use crate::spec::network::SlirpOptions;
use crate::spec::subnet::Subnet;

/// Stack of the thread inside. Its deepest call needs a third of it; untouched pages cost nothing.
const STACK: usize = 128 * 1024;
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
/// Metric of a default route that stepped back: behind networks with a priority, before all others.
const METRIC_BACK: u32 = 99;
/// That of the IPv6 default route otherwise, before all others. slirp4netns gives its IPv4 one the metric 0.
const METRIC_FIRST: u32 = 1;

/// Why a container's network could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// slirp4netns is missing or failed.
    #[error(transparent)]
    Slirp(#[from] SlirpError),
    /// The work inside the namespace failed.
    #[error("cannot set up the container's network: {message}")]
    Inside {
        /// What failed and why.
        message: String,
    },
    /// Nothing failed, but nothing came of it either.
    #[error("cannot set up the default network: slirp4netns made no device within {seconds} s")]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
    /// A descriptor or thread could not be had.
    #[error("cannot set up the container's network: {operation}: {source}")]
    System {
        /// What was asked of the system.
        operation: &'static str,
        /// Its error.
        source: std::io::Error,
    },
}

fn system(operation: &'static str) -> impl Fn(Errno) -> NetworkError {
    move |errno| NetworkError::System { operation, source: errno.into() }
}

/// A thread in a container's network namespace.
#[derive(Debug)]
pub struct Inside {
    thread: Option<JoinHandle<Listeners>>,
    stop: OwnedFd,
    /// One byte 1 when all is set up, or the text of an error; then the end.
    report: std::fs::File,
}

/// What the thread does.
#[derive(Debug)]
enum Work {
    /// Waits for the default route, by slirp4netns' device if it is that, and completes it.
    Configure(SlirpNet),
    /// Forwards the ports of these listeners.
    Forward(Target, Listeners),
}

impl Inside {
    /// Starts a thread that forwards the ports of these listeners.
    ///
    /// # Errors
    /// [`NetworkError::System`].
    pub fn forward(netns: BorrowedFd<'_>, target: Target, listeners: Listeners) -> Result<Self, NetworkError> {
        Self::start(netns, Work::Forward(target, listeners))
    }

    fn start(netns: BorrowedFd<'_>, what: Work) -> Result<Self, NetworkError> {
        let netns = netns.try_clone_to_owned().map_err(|source| NetworkError::System { operation: "dup", source })?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(system("eventfd"))?;
        let stopped = stop.try_clone().map_err(|source| NetworkError::System { operation: "dup", source })?;
        let (report, tell) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(system("pipe"))?;
        let thread = std::thread::Builder::new()
            .name("network".into())
            .stack_size(STACK)
            .spawn(move || work(netns, what, &stopped, tell))
            .map_err(|source| NetworkError::System { operation: "start a thread", source })?;
        Ok(Self { thread: Some(thread), stop, report: report.into() })
    }

    /// Becomes readable when [`Inside::result`] will not block.
    pub fn result_fd(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }

    /// Waits for the set-up inside to be done.
    ///
    /// # Errors
    /// What failed inside.
    pub fn result(&mut self) -> Result<(), NetworkError> {
        let mut report = Vec::new();
        let mut first = [0; 1];
        let inside = |message: String| NetworkError::Inside { message };
        match self.report.read(&mut first) {
            Ok(1) if first == [1] => Ok(()),
            Ok(_) => {
                report.extend(first.iter().filter(|b| **b != 0));
                self.report.read_to_end(&mut report).map_err(|e| inside(e.to_string()))?;
                Err(inside(String::from_utf8_lossy(&report).into_owned()))
            }
            Err(error) => Err(inside(error.to_string())),
        }
    }

    /// Ends the thread, which closes every forwarded connection, and gives the listeners back (for a restart; clients
    /// wait in their queues meanwhile).
    pub fn stop(mut self) -> Listeners {
        // An eventfd of count zero takes this.
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

/// Returns the listeners when it has ended.
fn work(netns: OwnedFd, what: Work, stop: &OwnedFd, tell: OwnedFd) -> Listeners {
    let newnet = rustix::thread::LinkNameSpaceType::Network;
    let entered = rustix::thread::move_into_link_name_space(netns.as_fd(), Some(newnet))
        .map_err(|errno| format!("cannot enter the network namespace: {errno}"));
    // Nothing more is needed of it, and it would keep the namespace alive.
    drop(netns);
    match what {
        Work::Configure(net) => {
            report(tell, entered.and_then(|()| configure(&net, stop).map_err(|error| error.to_string())));
            Listeners::new()
        }
        Work::Forward(mut target, listeners) => {
            let prepared = entered.and_then(|()| prepare(&listeners, &mut target).map_err(|error| error.to_string()));
            if let Some(mut netlink) = report(tell, prepared) {
                // Ends when told to; a kernel without epoll was noticed long before.
                let _ = ports::serve(&listeners, target, &mut netlink, stop.as_fd());
            }
            listeners
        }
    }
}

/// Tells whoever waits in [`Inside::result`].
fn report<T>(tell: OwnedFd, outcome: Result<T, String>) -> Option<T> {
    // Nobody waits for one that was stopped before.
    match outcome {
        Ok(made) => rustix::io::write(&tell, &[1]).ok().map(|_| made),
        Err(message) => {
            let _ = rustix::io::write(&tell, message.as_bytes());
            None
        }
    }
}

fn configure(net: &SlirpNet, stop: &OwnedFd) -> Result<(), NetlinkError> {
    let mut netlink = Netlink::open(group::IPV4_ROUTE)?;
    wait_for_route(&mut netlink, (!net.shares_addresses).then_some(TAP), stop)?;
    if net.ipv6 {
        // Without it, IPv4 still works.
        drop(add_ipv6(&mut netlink, net));
    }
    if net.steps_back { step_back(&mut netlink, net) } else { Ok(()) }
}

/// Gives the default routes by slirp4netns a metric behind those of networks with a priority.
fn step_back(netlink: &mut Netlink, net: &SlirpNet) -> Result<(), NetlinkError> {
    let link = netlink.link_index(TAP)?;
    for (any, gateway, metric) in [(ANY, IpAddr::V4(net.gateway), 0), (ANY6, net.gateway6.into(), METRIC_FIRST)] {
        if any.is_ipv6() && !net.ipv6 {
            continue;
        }
        let Some(any) = Subnet::new(any, 0) else { continue };
        netlink.add_route_by(any, gateway, link, METRIC_BACK)?;
        match netlink.delete_route_by(any, gateway, link, metric) {
            // It was done before.
            Err(error) if error.source.raw_os_error() == Some(libc::ESRCH) => {}
            other => other?,
        }
    }
    Ok(())
}

fn prepare(listeners: &Listeners, target: &mut Target) -> Result<Netlink, NetlinkError> {
    let mut netlink = Netlink::open(0)?;
    ports::prepare(&mut netlink, listeners, target)?;
    Ok(netlink)
}

/// Waits for slirp4netns to have configured its device: the default route is the last thing it adds.
fn wait_for_route(netlink: &mut Netlink, device: Option<&str>, stop: &OwnedFd) -> Result<(), NetlinkError> {
    while !netlink.has_default_route(device)? {
        // Events that came with the answer must be read before waiting for others.
        while !netlink.read_events()? {
            let mut fds = [PollFd::new(netlink, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
            let ready = poll(&mut fds, None);
            match ready {
                Ok(_) if !fds[1].revents().is_empty() => {
                    let source = std::io::Error::from_raw_os_error(libc::ECANCELED);
                    return Err(NetlinkError { operation: "wait for a route", source });
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(NetlinkError { operation: "wait for a route", source: errno.into() }),
            }
        }
    }
    Ok(())
}

pub(super) fn add_ipv6(netlink: &mut Netlink, net: &SlirpNet) -> Result<(), NetlinkError> {
    // Our address is fixed; slirp4netns' advertisements would add others.
    drop(std::fs::write(format!("/proc/sys/net/ipv6/conf/{TAP}/accept_ra"), "0"));
    let link = netlink.link_index(TAP)?;
    netlink.add_address(link, IpAddr::V6(net.address6), 64)?;
    let Some(any) = Subnet::new(ANY6, 0) else { return Ok(()) };
    netlink.add_route_by(any, IpAddr::V6(net.gateway6), link, METRIC_FIRST)
}

/// The default network of a running container.
#[derive(Debug)]
pub struct PrivateNetwork {
    slirp: Slirp,
    net: SlirpNet,
    inside: Inside,
}

impl PrivateNetwork {
    /// Starts everything, waits for nothing. The caller must reap [`PrivateNetwork::slirp_pid`].
    ///
    /// # Errors
    /// slirp4netns that cannot be executed, or a system out of threads or descriptors.
    pub fn start(program: &Path, netns: BorrowedFd<'_>, net: &SlirpNet, options: &SlirpOptions) -> Result<Self, NetworkError> {
        // slirp4netns takes longest.
        let slirp = Slirp::start(program, netns, net, options)?;
        Self::with(slirp, netns, net)
    }

    /// As [`PrivateNetwork::start`], with another program that makes a device and a default route.
    ///
    /// # Errors
    /// A system out of threads or descriptors.
    pub fn with(slirp: Slirp, netns: BorrowedFd<'_>, net: &SlirpNet) -> Result<Self, NetworkError> {
        match Inside::start(netns, Work::Configure(*net)) {
            Ok(inside) => Ok(Self { slirp, net: *net, inside }),
            Err(error) => {
                slirp.kill();
                Err(error)
            }
        }
    }

    /// Process id of slirp4netns.
    pub fn slirp_pid(&self) -> u32 {
        self.slirp.pid()
    }

    /// Where published ports lead.
    pub fn target(&self) -> Target {
        let target = Target::new(self.net.address, self.net.gateway, self.net.address6, self.net.gateway6);
        Target { shares: self.net.shares_addresses, ..target }
    }

    /// Two descriptors to poll: when either has an event, [`PrivateNetwork::wait_configured`] will not block for long.
    pub fn event_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.inside.result_fd(), self.slirp.ended_fd()]
    }

    /// Waits until the container may start: address, default route and published ports are there.
    ///
    /// # Errors
    /// Why they are not, in slirp4netns' own words if it has ended.
    pub fn wait_configured(&mut self, timeout: Duration) -> Result<(), NetworkError> {
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).unwrap_or_default();
            let [result, ended] = self.event_fds();
            let mut fds = [PollFd::from_borrowed_fd(result, PollFlags::IN), PollFd::from_borrowed_fd(ended, PollFlags::empty())];
            let ready = poll(&mut fds, Some(&left));
            let (done, ended) = (!fds[0].revents().is_empty(), fds[1].revents().contains(PollFlags::HUP));
            match ready {
                Ok(0) => return Err(NetworkError::Timeout { seconds: timeout.as_secs() }),
                Ok(_) if done => return self.inside.result(),
                Ok(_) if ended => return Err(self.slirp.failure().into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(system("poll")(errno)),
            }
        }
    }

    /// Leaves the way out to another network from now on.
    ///
    /// # Errors
    /// What failed inside.
    pub fn step_back(&mut self, netns: BorrowedFd<'_>) -> Result<(), NetworkError> {
        if self.net.steps_back {
            return Ok(());
        }
        let net = SlirpNet { steps_back: true, ..self.net };
        let mut inside = Inside::start(netns, Work::Configure(net))?;
        inside.result()?;
        self.net = net;
        std::mem::replace(&mut self.inside, inside).stop();
        Ok(())
    }

    /// Why slirp4netns ended, to be asked when it was reaped before its time.
    pub fn slirp_failure(&mut self) -> SlirpError {
        self.slirp.failure()
    }

    /// Goes on with another process in a running container whose old one was reaped.
    ///
    /// # Errors
    /// As [`PrivateNetwork::with`].
    pub fn replace(&mut self, slirp: Slirp, netns: BorrowedFd<'_>) -> Result<(), NetworkError> {
        let again = Self::with(slirp, netns, &self.net)?;
        std::mem::replace(self, again).inside.stop();
        Ok(())
    }

    /// Kills slirp4netns (`reaped`: unless it is gone already). Does not wait for it: the kernel takes some 25 ms to close
    /// its device, so reap it after the container's end was told to everybody.
    pub fn stop(self, reaped: bool) {
        if !reaped {
            self.slirp.kill();
        }
        self.inside.stop();
    }
}
