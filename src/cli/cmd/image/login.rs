//! `kelp login`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image::{self, LoginOptions};
use crate::engine::options::PullOptions;

/// Flags of `login`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LoginArgs {
    /// Name of the user
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Password; others may see it in the list of processes, so rather use --password-stdin
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Print who is logged in, and do nothing else
    #[arg(long)]
    get_login: bool,
    /// Keep the credentials in this file
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Keep the credentials in this file of docker's (config.json)
    #[arg(long, value_name = "FILE")]
    compat_auth_file: Option<PathBuf>,
    /// Directory with certificates of the registry
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    /// Check the registry's certificate (default true); false also allows plain HTTP
    #[arg(long, value_name = "BOOL")]
    tls_verify: Option<bool>,
    /// Not supported: pipe the password in
    #[arg(long, value_name = "SECRET", hide = true)]
    secret: Option<String>,
    /// Say where the credentials are kept
    #[arg(short, long)]
    verbose: bool,
    /// The registry (default docker.io)
    #[arg(value_name = "REGISTRY")]
    registry: Option<String>,
}

impl Verb for LoginArgs {
    const SUMMARY: &'static str = "Log in to a registry";
    const OPERANDS: &'static str = "[OPTIONS] [REGISTRY]";
    const DESCRIPTION: &'static str = "\
The registry is asked whether it accepts the credentials; then they are kept where podman, buildah and skopeo keep theirs \
($XDG_RUNTIME_DIR/containers/auth.json, which a reboot removes; --authfile ~/.config/containers/auth.json lasts), or by the \
credential helper that file names. Only you can read it. docker's logins are used too.";
    const EXAMPLES: &'static str = "\
# With a token that is in a file
$ kelp login -u me --password-stdin registry.example < token
# Who am I there?
$ kelp login --get-login registry.example";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self {
            username,
            password,
            password_stdin,
            get_login,
            authfile,
            compat_auth_file,
            cert_dir,
            tls_verify,
            secret,
            verbose,
            registry,
        } = self;
        if secret.is_some() {
            return Err(UsageError::new("--secret is not supported: use --password-stdin").into());
        }
        let registry = registry.unwrap_or_else(|| "docker.io".to_owned());
        let options = LoginOptions {
            registry: PullOptions { auth_file: authfile, cert_dir, tls_verify, ..PullOptions::default() },
            compat_auth_file,
        };
        if get_login {
            ui::line(image::login_of(&registry, &options)?)?;
            return Ok(Exit::OK);
        }
        if password_stdin && password.is_some() {
            return Err(UsageError::conflict("--password", "--password-stdin").into());
        }
        if password_stdin && username.is_none() {
            return Err(UsageError::new("--password-stdin needs --username").into());
        }
        let engine = context.engine()?;
        if username.is_none() && password.is_none() && let Some(user) = image::existing_login(engine, &registry, &options)? {
            ui::note(format_args!("Existing credentials of {user} are valid. Already logged in to {registry}"));
            return Ok(Exit::OK);
        }
        if password.is_some() {
            context.warn("others may see --password in the list of processes; use --password-stdin");
        }
        let username = match username {
            Some(name) => name,
            None => ui::ask("Username: ", true).map_err(|reason| asking(&reason))?,
        };
        let password = match password {
            Some(password) => password,
            None if password_stdin => ui::read_secret()?,
            None => ui::ask("Password: ", false).map_err(|reason| asking(&reason))?,
        };
        if username.is_empty() || password.is_empty() {
            return Err(UsageError::new("user name and password must not be empty").into());
        }
        let path = image::login(engine, &registry, username, password, &options)?;
        if verbose {
            ui::note(format_args!("Used: {}", path.display()));
        }
        ui::line("Login Succeeded")?;
        Ok(Exit::OK)
    }
}

fn asking(reason: &std::io::Error) -> UsageError {
    let mut error = UsageError::new(format!("cannot ask for user name and password: {reason}"));
    error.hint = Some("without a terminal use --username with --password-stdin".to_owned());
    error
}
