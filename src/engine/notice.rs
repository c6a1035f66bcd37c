//! What a user should know of a host with a piece missing: said once, by the first command that notices.

use super::Engine;
use super::container::one_id;
use crate::state::files;
use crate::userns::{Single, available};

/// What has been said, below the runtime directory; there as soon as anybody looked.
const SAID: &str = "notices";

impl Engine {
    /// What has not been said since the last start of this host (or of the user's session); after this it has been.
    pub fn notices(&self) -> Vec<String> {
        let path = self.paths.run.join(SAID);
        let moved = self.moved.as_ref().map(|moved| moved.home.display().to_string()).unwrap_or_default();
        if std::fs::read_to_string(&path).is_ok_and(|said| said == moved) {
            return Vec::new();
        }
        let mut notices = Vec::new();
        if let (_, Some(why)) = available()
            && why != Single::Asked
        {
            notices.push(format!("{why}: single-id mode, where all files are yours and other owners are recorded; `kelp doctor` tells how to get them"));
            if !one_id::can_notify() {
                notices.push(format!("{}: owners set in containers are not recorded", one_id::CANNOT_NOTIFY));
            }
        }
        notices.extend(self.lost_ids());
        if let Some(moved) = &self.moved {
            notices.push(format!(
                "{} is no place for layers and containers ({}): {} is used; storage.directory in the configuration chooses another",
                moved.home.display(),
                moved.why,
                self.paths.data.display()
            ));
        }
        // Where that cannot be kept it is said again.
        drop(files::write(&path, moved.as_bytes()));
        notices
    }

    /// Whether files here may belong to ids that were taken away from the user.
    pub fn lost_ids(&self) -> Option<String> {
        let lost = crate::userns::lost::lost(&self.paths.data, &self.paths.run);
        (!lost.is_empty()).then(|| {
            format!("files in {} may belong to ids {}, {}; `kelp doctor` tells what to do", self.paths.data.display(), lost.text(), lost.why())
        })
    }
}
