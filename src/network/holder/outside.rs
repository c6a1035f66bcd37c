//! The holder's first thread: the only one that is still in the host's network namespace, so what must talk to the
//! host's network (slirp4netns, questions to the host's name servers) is started here.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::network::slirp::{self, Slirp, SlirpError, SlirpNet};
use crate::spec::network::SlirpOptions;

/// An order to start slirp4netns for a namespace.
struct Order {
    netns: OwnedFd,
    net: SlirpNet,
    options: SlirpOptions,
    answer: Sender<Result<Slirp, SlirpError>>,
}

/// The way from other threads to this one.
#[derive(Debug)]
pub(super) struct Outside {
    orders: Sender<Order>,
}

/// The orders; [`serve`] them.
#[derive(Debug)]
pub(super) struct Orders(Receiver<Order>);

/// Both ends.
pub(super) fn pair() -> (Outside, Orders) {
    let (orders, receiver) = channel();
    (Outside { orders }, Orders(receiver))
}

impl Outside {
    /// Starts slirp4netns for a network namespace; does not wait for its device.
    pub(super) fn start_slirp(&self, netns: OwnedFd, net: SlirpNet, options: SlirpOptions) -> Result<Slirp, String> {
        let (answer, answered) = channel();
        let gone = |()| "the holder's first thread has ended".to_owned();
        self.orders.send(Order { netns, net, options, answer }).map_err(|_| gone(()))?;
        answered.recv().map_err(|_| gone(()))?.map_err(|error| error.to_string())
    }
}

/// Follows orders until nobody can give any.
pub(super) fn serve(orders: &Orders) {
    while let Ok(Order { netns, net, options, answer }) = orders.0.recv() {
        let started = slirp::find(std::env::var_os("PATH").as_deref())
            .and_then(|program| Slirp::start(&program, netns.as_fd(), &net, &options));
        // Whoever asked has ended: slirp4netns ends with what is dropped here.
        drop(answer.send(started));
    }
}
