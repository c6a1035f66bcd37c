//! Any bytes as a manifest and as a configuration: no panic; variables have names; what is written reads the same.
#![no_main]

use kelp::image::ImageConfig;
use kelp::image::manifest::Document;
use kelp::spec::Platform;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(Document::Index(index)) = Document::parse(data, None) {
        index.select(&Platform::host(), false).ok();
    }
    if let Ok(config) = ImageConfig::parse(data) {
        assert!(config.config.environment().all(|(name, value)| !name.is_empty() && !value.contains('\0')));
        assert!(!config.platform().os.is_empty());
        let again = serde_json::to_vec(&config).expect("plain data");
        assert_eq!(ImageConfig::parse(&again).expect("what we wrote"), config);
    }
});
