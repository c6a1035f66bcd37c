//! Who the container's process is: `--user`, `--group-add` and the image's own /etc/passwd and /etc/group.
//!
//! Pure: the files come as bytes, read by whoever has the root file system open (bounded by [`MAX_FILE`], and only if
//! they are regular files inside the image). Their content is the image maker's and may be anything; a line that makes
//! no sense is skipped. The rules are docker's.

use crate::spec::user::{Account, KEEP_GROUPS, MAX_ID, UserSpec};

/// As many bytes of an account file as are read.
pub const MAX_FILE: u64 = 4 << 20;

/// The kernel's limit for supplementary groups (`NGROUPS_MAX`).
const MAX_GROUPS: usize = 65536;

/// Who a process is, in the container's ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups. The group itself is the first: without it a process could leave a group that a file's
    /// permissions lock out (CVE-2022-36109).
    pub groups: Vec<u32>,
    /// Home directory for `HOME`, `/` if nothing is known.
    pub home: String,
}

/// Why there is no such user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// Not in passwd and not a number.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    /// Not in group and not a number.
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    /// Neither a name nor a number of the kernel.
    #[error(transparent)]
    Text(#[from] crate::spec::user::UserError),
    /// More than the kernel takes.
    #[error("user {0} is in more than {MAX_GROUPS} groups")]
    TooManyGroups(String),
}

/// Resolves `user` (`name|uid[:group|gid]` of the command line or the image, empty is root) and the groups of
/// `--group-add` in the content of /etc/passwd and /etc/group, empty where the image has none.
pub fn resolve(
    passwd: &[u8],
    group: &[u8],
    user: &str,
    add: &[String],
) -> Result<Identity, UserError> {
    let user: UserSpec = user.parse()?;
    let mut result = Identity {
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        home: "/".to_owned(),
    };
    // Without a user, root's entry tells its home and groups.
    let wanted = user.user.as_ref();
    let found = passwd_entries(passwd).find(|entry| match wanted {
        None => entry.uid == 0,
        Some(account) => {
            account.as_str().as_bytes() == entry.name || account.id() == Some(entry.uid)
        }
    });
    let member = found.as_ref().map(|entry| entry.name);
    if let Some(entry) = found {
        result.uid = entry.uid;
        result.gid = entry.gid;
        result.home = text(entry.home)
            .filter(|home| !home.is_empty())
            .unwrap_or("/")
            .to_owned();
    } else if let Some(account) = wanted {
        result.uid = account
            .id()
            .ok_or_else(|| UserError::NoUser(account.to_string()))?;
    }
    let mut groups = Vec::new();
    if let Some(explicit) = &user.group {
        // It replaces all of the user's.
        result.gid = group_id(explicit, group)?;
    } else if let Some(member) = member {
        let mine = group_entries(group).filter(|entry| entry.has(member));
        groups.extend(mine.map(|entry| entry.gid).take(MAX_GROUPS + 1));
    }
    for name in add.iter().filter(|name| *name != KEEP_GROUPS) {
        groups.push(group_id(&name.parse()?, group)?);
    }
    result.groups = std::iter::once(result.gid).chain(groups).collect();
    dedup(&mut result.groups);
    if result.groups.len() > MAX_GROUPS {
        return Err(UserError::TooManyGroups(user.to_string()));
    }
    Ok(result)
}

/// The first of the ids that stand for nobody: the kernel's for what is not mapped, and the `nobody` of most systems.
const NOBODY: u32 = 65534;

/// How many ids from 0 on it takes to have all the files name, but for those of nobody.
pub fn count(passwd: &[u8], group: &[u8]) -> u32 {
    let users = passwd_entries(passwd).filter(|entry| entry.name != b"nobody").flat_map(|entry| [entry.uid, entry.gid]);
    let groups = group_entries(group).filter(|entry| !matches!(entry.name, b"nobody" | b"nogroup")).map(|entry| entry.gid);
    users.chain(groups).filter(|id| *id < NOBODY).max().map_or(0, |last| last + 1)
}

/// Whether passwd(5) or group(5) has a line for this id.
pub fn lists(file: &[u8], id: u32) -> bool {
    file.split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b':').nth(2))
        .any(|field| text(field).and_then(|field| field.trim().parse().ok()) == Some(id))
}

/// A group by name or number; a number needs no entry.
fn group_id(group: &Account, file: &[u8]) -> Result<u32, UserError> {
    let found = group_entries(file)
        .find(|entry| group.as_str().as_bytes() == entry.name || group.id() == Some(entry.gid));
    found
        .map(|entry| entry.gid)
        .or(group.id())
        .ok_or_else(|| UserError::NoGroup(group.to_string()))
}

/// Keeps the first of each, in order.
fn dedup(groups: &mut Vec<u32>) {
    let mut seen = std::collections::HashSet::with_capacity(groups.len());
    groups.retain(|gid| seen.insert(*gid));
}

/// A line of passwd(5).
struct PasswdEntry<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

/// A line of group(5).
struct GroupEntry<'a> {
    name: &'a [u8],
    gid: u32,
    members: &'a [u8],
}

impl GroupEntry<'_> {
    fn has(&self, name: &[u8]) -> bool {
        self.members
            .split(|b| *b == b',')
            .any(|member| member.trim_ascii() == name)
    }
}

/// Lines that may be entries: no comments, and no references to NIS.
fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| {
            !matches!(line.first(), None | Some(b'#' | b'+' | b'-')) && !line.contains(&0)
        })
}

fn passwd_entries(file: &[u8]) -> impl Iterator<Item = PasswdEntry<'_>> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = id(fields.nth(1)?)?;
        let gid = id(fields.next()?)?;
        let home = fields.nth(1).unwrap_or_default();
        Some(PasswdEntry {
            name,
            uid,
            gid,
            home,
        })
    })
}

fn group_entries(file: &[u8]) -> impl Iterator<Item = GroupEntry<'_>> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = id(fields.nth(1)?)?;
        let members = fields.next().unwrap_or_default();
        Some(GroupEntry { name, gid, members })
    })
}

/// An id of an account file. One beyond docker's range could only be the kernel's "leave unchanged" (2³²-1) or an id
/// nobody maps, so the entry is skipped.
fn id(field: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(field).ok()?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|id| *id <= MAX_ID)
}

/// A field that goes into an environment variable or a message.
fn text(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field)
        .ok()
        .filter(|text| !text.chars().any(char::is_control) && text.len() < 4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# comment\n\nadm:x:3:4:adm:/var/adm:/bin/false\n\
        +@nis::::::\nbroken\nempty:x:::::\nhuge:x:4294967295:0::/:/bin/sh\nneg:x:-1:0::/:/bin/sh\n\
        postgres:x:70:71:PG:/var/lib/postgresql:/bin/sh\n1000:x:55:56::/odd:\nuser:x:1000:1000::/home/user\n\
        nohome:x:77:77\n";
    const GROUP: &[u8] =
        b"root:x:0:root\nadm:x:4:root,adm,daemon\nwheel:x:10:root, postgres\nssl:x:105:postgres\n\
        postgres:x:71:\nbad:x:y:postgres\n99:x:5:\n";

    fn user(spec: &str) -> Result<Identity, UserError> {
        resolve(PASSWD, GROUP, spec, &[])
    }

    fn ids(spec: &str) -> (u32, u32, Vec<u32>, String) {
        let user = user(spec).unwrap();
        (user.uid, user.gid, user.groups, user.home)
    }

    #[test]
    fn as_docker() {
        assert_eq!(ids(""), (0, 0, vec![0, 4, 10], "/root".into()));
        assert_eq!(
            ids("postgres"),
            (70, 71, vec![71, 10, 105], "/var/lib/postgresql".into())
        );
        assert_eq!(
            ids("70"),
            (70, 71, vec![71, 10, 105], "/var/lib/postgresql".into())
        );
        assert_eq!(
            ids("postgres:adm"),
            (70, 4, vec![4], "/var/lib/postgresql".into())
        );
        assert_eq!(ids("12345"), (12345, 0, vec![0], "/".into()));
        assert_eq!(ids("12345:54321"), (12345, 54321, vec![54321], "/".into()));
        assert_eq!(ids(":wheel"), (0, 10, vec![10], "/root".into()));
        assert_eq!(ids("nohome"), (77, 77, vec![77], "/".into()));
        // The first line that matches by name or number wins.
        assert_eq!(ids("1000"), (55, 56, vec![56], "/odd".into()));
        assert_eq!(ids("user:99"), (1000, 5, vec![5], "/home/user".into()));
    }

    #[test]
    fn not_there() {
        for spec in ["nobody", "broken", "empty", "huge", "neg", "+@nis", "#"] {
            assert_eq!(user(spec).unwrap_err(), UserError::NoUser(spec.into()));
        }
        assert_eq!(
            user("nobody").unwrap_err().to_string(),
            "unable to find user nobody: no matching entries in passwd file"
        );
        assert_eq!(
            user("root:bad").unwrap_err().to_string(),
            "unable to find group bad: no matching entries in group file"
        );
        let root = resolve(b"", b"", "", &[]).unwrap();
        assert_eq!(
            (root.uid, root.groups, root.home.as_str()),
            (0, vec![0], "/")
        );
    }

    #[test]
    fn added_groups() {
        let add = ["wheel", "4242", "adm", "4242"].map(str::to_owned);
        let groups = |spec: &str| resolve(PASSWD, GROUP, spec, &add).unwrap().groups;
        assert_eq!(groups("12345"), [0, 10, 4242, 4]);
        assert_eq!(groups("root"), [0, 4, 10, 4242]);
        assert_eq!(resolve(PASSWD, GROUP, "12345", &[KEEP_GROUPS.to_owned()]).unwrap().groups, [0]);
        let error = resolve(PASSWD, GROUP, "", &["nogroup".into()]).unwrap_err();
        assert_eq!(error, UserError::NoGroup("nogroup".into()));
    }

    #[test]
    fn counts() {
        assert_eq!(count(b"", b""), 0);
        assert_eq!(count(PASSWD, GROUP), 1001);
        assert_eq!(count(b"a:x:5:1500::/:", b"g:x:7:"), 1501);
        assert_eq!(count(b"a:x:5:5::/:", b"g:x:2000:"), 2001);
        let nobody = b"a:x:5:5::/:\nnobody:x:9999:9999::/:\nnfs:x:65534:65534::/:\nhuge:x:2000000:2000000::/:";
        assert_eq!(count(nobody, b"nogroup:x:60000:"), 6);
    }

    #[test]
    fn hostile_content() {
        let home = |passwd: &[u8]| resolve(passwd, b"", "a", &[]).map(|user| user.home);
        assert_eq!(home(b"a:x:1:1::/h\x1b[2J:/bin/sh").unwrap(), "/");
        assert_eq!(home(b"a:x:1:1::/h\xff:/bin/sh").unwrap(), "/");
        assert!(home(b"a:x:1:1::/h\0:/bin/sh").is_err());
        assert_eq!(home(b"  a:x:1:1::/h:/bin/sh \r\n").unwrap(), "/h");
        let many: Vec<u8> = (1..70000)
            .flat_map(|gid| format!("g{gid}:x:{gid}:a\n").into_bytes())
            .collect();
        let error = resolve(b"a:x:1:1::/:", &many, "a", &[]).unwrap_err();
        assert_eq!(error, UserError::TooManyGroups("a".into()));
    }

    proptest! {
        #[test]
        fn any_files(
            passwd in proptest::collection::vec(prop_oneof![Just(b':'), Just(b'\n'), Just(b'0'), any::<u8>()], 0..200),
            group in proptest::collection::vec(prop_oneof![Just(b':'), Just(b','), Just(b'a'), any::<u8>()], 0..200),
            spec in "[a0:]{0,4}",
        ) {
            if let Ok(user) = resolve(&passwd, &group, &spec, &[]) {
                prop_assert!(user.uid <= MAX_ID && user.gid <= MAX_ID);
                prop_assert_eq!(user.groups[0], user.gid);
                prop_assert!(!user.home.contains('\0'));
            }
        }
    }
}
