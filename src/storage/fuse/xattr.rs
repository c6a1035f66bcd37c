//! Extended attributes and ACLs. The overlay's own are hidden; those a nested overlay sets are
//! stored under an escaped name, in the way of the kernel's overlay.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use rustix::fs::XattrFlags;
use rustix::io::{Errno, Result};

use super::ids;
use super::node::{Node, read, write};
use super::overlay::Overlay;

const OWN: &[u8] = b"user.overlay.";
const ESCAPED: &[u8] = b"user.overlay.overlay.";
const CAPABILITY: &str = "security.capability";
const ACL: &[u8] = b"system.posix_acl_";
const DEFAULT_ACL: &str = "system.posix_acl_default";

/// Whether a stored name belongs to the overlay itself.
pub(super) fn is_own(name: &[u8]) -> bool {
    name.starts_with(OWN) && !name.starts_with(ESCAPED)
}

/// The name an attribute is stored under.
fn stored(name: &OsStr) -> OsString {
    match name.as_bytes().strip_prefix(OWN) {
        Some(rest) => OsString::from_vec([ESCAPED, rest].concat()),
        None => name.to_owned(),
    }
}

fn is_acl(name: &OsStr) -> bool {
    name.as_bytes().starts_with(ACL)
}

impl Overlay {
    /// The value of an attribute.
    pub(super) fn getxattr(&self, node: &Arc<Node>, name: &OsStr) -> Result<Vec<u8>> {
        if is_acl(name) && self.options.noacl {
            return Err(Errno::OPNOTSUPP);
        }
        if name == CAPABILITY && read(&node.state).no_capability {
            return Err(Errno::NODATA);
        }
        if name == ids::OVERRIDE && self.has_overrides(read(&node.state).layer) {
            return Err(Errno::NODATA);
        }
        let value = self.with(node, |target, _| target.getxattr(&stored(name)));
        match value {
            Ok(mut value) => {
                if is_acl(name) {
                    self.ids.acl_shown(&mut value);
                }
                Ok(value)
            }
            Err(e) => {
                if e == Errno::NODATA && name == CAPABILITY {
                    write(&node.state).no_capability = true;
                }
                Err(e)
            }
        }
    }

    /// The names of all attributes, each with a NUL at its end.
    pub(super) fn listxattr(&self, node: &Arc<Node>) -> Result<Vec<u8>> {
        let (names, layer) = self.with(node, |target, layer| Ok((target.listxattr()?, layer)))?;
        let mut shown = Vec::with_capacity(names.len());
        for name in names.split(|&b| b == 0).filter(|n| !n.is_empty()) {
            let hidden = is_own(name)
                || (name == ids::OVERRIDE.as_bytes() && self.has_overrides(layer))
                || (self.options.noacl && name.starts_with(ACL));
            if hidden {
                continue;
            }
            match name.strip_prefix(ESCAPED) {
                Some(rest) => shown.extend_from_slice(&[OWN, rest].concat()),
                None => shown.extend_from_slice(name),
            }
            shown.push(0);
        }
        Ok(shown)
    }

    /// Sets an attribute.
    pub(super) fn setxattr(&self, node: &Arc<Node>, name: &OsStr, value: &[u8], flags: u32) -> Result<()> {
        if is_acl(name) && self.options.noacl {
            return Err(Errno::OPNOTSUPP);
        }
        let mut value = value.to_vec();
        if is_acl(name) && !self.ids.acl_stored(&mut value) {
            return Err(Errno::INVAL);
        }
        self.copy_up(node, None)?;
        self.settle(node, name);
        let flags = XattrFlags::from_bits_retain(flags);
        let done = self.with(node, |target, _| target.setxattr(&stored(name), &value, flags));
        self.settle(node, name);
        done
    }

    /// Removes an attribute.
    pub(super) fn removexattr(&self, node: &Arc<Node>, name: &OsStr) -> Result<()> {
        // What is not there needs no copy to be removed from.
        self.with(node, |target, _| target.getxattr(&stored(name)))?;
        self.copy_up(node, None)?;
        let done = self.with(node, |target, _| target.removexattr(&stored(name)));
        self.settle(node, name);
        done
    }

    /// Drops what was remembered of an attribute.
    fn settle(&self, node: &Arc<Node>, name: &OsStr) {
        if name == CAPABILITY {
            write(&node.state).no_capability = false;
        } else if name == DEFAULT_ACL {
            write(&node.state).default_acl = None;
        }
    }

    /// Whether a directory has an ACL for the files made in it.
    pub(super) fn has_default_acl(&self, dir: &Arc<Node>) -> bool {
        if self.options.noacl {
            return false;
        }
        if let Some(known) = read(&dir.state).default_acl {
            return known;
        }
        let found = self.with(dir, |target, _| target.getxattr(OsStr::new(DEFAULT_ACL))).is_ok();
        write(&dir.state).default_acl = Some(found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_nested_overlay_are_escaped() {
        assert_eq!(stored(OsStr::new("user.overlay.opaque")), "user.overlay.overlay.opaque");
        assert_eq!(stored(OsStr::new("user.x")), "user.x");
        assert!(is_own(b"user.overlay.opaque") && !is_own(b"user.overlay.overlay.opaque") && !is_own(b"user.x"));
    }
}
