//! `kelp completion`: scripts for shells, from the table of verbs; and the hidden verb they ask for names.

use std::path::PathBuf;

use clap_complete::Shell;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::verb::Verb;
use crate::cli::{names, tree, ui};
use crate::engine::Error;

/// Flags of `completion`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CompletionArgs {
    /// bash, zsh or fish
    #[arg(value_name = "SHELL")]
    shell: String,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Verb for CompletionArgs {
    const SUMMARY: &'static str = "Write the completion script of a shell";
    const OPERANDS: &'static str = "[OPTIONS] bash|zsh|fish";
    const EXAMPLES: &'static str = "\
# For this bash
$ source <(kelp completion bash)
# For every fish
$ kelp completion fish -f ~/.config/fish/completions/kelp.fish";

    fn run(self, _: &Context) -> Result<Exit, Failure> {
        let Self { shell, file } = self;
        let shell = match shell.as_str() {
            "bash" => Shell::Bash,
            "zsh" => Shell::Zsh,
            "fish" => Shell::Fish,
            other => return Err(UsageError::value("SHELL", other, "use bash, zsh or fish").into()),
        };
        let text = script(shell);
        match file {
            Some(path) => std::fs::write(&path, text).map_err(Error::io("write", path))?,
            None => ui::print(&text)?,
        }
        Ok(Exit::OK)
    }
}

/// The whole script: verbs and flags from the table, names of objects asked at the time.
pub(crate) fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tree::shown(), "kelp", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => script + BASH,
        // Where clap would offer files, ask for names first.
        Shell::Zsh => script.replace(":_default'", ":_kelp_names'").replace(":_default\"", ":_kelp_names\"").replace(
            "#compdef kelp\n",
            &format!("#compdef kelp\n{ZSH}"),
        ),
        _ => script + FISH,
    }
}

const BASH: &str = r#"
_kelp_names() {
    _kelp "$@"
    local cur="${COMP_WORDS[COMP_CWORD]}" names
    [[ $cur == -* || $COMP_CWORD -lt 2 ]] && return
    names=$(kelp __complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)
    [[ -n $names ]] && COMPREPLY=($(compgen -W "$names" -- "$cur"))
}
complete -F _kelp_names -o bashdefault -o default kelp
"#;

const ZSH: &str = r#"
_kelp_names() {
    local -a typed names
    typed=(${(z)LBUFFER})
    [[ $LBUFFER == *[[:space:]] ]] || typed[-1]=()
    names=(${(f)"$(kelp __complete ${typed[2,-1]} 2>/dev/null)"})
    if (( $#names )); then compadd -a names; else _default; fi
}
"#;

const FISH: &str = r#"
complete -c kelp -f -n 'test -n "$(kelp __complete (commandline -opc)[2..] 2>/dev/null)"' -a '(kelp __complete (commandline -opc)[2..] 2>/dev/null)'
"#;

/// Flags of the hidden verb.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct NamesArgs {
    /// The words typed so far, without the one being completed
    #[arg(num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Verb for NamesArgs {
    const SUMMARY: &'static str = "List the names that can follow, for completion scripts";
    const OPERANDS: &'static str = "[WORD...]";
    const EXAMPLES: &'static str = "$ kelp __complete volume rm";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Some(kind) = names::wanted(&self.words) else { return Ok(Exit::OK) };
        let mut text = String::new();
        for name in names::list(kind, context.engine()?)? {
            text.push_str(&name);
            text.push('\n');
        }
        ui::print(&text)?;
        Ok(Exit::OK)
    }
}
