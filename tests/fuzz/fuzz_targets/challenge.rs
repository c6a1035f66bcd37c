//! Any text as a `WWW-Authenticate` header: no panic, schemes are there and in lower case.
#![no_main]

use kelp::image::registry::challenge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for challenge in challenge::parse(text) {
        assert!(!challenge.scheme.is_empty() && challenge.scheme == challenge.scheme.to_ascii_lowercase());
    }
});
