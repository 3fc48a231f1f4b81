//! Charts and pages of pipewright's reports.
//!
//! A [`Page`] is one self-contained HTML file: no script, no font, no picture from elsewhere, so that it can be kept,
//! mailed and opened without a network. Charts are SVG drawn by `plotters`, twice: for wide windows and for telephones,
//! because text in a picture that is scaled down cannot be read. Both are in the page, which shows the one that fits.
//!
//! Colours have roles ([`Colour`]). `plotters` writes them as attributes, `fill="#1F2328"`; the page's style sheet selects these
//! attributes and gives them the role's colour of the light or the dark theme. So a chart needs no rewriting to
//! follow the theme of whoever looks, and by itself, in a viewer without the style sheet, it is a light one.
//!
//! Why `plotters`, of what was looked at: with its SVG backend alone it brings three small crates, and it draws whatever there is to
//! draw, on scales of our own. `charts-rs` has more kinds of charts and brings twenty crates; its scales and layouts are fixed
//! (neither percentiles nor intervals), and its colours are literal. `poloto` follows themes by itself, but knows neither
//! logarithmic axes nor cells. `kuva` has forests and heat maps, but is young and changes its interface with each release.
//! `charming` takes its script from a server.
//!
//! What is drawn depends on nothing but what is given: no time, no random number, no font that is installed. So pages can
//! be compared with snapshots.
//!
//! ```
//! use pipewright_draw::{Axis, Lines, Page, Unit};
//!
//! let mut page = Page::new("latency of the gateway");
//! page.text("Requests at 10,000 a second, for ten seconds.");
//! page.chart(
//!     &Lines::new("Latency by percentile", Axis::tail("requests"), Axis::new("latency", Unit::Nanoseconds).log())
//!         .line("before", [(0.5, 21e3), (0.9, 80e3), (0.99, 310e3), (0.999, 2.1e6)])
//!         .line("after", [(0.5, 20e3), (0.9, 70e3), (0.99, 150e3), (0.999, 0.9e6)])
//!         .level(1e6, "target"),
//! )?;
//! let html = page.html();
//! assert!(html.contains("prefers-color-scheme: dark") && html.contains("<svg"));
//! # Ok::<(), pipewright_draw::DrawError>(())
//! ```

#![forbid(unsafe_code)]

mod axis;
#[cfg(feature = "browser")]
mod browser;
mod canvas;
mod charts;
mod colour;
mod escape;
pub mod format;
mod page;
mod table;

pub use axis::{Axis, Unit};
#[cfg(feature = "browser")]
pub use browser::{Browser, BrowserError, Look, Seen, Theme};
pub use canvas::{Chart, DrawError, Drawing};
pub use charts::{
    bars::Bars,
    forest::{Forest, Interval},
    heat_map::HeatMap,
    lines::Lines,
    waterfall::Waterfall,
};
pub use colour::Colour;
pub use page::Page;
pub use table::Table;
