//! The build argument SOURCE_DATE_EPOCH: a time for the image and all its files, or `context`: that of a context which came
//! from elsewhere.

use super::options::BuildOptions;

/// The argument's name.
const NAME: &str = "SOURCE_DATE_EPOCH";

/// The time an argument or the Dockerfile's first `ARG` asks for, unless one was given otherwise. `context` becomes the
/// number it stands for; without one (a directory has none) it counts as not given.
pub fn of_context(options: &mut BuildOptions, time: Option<i64>) -> Option<i64> {
    if options.epoch.is_some() {
        return None;
    }
    if !options.args.iter().any(|(name, _)| name == NAME) {
        let default = declared(&options.dockerfile)?;
        options.args.push((NAME.to_owned(), default));
    }
    let number = options.args.iter().rev().find(|(name, _)| name == NAME).and_then(|(_, value)| match value.as_str() {
        "context" => time,
        number => number.parse().ok(),
    });
    options.args.retain(|(name, _)| name != NAME);
    if let Some(number) = number {
        options.args.push((NAME.to_owned(), number.to_string()));
    }
    number
}

/// The default of an `ARG SOURCE_DATE_EPOCH=…` before the first `FROM`.
fn declared(dockerfile: &str) -> Option<String> {
    let lines = dockerfile.lines().map(str::trim);
    let before = lines.take_while(|line| !line.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("from ")));
    before
        .filter_map(|line| line.get(..4).filter(|word| word.eq_ignore_ascii_case("arg ")).map(|_| line[4..].trim()))
        .find_map(|line| line.strip_prefix(NAME)?.strip_prefix('='))
        .map(|value| value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts() {
        let of = |dockerfile: &str, args: &[(&str, &str)], time| {
            let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let mut options = BuildOptions { dockerfile: dockerfile.to_owned(), args, ..BuildOptions::default() };
            let found = of_context(&mut options, time);
            (found, options.args.into_iter().map(|(_, value)| value).collect::<Vec<_>>())
        };
        assert_eq!(of("FROM x", &[], Some(5)), (None, vec![]));
        assert_eq!(of("FROM x", &[(NAME, "context")], Some(5)), (Some(5), vec!["5".to_owned()]));
        assert_eq!(of("FROM x", &[(NAME, "context")], None), (None, vec![]));
        assert_eq!(of("ARG SOURCE_DATE_EPOCH=7\nFROM x", &[], None), (Some(7), vec!["7".to_owned()]));
        assert_eq!(of("ARG SOURCE_DATE_EPOCH=context\nFROM x", &[], Some(9)), (Some(9), vec!["9".to_owned()]));
        assert_eq!(of("FROM x\nARG SOURCE_DATE_EPOCH=7", &[], None), (None, vec![]));
    }
}
