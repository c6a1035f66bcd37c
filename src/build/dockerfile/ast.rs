//! The tree of a Dockerfile. Data only; who makes it is `parse`, who expands it is `scope`.
//!
//! `W` is [`Word`](super::Word) as read, and `String` once expanded. Words that no build expands are `String` in both.

use std::time::Duration;

use super::expand::Word;

/// Lines of the file, counted from 1, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// First line.
    pub first: u32,
    /// Last line, heredocs included.
    pub last: u32,
}

/// A Dockerfile that has been read and checked as far as it can be without values for its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Name used in messages.
    pub name: String,
    /// The whole text: what messages quote from.
    pub text: String,
    /// Parser directives (`# escape=`…).
    pub directives: Directives,
    /// `ARG` before the first `FROM`, in order.
    pub global_args: Vec<Instruction<Word>>,
    /// At least one.
    pub stages: Vec<Stage>,
    /// Instructions with empty lines between their continuation lines, of which lint complains.
    pub empty_continuations: Vec<Span>,
}

/// What the comments at the very top set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `\` or `` ` ``.
    pub escape: char,
    /// `# syntax=`: accepted, kelp has one frontend.
    pub syntax: Option<String>,
    /// `# check=`, as typed.
    pub check: Option<String>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { escape: '\\', syntax: None, check: None }
    }
}

/// One `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `AS name`, in lower case.
    pub name: Option<String>,
    /// `AS name`, as typed.
    pub name_typed: Option<String>,
    /// The base: an image, an earlier stage or `scratch`; may hold variables.
    pub from: Word,
    /// `--platform`, may hold variables.
    pub platform: Option<Word>,
    /// The `FROM` as typed, continuation lines joined.
    pub text: String,
    /// `FROM`, as typed.
    pub keyword: String,
    /// `AS`, as typed.
    pub as_keyword: Option<String>,
    /// Where.
    pub span: Span,
    /// Comment lines right above.
    pub comments: Vec<String>,
    /// Without the `FROM`.
    pub instructions: Vec<Instruction<Word>>,
}

/// What a stage starts from, arguments expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// An empty file system.
    Scratch,
    /// An earlier stage.
    Stage(usize),
    /// An image or a named context.
    Image(String),
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction<W> {
    /// Where.
    pub span: Span,
    /// The instruction's name as typed.
    pub keyword: String,
    /// The whole line as typed, continuation lines joined, without heredocs: what history and progress show.
    pub text: String,
    /// Comment lines right above, without `#`.
    pub comments: Vec<String>,
    /// What it says.
    pub kind: Kind<W>,
}

/// The instructions besides `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<W> {
    /// `ADD`.
    Add(Add<W>),
    /// `ARG`.
    Arg(Vec<ArgItem<W>>),
    /// `CMD`. An empty list unsets.
    Cmd(CommandLine),
    /// `COPY`.
    Copy(Copy<W>),
    /// `ENTRYPOINT`. An empty list unsets.
    Entrypoint(CommandLine),
    /// `ENV`.
    Env(Vec<Pair<W>>),
    /// `EXPOSE`: `80`, `80/tcp`, `7000-8000/udp`; an expanded word may hold several.
    Expose(Vec<W>),
    /// `HEALTHCHECK`.
    HealthCheck(HealthCheck),
    /// `LABEL`.
    Label(Vec<Pair<W>>),
    /// `MAINTAINER`.
    Maintainer(String),
    /// `ONBUILD`.
    OnBuild(OnBuild),
    /// `RUN`.
    Run(Run<W>),
    /// `SHELL`.
    Shell(Vec<String>),
    /// `STOPSIGNAL`.
    StopSignal(W),
    /// `USER`.
    User(W),
    /// `VOLUME`.
    Volume(Vec<W>),
    /// `WORKDIR`.
    Workdir(W),
}

/// `KEY=VALUE` of `ENV` and `LABEL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<W> {
    /// Name.
    pub key: W,
    /// Value.
    pub value: W,
    /// Written in the old way, `KEY VALUE`.
    pub legacy: bool,
}

/// `NAME[=DEFAULT]` of `ARG`. Expanded: the value it has from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgItem<W> {
    /// Name.
    pub name: W,
    /// Default; expanded, the value. None is unset.
    pub value: Option<W>,
}

/// A command in one of the two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// One line for the stage's shell.
    Shell(String),
    /// The arguments themselves, from a JSON list.
    Exec(Vec<String>),
}

/// A file written in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it, and the name of the file it becomes.
    pub name: String,
    /// No part of the word was quoted: `COPY` and `ADD` expand variables in it.
    pub expand: bool,
    /// `<<-`: tabs at the start of lines go.
    pub chomp: bool,
    /// The number before `<<`, 0 if none.
    pub descriptor: u32,
    /// The lines as written, tabs and all.
    pub data: String,
}

impl Heredoc {
    /// The content, without leading tabs when it was `<<-`.
    pub fn content(&self) -> String {
        if self.chomp {
            self.data.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
        } else {
            self.data.clone()
        }
    }
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run<W> {
    /// As typed; with heredocs see [`Run::script`].
    pub command: CommandLine,
    /// In order.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`, in order.
    pub mounts: Vec<MountOptions<W>>,
    /// `--network`.
    pub network: RunNetwork,
    /// `--security`.
    pub security: RunSecurity,
}

/// What a `RUN` executes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// These arguments.
    Exec(Vec<String>),
    /// This text as the last argument of the stage's shell.
    Shell(String),
    /// A file with a `#!` line, to be put at `/dev/pipes/NAME` (mode 0755, read only) and executed.
    File {
        /// Its name.
        name: String,
        /// Its content.
        data: String,
    },
}

/// `--network` of a `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunNetwork {
    /// As the build's.
    #[default]
    Default,
    /// None.
    None,
    /// The host's.
    Host,
}

/// `--security` of a `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunSecurity {
    /// The usual confinement.
    #[default]
    Sandbox,
    /// Privileged, if the build allows it.
    Insecure,
}

/// The fields of one `--mount`, in order; a field without `=` has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOptions<W> {
    /// Key in lower case, and value.
    pub fields: Vec<(String, Option<W>)>,
}

/// One `--mount`, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// With what only this type has.
    pub kind: MountKind,
    /// Where, as typed: relative to the working directory. Secrets and agents have defaults, filled in here.
    pub target: String,
    /// Not writable.
    pub read_only: bool,
}

/// Types of `--mount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    Bind {
        /// Stage, context or image; none is the build context.
        from: Option<String>,
        /// Below it; empty is all.
        source: String,
    },
    /// A directory that stays between builds.
    Cache {
        /// Name; the target path when not given.
        id: String,
        /// How builds share it.
        sharing: Sharing,
        /// Stage or context with the first content.
        from: Option<String>,
        /// Below it.
        source: String,
        /// Of a new directory; 0755 when not given, or as the first content has it.
        mode: Option<u32>,
        /// Of a new directory; likewise root.
        uid: Option<u32>,
        /// Of a new directory; likewise root.
        gid: Option<u32>,
    },
    /// Memory.
    Tmpfs {
        /// Bytes.
        size: Option<u64>,
    },
    /// A secret of `--secret`, as a file, a variable or both.
    Secret {
        /// Its name.
        id: String,
        /// The variable that holds it.
        env: Option<String>,
        /// Whether there is a file at the target.
        file: bool,
        /// Missing is an error.
        required: bool,
        /// Of the file; 0400 when not given.
        mode: u32,
        /// Of the file.
        uid: u32,
        /// Of the file.
        gid: u32,
    },
    /// An agent of `--ssh`.
    Ssh {
        /// Its name.
        id: String,
        /// Missing is an error.
        required: bool,
        /// Of the socket; 0600 when not given.
        mode: u32,
        /// Of the socket.
        uid: u32,
        /// Of the socket.
        gid: u32,
    },
}

/// `sharing` of a cache mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// All at once.
    #[default]
    Shared,
    /// Each gets its own.
    Private,
    /// One after another.
    Locked,
}

/// A source of `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source<W> {
    /// A path or pattern, or for `ADD` a URL.
    Path(W),
    /// A file written in the Dockerfile. Expanded: [`Heredoc::data`] is the content, to be written as it is.
    Heredoc(Heredoc),
}

/// `COPY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy<W> {
    /// In order, heredocs last.
    pub sources: Vec<Source<W>>,
    /// Destination.
    pub dest: W,
    /// `--from`: stage, number of a stage, context or image. Never expanded.
    pub from: Option<String>,
    /// `--chown`.
    pub chown: Option<W>,
    /// `--chmod`.
    pub chmod: Option<W>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`.
    pub exclude: Vec<W>,
}

/// `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add<W> {
    /// In order, heredocs last.
    pub sources: Vec<Source<W>>,
    /// Destination.
    pub dest: W,
    /// `--chown`.
    pub chown: Option<W>,
    /// `--chmod`.
    pub chmod: Option<W>,
    /// `--link`.
    pub link: bool,
    /// `--keep-git-dir`, none when not given.
    pub keep_git_dir: Option<bool>,
    /// `--checksum`.
    pub checksum: Option<W>,
    /// `--exclude`.
    pub exclude: Vec<W>,
    /// `--unpack`, none when not given: local archives are unpacked, downloads are not.
    pub unpack: Option<bool>,
}

/// `HEALTHCHECK`. Times that were not given are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is executed.
    pub test: HealthTest,
    /// `--interval`.
    pub interval: Option<Duration>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--start-period`.
    pub start_period: Option<Duration>,
    /// `--start-interval`.
    pub start_interval: Option<Duration>,
    /// `--retries`.
    pub retries: Option<u32>,
}

/// The command of a `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthTest {
    /// `NONE`: the base's check is off.
    None,
    /// `CMD`.
    Cmd(CommandLine),
}

/// `ONBUILD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnBuild {
    /// The instruction as typed, with its heredocs: what the image's configuration keeps.
    pub expression: String,
}
