//! Id maps of containers that are not simply the user's own: `--userns keep-id|nomap|auto`, `--uidmap`, `--gidmap`.

use crate::engine::{Engine, Error};
use crate::runtime::plan::users;
use crate::spec::Digest;
use crate::state::{ContainerRecord, Containers, Status};
use crate::userns::{Extent, IdMap};

use super::accounts::Files;

/// Refuses what the kernel would refuse without saying why, and a container nobody could set up.
pub(super) fn check(flag: &str, extents: &[Extent]) -> Result<(), Error> {
    let text = |extent: &Extent| format!("{}:{}:{}", extent.inside, extent.outside, extent.count);
    let meet = |a: u32, b: u32, one: &Extent, other: &Extent| {
        u64::from(a) < u64::from(b) + u64::from(other.count) && u64::from(b) < u64::from(a) + u64::from(one.count)
    };
    for (nth, one) in extents.iter().enumerate() {
        for other in &extents[..nth] {
            let side = if meet(one.inside, other.inside, one, other) {
                "the container"
            } else if meet(one.outside, other.outside, one, other) {
                "your user namespace"
            } else {
                continue;
            };
            return Err(Error::Usage(format!("{flag} {} and {flag} {} overlap: an id of {side} would be mapped twice", text(other), text(one))));
        }
    }
    if extents.iter().any(|extent| extent.inside == 0) {
        return Ok(());
    }
    Err(Error::Usage(format!("{flag} maps no id 0: a container needs its root to be set up; add {flag} 0:HOST:COUNT")))
}

/// Parses `CONTAINER:HOST:COUNT`, where HOST is an id of the user's namespace (0 is the user, 1 the first subordinate id),
/// as podman's rootless maps are.
pub(super) fn parse(texts: &[String]) -> Result<Vec<Extent>, Error> {
    texts
        .iter()
        .map(|text| {
            // Digits alone: a sign means something to others (podman's `+` adds to the map there is).
            let number = |part: &str| part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
            let numbers: Vec<u32> = text.split(':').filter_map(number).collect();
            match (numbers.as_slice(), text.split(':').count()) {
                (&[inside, outside], 2) => Ok(Extent { inside, outside, count: 1 }),
                (&[inside, outside, count], 3) if count > 0 => Ok(Extent { inside, outside, count }),
                _ => Err(Error::Usage(format!("invalid id map \"{text}\": give CONTAINER:HOST[:COUNT], all numbers"))),
            }
        })
        .collect()
}

fn total(extents: &[Extent]) -> u32 {
    extents.iter().map(|extent| extent.inside.saturating_add(extent.count)).max().unwrap_or(0)
}

/// The user keeps `id`; the ids below and above it are the subordinate ones in order.
pub(super) fn keep(extents: &[Extent], id: u32) -> Vec<Extent> {
    let subordinate = total(extents).saturating_sub(1);
    let below = id.min(subordinate);
    let mut map = Vec::with_capacity(3);
    if below > 0 {
        map.push(Extent { inside: 0, outside: 1, count: below });
    }
    map.push(Extent { inside: id, outside: 0, count: 1 });
    if subordinate > below {
        map.push(Extent { inside: id + 1, outside: below + 1, count: subordinate - below });
    }
    map
}

/// `count` ids (all that are left, if none is given) from the user's namespace's id `first` on, as 0….
pub(super) fn skip(extents: &[Extent], first: u32, count: Option<u32>) -> Result<Vec<Extent>, Error> {
    let left = total(extents).saturating_sub(first);
    let count = count.unwrap_or(left);
    if count == 0 || count > left {
        return Err(Error::Usage(format!(
            "not enough subordinate ids: {count} wanted from {first} on, {left} there (see /etc/subuid and `kelp doctor`)"
        )));
    }
    Ok(vec![Extent { inside: 0, outside: first, count }])
}

/// How many ids `--userns auto` takes at least when it is not told.
const AUTO: u32 = 1024;

/// The ids a container has a use for.
pub(super) struct Need {
    /// Who its process is to be.
    user: String,
    /// The highest id of that user and its groups.
    highest: u32,
    /// So many ids the image names, in its account files or as owners of files.
    named: u32,
}

/// So many ids the files of an image take.
pub(super) fn of_files(engine: &Engine, record: &ContainerRecord) -> u32 {
    let layers: Vec<Digest> = record.image.layers.iter().filter_map(|layer| layer.parse().ok()).collect();
    crate::engine::image::store(engine).count_owners(&layers)
}

impl Need {
    /// From the image's account files and layers. Of a user who is not in them its first process tells.
    pub(super) fn of(engine: &Engine, record: &ContainerRecord, layers: &[std::path::PathBuf]) -> Self {
        let files = Files::read(engine, record, layers);
        let user = record.config.user.clone();
        let found = users::resolve(&files.passwd, &files.group, &user, &record.spec.process.groups);
        let highest = found.map_or(0, |found| found.groups.into_iter().fold(found.uid, u32::max));
        let named = users::count(&files.passwd, &files.group).max(of_files(engine, record));
        Self { user, highest, named }
    }

    /// As podman does it: what the image names, but no fewer than [`AUTO`]. Of `left` ids it takes no more than it must.
    fn count(&self, asked: Option<u32>, left: u32) -> Result<u32, Error> {
        let least = self.highest.saturating_add(1);
        match asked {
            Some(size) if size.max(1) >= least => Ok(size.max(1)),
            None if left >= least => Ok(self.named.max(AUTO).min(left).max(least)),
            _ => {
                let user = if self.user.is_empty() { "root" } else { &self.user };
                let (size, advice) = match asked {
                    Some(size) => (size, format!("give --userns auto:size={least} or more")),
                    None => (left, format!("it takes --userns auto:size={least}, and that many subordinate ids (see /etc/subuid and `kelp doctor`)")),
                };
                Err(Error::Usage(format!(
                    "--userns auto: id {} of user {user} or its groups does not fit: the container would have {size} ids; {advice}",
                    self.highest
                )))
            }
        }
    }
}

/// Subordinate ids that no other running container has to itself: first and count.
pub(super) fn choose(engine: &Engine, map: &IdMap, size: Option<u32>, need: &Need) -> Result<(u32, u32), Error> {
    let containers = Containers::new(&engine.paths);
    let mut taken: Vec<(u32, u32)> = Vec::new();
    for id in containers.ids()? {
        let status = containers.status(&id).ok();
        taken.extend(status.as_ref().and_then(Status::run).and_then(|run| run.ids));
    }
    taken.sort_unstable();
    let total = total(&map.uids).min(total(&map.gids));
    let count = need.count(size, total.saturating_sub(1))?;
    let mut first = 1_u32;
    for (start, length) in taken {
        if first.saturating_add(count) <= start {
            break;
        }
        first = first.max(start + length);
    }
    if first.checked_add(count).is_none_or(|end| end > total) {
        return Err(Error::Usage(format!(
            "--userns auto: no {count} subordinate ids are left: {} in all, the rest is used by running containers; fewer may do, \
             with --userns auto:size=COUNT",
            total.saturating_sub(1)
        )));
    }
    Ok((first, count))
}

/// A map in ids of the user's namespace, cut where that one has borders: each extent must lie within one of its own.
pub(super) fn within(map: &IdMap, uids: &[Extent], gids: &[Extent]) -> Result<IdMap, Error> {
    Ok(IdMap { uids: cut(&map.uids, uids)?, gids: cut(&map.gids, gids)? })
}

fn cut(parent: &[Extent], wanted: &[Extent]) -> Result<Vec<Extent>, Error> {
    let mut out = Vec::new();
    for extent in wanted {
        let (mut done, end) = (0, extent.count);
        while done < end {
            let id = extent.outside + done;
            let holder = parent.iter().find(|own| id >= own.inside && id - own.inside < own.count).ok_or_else(|| {
                Error::Usage(format!("id {id} is not one of yours: there are {} (see `kelp info`)", total(parent)))
            })?;
            let count = (holder.count - (id - holder.inside)).min(end - done);
            out.push(Extent { inside: extent.inside + done, outside: id, count });
            done += count;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Vec<Extent> {
        vec![Extent { inside: 0, outside: 1000, count: 1 }, Extent { inside: 1, outside: 100_000, count: 10 }]
    }

    fn triples(map: &[Extent]) -> Vec<(u32, u32, u32)> {
        map.iter().map(|extent| (extent.inside, extent.outside, extent.count)).collect()
    }

    #[test]
    fn keep_id_puts_the_user_at_its_own_id() {
        assert_eq!(triples(&keep(&user(), 4)), [(0, 1, 4), (4, 0, 1), (5, 5, 6)]);
        assert_eq!(triples(&keep(&user(), 0)), [(0, 0, 1), (1, 1, 10)]);
        assert_eq!(triples(&keep(&user(), 5000)), [(0, 1, 10), (5000, 0, 1)]);
        assert_eq!(triples(&keep(&user()[..1], 1000)), [(1000, 0, 1)]);
    }

    #[test]
    fn maps_are_cut_at_the_borders_of_the_parent() {
        let whole = [Extent { inside: 0, outside: 0, count: 11 }];
        assert_eq!(triples(&cut(&user(), &whole).expect("fits")), [(0, 0, 1), (1, 1, 10)]);
        assert!(cut(&user(), &[Extent { inside: 0, outside: 5, count: 7 }]).is_err());
    }

    #[test]
    fn auto_takes_what_the_image_needs() {
        let need = |highest, named| Need { user: "app".to_owned(), highest, named };
        let count = |need: &Need, asked, left| need.count(asked, left).map_err(|error| error.to_string());
        assert_eq!(count(&need(0, 0), None, 65536), Ok(1024));
        assert_eq!(count(&need(5, 1501), None, 65536), Ok(1501));
        assert_eq!(count(&need(1500, 34), None, 65536), Ok(1501));
        // What the image only names is had as far as there are ids.
        assert_eq!(count(&need(5, 5000), None, 2000), Ok(2000));
        assert_eq!(count(&need(5, 5000), Some(6), 2000), Ok(6));
        let small = count(&need(1500, 1501), Some(1500), 65536).unwrap_err();
        assert!(small.contains("id 1500 of user app or its groups does not fit: the container would have 1500 ids"), "{small}");
        assert!(small.contains("auto:size=1501"), "{small}");
        let few = count(&need(70_000, 0), None, 65536).unwrap_err();
        assert!(few.contains("65536 ids; it takes --userns auto:size=70001"), "{few}");
    }

    #[test]
    fn texts() {
        assert_eq!(triples(&parse(&["0:1:5".to_owned(), "9:0".to_owned()]).expect("valid")), [(0, 1, 5), (9, 0, 1)]);
        for bad in ["", "0", "0:1:0", "a:1:1", "0:1:1:1", "+5:0:1", "5:+0:1"] {
            assert!(parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn maps_the_kernel_would_not_take() {
        let said = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            check("--uidmap", &parse(&texts).expect("valid")).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(said(&["0:1:10", "10:20:10"]), "");
        assert!(said(&["0:1:10", "5:20:10"]).contains("0:1:10 and --uidmap 5:20:10 overlap: an id of the container"));
        assert!(said(&["0:1:10", "10:10:1"]).contains("an id of your user namespace"));
        assert!(said(&["5:0:10"]).contains("maps no id 0"));
    }
}
