//! Ports of `EXPOSE`: `80`, `80/tcp`, `7000-8000/udp`; host parts (`127.0.0.1:80:8080`) are read, and mean nothing.

use crate::spec::Expose;

use super::error::Fault;

/// Reads expanded words.
///
/// # Errors
/// A port or protocol that is none.
pub fn ports(words: &[String]) -> Result<Vec<Expose>, Fault> {
    words.iter().map(|word| port(word)).collect()
}

/// The container's part of a port; whatever stands before its last colon is of no use in an image.
pub(super) fn container_part(word: &str) -> &str {
    word.rsplit(':').next().unwrap_or(word)
}

fn port(word: &str) -> Result<Expose, Fault> {
    let part = container_part(word);
    let part = part.strip_suffix('/').unwrap_or(part);
    part.to_lowercase().parse().map_err(|error| {
        Fault::new(format!("invalid containerPort: {word}: {error}")).hint("write PORT, PORT/udp or FIRST-LAST")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations() {
        let read = |word: &str| ports(&[word.to_owned()]).map(|ports| ports[0].to_string()).ok();
        assert_eq!(read("80").as_deref(), Some("80/tcp"));
        assert_eq!(read("53/UDP").as_deref(), Some("53/udp"));
        assert_eq!(read("7000-7002/tcp").as_deref(), Some("7000-7002/tcp"));
        assert_eq!(read("127.0.0.1:80:8080").as_deref(), Some("8080/tcp"));
        for bad in ["", "http", "80/xtp", "99999", "9-8"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
