//! Tables.

use std::fmt::Write;

use crate::{Colour, escape};

/// A table with a line of headings.
///
/// ```
/// use pipewright_draw::{Colour, Page, Table};
///
/// let mut table = Table::new(["metric", "before", "after", "verdict"]).numbers([1, 2]);
/// table.row(["p99", "310 us", "150 us", "improved"]);
/// table.colour(3, Colour::Good);
/// let mut page = Page::new("comparison");
/// page.table(&table);
/// assert!(page.html().contains("150 us"));
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    headings: Vec<String>,
    numbers: Vec<usize>,
    rows: Vec<Vec<(String, Option<Colour>)>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<H: Into<String>>(headings: impl IntoIterator<Item = H>) -> Self {
        Table {
            headings: headings.into_iter().map(Into::into).collect(),
            numbers: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The columns, counted from 0, that have numbers: they are written at the right.
    #[must_use]
    pub fn numbers(mut self, columns: impl IntoIterator<Item = usize>) -> Self {
        self.numbers = columns.into_iter().collect();
        self
    }

    /// A row under those before it.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows
            .push(cells.into_iter().map(|cell| (cell.into(), None)).collect());
    }

    /// Gives a cell of the last row a colour; columns are counted from 0.
    pub fn colour(&mut self, column: usize, colour: Colour) {
        if let Some((_, slot)) = self.rows.last_mut().and_then(|row| row.get_mut(column)) {
            *slot = Some(colour);
        }
    }

    pub(crate) fn html(&self) -> String {
        let mut html = String::from("<div class=\"scroll\"><table><thead><tr>");
        for (column, heading) in self.headings.iter().enumerate() {
            let _ = write!(
                html,
                "<th{}>{}</th>",
                self.class(column),
                escape::html(heading)
            );
        }
        html.push_str("</tr></thead><tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            for (column, (text, colour)) in row.iter().enumerate() {
                let style = colour
                    .map(|colour| format!(" style=\"color:{}\"", colour.css()))
                    .unwrap_or_default();
                let _ = write!(
                    html,
                    "<td{}{style}>{}</td>",
                    self.class(column),
                    escape::html(text)
                );
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table></div>\n");
        html
    }

    fn class(&self, column: usize) -> &'static str {
        if self.numbers.contains(&column) {
            " class=\"number\""
        } else {
            ""
        }
    }
}
