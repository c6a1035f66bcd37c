//! Paths as text: Go's `path.Clean`, and what trailing slashes mean.

/// Without `.`, `..` where something stands before it, and repeated or trailing slashes; empty is `.`.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Below a root: cleaned as if it began with `/`, without it. The root itself is empty.
pub(crate) fn below_root(path: &str) -> String {
    clean(&format!("/{path}")).trim_start_matches('/').to_owned()
}

/// `name` in `dir`; either may be empty.
pub(crate) fn join(dir: &str, name: &str) -> String {
    match (dir.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (false, true) => dir.to_owned(),
        (false, false) => format!("{dir}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning() {
        for (path, want) in [("", "."), ("a//b/./c/", "a/b/c"), ("a/../..", ".."), ("/../a", "/a"), ("/", "/"), ("./", "."), ("../a/..", "..")] {
            assert_eq!(clean(path), want, "{path}");
        }
        assert_eq!((below_root("../../a/").as_str(), below_root(".").as_str(), join("a", "b").as_str()), ("a", "", "a/b"));
    }
}
