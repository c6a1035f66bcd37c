//! Random entries in random order, and damaged bytes.

use super::*;
use proptest::prelude::*;

fn names() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[abc]",
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
        "\\.wh\\.[abc.]{0,2}"
    ];
    proptest::collection::vec(part, 0..4).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever is asked in whatever order, nothing outside the root changes.
    #[test]
    fn entries_never_reach_the_canary(
        entries in proptest::collection::vec(
            (prop_oneof![Just(b'0'), Just(b'1'), Just(b'2'), Just(b'5'), Just(b'6'), Just(b'3')], names(),
             prop_oneof![names(), Just("../canary".to_owned()), Just("/../canary/file".to_owned()), Just("../../canary/dir".to_owned())]),
            1..12)
    ) {
        let mut scratch = Scratch::new();
        let mut tar = Tar::default();
        for (flag, name, link) in &entries {
            tar = tar.raw(*flag, name, link, 0o755, 0, b"");
        }
        // An error is as good as success; what counts is the canary, which `unpack` checks.
        let _result = scratch.unpack(&tar.end());
        // And entry by entry, going on after errors.
        scratch = Scratch::new();
        for (flag, name, link) in &entries {
            let _result = scratch.unpack(&Tar::default().raw(*flag, name, link, 0o755, 0, b"").end());
        }
    }

    /// Arbitrary bytes over a valid archive never panic or escape.
    #[test]
    fn damaged_bytes_never_panic(changes in proptest::collection::vec((0usize..6000, any::<u8>()), 0..8)) {
        let mut tar = Tar::default().pax(&[("mtime", "1.5"), ("GNU.sparse.map", "0,4"), ("GNU.sparse.size", "4")]).file("a", "1234")
            .raw(b'L', "x", "", 0, 5, b"named").file("b", "x").link("c", "../canary").file("c/d", "").end();
        for (at, value) in changes {
            if let Some(byte) = tar.get_mut(at) { *byte = value; }
        }
        // Repair checksums, so that damage gets past the first check.
        let mut at = 0;
        while at + 512 <= tar.len() {
            if tar[at + 257..at + 262] == *b"ustar" {
                tar[at + 148..at + 156].copy_from_slice(b"        ");
                let sum: u32 = tar[at..at + 512].iter().map(|&b| u32::from(b)).sum();
                tar[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
            at += 512;
        }
        let _result = Scratch::new().unpack(&tar);
    }
}
