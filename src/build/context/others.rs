//! Whether all files of a context are the user's own. Others' have no owner that means anything in a container.

use super::tree::{Entry, Visitor, Walk};
use super::{ContextError, Ignore, Tree};

impl Tree {
    /// Whether something at a path, links in it followed, is not the user's and his first group's, who is root here.
    ///
    /// # Errors
    /// A path that names nothing, a directory that cannot be read.
    pub fn has_others(&self, source: &str) -> Result<bool, ContextError> {
        let mut found = Others(false);
        let pick = self.plain(source)?;
        Walk { tree: self, from: &pick.real, exclude: &Ignore::default(), base: "" }.run(&mut found)?;
        Ok(found.0)
    }
}

struct Others(bool);

impl Others {
    fn see(&mut self, entry: &Entry<'_>) {
        self.0 |= (entry.stat.st_uid, entry.stat.st_gid) != (0, 0);
    }
}

impl Visitor for Others {
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), ContextError> {
        self.see(entry);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), ContextError> {
        Ok(())
    }

    fn object(&mut self, entry: &Entry<'_>) -> Result<(), ContextError> {
        self.see(entry);
        Ok(())
    }
}
