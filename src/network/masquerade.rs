//! Masquerade: what leaves by the holder's tap carries the holder's own address, since slirp4netns knows no other.
//!
//! One nf_tables table per family with one chain of one rule, sent over netlink(7) as nft(8) would: a batch of NEWTABLE,
//! NEWCHAIN and NEWRULE that takes effect as a whole. No program is needed, only a kernel with nf_tables, NAT and
//! masquerade. Numbers are those of `linux/netfilter/nfnetlink.h` and `nf_tables.h`.

use std::io;

use rustix::net::{AddressFamily as Domain, RecvFlags, SendFlags, SocketFlags, SocketType, netlink as nl};

use super::netlink::NetlinkError;

const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const SUBSYS_NFTABLES: u16 = 10;
const NEWTABLE: u16 = SUBSYS_NFTABLES << 8;
const NEWCHAIN: u16 = SUBSYS_NFTABLES << 8 | 3;
const NEWRULE: u16 = SUBSYS_NFTABLES << 8 | 6;
const F_REQUEST: u16 = 1;
const F_ACK: u16 = 4;
const F_CREATE: u16 = 0x400;
const F_APPEND: u16 = 0x800;
const NESTED: u16 = 0x8000;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
const POST_ROUTING: u32 = 4;
const PRIORITY_SRCNAT: u32 = 100;
const META_OIFNAME: u32 = 7;
const REG_1: u32 = 1;
const CMP_EQ: u32 = 0;
/// Length of an interface name in the kernel, which compares all of it.
const IFNAMSIZ: usize = 16;

/// A netlink message under construction: attributes are appended to its body.
#[derive(Debug, Default)]
struct Body(Vec<u8>);

impl Body {
    fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), b"\0"].concat())
    }

    /// Numbers of nf_tables are big-endian.
    fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    fn nested(self, kind: u16, inner: Self) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }
}

/// Appends one message: nlmsghdr, nfgenmsg, attributes.
fn message(out: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, family: u8, resource: u16, body: &Body) {
    let length = u32::try_from(16 + 4 + body.0.len()).unwrap_or(u32::MAX);
    out.extend(length.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend((F_REQUEST | flags).to_ne_bytes());
    out.extend(sequence.to_ne_bytes());
    out.extend(0_u32.to_ne_bytes());
    out.extend([family, 0]);
    out.extend(resource.to_be_bytes());
    out.extend(&body.0);
}

/// An expression of a rule: its name and data.
fn expression(name: &str, data: Body) -> Body {
    // NFTA_LIST_ELEM { NFTA_EXPR_NAME, NFTA_EXPR_DATA }
    Body::default().nested(1, Body::default().text(1, name).nested(2, data))
}

fn rule(interface: &str) -> Body {
    let mut name = interface.as_bytes().to_vec();
    name.resize(IFNAMSIZ, 0);
    // NFTA_META_KEY, NFTA_META_DREG: the name of the link a packet leaves by, into a register.
    let load = expression("meta", Body::default().number(2, META_OIFNAME).number(1, REG_1));
    // NFTA_CMP_SREG, NFTA_CMP_OP, NFTA_CMP_DATA { NFTA_DATA_VALUE }
    let compare =
        expression("cmp", Body::default().number(1, REG_1).number(2, CMP_EQ).nested(3, Body::default().bytes(1, &name)));
    let masquerade = expression("masq", Body::default());
    Body([load.0, compare.0, masquerade.0].concat())
}

/// The batch for one family.
fn batch(family: u8, interface: &str) -> Vec<u8> {
    const TABLE: &str = "kelp";
    const CHAIN: &str = "postrouting";
    let mut out = Vec::new();
    message(&mut out, BATCH_BEGIN, 0, 1, 0, SUBSYS_NFTABLES, &Body::default());
    message(&mut out, NEWTABLE, F_CREATE | F_ACK, 2, family, 0, &Body::default().text(1, TABLE));
    // NFTA_CHAIN_TABLE, _NAME, _HOOK { NUM, PRIORITY }, _TYPE
    let hook = Body::default().number(1, POST_ROUTING).number(2, PRIORITY_SRCNAT);
    let chain = Body::default().text(1, TABLE).text(3, CHAIN).nested(4, hook).text(7, "nat");
    message(&mut out, NEWCHAIN, F_CREATE | F_ACK, 3, family, 0, &chain);
    // NFTA_RULE_TABLE, _CHAIN, _EXPRESSIONS
    let rule = Body::default().text(1, TABLE).text(2, CHAIN).nested(4, rule(interface));
    message(&mut out, NEWRULE, F_CREATE | F_APPEND | F_ACK, 4, family, 0, &rule);
    message(&mut out, BATCH_END, 0, 5, 0, SUBSYS_NFTABLES, &Body::default());
    out
}

/// Sequence numbers of the messages that are acknowledged.
const ACKNOWLEDGED: std::ops::RangeInclusive<u32> = 2..=4;

/// Makes what leaves the calling thread's network namespace by this link carry the link's own address.
///
/// # Errors
/// What the kernel says: `EPROTONOSUPPORT`, `EINVAL` or `EOPNOTSUPP` of one without nf_tables, NAT or masquerade.
pub fn masquerade(interface: &str, ipv6: bool) -> Result<(), NetlinkError> {
    const OPERATION: &str = "masquerade (the kernel needs nf_tables with nft_masq)";
    let fail = |source: io::Error| NetlinkError { operation: OPERATION, source };
    let socket = rustix::net::socket_with(Domain::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(nl::NETFILTER))
        .map_err(|errno| fail(errno.into()))?;
    rustix::net::bind(&socket, &nl::SocketAddrNetlink::new(0, 0)).map_err(|errno| fail(errno.into()))?;
    let family = if ipv6 { NFPROTO_IPV6 } else { NFPROTO_IPV4 };
    rustix::net::send(&socket, &batch(family, interface), SendFlags::empty()).map_err(|errno| fail(errno.into()))?;
    let mut buffer = [0_u8; 8192];
    let mut acknowledged = 0;
    loop {
        let length = match rustix::net::recv(&socket, &mut buffer, RecvFlags::empty()) {
            Ok((length, _)) => length,
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(fail(errno.into())),
        };
        for (sequence, errno) in answers(&buffer[..length]) {
            if errno != 0 {
                return Err(fail(io::Error::from_raw_os_error(errno)));
            }
            acknowledged += u32::from(ACKNOWLEDGED.contains(&sequence));
        }
        if acknowledged == ACKNOWLEDGED.end() - ACKNOWLEDGED.start() + 1 {
            return Ok(());
        }
    }
}

/// The sequence numbers and errno values of the NLMSG_ERROR messages in a datagram.
fn answers(datagram: &[u8]) -> Vec<(u32, i32)> {
    const ERROR: u16 = 2;
    let word = |at: usize| datagram.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
    let (mut at, mut found) = (0, Vec::new());
    while let (Some(length), Some(kind), Some(sequence)) = (word(at), word(at + 4), word(at + 8)) {
        if kind & 0xffff == u32::from(ERROR) {
            found.extend(word(at + 16).map(|code| (sequence, -code.cast_signed())));
        }
        if length < 16 {
            break;
        }
        at += (length as usize).next_multiple_of(4);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_made_of_whole_messages() {
        let bytes = batch(NFPROTO_IPV4, "tap0");
        let (mut at, mut kinds) = (0, Vec::new());
        while at < bytes.len() {
            let length = u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            assert!(length >= 20 && length.is_multiple_of(4));
            kinds.push(u16::from_ne_bytes(bytes[at + 4..at + 6].try_into().unwrap()));
            at += length;
        }
        assert_eq!(at, bytes.len());
        assert_eq!(kinds, [16, 0x0a00, 0x0a03, 0x0a06, 17]);
        assert!(bytes.windows(16).any(|part| part == b"tap0\0\0\0\0\0\0\0\0\0\0\0\0"));
    }

    #[test]
    fn answers_are_read_within_bounds() {
        assert!(answers(&[]).is_empty());
        assert!(answers(&[0; 19]).is_empty());
        let mut ack = Vec::new();
        ack.extend(36_u32.to_ne_bytes());
        ack.extend(2_u16.to_ne_bytes());
        ack.extend(0_u16.to_ne_bytes());
        ack.extend(7_u32.to_ne_bytes());
        ack.extend(0_u32.to_ne_bytes());
        ack.extend((-95_i32).to_ne_bytes());
        ack.extend([0; 16]);
        assert_eq!(answers(&ack), [(7, 95)]);
    }
}
