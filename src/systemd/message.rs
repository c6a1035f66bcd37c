//! D-Bus messages (D-Bus specification, "Message Protocol"): written little-endian, read in either order. Only the types
//! that the calls here use.

/// A method call.
pub(super) const CALL: u8 = 1;
/// A method's answer.
pub(super) const RETURN: u8 = 2;
/// A method's failure.
pub(super) const ERROR: u8 = 3;
/// A signal.
pub(super) const SIGNAL: u8 = 4;

/// Bytes before the header fields' content.
pub(super) const FIXED: usize = 16;
/// The specification allows 128 MiB; nothing here needs more than a page.
const MAX_SIZE: usize = 1 << 20;

mod field {
    pub(super) const PATH: u8 = 1;
    pub(super) const INTERFACE: u8 = 2;
    pub(super) const MEMBER: u8 = 3;
    pub(super) const ERROR_NAME: u8 = 4;
    pub(super) const REPLY_SERIAL: u8 = 5;
    pub(super) const DESTINATION: u8 = 6;
    pub(super) const SIGNATURE: u8 = 8;
}

/// Writes values with the alignment the format wants, counted from the start of the message or body.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.align(4);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Also an object path; a boolean is a `u32`.
    pub(super) fn string(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or(0));
        self.bytes.extend_from_slice(text.as_bytes());
        self.byte(0);
    }

    pub(super) fn signature(&mut self, text: &str) {
        self.byte(u8::try_from(text.len()).unwrap_or(0));
        self.bytes.extend_from_slice(text.as_bytes());
        self.byte(0);
    }

    /// An array whose elements are aligned to `element` bytes.
    pub(super) fn array(&mut self, element: usize, fill: impl FnOnce(&mut Self)) {
        self.u32(0);
        let length_at = self.bytes.len() - 4;
        self.align(element);
        let start = self.bytes.len();
        fill(self);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(0);
        self.bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// `(sv)`: a named value of the type `kind`.
    pub(super) fn property(&mut self, name: &str, kind: &str, value: impl FnOnce(&mut Self)) {
        self.align(8);
        self.string(name);
        self.signature(kind);
        value(self);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Where a call goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
}

/// A method call as bytes. `signature` describes `body`.
pub(super) fn call(serial: u32, target: Target<'_>, member: &str, signature: &str, body: Writer) -> Vec<u8> {
    let body = body.into_bytes();
    let mut writer = Writer::default();
    for byte in [b'l', CALL, 0, 1] {
        writer.byte(byte);
    }
    writer.u32(u32::try_from(body.len()).unwrap_or(0));
    writer.u32(serial);
    writer.array(8, |fields| {
        let mut text = |code: u8, kind: &str, value: &str| {
            fields.align(8);
            fields.byte(code);
            fields.signature(kind);
            if kind == "g" { fields.signature(value) } else { fields.string(value) }
        };
        text(field::PATH, "o", target.path);
        text(field::INTERFACE, "s", target.interface);
        text(field::MEMBER, "s", member);
        text(field::DESTINATION, "s", target.destination);
        if !signature.is_empty() {
            text(field::SIGNATURE, "g", signature);
        }
    });
    writer.align(8);
    let mut bytes = writer.into_bytes();
    bytes.extend(body);
    bytes
}

/// A received message.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    /// The call it answers.
    pub(super) reply_to: u32,
    pub(super) member: String,
    pub(super) error: String,
    big_endian: bool,
    body: Vec<u8>,
}

/// How long the message is that starts with these bytes (at least [`FIXED`]); `None` when it is no message.
pub(super) fn size(bytes: &[u8]) -> Option<usize> {
    let reader = Reader { bytes, at: 4, big_endian: big_endian(bytes)? };
    let word = |at: usize| Reader { at, ..reader }.u32();
    let (body, fields) = (word(4)? as usize, word(12)? as usize);
    let size = FIXED.checked_add(fields)?.checked_next_multiple_of(8)?.checked_add(body)?;
    (size <= MAX_SIZE).then_some(size)
}

fn big_endian(bytes: &[u8]) -> Option<bool> {
    match bytes.first()? {
        b'l' => Some(false),
        b'B' => Some(true),
        _ => None,
    }
}

impl Message {
    /// Reads one whole message.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut message = Self { kind: *bytes.get(1)?, big_endian: big_endian(bytes)?, ..Self::default() };
        let mut reader = Reader { bytes, at: 12, big_endian: message.big_endian };
        let end = FIXED.checked_add(reader.u32()? as usize)?;
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            match (code, reader.signature()?) {
                (field::REPLY_SERIAL, "u") => message.reply_to = reader.u32()?,
                (field::MEMBER, "s") => reader.string()?.clone_into(&mut message.member),
                (field::ERROR_NAME, "s") => reader.string()?.clone_into(&mut message.error),
                (_, "s" | "o") => drop(reader.string()?),
                (_, "g") => drop(reader.signature()?),
                (_, "u") => drop(reader.u32()?),
                _ => return None,
            }
        }
        message.body = bytes.get(end.checked_next_multiple_of(8)?..)?.to_vec();
        Some(message)
    }

    /// The values of the body, first to last.
    pub(super) fn body(&self) -> Reader<'_> {
        Reader { bytes: &self.body, at: 0, big_endian: self.big_endian }
    }
}

/// Reads values; `None` past the end, or where they make no sense.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.align(4);
        let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(super) fn string(&mut self) -> Option<&'a str> {
        let length = self.u32()? as usize;
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        self.take(1)?;
        Some(text)
    }

    pub(super) fn signature(&mut self) -> Option<&'a str> {
        let length = self.byte()? as usize;
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        self.take(1)?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut body = Writer::default();
        body.string("x.scope");
        body.u32(7);
        let target = Target { destination: "org.x", path: "/org/x", interface: "org.x.Y" };
        let bytes = call(3, target, "Start", "su", body);
        assert_eq!(size(&bytes[..FIXED]), Some(bytes.len()));
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_str()), (CALL, "Start"));
        let mut reader = message.body();
        assert_eq!((reader.string(), reader.u32(), reader.u32()), (Some("x.scope"), Some(7), None));
    }

    #[test]
    fn a_known_message() {
        // Hello, as any D-Bus library writes it.
        let target = Target {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
        };
        let bytes = call(1, target, "Hello", "", Writer::default());
        assert_eq!(&bytes[..16], &[b'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 109, 0, 0, 0]);
        assert_eq!(bytes.len(), 128);
    }

    #[test]
    fn arrays_are_counted_without_their_padding() {
        let mut writer = Writer::default();
        writer.array(8, |array| array.property("PIDs", "au", |value| value.array(4, |pids| pids.u32(9))));
        let bytes = writer.into_bytes();
        assert_eq!(&bytes[..8], &[24, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes.len(), 32);
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(size(&[0; FIXED]), None);
        assert_eq!(size(&[b'l', 2, 0, 1, 255, 255, 255, 255, 1, 0, 0, 0, 255, 255, 255, 255]), None);
        for length in 0..60 {
            let mut bytes = vec![b'l', 2, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 40, 0, 0, 0];
            bytes.resize(length.max(FIXED), 0xff);
            assert_eq!(Message::parse(&bytes), None, "{length}");
        }
    }
}
