//! Domain names in wire form (RFC 1035 section 3.1), lower-cased so that equal names are equal bytes (RFC 4343).
//!
//! Owns reading names out of messages, compressed ones too, and the text form. Every loop over attacker's bytes ends:
//! a name is at most 255 bytes, a compression pointer must lead further back than every one before it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::wire::Malformed;

/// The longest name in wire form, root label included.
pub const MAX_NAME: usize = 255;
/// The longest label.
const MAX_LABEL: usize = 63;

/// A domain name: labels with their lengths, ending in the root label, lower case.
#[derive(Clone, Copy)]
pub struct Name {
    length: u8,
    bytes: [u8; MAX_NAME],
}

impl Name {
    /// The root.
    pub const ROOT: Self = Self { length: 1, bytes: [0; MAX_NAME] };

    /// The name a text means, with or without the final dot. `None` for what no name can be: empty or too long labels, a
    /// name that is too long. Any other byte is allowed in a label, as in the protocol.
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut name = Self { length: 0, bytes: [0; MAX_NAME] };
        if !text.is_empty() {
            for label in text.split('.') {
                name.push_label(label.as_bytes())?;
            }
        }
        name.push_root()?;
        Some(name)
    }

    /// Reads the name at `at` of a message. Returns it with the position after it.
    ///
    /// # Errors
    /// A name that leaves the message, is too long, or whose compression does not lead strictly backwards.
    pub fn read(message: &[u8], at: usize) -> Result<(Self, usize), Malformed> {
        let mut name = Self { length: 0, bytes: [0; MAX_NAME] };
        let mut position = at;
        let mut after = None;
        let mut floor = at;
        loop {
            let length = usize::from(*message.get(position).ok_or(Malformed)?);
            match length >> 6 {
                0 if length == 0 => {
                    name.push_root().ok_or(Malformed)?;
                    return Ok((name, after.unwrap_or(position + 1)));
                }
                0 => {
                    let label = message.get(position + 1..position + 1 + length).ok_or(Malformed)?;
                    name.push_label(label).ok_or(Malformed)?;
                    position += 1 + length;
                }
                3 => {
                    let low = usize::from(*message.get(position + 1).ok_or(Malformed)?);
                    let target = (length & 0x3f) << 8 | low;
                    // Always further back: no loop, and at most as many jumps as the message has bytes.
                    if target >= floor {
                        return Err(Malformed);
                    }
                    after.get_or_insert(position + 2);
                    floor = target;
                    position = target;
                }
                _ => return Err(Malformed),
            }
        }
    }

    fn push_label(&mut self, label: &[u8]) -> Option<()> {
        let start = usize::from(self.length);
        let end = start + 1 + label.len();
        // One byte is kept for the root label.
        if label.is_empty() || label.len() > MAX_LABEL || end >= MAX_NAME {
            return None;
        }
        self.bytes[start] = u8::try_from(label.len()).ok()?;
        for (to, from) in self.bytes[start + 1..end].iter_mut().zip(label) {
            *to = from.to_ascii_lowercase();
        }
        self.length = u8::try_from(end).ok()?;
        Some(())
    }

    fn push_root(&mut self) -> Option<()> {
        self.length = self.length.checked_add(1)?;
        Some(())
    }

    /// The wire form, lower case.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The labels, first one first, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (label, after) = after.split_at_checked(usize::from(*length)).filter(|_| *length != 0)?;
            rest = after;
            Some(label)
        })
    }

    /// The name without its first label. `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(self.bytes[0]);
        let rest = self.as_bytes().get(1 + first..).filter(|_| first != 0)?;
        let mut parent = Self { length: u8::try_from(rest.len()).ok()?, bytes: [0; MAX_NAME] };
        parent.bytes[..rest.len()].copy_from_slice(rest);
        Some(parent)
    }

    /// What is before `domain`, as a name of its own; `None` unless this name is below the domain.
    pub fn below(&self, domain: &Self) -> Option<Self> {
        let split = self.as_bytes().len().checked_sub(domain.as_bytes().len()).filter(|split| *split > 0)?;
        let mut at = 0;
        while at < split {
            at += 1 + usize::from(self.bytes[at]);
        }
        if at != split || self.as_bytes()[split..] != *domain.as_bytes() {
            return None;
        }
        let mut name = *self;
        name.bytes[split..].fill(0);
        name.length = u8::try_from(split + 1).ok()?;
        Some(name)
    }

    /// The address a reverse name asks about (`7.0.89.10.in-addr.arpa`, 32 nibbles under `ip6.arpa`).
    pub fn reverse_address(&self) -> Option<IpAddr> {
        let labels: Vec<&[u8]> = self.labels().collect();
        let (address, tree) = labels.split_at_checked(labels.len().checked_sub(2)?)?;
        if tree[1] != b"arpa" {
            return None;
        }
        let digits = |label: &[u8], radix| u8::from_str_radix(std::str::from_utf8(label).ok()?, radix).ok();
        match (tree[0], address.len()) {
            (b"in-addr", 4) => {
                let mut octets = [0; 4];
                for (octet, label) in octets.iter_mut().zip(address.iter().rev()) {
                    *octet = digits(label, 10)?;
                }
                Some(Ipv4Addr::from(octets).into())
            }
            (b"ip6", 32) => {
                let mut value = 0_u128;
                for label in address.iter().rev() {
                    if label.len() != 1 {
                        return None;
                    }
                    value = value << 4 | u128::from(digits(label, 16)?);
                }
                Some(Ipv6Addr::from(value).into())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Name {
    /// Dotted, without the final dot; bytes that are not plain text as `\DDD`, as zone files have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for label in self.labels() {
            if !first {
                f.write_str(".")?;
            }
            first = false;
            for byte in label {
                match byte {
                    b'.' | b'\\' => write!(f, "\\{}", *byte as char)?,
                    0x21..=0x7e => write!(f, "{}", *byte as char)?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        if first { f.write_str(".") } else { Ok(()) }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    #[test]
    fn text_round_trip() {
        assert_eq!(name("DB.App-Network.").to_string(), "db.app-network");
        assert_eq!(name(".").to_string(), ".");
        assert_eq!(name("a_b").as_bytes(), b"\x03a_b\0");
        for bad in ["a..b", ".a", &"x".repeat(64), &["abcdefg"; 40].join(".")] {
            assert!(Name::from_text(bad).is_none(), "{bad}");
        }
        let longest = [&"a".repeat(63)[..], &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].join(".");
        assert_eq!(name(&longest).as_bytes().len(), MAX_NAME);
        assert!(Name::from_text(&format!("{longest}e")).is_none());
    }

    #[test]
    fn relations() {
        assert_eq!(name("db.app.internal").below(&name("app.internal")), Some(name("db")));
        assert_eq!(name("app.internal").below(&name("app.internal")), None);
        assert_eq!(name("xapp.internal").below(&name("app.internal")), None);
        assert_eq!(name("db.app").parent(), Some(name("app")));
        assert_eq!(Name::ROOT.parent(), None);
        assert_eq!(name("a.b").below(&Name::ROOT), Some(name("a.b")));
    }

    #[test]
    fn reverse_names() {
        assert_eq!(name("7.0.89.10.IN-ADDR.arpa").reverse_address(), Some("10.89.0.7".parse().unwrap()));
        assert_eq!(name("0.89.10.in-addr.arpa").reverse_address(), None);
        assert_eq!(name("300.0.89.10.in-addr.arpa").reverse_address(), None);
        let v6 = "2.".to_owned() + &"0.".repeat(29) + "d.f.ip6.arpa";
        assert_eq!(name(&v6).reverse_address(), Some("fd00::2".parse().unwrap()));
        assert_eq!(name("arpa").reverse_address(), None);
    }

    #[test]
    fn compression() {
        let message = b"\x03foo\x00\x01a\xc0\x00\xc0\x05";
        assert_eq!(Name::read(message, 5).unwrap(), (name("a.foo"), 9));
        assert_eq!(Name::read(message, 9).unwrap(), (name("a.foo"), 11));
        // To itself, forwards, in a circle, out of the message.
        for bad in [&b"\xc0\x00"[..], b"\xc0\x02\x00", b"\x01a\xc0\x00", b"\xc0", b"\x05ab", b"", b"\x40a\0", b"\x80a\0"] {
            assert!(Name::read(bad, 0).is_err(), "{bad:?}");
        }
        assert!(Name::read(b"\x01a\xc0\x04\xc0\x00", 2).is_err());
        assert!(Name::read(b"\x00", 9).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end(message in prop::collection::vec(any::<u8>(), 0..600), at in 0_usize..700) {
            if let Ok((name, after)) = Name::read(&message, at) {
                prop_assert!(after <= message.len());
                prop_assert_eq!(Name::read(name.as_bytes(), 0).unwrap(), (name, name.as_bytes().len()));
            }
        }

        #[test]
        fn pointers_end(message in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0xc0, 0xc1, 5, 63]), 0..600)) {
            for at in 0..message.len() {
                let _ = Name::read(&message, at);
            }
        }
    }
}
