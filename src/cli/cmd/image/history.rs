//! `kelp history`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::list::{self, Column, Listing};
use crate::cli::verb::Verb;
use crate::engine::image;

/// Flags of `history`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct HistoryArgs {
    /// The image, by reference or id
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Show with a Go template, json, or table TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Sizes and dates for reading (default true)
    #[arg(short = 'H', long, value_name = "BOOL")]
    pub(super) human: Option<bool>,
    /// Show everything in full
    #[arg(long)]
    pub(super) no_trunc: bool,
    /// Show ids only
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl Verb for HistoryArgs {
    const SUMMARY: &'static str = "Show the steps an image was made in";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE";
    const EXAMPLES: &'static str = "\
# What each layer holds
$ kelp history --no-trunc debian";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { image, format, human, no_trunc, quiet } = self;
        let rows = image::history(context.engine()?, &image, human.unwrap_or(true), no_trunc)?;
        let rows = rows.into_iter().map(|json| list::Row::from_json(json, &Default::default())).collect();
        list::print(&LISTING, rows, &list::ListOptions { quiet, format, no_trunc: true, no_heading: false })?;
        Ok(Exit::OK)
    }
}

const LISTING: Listing = Listing {
    columns: &[
        Column::new("ID", "IMAGE"),
        Column::new("CreatedSince", "CREATED"),
        Column::new("CreatedAt", "CREATED AT"),
        Column::new("CreatedBy", "CREATED BY"),
        Column::new("Size", "SIZE"),
        Column::new("Comment", "COMMENT"),
    ],
    table: &["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
    id: "ID",
};
