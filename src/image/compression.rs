//! Decompression of layers and archives, chosen by the first bytes: media types and file names lie.

use std::io::{self, BufRead, Read};

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, possibly of several members.
    Gzip,
    /// Zstandard, possibly of several frames, skippable ones among them.
    Zstd,
}

/// A compressed stream as plain bytes. Memory stays bounded: a zstd window beyond 128 MiB is refused.
pub enum Decoder<R: BufRead> {
    /// Passed through.
    Plain(R),
    /// Inflated.
    Gzip(Box<flate2::bufread::MultiGzDecoder<R>>),
    /// Decoded by zstd.
    Zstd(Box<zstd::stream::read::Decoder<'static, R>>),
}

impl Compression {
    /// Recognises a compression by the first bytes of a stream (six are enough).
    ///
    /// # Errors
    /// Names the compressions that exist but are not supported (bzip2, xz).
    pub fn detect(head: &[u8]) -> io::Result<Self> {
        let refused = |name: &str| {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("compressed with {name}, which is not supported (gzip, zstd and none are)"),
            ))
        };
        if head.starts_with(&[0x1f, 0x8b]) {
            return Ok(Self::Gzip);
        }
        let skippable =
            head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18];
        if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || skippable {
            return Ok(Self::Zstd);
        }
        if head.starts_with(b"BZh") {
            return refused("bzip2");
        }
        if head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
            return refused("xz");
        }
        Ok(Self::None)
    }
}

impl<R: BufRead> Decoder<R> {
    /// Looks at the first bytes of `reader` and decodes accordingly. `reader`'s buffer must hold at least six bytes.
    ///
    /// # Errors
    /// When reading fails or the compression is not supported.
    pub fn new(mut reader: R) -> io::Result<Self> {
        Ok(match Compression::detect(reader.fill_buf()?)? {
            Compression::None => Self::Plain(reader),
            Compression::Gzip => Self::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(reader))),
            Compression::Zstd => {
                Self::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(reader)?))
            }
        })
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzip(reader) => reader.read(buffer),
            Self::Zstd(reader) => reader.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn plain(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn decodes_by_content() {
        let text = b"hello hello hello".to_vec();
        assert_eq!(plain(&text).unwrap(), text);
        assert_eq!(plain(b"").unwrap(), b"");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(plain(&gzip).unwrap(), text);
        let two = [gzip.as_slice(), gzip.as_slice()].concat();
        assert_eq!(
            plain(&two).unwrap(),
            [text.as_slice(), text.as_slice()].concat()
        );
        assert!(plain(&gzip[..gzip.len() - 3]).is_err());
        let zstd = zstd::encode_all(text.as_slice(), 1).unwrap();
        assert_eq!(plain(&zstd).unwrap(), text);
        let skip = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9], zstd.as_slice()].concat();
        assert_eq!(plain(&skip).unwrap(), text);
        assert!(plain(b"BZh91AY").is_err());
    }
}
