//! Chooses the process role before any thread exists.

use std::process::ExitCode;

fn main() -> ExitCode {
    let role = std::env::args_os().nth(1);
    match role.as_deref().and_then(|role| role.to_str()) {
        Some(kelp::monitor::ROLE) => kelp::monitor::main(),
        Some(kelp::monitor::IDS_ROLE) => kelp::monitor::ids_main(),
        Some(kelp::network::holder::ROLE) => kelp::network::holder::main(),
        Some(kelp::image::hello::HELLO_ROLE) => kelp::cli::hello(),
        Some(kelp::image::durable::SYNC_ROLE) => match std::env::args_os().nth(2) {
            Some(data) => kelp::image::durable::sync_role(data.as_ref()),
            None => ExitCode::FAILURE,
        },
        Some(kelp::image::durable::CLEAR_ROLE) => match std::env::args_os().nth(2) {
            Some(data) => kelp::image::durable::clear_role(data.as_ref()),
            None => ExitCode::FAILURE,
        },
        Some(kelp::engine::build::step::ROLE) => kelp::engine::build::step::main(),
        Some(kelp::storage::fuse::ROLE) => kelp::storage::fuse::main(std::env::args_os().skip(2)),
        _ => kelp::cli::main(),
    }
}
