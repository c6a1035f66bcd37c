//! `kelp unshare`.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family};
use crate::cli::verb::Verb;
use crate::engine::system::unshare::unshare;

/// Flags of `unshare`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct UnshareArgs {
    /// In the network of the containers of user networks: their addresses can be reached from there
    #[arg(long)]
    pub(super) rootless_netns: bool,
    /// The program and its arguments
    #[arg(value_name = "COMMAND", num_args = 0.., trailing_var_arg = true, allow_hyphen_values = false)]
    pub(super) command: Vec<OsString>,
}

impl Verb for UnshareArgs {
    const SUMMARY: &'static str = "Run a program as root of your user namespace";
    const OPERANDS: &'static str = "[COMMAND [ARG...]]";
    const DESCRIPTION: &'static str = "\
The program (your shell unless given) is uid 0 there, and the users of containers have the numbers they have in images: files \
they own in bind mounts and volumes can be read, changed and removed. kelp mount and kelp image mount work inside only; what they \
mount ends with the program, and nothing of it shows on the host.";
    const EXAMPLES: &'static str = "\
# Remove what a container's user left in a directory of yours
$ kelp unshare rm -r data
# Look into an image
$ kelp unshare sh -c 'ls -l \"$(kelp image mount debian)/etc\"'
# Ask a container of a user network by its address
$ kelp unshare --rootless-netns curl http://10.89.0.2/";
    const FAMILY: Family = Family::Run;

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { rootless_netns, command } = self;
        Err(unshare(context.engine()?, &command, rootless_netns).into())
    }
}
