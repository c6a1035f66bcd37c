//! Socket options and datagram calls that neither rustix nor nix has: transparent binding, marks, and datagrams with
//! the address they were sent to. Knows nothing of containers.

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{from_mut, from_ref};

use rustix::io::Errno;

fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> Result<(), Errno> {
    // SAFETY: the kernel reads four bytes of `value`, which lives across the call.
    let done = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, from_ref(&value).cast(), size_of::<i32>() as libc::socklen_t)
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Lets the socket be bound to an address that is not this namespace's own. Needs CAP_NET_ADMIN over the namespace.
///
/// # Errors
/// The kernel's refusal.
pub fn set_transparent(fd: BorrowedFd<'_>, ipv6: bool) -> Result<(), Errno> {
    if ipv6 {
        set_option(fd, libc::SOL_IPV6, libc::IPV6_TRANSPARENT, 1)
    } else {
        set_option(fd, libc::SOL_IP, libc::IP_TRANSPARENT, 1)
    }
}

/// Marks every packet the socket sends. Needs CAP_NET_ADMIN over the namespace.
///
/// # Errors
/// The kernel's refusal.
pub fn set_mark(fd: BorrowedFd<'_>, mark: u32) -> Result<(), Errno> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_MARK, mark.cast_signed())
}

/// Makes the socket one of this link alone: what comes by another is not for it.
///
/// # Errors
/// The kernel's refusal.
pub fn bind_to_link(fd: BorrowedFd<'_>, link: &str) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(link.len()).map_err(|_| Errno::NAMETOOLONG)?;
    // SAFETY: the kernel reads `length` bytes of `link`, which lives across the call.
    let done =
        unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, link.as_ptr().cast(), length) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Spreads the datagrams for sockets of one address (`SO_REUSEPORT`) over `queues` of them, a power of two, by the address of
/// who sent them. To be called on the first of them, once; the others are bound after it.
///
/// # Errors
/// The kernel's refusal.
pub fn spread_by_sender(fd: BorrowedFd<'_>, ipv6: bool, queues: u32) -> Result<(), Errno> {
    // The last four bytes of the source, counted from the network header: in IPv4 its bytes 12 to 15, in IPv6 20 to 23.
    let source = libc::SKF_NET_OFF.cast_unsigned() + if ipv6 { 20 } else { 12 };
    let step = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, source),
        step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, queues.saturating_sub(1)),
        step(libc::BPF_RET | libc::BPF_A, 0),
    ];
    let program = libc::sock_fprog { len: 3, filter: program.as_mut_ptr() };
    // SAFETY: the kernel reads the program and the three steps it points to, which live across the call.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            from_ref(&program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Puts the choice of a port off from bind to connect, where only the whole connection must be unique.
///
/// # Errors
/// The kernel's refusal.
pub fn set_bind_address_no_port(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    set_option(fd, libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

/// Makes [`receive_datagram`] tell which of our addresses a datagram was sent to.
///
/// # Errors
/// The kernel's refusal.
pub fn set_packet_info(fd: BorrowedFd<'_>, ipv6: bool) -> Result<(), Errno> {
    if ipv6 {
        set_option(fd, libc::SOL_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set_option(fd, libc::SOL_IP, libc::IP_PKTINFO, 1)
    }
}

/// A datagram's envelope.
#[derive(Debug, Clone, Copy)]
pub struct Datagram {
    /// Length in bytes.
    pub length: usize,
    /// Who sent it.
    pub peer: SocketAddr,
    /// Which of our addresses it came to, with [`set_packet_info`].
    pub local: Option<Local>,
}

/// One of our addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Local {
    /// The address.
    pub ip: IpAddr,
    /// The link, for addresses that mean something on one link only; else 0.
    pub link: u32,
}

/// Room for one control message of either family, aligned as the kernel wants it.
#[repr(align(8))]
struct Control([u8; 64]);

/// Receives one datagram; `EAGAIN` when there is none.
///
/// # Errors
/// The kernel's error.
pub fn receive_datagram(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Datagram, Errno> {
    let mut control = Control([0; 64]);
    let mut peer = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is plain data for which zero is a valid value.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = peer.as_mut_ptr().cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_iov = from_mut(&mut part);
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = control.0.len() as _;
    // SAFETY: every pointer of the header is to a live buffer of the length given beside it.
    let got = unsafe { libc::recvmsg(fd.as_raw_fd(), from_mut(&mut header), libc::MSG_DONTWAIT) };
    let Ok(length) = usize::try_from(got) else { return Err(last_errno()) };
    // SAFETY: zeroed before the call and written by the kernel; all bit patterns are valid.
    let peer = socket_address(unsafe { peer.assume_init_ref() }).ok_or(Errno::AFNOSUPPORT)?;
    Ok(Datagram { length, peer, local: packet_info(&header) })
}

fn packet_info(header: &libc::msghdr) -> Option<Local> {
    // SAFETY: the header and its control buffer were filled by recvmsg and are still alive; CMSG_* keep within them.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let (level, kind) = ((*message).cmsg_level, (*message).cmsg_type);
            let data = libc::CMSG_DATA(message);
            if level == libc::SOL_IP && kind == libc::IP_PKTINFO {
                let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                return Some(Local { ip: Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into(), link: 0 });
            }
            if level == libc::SOL_IPV6 && kind == libc::IPV6_PKTINFO {
                let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let link = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                return Some(Local { ip: ip.into(), link: link as u32 });
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

/// Sends one datagram, from a given address of ours.
///
/// # Errors
/// The kernel's error; `EAGAIN` when the socket's buffer is full.
pub fn send_datagram(fd: BorrowedFd<'_>, bytes: &[u8], peer: SocketAddr, local: Option<Local>) -> Result<(), Errno> {
    let mut control = Control([0; 64]);
    let (mut name, name_length) = raw_address(peer);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: msghdr is plain data for which zero is a valid value.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = from_mut(&mut name).cast();
    header.msg_namelen = name_length;
    header.msg_iov = from_mut(&mut part);
    header.msg_iovlen = 1;
    if let Some(local) = local {
        header.msg_control = control.0.as_mut_ptr().cast();
        match local.ip {
            IpAddr::V4(ip) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from(ip).to_be() },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                put_control(&mut header, libc::SOL_IP, libc::IP_PKTINFO, info);
            }
            IpAddr::V6(ip) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                    ipi6_ifindex: local.link as _,
                };
                put_control(&mut header, libc::SOL_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
    }
    // SAFETY: every pointer of the header is to a live buffer of the length given beside it; sendmsg only reads.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), from_ref(&header), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    if sent >= 0 { Ok(()) } else { Err(last_errno()) }
}

/// Writes the one control message of a header whose control pointer is to a [`Control`].
fn put_control<T>(header: &mut libc::msghdr, level: i32, kind: i32, value: T) {
    const { assert!(size_of::<T>() <= 32) };
    // SAFETY: CMSG_SPACE of at most 32 bytes fits the 64 of `Control`, which is aligned for cmsghdr.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(size_of::<T>() as u32) as _;
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(size_of::<T>() as u32) as _;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(value);
    }
}

fn raw_address(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: sockaddr_storage is plain data for which zero is a valid value.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let pointer = from_mut(&mut storage);
    match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is larger than and aligned for every address.
            unsafe { pointer.cast::<libc::sockaddr_in>().write(raw) };
            (storage, size_of::<libc::sockaddr_in>() as libc::socklen_t)
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: the storage is larger than and aligned for every address.
            unsafe { pointer.cast::<libc::sockaddr_in6>().write(raw) };
            (storage, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
        }
    }
}

fn socket_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is one; the storage is larger and aligned.
            let raw = unsafe { from_ref(storage).cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is one; the storage is larger and aligned.
            let raw = unsafe { from_ref(storage).cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(raw.sin6_port), 0, raw.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Keeps a write to a closed socket from killing the process: splice(2) has no flag for that. Calling thread only.
pub fn block_sigpipe() {
    // SAFETY: the set is initialised by sigemptyset before it is used; the mask of this thread alone changes.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn datagrams_tell_where_they_came_to() {
        for (ip, any, v6) in [("127.0.0.1", "0.0.0.0:0", false), ("::1", "[::]:0", true)] {
            let Ok(server) = UdpSocket::bind(any) else { continue };
            set_packet_info(server.as_fd(), v6).unwrap();
            let ip: IpAddr = ip.parse().unwrap();
            let Ok(client) = UdpSocket::bind((ip, 0)) else { continue };
            client.send_to(b"ping", (ip, server.local_addr().unwrap().port())).unwrap();
            server.set_nonblocking(false).unwrap();
            let mut buffer = [0; 16];
            server.peek(&mut buffer).unwrap();
            let got = receive_datagram(server.as_fd(), &mut buffer).unwrap();
            assert_eq!((got.length, got.peer), (4, client.local_addr().unwrap()));
            assert_eq!(got.local.unwrap().ip, ip);
            send_datagram(server.as_fd(), b"pong", got.peer, got.local).unwrap();
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from.ip()), (&b"pong"[..], ip));
            assert_eq!(receive_datagram(server.as_fd(), &mut buffer).unwrap_err(), Errno::AGAIN);
        }
    }
}
