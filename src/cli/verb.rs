//! What a verb is to the command tree: its flags (a clap `Args` struct), its help text, its function. Flags are built
//! only for the verb that was typed.

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::context::Context;
use super::exit::{Exit, Failure, Family};

/// One verb. The implementing struct holds its flags.
pub(crate) trait Verb: clap::Args {
    /// One imperative line, without a dot at its end.
    const SUMMARY: &'static str;
    /// What follows the verb's name in the usage line.
    const OPERANDS: &'static str;
    /// What there is to say beyond the summary; paragraphs for help and manual page.
    const DESCRIPTION: &'static str = "";
    /// Command lines, each `$ kelp …` after its `# comment`.
    const EXAMPLES: &'static str;
    /// How failures become exit statuses.
    const FAMILY: Family = Family::Plain;

    /// Does it.
    fn run(self, context: &Context) -> Result<Exit, Failure>;
}

/// A verb under one of its names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf {
    /// The last word, such as `ls`.
    pub(crate) name: &'static str,
    /// Other last words.
    pub(crate) aliases: &'static [&'static str],
    /// One line.
    pub(crate) summary: &'static str,
    /// What follows the name.
    pub(crate) operands: &'static str,
    /// For help and manual page.
    pub(crate) description: &'static str,
    /// For help and manual page.
    pub(crate) examples: &'static str,
    /// How failures become exit statuses.
    pub(crate) family: Family,
    /// Left out of help.
    pub(crate) hidden: bool,
    /// Adds the flags.
    pub(crate) args: fn(Command) -> Command,
    /// Does it.
    pub(crate) run: fn(&ArgMatches, &Context) -> Result<Exit, Failure>,
}

impl Leaf {
    /// The verb `V` under `name`.
    pub(crate) const fn of<V: Verb>(name: &'static str, aliases: &'static [&'static str]) -> Self {
        Self {
            name,
            aliases,
            summary: V::SUMMARY,
            operands: V::OPERANDS,
            description: V::DESCRIPTION,
            examples: V::EXAMPLES,
            family: V::FAMILY,
            hidden: false,
            args: V::augment_args,
            run: run::<V>,
        }
    }

    /// The same, left out of help.
    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Whether `word` is one of its names.
    pub(crate) fn answers(&self, word: &str) -> bool {
        self.name == word || self.aliases.contains(&word)
    }

    /// The command that parses what follows the name; `path` is everything before (`kelp container`).
    pub(crate) fn parser(&self, path: &str) -> Command {
        let command = (self.args)(Command::new(self.name).bin_name(format!("{path} {}", self.name)))
            .no_binary_name(true)
            .args_override_self(true)
            .disable_help_flag(true);
        super::globals::add_hidden(with_help(command)).mut_args(loosen)
    }

    /// The command as shown in help, manual pages and completions.
    pub(crate) fn shown(&self, path: &str) -> Command {
        let name = format!("{path} {}", self.name);
        let mut command = (self.args)(Command::new(self.name).bin_name(name.clone()))
            .about(self.summary)
            .override_usage(format!("{name} {}", self.operands).trim_end().to_owned())
            .disable_help_flag(true)
            .visible_aliases(self.aliases.iter().copied())
            .hide(self.hidden)
            .max_term_width(110)
            .after_help(format!("Examples:\n{}", indent(self.examples)));
        if !self.description.is_empty() {
            command = command.long_about(format!("{}.\n\n{}", self.summary, self.description));
        }
        with_help(command.mut_args(tighten))
    }
}

/// As users write it: a boolean flag without a value, although [`loosen`] lets it have one.
fn tighten(arg: Arg) -> Arg {
    if is_boolean(&arg) { arg.action(ArgAction::SetTrue).num_args(0) } else { arg }
}

fn is_boolean(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set)
        && !arg.is_positional()
        && arg.get_value_parser().type_id() == std::any::TypeId::of::<bool>()
}

fn needs_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
        && !arg.is_positional()
        && arg.get_num_args().is_none_or(|count| count.min_values() > 0)
}

fn run<V: Verb>(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let verb = V::from_arg_matches(matches)
        .map_err(|error| Failure::Usage(super::usage::explain(&error, std::any::type_name::<V>())))?;
    verb.run(context)
}

/// `--help`, and `-h` where the verb has no other use for the letter.
fn with_help(command: Command) -> Command {
    let taken = command.get_arguments().any(|arg| arg.get_short() == Some('h'));
    let help = Arg::new("help").long("help").action(ArgAction::Help).help("Show this help");
    command.arg(if taken { help } else { help.short('h') })
}

/// As Go's flag packages read flags; scripts are written for them. Every boolean flag can have `=true` or `=false`, and
/// one that needs a value gets the next word, whatever that begins with.
fn loosen(arg: Arg) -> Arg {
    let switch = matches!(arg.get_action(), ArgAction::SetTrue);
    if !switch && !is_boolean(&arg) {
        return if needs_value(&arg) { arg.allow_hyphen_values(true) } else { arg };
    }
    let arg = arg
        .action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_parser(BoolishValueParser::new());
    if switch { arg.default_value("false") } else { arg }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}
