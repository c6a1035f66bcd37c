//! Which recorded processes live.

use crate::sys::identity;

use super::record::ProcessId;

/// The process with this pid now.
pub fn process(pid: i32) -> Option<ProcessId> {
    identity::start_of(pid).map(|start| ProcessId { pid, start })
}

/// Whether that very process exists and has not ended.
pub fn works(process_id: ProcessId) -> bool {
    identity::start_of_running(process_id.pid) == Some(process_id.start)
}

/// Whether that very process still exists (a zombie counts: its namespaces are gone but its number is not reused).
pub fn alive(process_id: ProcessId) -> bool {
    process(process_id.pid) == Some(process_id)
}
