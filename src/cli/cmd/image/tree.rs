//! `kelp image tree`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image::tree::{Branch, tree};
use crate::format::size;

/// Flags of `image tree`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TreeArgs {
    /// The image, by reference or id
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Show what is built upon the image in place of what it is made of
    #[arg(long)]
    pub(super) whatrequires: bool,
}

impl Verb for TreeArgs {
    const SUMMARY: &'static str = "Show the layers of an image as a tree";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE";
    const EXAMPLES: &'static str = "\
# What debian is made of
$ kelp image tree debian
# What is built upon it
$ kelp image tree --whatrequires debian";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { image, whatrequires } = self;
        let found = tree(context.engine()?, &image, whatrequires)?;
        let mut text = format!(
            "Image ID: {}\nTags:     [{}]\nSize:     {}\nImage Layers\n",
            found.id.short(),
            found.names.join(" "),
            size::human(found.size)
        );
        let count = found.layers.len();
        for (at, branch) in found.layers.iter().enumerate() {
            draw(&mut text, branch, "", at + 1 == count);
        }
        ui::print(&text)?;
        Ok(Exit::OK)
    }
}

fn draw(text: &mut String, branch: &Branch, indent: &str, last: bool) {
    let top = if branch.top_of.is_empty() { String::new() } else { format!(" Top Layer of: [{}]", branch.top_of.join(" ")) };
    let corner = if last { "└──" } else { "├──" };
    text.push_str(&format!("{indent}{corner} ID: {} Size: {}{top}\n", branch.layer.short(), size::human3(branch.size)));
    let indent = format!("{indent}{}", if last { "    " } else { "│   " });
    let count = branch.above.len();
    for (at, above) in branch.above.iter().enumerate() {
        draw(text, above, &indent, at + 1 == count);
    }
}
