//! Keys of the build cache: a hash over everything a step's result depends on, each part with its length, so that no two
//! different lists of parts read the same.

use crate::spec::digest::Algorithm;
use crate::spec::Digester;

/// Changes whenever steps with the same parts may come out differently than before.
const FORM: &str = "kelp build 1";

/// A key in the making.
pub(super) struct Key(Digester);

impl Key {
    /// The key of a step of this kind.
    pub(super) fn new(kind: &str) -> Self {
        Self(Digester::new(Algorithm::Sha256)).text(FORM).text(kind)
    }

    /// Adds bytes.
    #[must_use]
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a text.
    #[must_use]
    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds a text that may be absent, which is not the same as empty.
    #[must_use]
    pub(super) fn option(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.bytes(b"1").text(text),
            None => self.bytes(b"0"),
        }
    }

    /// Adds a list.
    #[must_use]
    pub(super) fn list<T: AsRef<str>>(self, texts: impl IntoIterator<Item = T>) -> Self {
        let texts: Vec<T> = texts.into_iter().collect();
        let key = self.bytes(&(texts.len() as u64).to_le_bytes());
        texts.iter().fold(key, |key, text| key.text(text.as_ref()))
    }

    /// The key, in hexadecimal digits.
    pub(super) fn finish(self) -> String {
        self.0.finish().hex().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let keys = [
            Key::new("a").text("b").text("c").finish(),
            Key::new("a").text("bc").finish(),
            Key::new("a").text("bc").text("").finish(),
            Key::new("a").list(["b", "c"]).finish(),
            Key::new("a").list(["b"]).list(["c"]).finish(),
            Key::new("a").option(None).finish(),
            Key::new("a").option(Some("")).finish(),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{index}");
        }
    }
}
