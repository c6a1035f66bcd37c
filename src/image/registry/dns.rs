//! DNS questions and answers for host addresses, as far as a client needs them (RFC 1035, RFC 3596).
//!
//! Owns building a query and reading an answer from untrusted bytes. Sends nothing: see `resolver`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address records asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Aaaa,
}

impl Kind {
    fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// These addresses, possibly none.
    Addresses(Vec<IpAddr>),
    /// The name does not exist.
    NoSuchName,
    /// Too long for UDP.
    Truncated,
    /// The server cannot say (its response code).
    Failed(u8),
}

/// A recursive query for `name`, or `None` when it is no DNS name.
pub(super) fn query(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > 253 {
        return None;
    }
    let mut message = Vec::with_capacity(name.len() + 18);
    message.extend(id.to_be_bytes());
    // Recursion desired; one question, nothing else.
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|l| (1..=63).contains(l))?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.code().to_be_bytes());
    message.extend([0, 1]);
    Some(message)
}

/// Reads the answer to `query`; `None` when it is not one.
pub(super) fn answer(query: &[u8], message: &[u8]) -> Option<Answer> {
    let header = message.get(..12)?;
    let question = query.get(12..)?;
    let is_answer = header[2] & 0x80 != 0 && header[..2] == query[..2] && header[4..6] == [0, 1];
    let echoed = message.get(12..12 + question.len())?;
    if !is_answer || !echoed.eq_ignore_ascii_case(question) {
        return None;
    }
    if header[2] & 2 != 0 {
        return Some(Answer::Truncated);
    }
    match header[3] & 15 {
        0 => {}
        3 => return Some(Answer::NoSuchName),
        code => return Some(Answer::Failed(code)),
    }
    let count = u16::from_be_bytes([header[6], header[7]]);
    let mut at = 12 + question.len();
    let mut addresses = Vec::new();
    for _ in 0..count {
        at = skip_name(message, at)?;
        let fixed = message.get(at..at + 10)?;
        let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let data = message.get(at + 10..at + 10 + length)?;
        at += 10 + length;
        match kind {
            1 => addresses.push(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?))),
            28 => addresses.push(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?))),
            // Aliases: the addresses they lead to are in the same answer of a recursive server.
            _ => {}
        }
    }
    Some(Answer::Addresses(addresses))
}

/// The offset after the name at `at`; pointers are stepped over, not followed.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *message.get(at)?;
        match length & 0xc0 {
            0 if length == 0 => return Some(at + 1),
            0 => at += 1 + usize::from(length),
            0xc0 => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply(query: &[u8], flags: u8, code: u8, records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
        let mut message = query.to_vec();
        message[2] = 0x80 | flags;
        message[3] = 0x80 | code;
        message[7] = u8::try_from(records.len()).unwrap();
        for (name, kind, data) in records {
            message.extend(*name);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 9]);
            message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend(*data);
        }
        message
    }

    #[test]
    fn reads_answers() {
        let ask = query(7, "reg.example.", Kind::A).unwrap();
        let pointer: &[u8] = &[0xc0, 12];
        let message = reply(&ask, 0, 0, &[(pointer, 5, b"\x01a\x00"), (b"\x01a\x00", 1, &[10, 0, 0, 1])]);
        assert_eq!(
            answer(&ask, &message),
            Some(Answer::Addresses(vec!["10.0.0.1".parse().unwrap()]))
        );
        assert_eq!(answer(&ask, &reply(&ask, 2, 0, &[])), Some(Answer::Truncated));
        assert_eq!(answer(&ask, &reply(&ask, 0, 3, &[])), Some(Answer::NoSuchName));
        assert_eq!(answer(&ask, &reply(&ask, 0, 2, &[])), Some(Answer::Failed(2)));
        let other = query(8, "reg.example", Kind::A).unwrap();
        assert_eq!(answer(&ask, &reply(&other, 0, 0, &[])), None);
        assert_eq!(answer(&ask, &ask), None);
        for bad in ["", "..", &"a".repeat(64), &"a.".repeat(200)] {
            assert_eq!(query(1, bad, Kind::Aaaa), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(tail in proptest::collection::vec(any::<u8>(), 0..80), count in 0u8..5) {
            let ask = query(7, "a.b", Kind::A).unwrap();
            let mut message = reply(&ask, 0, 0, &[]);
            message[7] = count;
            message.extend(&tail);
            answer(&ask, &message);
            answer(&ask, &tail);
        }
    }
}
