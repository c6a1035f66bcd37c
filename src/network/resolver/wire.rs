//! DNS messages (RFC 1035 section 4, EDNS: RFC 6891): reading questions and answers, writing answers.
//!
//! Pure. Reads only what a forwarder needs: the question, EDNS, and where the records and their lifetimes are. Bytes come
//! from containers and from the net: every read is checked, and a message of n bytes costs O(n) steps.

use std::net::IpAddr;

use super::name::{MAX_NAME, Name};

/// Length of the header.
pub const HEADER: usize = AFTER_HEADER as usize;

/// Where the question begins.
const AFTER_HEADER: u16 = 12;
/// What a client without EDNS takes over UDP.
pub const PLAIN_SIZE: usize = 512;
/// The most that is sent over UDP, whatever the client takes: larger answers go over TCP.
pub const UDP_SIZE: usize = 4096;

/// Types of records.
pub mod kind {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Start of authority: its lifetime is that of a negative answer.
    pub const SOA: u16 = 6;
    /// Name of an address.
    pub const PTR: u16 = 12;
    /// IPv6 address.
    pub const AAAA: u16 = 28;
    /// EDNS.
    pub const OPT: u16 = 41;
    /// All there is.
    pub const ANY: u16 = 255;
}

/// The class of the Internet.
pub const CLASS_IN: u16 = 1;

/// Response codes.
pub mod rcode {
    /// Fine, or the name exists without such a record.
    pub const NO_ERROR: u8 = 0;
    /// The question makes no sense.
    pub const FORM_ERROR: u8 = 1;
    /// No server could be asked.
    pub const SERVER_FAILURE: u8 = 2;
    /// The name does not exist.
    pub const NO_NAME: u8 = 3;
    /// Not a question.
    pub const NOT_IMPLEMENTED: u8 = 4;
    /// Not to this client.
    pub const REFUSED: u8 = 5;
}

/// Flags of the header.
pub mod flag {
    /// An answer.
    pub const RESPONSE: u16 = 0x8000;
    /// From the one who owns the name.
    pub const AUTHORITATIVE: u16 = 0x0400;
    /// Cut off; ask over TCP.
    pub const TRUNCATED: u16 = 0x0200;
    /// Ask others.
    pub const RECURSE: u16 = 0x0100;
    /// Others can be asked.
    pub const RECURSION: u16 = 0x0080;
    /// Verified.
    pub const AUTHENTIC: u16 = 0x0020;
    /// Do not verify.
    pub const CHECKING_DISABLED: u16 = 0x0010;
}

const OPCODE: u16 = 0x7800;
/// The EDNS flag that asks for signatures.
const DNSSEC_OK: u32 = 0x8000;

/// Not a DNS message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed DNS message")]
pub struct Malformed;

/// A client's EDNS record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// Bytes it takes over UDP.
    pub size: u16,
    /// Version; only 0 exists.
    pub version: u8,
    /// It wants signatures.
    pub dnssec: bool,
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The client's number for it.
    pub id: u16,
    /// The header's flags.
    pub flags: u16,
    /// The name, lower case.
    pub name: Name,
    /// Type of record.
    pub kind: u16,
    /// Class.
    pub class: u16,
    /// Where the question ends in its message.
    pub end: usize,
    /// EDNS, if the client speaks it.
    pub edns: Option<Edns>,
}

/// What to do with a message that is no good question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadQuery {
    /// Nothing: too short, or itself an answer.
    Ignore,
    /// Answer with this code and no question.
    Refuse {
        /// The client's number.
        id: u16,
        /// The header's flags.
        flags: u16,
        /// The code.
        rcode: u8,
    },
}

fn get16(message: &[u8], at: usize) -> Result<u16, Malformed> {
    let bytes = message.get(at..at + 2).ok_or(Malformed)?;
    Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn get32(message: &[u8], at: usize) -> Result<u32, Malformed> {
    let bytes = message.get(at..at + 4).ok_or(Malformed)?;
    Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

impl Query {
    /// Reads a client's message.
    ///
    /// # Errors
    /// What to answer instead.
    pub fn parse(message: &[u8]) -> Result<Self, BadQuery> {
        let (Ok(id), Ok(flags)) = (get16(message, 0), get16(message, 2)) else { return Err(BadQuery::Ignore) };
        if message.len() < HEADER || flags & flag::RESPONSE != 0 {
            return Err(BadQuery::Ignore);
        }
        if flags & OPCODE != 0 {
            return Err(BadQuery::Refuse { id, flags, rcode: rcode::NOT_IMPLEMENTED });
        }
        Self::parse_body(message, id, flags).map_err(|Malformed| BadQuery::Refuse { id, flags, rcode: rcode::FORM_ERROR })
    }

    fn parse_body(message: &[u8], id: u16, flags: u16) -> Result<Self, Malformed> {
        if get16(message, 4)? != 1 {
            return Err(Malformed);
        }
        let (name, at) = Name::read(message, HEADER)?;
        // The question is repeated as it is, so nothing in it may point elsewhere.
        if at != HEADER + name.as_bytes().len() {
            return Err(Malformed);
        }
        let (kind, class, end) = (get16(message, at)?, get16(message, at + 2)?, at + 4);
        let mut edns = None;
        walk(message, end, |record| {
            if record.kind == kind::OPT && record.section == Section::Additional && edns.is_none() {
                let [_, version, ..] = record.ttl.to_be_bytes();
                edns = Some(Edns { size: record.class, version, dnssec: record.ttl & DNSSEC_OK != 0 });
            }
        })?;
        Ok(Self { id, flags, name, kind, class, end, edns })
    }

    /// Bytes the client takes over UDP.
    pub fn udp_limit(&self) -> usize {
        self.edns.map_or(PLAIN_SIZE, |edns| usize::from(edns.size).clamp(PLAIN_SIZE, UDP_SIZE))
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Answer,
    Authority,
    Additional,
}

struct Record {
    section: Section,
    /// Where it begins.
    start: usize,
    kind: u16,
    class: u16,
    ttl: u32,
    ttl_at: usize,
    data: (usize, usize),
}

/// Visits the records behind the question.
fn walk(message: &[u8], mut at: usize, mut visit: impl FnMut(&Record)) -> Result<(), Malformed> {
    for (section, count_at) in [(Section::Answer, 6), (Section::Authority, 8), (Section::Additional, 10)] {
        for _ in 0..get16(message, count_at)? {
            let start = at;
            let after = skip_name(message, at)?;
            let (kind, class, ttl) = (get16(message, after)?, get16(message, after + 2)?, get32(message, after + 4)?);
            let data = after + 10;
            at = data + usize::from(get16(message, after + 8)?);
            if at > message.len() {
                return Err(Malformed);
            }
            visit(&Record { section, start, kind, class, ttl, ttl_at: after + 4, data: (data, at) });
        }
    }
    Ok(())
}

/// The position after a name whose content does not matter.
fn skip_name(message: &[u8], at: usize) -> Result<usize, Malformed> {
    let mut position = at;
    while position - at < MAX_NAME {
        let length = usize::from(*message.get(position).ok_or(Malformed)?);
        match length >> 6 {
            0 if length == 0 => return Ok(position + 1),
            0 => position += 1 + length,
            3 => return Ok(position + 2),
            _ => return Err(Malformed),
        }
    }
    Err(Malformed)
}

/// An answer of another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Our number for the question.
    pub id: u16,
    /// The header's flags.
    pub flags: u16,
    /// The name asked for, lower case.
    pub name: Name,
    /// The type asked for.
    pub kind: u16,
    /// The class asked for.
    pub class: u16,
    /// Where the question ends.
    pub end: usize,
    /// Where the lifetimes of its records are.
    pub lifetimes: Vec<u16>,
    /// How long it may be kept in seconds; `None`: not at all.
    pub keep: Option<u32>,
    /// Where the EDNS record is, if it is the last one.
    pub edns_at: Option<usize>,
}

impl Reply {
    /// Reads a server's message.
    ///
    /// # Errors
    /// Not an answer to one question, or cut off in the middle.
    pub fn parse(message: &[u8]) -> Result<Self, Malformed> {
        let (id, flags) = (get16(message, 0)?, get16(message, 2)?);
        if flags & flag::RESPONSE == 0 || flags & OPCODE != 0 || get16(message, 4)? != 1 {
            return Err(Malformed);
        }
        let (name, at) = Name::read(message, HEADER)?;
        if at != HEADER + name.as_bytes().len() {
            return Err(Malformed);
        }
        let (kind, class, end) = (get16(message, at)?, get16(message, at + 2)?, at + 4);
        let mut lifetimes = Vec::new();
        let (mut answers, mut least, mut negative) = (false, u32::MAX, None);
        let mut edns_at = None;
        walk(message, end, |record| {
            edns_at = None;
            // Elsewhere it is a record like others: only this section's count changes with it (RFC 6891, 6.1.1).
            if record.kind == kind::OPT && record.section == Section::Additional {
                edns_at = Some(record.start);
                return;
            }
            // A lifetime with the highest bit means none (RFC 2181).
            let ttl = if record.ttl > u32::MAX >> 1 { 0 } else { record.ttl };
            if let Ok(at) = u16::try_from(record.ttl_at) {
                lifetimes.push(at);
            }
            match record.section {
                Section::Answer => {
                    answers = true;
                    least = least.min(ttl);
                }
                Section::Authority if record.kind == kind::SOA => {
                    // The last field is the lifetime of "there is none" (RFC 2308).
                    let minimum = record.data.1.checked_sub(4).filter(|at| *at >= record.data.0);
                    negative = minimum.and_then(|at| get32(message, at).ok()).map(|minimum| minimum.min(ttl));
                }
                Section::Authority | Section::Additional => least = least.min(ttl),
            }
        })?;
        let code = rcode_of(flags);
        let keep = match code {
            rcode::NO_ERROR | rcode::NO_NAME if flags & flag::TRUNCATED != 0 => None,
            rcode::NO_ERROR if answers => Some(least),
            rcode::NO_ERROR | rcode::NO_NAME => negative,
            _ => None,
        };
        Ok(Self { id, flags, name, kind, class, end, lifetimes, keep: keep.filter(|keep| *keep > 0), edns_at })
    }

    /// Whether it answers this question.
    pub fn answers(&self, id: u16, name: &Name, kind: u16, class: u16) -> bool {
        self.id == id && self.name == *name && self.kind == kind && self.class == class
    }

    /// The response code, without EDNS' extension.
    pub fn rcode(&self) -> u8 {
        rcode_of(self.flags)
    }
}

fn rcode_of(flags: u16) -> u8 {
    flags.to_be_bytes()[1] & 0x0f
}

/// Writes a question for another server: this name, and EDNS when the client speaks it.
pub fn write_query(out: &mut Vec<u8>, id: u16, flags: u16, question: &[u8], edns: Option<bool>) {
    out.clear();
    out.extend(id.to_be_bytes());
    out.extend(flags.to_be_bytes());
    out.extend([0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())]);
    out.extend(question);
    if let Some(dnssec) = edns {
        write_edns(out, 0, dnssec);
    }
}

fn write_edns(out: &mut Vec<u8>, extended: u8, dnssec: bool) {
    out.push(0);
    out.extend(kind::OPT.to_be_bytes());
    // What passes most paths in one piece (DNS flag day 2020).
    out.extend(1232_u16.to_be_bytes());
    out.extend([extended, 0, if dnssec { 0x80 } else { 0 }, 0]);
    out.extend([0, 0]);
}

/// An answer being written.
#[derive(Debug)]
pub struct Answer<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes it may have, EDNS left out.
    limit: usize,
    flags: u16,
    records: u16,
    edns: Option<bool>,
    extended: u8,
}

/// Length of the EDNS record written by [`Answer`].
const EDNS: usize = 11;

impl<'a> Answer<'a> {
    /// Begins an answer of ours to a question (`message` is the client's), at most `limit` bytes long.
    pub fn begin(out: &'a mut Vec<u8>, query: &Query, message: &[u8], limit: usize) -> Self {
        out.clear();
        out.extend(query.id.to_be_bytes());
        out.extend([0; 10]);
        out[5] = 1;
        out.extend(message.get(HEADER..query.end).unwrap_or(&[]));
        let keep = flag::RECURSE | flag::CHECKING_DISABLED;
        Self {
            out,
            limit: limit.saturating_sub(if query.edns.is_some() { EDNS } else { 0 }),
            flags: flag::RESPONSE | flag::RECURSION | query.flags & keep,
            records: 0,
            edns: query.edns.map(|edns| edns.dnssec),
            extended: 0,
        }
    }

    /// The name is ours.
    pub fn authoritative(&mut self) {
        self.flags |= flag::AUTHORITATIVE;
    }

    /// Sets the response code.
    pub fn rcode(&mut self, code: u8) {
        self.flags = self.flags & !0x0f | u16::from(code);
    }

    /// The client speaks a later EDNS than there is.
    pub fn bad_version(&mut self) {
        self.extended = 1;
    }

    fn record(&mut self, kind: u16, ttl: u32, data: &[u8]) {
        let Ok(length) = u16::try_from(data.len()) else { return };
        if self.flags & flag::TRUNCATED != 0 || self.out.len() + 12 + data.len() > self.limit {
            self.flags |= flag::TRUNCATED;
            return;
        }
        // The name is the question's.
        self.out.extend((0xc000 | AFTER_HEADER).to_be_bytes());
        self.out.extend(kind.to_be_bytes());
        self.out.extend(CLASS_IN.to_be_bytes());
        self.out.extend(ttl.to_be_bytes());
        self.out.extend(length.to_be_bytes());
        self.out.extend(data);
        self.records += 1;
    }

    /// Adds an address of the name.
    pub fn address(&mut self, ttl: u32, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.record(kind::A, ttl, &ip.octets()),
            IpAddr::V6(ip) => self.record(kind::AAAA, ttl, &ip.octets()),
        }
    }

    /// Adds a name of the address.
    pub fn pointer(&mut self, ttl: u32, name: &Name) {
        self.record(kind::PTR, ttl, name.as_bytes());
    }

    /// Completes the message.
    pub fn finish(self) {
        if let Some(dnssec) = self.edns {
            write_edns(self.out, self.extended, dnssec);
            self.out[11] = 1;
        }
        self.out[2..4].copy_from_slice(&self.flags.to_be_bytes());
        self.out[6..8].copy_from_slice(&self.records.to_be_bytes());
    }
}

/// Writes a refusal of a message whose question cannot be repeated.
pub fn write_refusal(out: &mut Vec<u8>, id: u16, flags: u16, rcode: u8) {
    out.clear();
    out.extend(id.to_be_bytes());
    let flags = flag::RESPONSE | flags & (OPCODE | flag::RECURSE) | u16::from(rcode);
    out.extend(flags.to_be_bytes());
    out.extend([0; 8]);
}

/// Turns a server's answer into one for this client: its number, its spelling of the name, lifetimes less `age` seconds,
/// no EDNS if it speaks none, and no more than `limit` bytes.
pub fn write_forwarded(out: &mut Vec<u8>, message: &[u8], reply: &Reply, asker: &AskerView<'_>, age: u32) {
    out.clear();
    let cut = if asker.edns { message.len() } else { reply.edns_at.unwrap_or(message.len()) };
    out.extend(&message[..cut]);
    out[..2].copy_from_slice(&asker.id.to_be_bytes());
    if out.len() >= HEADER + asker.question.len() {
        out[HEADER..HEADER + asker.question.len()].copy_from_slice(asker.question);
    }
    let mut flags = reply.flags & !(flag::RECURSE | flag::CHECKING_DISABLED) | flag::RECURSION;
    flags |= asker.flags & (flag::RECURSE | flag::CHECKING_DISABLED);
    if cut < message.len() {
        let additional = u16::from_be_bytes([out[10], out[11]]).saturating_sub(1);
        out[10..12].copy_from_slice(&additional.to_be_bytes());
    }
    for at in reply.lifetimes.iter().map(|at| usize::from(*at)) {
        if let Some(field) = out.get_mut(at..at + 4) {
            let ttl = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
            field.copy_from_slice(&ttl.saturating_sub(age).to_be_bytes());
        }
    }
    if out.len() > asker.limit {
        flags |= flag::TRUNCATED;
        out.truncate(reply.end);
        out[6..12].fill(0);
        if asker.edns {
            write_edns(out, 0, false);
            out[11] = 1;
        }
    }
    out[2..4].copy_from_slice(&flags.to_be_bytes());
}

/// What [`write_forwarded`] must know of the client.
#[derive(Debug, Clone, Copy)]
pub struct AskerView<'a> {
    /// Its number for the question.
    pub id: u16,
    /// The flags of its question.
    pub flags: u16,
    /// Its question, as it spelled the name.
    pub question: &'a [u8],
    /// It speaks EDNS.
    pub edns: bool,
    /// Bytes it takes.
    pub limit: usize,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A client's question.
    pub(in crate::network::resolver) fn question(name: &str, kind: u16, edns: Option<u16>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut raw = Vec::new();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            raw.push(u8::try_from(label.len()).unwrap());
            raw.extend(label.as_bytes());
        }
        raw.push(0);
        raw.extend(kind.to_be_bytes());
        raw.extend(CLASS_IN.to_be_bytes());
        write_query(&mut out, 0x1234, flag::RECURSE, &raw, edns.map(|_| false));
        if let Some(size) = edns {
            let at = out.len() - 8;
            out[at..at + 2].copy_from_slice(&size.to_be_bytes());
        }
        out
    }

    fn parse(message: &[u8]) -> Query {
        Query::parse(message).unwrap()
    }

    #[test]
    fn edns_where_it_does_not_belong_is_forwarded_whole() {
        // One record of authority: OPT.
        let message = b"\0\x01\x80\0\0\x01\0\0\0\x01\0\0\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
        let reply = Reply::parse(message).unwrap();
        assert_eq!(reply.edns_at, None);
        let mut out = Vec::new();
        let asker = AskerView { id: 1, flags: 0, question: &message[HEADER..reply.end], edns: false, limit: 512 };
        write_forwarded(&mut out, message, &reply, &asker, 1);
        assert_eq!(out[12..], message[12..]);
        Reply::parse(&out).unwrap();
    }

    #[test]
    fn questions() {
        let query = parse(&question("Web.Example", kind::A, None));
        assert_eq!((query.name, query.kind), (Name::from_text("web.example").unwrap(), kind::A));
        assert_eq!((query.edns, query.udp_limit()), (None, PLAIN_SIZE));
        assert_eq!(parse(&question("a", kind::AAAA, Some(1400))).udp_limit(), 1400);
        assert_eq!(parse(&question("a", kind::AAAA, Some(65535))).udp_limit(), UDP_SIZE);
        assert_eq!(parse(&question("a", kind::AAAA, Some(1))).udp_limit(), PLAIN_SIZE);
    }

    #[test]
    fn bad_questions() {
        let good = question("a", kind::A, Some(1232));
        for length in 0..good.len() {
            assert!(Query::parse(&good[..length]).is_err(), "{length}");
        }
        let with = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            Query::parse(&message)
        };
        assert_eq!(with(2, 0x81), Err(BadQuery::Ignore));
        assert!(matches!(with(2, 0x28), Err(BadQuery::Refuse { rcode: rcode::NOT_IMPLEMENTED, id: 0x1234, .. })));
        assert!(matches!(with(5, 2), Err(BadQuery::Refuse { rcode: rcode::FORM_ERROR, .. })));
        assert!(with(5, 0).is_err());
        assert!(with(7, 9).is_err());
        assert!(with(12, 0xc0).is_err());
    }

    #[test]
    fn answers_are_read_back() {
        let message = question("WEB", kind::A, Some(1232));
        let query = parse(&message);
        let mut out = Vec::new();
        let mut answer = Answer::begin(&mut out, &query, &message, 1232);
        answer.authoritative();
        answer.address(0, "10.0.0.1".parse().unwrap());
        answer.address(60, "10.0.0.2".parse().unwrap());
        answer.finish();
        let reply = Reply::parse(&out).unwrap();
        assert!(reply.answers(query.id, &query.name, kind::A, CLASS_IN));
        assert_eq!(reply.lifetimes.len(), 2);
        assert_eq!(reply.keep, None);
        assert!(reply.edns_at.is_some());
        assert_eq!(&out[12..16], b"\x03WEB");
    }

    #[test]
    fn too_much_is_cut_off() {
        let message = question("many", kind::A, None);
        let query = parse(&message);
        let mut out = Vec::new();
        let mut answer = Answer::begin(&mut out, &query, &message, PLAIN_SIZE);
        for n in 0..100 {
            answer.address(0, IpAddr::from([10, 0, 0, n]));
        }
        answer.finish();
        let reply = Reply::parse(&out).unwrap();
        assert!(out.len() <= PLAIN_SIZE && reply.flags & flag::TRUNCATED != 0);
        assert_eq!(reply.lifetimes.len(), 30);
    }

    /// An answer of another server with EDNS.
    fn forwarded(records: u8) -> (Vec<u8>, Reply) {
        let message = question("www.example", kind::A, Some(4096));
        let mut out = Vec::new();
        let query = parse(&message);
        let mut answer = Answer::begin(&mut out, &query, &message, UDP_SIZE);
        for n in 0..records {
            answer.address(300, IpAddr::from([192, 0, 2, n]));
        }
        answer.finish();
        let reply = Reply::parse(&out).unwrap();
        (out, reply)
    }

    #[test]
    fn forwarding_fits_the_client() {
        let (message, reply) = forwarded(2);
        assert_eq!(reply.keep, Some(300));
        let spelled = question("wWw.ExAmple", kind::A, None);
        let asker = AskerView { id: 7, flags: flag::RECURSE, question: &spelled[HEADER..], edns: false, limit: 512 };
        let mut out = Vec::new();
        write_forwarded(&mut out, &message, &reply, &asker, 100);
        let plain = Reply::parse(&out).unwrap();
        assert_eq!((plain.id, plain.keep, plain.edns_at), (7, Some(200), None));
        assert_eq!(&out[12..16], b"\x03wWw");
        let (message, reply) = forwarded(100);
        write_forwarded(&mut out, &message, &reply, &asker, 0);
        let cut = Reply::parse(&out).unwrap();
        assert!(cut.flags & flag::TRUNCATED != 0 && out.len() < 60);
        write_forwarded(&mut out, &message, &reply, &AskerView { edns: true, ..asker }, 0);
        assert!(Reply::parse(&out).unwrap().edns_at.is_some());
    }

    #[test]
    fn negative_answers_are_kept_as_their_zone_says() {
        let mut message = question("no.example", kind::A, None);
        message[2] = 0x81;
        message[3] = 0x83;
        message[9] = 1;
        message.extend(*b"\xc0\x0f\x00\x06\x00\x01\x00\x00\x0e\x10\x00\x16\x00\x00");
        message.extend([0; 16]);
        message.extend(60_u32.to_be_bytes());
        let reply = Reply::parse(&message).unwrap();
        assert_eq!((reply.rcode(), reply.keep), (rcode::NO_NAME, Some(60)));
        message[9] = 0;
        assert_eq!(Reply::parse(&message).unwrap().keep, None);
    }

    proptest! {
        #[test]
        fn any_bytes(message in prop::collection::vec(any::<u8>(), 0..700)) {
            let _ = Query::parse(&message);
            drop(Reply::parse(&message));
        }

        #[test]
        fn broken_answers(at in 0_usize..80, byte: u8, cut in 0_usize..80) {
            let (mut message, _) = forwarded(3);
            let length = message.len();
            message[at % length] = byte;
            message.truncate(length - cut % length);
            if let Ok(reply) = Reply::parse(&message) {
                let question = message[HEADER..reply.end].to_vec();
                let mut out = Vec::new();
                let asker = AskerView { id: 1, flags: 0, question: &question, edns: cut % 2 == 0, limit: 512 };
                write_forwarded(&mut out, &message, &reply, &asker, 5);
                prop_assert!(Reply::parse(&out).is_ok());
            }
        }
    }
}
