//! Values of the configuration that are written as on the command line: sizes, words with a `FromStr`.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};

use crate::format::size;

/// A text with the grammar of `T`.
pub(super) fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(input: D) -> Result<T, D::Error> {
    String::deserialize(input)?.parse().map_err(D::Error::custom)
}

/// As [`parsed`], for a key that may be absent.
pub(super) fn parsed_option<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    input: D,
) -> Result<Option<T>, D::Error> {
    parsed(input).map(Some)
}

/// A number of bytes, or a size such as `64m`.
pub(super) fn size<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(u64),
        Text(String),
    }
    match Size::deserialize(input)? {
        Size::Bytes(bytes) => Ok(Some(bytes)),
        Size::Text(text) => size::parse_binary(&text).map(Some).map_err(D::Error::custom),
    }
}
