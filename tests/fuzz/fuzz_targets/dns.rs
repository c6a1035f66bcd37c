//! Any bytes as a DNS message of a client or a server: no panic, and what is forwarded can be read again.
#![no_main]

use kelp::network::resolver::wire::{AskerView, HEADER, Query, Reply, write_forwarded};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    if let Ok(query) = Query::parse(message) {
        assert!(query.end <= message.len());
    }
    let Ok(reply) = Reply::parse(message) else { return };
    let question = message[HEADER..reply.end].to_vec();
    let mut out = Vec::new();
    for (edns, limit) in [(false, 512), (true, 4096), (false, usize::MAX)] {
        let asker = AskerView { id: 1, flags: 0, question: &question, edns, limit };
        write_forwarded(&mut out, message, &reply, &asker, 1);
        assert!(Reply::parse(&out).is_ok());
    }
});
