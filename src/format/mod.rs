//! How kelp shows values and reads the small human notations: sizes, durations, times, tables, templates.
//!
//! Pure: no files, no environment beyond the time zone a caller hands in, no printing, and nothing of the crate is
//! imported here. The words and digits are docker's, because scripts parse them. Printing itself is `cli::ui`'s.

pub mod duration;
pub mod filter;
pub mod glob;
pub mod names;
pub mod pattern;
pub mod shell;
pub mod size;
pub mod table;
pub mod template;
pub mod time;
