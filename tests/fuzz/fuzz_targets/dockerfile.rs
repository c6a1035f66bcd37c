//! Any bytes as a Dockerfile: no panic, lines inside the file, and every instruction expands or is refused.
#![no_main]

use kelp::build::dockerfile::{Dockerfile, From, Globals, Inputs, Kind, Scope};
use kelp::spec::Platform;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(file) = Dockerfile::parse("Dockerfile", data) else { return };
    let platform = Platform::new("linux", "amd64", None);
    let build_args = [("A".to_owned(), "b c".to_owned())].into();
    let inputs = Inputs { build_args, build_platform: platform.clone(), target_platform: platform, target: None };
    let Ok(globals) = Globals::new(&file, &inputs) else { return };
    for (index, stage) in file.stages.iter().enumerate() {
        assert!(stage.span.first >= 1 && stage.span.first <= stage.span.last);
        if let Ok((From::Stage(base), _)) = globals.from(&file, index) {
            assert!(base < index);
        }
        let mut scope = Scope::new(&file, &globals, []);
        for instruction in &stage.instructions {
            let Ok(done) = scope.step(&file, instruction) else { break };
            if let Kind::Run(run) = &done.instruction.kind {
                run.mounts().expect("checked when it was expanded");
                run.script();
            }
        }
    }
});
