//! Aligned text columns by the rules of Go's tabwriter, which docker's tables are made with.
//!
//! A cell ends with a tab; what follows the last tab of a line is not part of any column and is never padded. A column is
//! a run of consecutive lines that have a cell there, so blocks of different shape align independently.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

/// How wide columns are.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The least width of a column, gap included.
    pub min_width: usize,
    /// Blanks between the widest cell and the next column.
    pub gap: usize,
}

/// Docker's layout of list commands.
pub const DOCKER: Layout = Layout { min_width: 10, gap: 3 };

/// Docker's layout of `top`, `info` and other small reports.
pub const NARROW: Layout = Layout { min_width: 0, gap: 3 };

/// Aligns the tab-separated cells of `text`; a final newline is kept if there is one.
pub fn align(text: &str, layout: Layout) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len() - 1]).collect();
    column_widths(&lines, &mut widths, 0, layout);
    let mut out = String::with_capacity(text.len() * 2);
    for (at, cells) in lines.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        for (column, cell) in cells.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths[at].get(column) {
                out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width())));
            }
        }
    }
    out
}

/// Sets the width of `column` for each block of consecutive lines having it, then of the columns right of it within
/// that block.
fn column_widths(lines: &[Vec<&str>], widths: &mut [Vec<usize>], column: usize, layout: Layout) {
    let has = |line: &Vec<&str>| column + 1 < line.len();
    let mut start = 0;
    while start < lines.len() {
        if !has(&lines[start]) {
            start += 1;
            continue;
        }
        let len = lines[start..].iter().take_while(|line| has(line)).count();
        let end = start + len;
        let widest = lines[start..end].iter().map(|line| line[column].width() + layout.gap).max().unwrap_or(0);
        for line in &mut widths[start..end] {
            line[column] = widest.max(layout.min_width);
        }
        column_widths(&lines[start..end], &mut widths[start..end], column + 1, layout);
        start = end;
    }
}

/// A table with its header line, docker's layout; cells are made harmless with [`clean`].
pub fn render<'a, R, C>(header: Option<&[&str]>, rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator<Item = &'a str>,
{
    let mut text = String::new();
    if let Some(header) = header {
        text.push_str(&header.join("\t"));
        text.push('\n');
    }
    for row in rows {
        for (column, cell) in row.into_iter().enumerate() {
            if column > 0 {
                text.push('\t');
            }
            text.push_str(&clean(cell));
        }
        text.push('\n');
    }
    align(&text, DOCKER)
}

/// The cell without control characters, which could break the table or drive the terminal: shown as escapes.
pub fn clean(cell: &str) -> Cow<'_, str> {
    if !cell.chars().any(char::is_control) {
        return Cow::Borrowed(cell);
    }
    let mut out = String::with_capacity(cell.len() + 8);
    for c in cell.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_ps_header_alone() {
        let header = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
        let none: [[&str; 7]; 0] = [];
        assert_eq!(
            render(Some(&header), none),
            "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
        );
    }

    #[test]
    fn rows_align_with_the_header() {
        let text = render(
            Some(&["CONTAINER ID", "IMAGE", "COMMAND", "NAMES"]),
            [["0123456789ab", "alpine", "\"sh\"", "a"], ["cdef01234567", "registry.example.org/x/y:1", "\"sleep 1000\"", "b"]],
        );
        assert_eq!(
            text,
            "CONTAINER ID   IMAGE                        COMMAND        NAMES\n\
             0123456789ab   alpine                       \"sh\"           a\n\
             cdef01234567   registry.example.org/x/y:1   \"sleep 1000\"   b\n"
        );
    }

    #[test]
    fn the_last_cell_is_never_padded() {
        assert_eq!(align("a\tb\nlonger text\tc", DOCKER), "a             b\nlonger text   c");
        assert_eq!(align("a\nb\n", DOCKER), "a\nb\n");
        assert_eq!(align("a\t\n", DOCKER), "a         \n");
        assert_eq!(align("", DOCKER), "");
    }

    #[test]
    fn a_line_without_the_cell_ends_the_block() {
        let layout = Layout { min_width: 0, gap: 1 };
        assert_eq!(align("aaaa\tb\nx\nc\td", layout), "aaaa b\nx\nc d");
        assert_eq!(align("a\tb\tc\naaa\tbbb\naaaaa\tb\tc", layout), "a     b c\naaa   bbb\naaaaa b c");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(align("日本\tx\nab\ty", Layout { min_width: 0, gap: 1 }), "日本 x\nab   y");
        assert_eq!(align("…\tx\nab\ty", Layout { min_width: 0, gap: 1 }), "…  x\nab y");
    }

    #[test]
    fn cells_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\n\t\r\u{9b}"), "a\\x1b[31mb\\n\\t\\r\\x9b");
        assert!(matches!(clean("plain ü"), Cow::Borrowed(_)));
    }
}
