//! Files of other tools and statements of registries: registries.conf is read in the unit tests; here keys, signed
//! statements and what a policy makes of them.
#![no_main]

use kelp::image::signature::{PrivateKey, PublicKey, Signed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = PrivateKey::from_pem(&text, "fuzz");
    if let Ok(key) = PublicKey::from_pem(&text, "fuzz") {
        let (payload, signature) = data.split_at(data.len() / 2);
        assert!(!key.verifies(&Signed { payload: payload.to_vec(), signature: signature.to_vec() }));
    }
});
