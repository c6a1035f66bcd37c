//! Any text as an image reference: no panic, and what is accepted round-trips and is fit for URLs and file names.
#![no_main]

use kelp::spec::Reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else { return };
    assert_eq!(reference.to_string().parse::<Reference>().as_ref(), Ok(&reference));
    assert_eq!(reference.familiar().parse::<Reference>().as_ref(), Ok(&reference));
    assert!(reference.path().split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
    assert!(reference.to_string().bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'+' | b'?' | b'#')));
});
