//! From lines to the tree: each instruction's words, flags and forms, and the rules of their order.

use super::ast::{
    Add, ArgItem, CommandLine, Copy, Dockerfile, Heredoc, Instruction, Kind, MountOptions, OnBuild, Run, RunNetwork, RunSecurity,
    Source, Span, Stage,
};
use super::error::{Fault, ParseError, did_you_mean, nearest};
use super::expand::Word;
use super::health;
use super::lines::{self, Line};
use super::mounts;
use super::words::{self, Flags, NotJson, between_blanks, first_word, json_list, only_strings};

/// All instructions, in upper case.
const INSTRUCTIONS: [&str; 18] = [
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN",
    "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
];

impl Dockerfile {
    /// Reads a Dockerfile; `name` is what messages call it.
    ///
    /// # Errors
    /// The first mistake, with its lines.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, ParseError> {
        let lossy = || String::from_utf8_lossy(bytes);
        let text = lines::decode(bytes).map_err(|(span, fault)| ParseError::new(name, &lossy(), span, fault))?;
        let wrong = |(span, fault)| ParseError::new(name, &text, span, fault);
        let (directives, lines) = lines::split(&text).map_err(wrong)?;
        let mut file = Self {
            name: name.to_owned(),
            text: text.clone(),
            empty_continuations: lines.iter().filter(|line| line.empty).map(|line| line.span).collect(),
            global_args: Vec::new(),
            stages: Vec::new(),
            directives,
        };
        let empty = lines.is_empty();
        for line in lines {
            let span = line.span;
            file.add(line).map_err(|fault| wrong((span, fault)))?;
        }
        if file.stages.is_empty() {
            let last = file.global_args.last().map_or(Span { first: 1, last: 1 }, |arg| arg.span);
            let message = if empty { "file with no instructions" } else { "dockerfile contains no stages to build" };
            return Err(wrong((last, Fault::new(message).hint("a Dockerfile begins with FROM IMAGE"))));
        }
        Ok(file)
    }

    fn add(&mut self, line: Line) -> Result<(), Fault> {
        let (keyword, rest) = first_word(&line.text);
        if keyword.eq_ignore_ascii_case("from") {
            let stage = from(&line, keyword, rest)?;
            self.stages.push(stage);
            return Ok(());
        }
        let instruction = instruction(line, self.directives.escape)?;
        match (self.stages.last_mut(), &instruction.kind) {
            (Some(stage), _) => stage.instructions.push(instruction),
            (None, Kind::Arg(_)) => self.global_args.push(instruction),
            (None, _) => {
                let fault = Fault::new(format!("no build stage in current context: {} before FROM", instruction.keyword));
                return Err(fault.hint("begin with FROM IMAGE; only ARG may stand before it"));
            }
        }
        Ok(())
    }

    /// An error about lines of this file.
    pub(crate) fn error(&self, span: Span, fault: Fault) -> ParseError {
        ParseError::new(&self.name, &self.text, span, fault)
    }
}

/// Reads the instructions of an image's `ONBUILD` trigger. `span` is where the image is named.
///
/// # Errors
/// As those of a Dockerfile; also for what cannot be a trigger.
pub fn trigger(expression: &str, span: Span) -> Result<Instruction<Word>, Fault> {
    let (_, lines) = lines::split(expression).map_err(|(_, fault)| fault)?;
    let [line] = <[Line; 1]>::try_from(lines).map_err(|_| Fault::new("onbuild trigger should be a single expression"))?;
    check_trigger(first_word(&line.text).0)?;
    Ok(Instruction { span, ..instruction(line, '\\')? })
}

fn check_trigger(keyword: &str) -> Result<(), Fault> {
    match keyword.to_ascii_uppercase().as_str() {
        "ONBUILD" => Err(Fault::new("chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
        name @ ("FROM" | "MAINTAINER") => Err(Fault::new(format!("{name} isn't allowed as an ONBUILD trigger"))),
        _ => Ok(()),
    }
}

fn from(line: &Line, keyword: &str, rest: &str) -> Result<Stage, Fault> {
    let (given, rest) = words::flags(rest);
    let mut flags = Flags::new(given);
    let platform = flags.one("platform")?.filter(|platform| !platform.is_empty());
    flags.finish()?;
    let (base, named) = match between_blanks(rest)[..] {
        [base] => (base, None),
        [base, word, name] if word.eq_ignore_ascii_case("as") => (base, Some((word, name))),
        [_, word, _] => {
            let hint = nearest(word, ["AS"]).map_or("write FROM IMAGE [AS NAME]", |_| "did you mean AS?");
            return Err(Fault::new("FROM requires either one or three arguments").hint(hint));
        }
        _ => return Err(Fault::new("FROM requires either one or three arguments").hint("write FROM [--platform=P] IMAGE [AS NAME]")),
    };
    let name = named.map(|(_, name)| name.to_lowercase());
    if let Some(name) = &name {
        let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
        if !valid {
            return Err(Fault::new(format!("invalid name for build stage: \"{name}\", name can't start with a number or contain symbols")));
        }
    }
    Ok(Stage {
        name,
        name_typed: named.map(|(_, name)| name.to_owned()),
        from: Word::new(base),
        platform: platform.map(Word::new),
        text: line.text.clone(),
        keyword: keyword.to_owned(),
        as_keyword: named.map(|(word, _)| word.to_owned()),
        span: line.span,
        comments: line.comments.clone(),
        instructions: Vec::new(),
    })
}

/// Reads one instruction that is no `FROM`.
fn instruction(line: Line, escape: char) -> Result<Instruction<Word>, Fault> {
    let (keyword, rest) = first_word(&line.text);
    let (given, rest) = words::flags(rest);
    let mut flags = Flags::new(given);
    let name = keyword.to_ascii_uppercase();
    let heredocs = line.heredocs;
    let kind = match name.as_str() {
        "ADD" => add(rest, &mut flags, &heredocs)?,
        "ARG" => arg(rest, escape)?,
        "CMD" => Kind::Cmd(command(rest, "CMD")?),
        "COPY" => copy(rest, &mut flags, &heredocs)?,
        "ENTRYPOINT" => Kind::Entrypoint(command(rest, "ENTRYPOINT")?),
        "ENV" => Kind::Env(words::pairs(rest, escape, "ENV")?),
        "EXPOSE" => Kind::Expose(list(between_blanks(rest).into_iter().map(str::to_owned).collect(), "EXPOSE")?),
        "HEALTHCHECK" => Kind::HealthCheck(health::read(rest, &mut flags)?),
        "LABEL" => Kind::Label(words::pairs(rest, escape, "LABEL")?),
        "MAINTAINER" => Kind::Maintainer(single(rest, "MAINTAINER")?),
        "ONBUILD" => onbuild(&line.text, rest, &heredocs, line.span, escape)?,
        "RUN" => run(rest, &mut flags, heredocs)?,
        "SHELL" => shell(rest)?,
        "STOPSIGNAL" => Kind::StopSignal(Word::new(single(rest, "STOPSIGNAL")?)),
        "USER" => Kind::User(Word::new(single(rest, "USER")?)),
        "VOLUME" => volume(rest)?,
        "WORKDIR" => Kind::Workdir(Word::new(single(rest, "WORKDIR")?)),
        _ => return Err(unknown(keyword)),
    };
    flags.finish()?;
    Ok(Instruction { span: line.span, keyword: keyword.to_owned(), text: line.text.clone(), comments: line.comments, kind })
}

fn unknown(keyword: &str) -> Fault {
    let fault = Fault::new(format!("unknown instruction: {keyword}"));
    if let Some(hint) = did_you_mean(keyword, INSTRUCTIONS) {
        return fault.hint(hint);
    }
    if keyword.contains("FROM") || keyword.starts_with("<<<<") || keyword.starts_with("====") {
        return fault.hint("is this line meant for a Dockerfile?");
    }
    fault.hint("if this line belongs to the one above, end that one with the escape character (usually \\)")
}

/// The rest of the line, which must be there.
fn single(rest: &str, instruction: &str) -> Result<String, Fault> {
    if rest.is_empty() { Err(Fault::new(format!("{instruction} requires exactly one argument"))) } else { Ok(rest.to_owned()) }
}

fn list(words: Vec<String>, instruction: &str) -> Result<Vec<Word>, Fault> {
    if words.is_empty() {
        return Err(Fault::new(format!("{instruction} requires at least one argument")));
    }
    Ok(words.into_iter().map(Word::new).collect())
}

/// A JSON list, or a line for the shell.
fn command(rest: &str, instruction: &str) -> Result<CommandLine, Fault> {
    match json_list(rest) {
        Ok(list) => Ok(CommandLine::Exec(list)),
        Err(NotJson::NotStrings) => Err(only_strings()),
        Err(NotJson::No) if rest.is_empty() => Err(Fault::new(format!("{instruction} requires at least one argument"))),
        Err(NotJson::No) => Ok(CommandLine::Shell(rest.to_owned())),
    }
}

/// A JSON list, or words between blanks.
fn json_or_words(rest: &str) -> Result<Vec<String>, Fault> {
    match json_list(rest) {
        Ok(list) => Ok(list),
        Err(NotJson::NotStrings) => Err(only_strings()),
        Err(NotJson::No) => Ok(between_blanks(rest).into_iter().map(str::to_owned).collect()),
    }
}

fn arg(rest: &str, escape: char) -> Result<Kind<Word>, Fault> {
    let items = words::quoted(rest, escape);
    if items.is_empty() {
        return Err(Fault::new("ARG requires at least one argument"));
    }
    let item = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(Fault::new("ARG names can not be blank")),
        Some((name, value)) => Ok(ArgItem { name: Word::new(name), value: Some(Word::new(value)) }),
        None => Ok(ArgItem { name: Word::new(word), value: None }),
    };
    Ok(Kind::Arg(items.into_iter().map(item).collect::<Result<_, _>>()?))
}

fn volume(rest: &str) -> Result<Kind<Word>, Fault> {
    let paths = json_or_words(rest)?;
    if paths.iter().any(|path| path.trim().is_empty()) {
        return Err(Fault::new("VOLUME specified can not be an empty string"));
    }
    Ok(Kind::Volume(list(paths.into_iter().map(|path| path.trim().to_owned()).collect(), "VOLUME")?))
}

fn shell(rest: &str) -> Result<Kind<Word>, Fault> {
    match json_list(rest) {
        Ok(list) if list.is_empty() => Err(Fault::new("SHELL requires at least one argument")),
        Ok(list) => Ok(Kind::Shell(list)),
        Err(_) => Err(Fault::new("SHELL requires the arguments to be in JSON form").hint("write SHELL [\"/bin/bash\", \"-c\"]")),
    }
}

fn run(rest: &str, flags: &mut Flags, heredocs: Vec<Heredoc>) -> Result<Kind<Word>, Fault> {
    let mounts = flags.all("mount")?;
    let network = match flags.one("network")?.as_deref() {
        None | Some("default") => RunNetwork::Default,
        Some("none") => RunNetwork::None,
        Some("host") => RunNetwork::Host,
        Some(other) => return Err(choice("network mode", other, &["default", "none", "host"])),
    };
    let security = match flags.one("security")?.as_deref() {
        None | Some("sandbox") => RunSecurity::Sandbox,
        Some("insecure") => RunSecurity::Insecure,
        Some(other) => return Err(choice("security mode", other, &["sandbox", "insecure"])),
    };
    if !flags.all("device")?.is_empty() {
        return Err(Fault::new("RUN --device is not supported").hint("devices of the host are not available during a build"));
    }
    let command = command(rest, "RUN")?;
    if command == CommandLine::Exec(Vec::new()) {
        return Err(Fault::new("RUN requires at least one argument"));
    }
    let mounts = mounts.iter().map(|text| mounts::split(text)).collect::<Result<Vec<MountOptions<Word>>, _>>()?;
    Ok(Kind::Run(Run { command, heredocs, mounts, network, security }))
}

fn choice(what: &str, given: &str, allowed: &[&str]) -> Fault {
    let hint = did_you_mean(given, allowed.iter().copied()).unwrap_or_else(|| format!("use {}", allowed.join(", ")));
    Fault::new(format!("unsupported {what} \"{given}\"")).hint(hint)
}

fn copy(rest: &str, flags: &mut Flags, heredocs: &[Heredoc]) -> Result<Kind<Word>, Fault> {
    let from = flags.one("from")?;
    let (chown, chmod) = (flags.one("chown")?, flags.one("chmod")?);
    let (link, parents) = (flags.switch("link")?, flags.switch("parents")?);
    let exclude = flags.all("exclude")?;
    if from.as_ref().is_some_and(|from| from.contains('$')) {
        return Err(Fault::new("variable expansion is not supported for --from")
            .hint("name the image in a stage of its own (FROM $IMAGE AS name) and copy --from=name"));
    }
    let (sources, dest) = sources(rest, heredocs, "COPY")?;
    Ok(Kind::Copy(Copy {
        sources,
        dest,
        from: from.filter(|from| !from.is_empty()),
        chown: chown.filter(|text| !text.is_empty()).map(Word::new),
        chmod: chmod.filter(|text| !text.is_empty()).map(Word::new),
        link: link.unwrap_or(false),
        parents: parents.unwrap_or(false),
        exclude: exclude.into_iter().map(Word::new).collect(),
    }))
}

fn add(rest: &str, flags: &mut Flags, heredocs: &[Heredoc]) -> Result<Kind<Word>, Fault> {
    let (chown, chmod) = (flags.one("chown")?, flags.one("chmod")?);
    let (link, keep_git_dir) = (flags.switch("link")?, flags.switch("keep-git-dir")?);
    let (checksum, unpack) = (flags.one("checksum")?, flags.switch("unpack")?);
    let exclude = flags.all("exclude")?;
    let (sources, dest) = sources(rest, heredocs, "ADD")?;
    Ok(Kind::Add(Add {
        sources,
        dest,
        chown: chown.filter(|text| !text.is_empty()).map(Word::new),
        chmod: chmod.filter(|text| !text.is_empty()).map(Word::new),
        link: link.unwrap_or(false),
        keep_git_dir,
        checksum: checksum.filter(|text| !text.is_empty()).map(Word::new),
        exclude: exclude.into_iter().map(Word::new).collect(),
        unpack,
    }))
}

/// Sources, heredocs last, and the destination.
fn sources(rest: &str, heredocs: &[Heredoc], instruction: &str) -> Result<(Vec<Source<Word>>, Word), Fault> {
    let mut words = json_or_words(rest)?;
    let heredoc = |word: &str| lines::heredoc(word).map(|found| found.name);
    // `<< EOF`: the name is a word of its own.
    if !heredocs.is_empty() {
        words = join_spaced(words);
    }
    let dest = words.pop().unwrap_or_default();
    if words.is_empty() {
        let message = format!("{instruction} requires at least two arguments, but only one was provided. Destination could not be determined");
        return Err(Fault::new(message).hint(format!("write {instruction} SOURCE... DESTINATION")));
    }
    if heredoc(&dest).is_some() {
        return Err(Fault::new(format!("{instruction} cannot accept a heredoc as a destination")));
    }
    let mut sources = Vec::new();
    let mut written = Vec::new();
    for word in words {
        match heredoc(&word).and_then(|name| heredocs.iter().rfind(|heredoc| heredoc.name == name)) {
            Some(heredoc) => written.push(Source::Heredoc(heredoc.clone())),
            None => sources.push(Source::Path(Word::new(word))),
        }
    }
    sources.append(&mut written);
    Ok((sources, Word::new(dest)))
}

fn join_spaced(words: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for word in words {
        match joined.last_mut() {
            Some(last) if matches!(last.trim_start_matches(|c: char| c.is_ascii_digit()), "<<" | "<<-") => last.push_str(&word),
            _ => joined.push(word),
        }
    }
    joined
}

fn onbuild(line: &str, rest: &str, heredocs: &[Heredoc], span: Span, escape: char) -> Result<Kind<Word>, Fault> {
    let (keyword, _) = first_word(rest);
    if keyword.is_empty() {
        return Err(Fault::new("ONBUILD requires at least one argument"));
    }
    check_trigger(keyword)?;
    // Checked now, executed by those who build on this image.
    let inner = Line { span, text: rest.to_owned(), comments: Vec::new(), heredocs: heredocs.to_vec(), empty: false };
    instruction(inner, escape)?;
    let mut expression = first_word(line).1.to_owned();
    for heredoc in heredocs {
        expression.push('\n');
        expression.push_str(&heredoc.data);
        expression.push_str(&heredoc.name);
    }
    Ok(Kind::OnBuild(OnBuild { expression }))
}
