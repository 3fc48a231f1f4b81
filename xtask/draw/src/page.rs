//! One self-contained HTML file.

use std::{fmt::Write as _, io, io::Write as _, path::Path};

use crate::{Chart, Colour, DrawError, Table, colour, escape};

/// A page that is put together from top to bottom.
///
/// All text that is given is text: what looks like markup is written as it is.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: String,
}

/// Nothing may be fetched from anywhere, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Below this width of the window the narrow drawings are shown.
const STYLE: &str = "\
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif}
main{max-width:924px;margin:0 auto;padding:24px 32px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 8px}
h2{font-size:20px;line-height:1.3;margin:40px 0 8px;padding-top:12px;border-top:1px solid var(--grid)}
h1,h2,h3,p,li,dd,td,th,summary{overflow-wrap:anywhere}
p,ul{margin:8px 0}
.banner{border-left:4px solid;padding:8px 14px;margin:12px 0;background:var(--raised);font-weight:600}
.banner span{color:var(--ink)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 20px;margin:12px 0}
dt{color:var(--muted)}
dd{margin:0}
figure{margin:20px 0 28px}
figcaption{font-weight:600;margin-bottom:6px}
figure svg{display:block;width:100%;height:auto}
svg text{font-family:system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif}
svg.narrow{display:none}
.legend{display:flex;flex-wrap:wrap;gap:2px 18px;font-size:13px;color:var(--muted);margin-top:6px}
.legend i{display:inline-block;width:14px;height:10px;margin-right:6px;border-radius:2px}
.scale{display:flex;align-items:center;gap:8px;font-size:13px;color:var(--muted);margin-top:6px}
.scale i{display:inline-block;width:20px;height:10px}
.scroll{overflow-x:auto;margin:12px 0}
table{border-collapse:collapse;font-size:14px;width:100%}
th,td{padding:5px 14px 5px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--grid)}
td{overflow-wrap:normal}
td:first-child{min-width:min(9em,30vw)}
th{color:var(--muted);font-weight:600;overflow-wrap:normal;white-space:nowrap}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
details{margin:12px 0}
summary{cursor:pointer;color:var(--muted)}
pre{background:var(--raised);padding:12px;overflow-x:auto;font-size:13px}
@media (max-width:720px){main{padding:16px 16px 48px}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}\
figure svg{max-width:420px}svg.wide{display:none}svg.narrow{display:block}}
";

impl Page {
    /// An empty page with a title.
    pub fn new(title: impl Into<String>) -> Self {
        let title = title.into();
        let body = format!("<h1>{}</h1>\n", escape::html(&title));
        Page { title, body }
    }

    /// A heading; what follows belongs to it.
    pub fn section(&mut self, heading: &str) {
        let _ = writeln!(self.body, "<h2>{}</h2>", escape::html(heading));
    }

    /// A sentence that stands out, in a colour that says how good it is.
    pub fn banner(&mut self, colour: Colour, text: &str) {
        let _ = writeln!(
            self.body,
            "<p class=\"banner\" style=\"border-color:{0};color:{0}\"><span>{1}</span></p>",
            colour.css(),
            escape::html(text)
        );
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escape::html(text));
    }

    /// A list of points. Nothing, if there are none.
    pub fn list<S: AsRef<str>>(&mut self, points: impl IntoIterator<Item = S>) {
        let mut points = points.into_iter().peekable();
        if points.peek().is_none() {
            return;
        }
        self.body.push_str("<ul>\n");
        for point in points {
            let _ = writeln!(self.body, "<li>{}</li>", escape::html(point.as_ref()));
        }
        self.body.push_str("</ul>\n");
    }

    /// Names and what they are.
    pub fn facts<S: AsRef<str>>(&mut self, facts: impl IntoIterator<Item = (S, S)>) {
        self.body.push_str("<dl>\n");
        for (name, value) in facts {
            let (name, value) = (escape::html(name.as_ref()), escape::html(value.as_ref()));
            let _ = writeln!(self.body, "<dt>{name}</dt><dd>{value}</dd>");
        }
        self.body.push_str("</dl>\n");
    }

    /// A table, which scrolls by itself where it is wider than the window.
    pub fn table(&mut self, table: &Table) {
        self.body.push_str(&table.html());
    }

    /// Text as it is, such as a command.
    pub fn code(&mut self, text: &str) {
        let _ = writeln!(self.body, "<pre>{}</pre>", escape::html(text));
    }

    /// A chart with its title and its legend.
    ///
    /// # Errors
    ///
    /// If it cannot be drawn. The page is as before then.
    pub fn chart(&mut self, chart: &dyn Chart) -> Result<(), DrawError> {
        let drawing = chart.draw()?;
        let _ = writeln!(
            self.body,
            "<figure><figcaption>{}</figcaption>",
            escape::html(chart.title())
        );
        self.body.push_str(&drawing.wide);
        self.body.push_str(&drawing.narrow);
        if let Some((low, high)) = &drawing.scale {
            self.scale(low, high);
        }
        if !drawing.legend.is_empty() {
            self.legend(&drawing.legend);
        }
        self.body.push_str("</figure>\n");
        Ok(())
    }

    fn scale(&mut self, low: &str, high: &str) {
        let _ = write!(
            self.body,
            "<div class=\"scale\">{} <span>",
            escape::html(low)
        );
        for colour in Colour::heat_scale() {
            let _ = write!(self.body, "<i style=\"background:{}\"></i>", colour.css());
        }
        let _ = writeln!(self.body, "</span> {}</div>", escape::html(high));
    }

    fn legend(&mut self, legend: &[(Colour, String)]) {
        self.body.push_str("<div class=\"legend\">");
        for (colour, name) in legend {
            let _ = write!(
                self.body,
                "<span><i style=\"background:{}\"></i>{}</span>",
                colour.css(),
                escape::html(name)
            );
        }
        self.body.push_str("</div>\n");
    }

    /// What is shown only when it is opened.
    pub fn details<T>(&mut self, summary: &str, fill: impl FnOnce(&mut Page) -> T) -> T {
        let _ = writeln!(
            self.body,
            "<details><summary>{}</summary>",
            escape::html(summary)
        );
        let filled = fill(self);
        self.body.push_str("</details>\n");
        filled
    }

    /// Puts JSON into the page, for programs: it is not shown. `id` is the id of its `<script type="application/json">`.
    pub fn data(&mut self, id: &str, json: &str) {
        let _ = writeln!(
            self.body,
            "<script type=\"application/json\" id=\"{}\">{}</script>",
            escape::html(id),
            escape::json_in_script(json)
        );
    }

    /// The whole file.
    pub fn html(&self) -> String {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{}</title>\n<style>\n{}{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
            escape::html(&self.title),
            colour::style_sheet(),
            self.body
        )
    }

    /// Writes the file. It is there as a whole or not at all: what was there before stays until it is written.
    ///
    /// # Errors
    ///
    /// If the folder is not there or cannot be written, or the disk is full.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::Builder::new()
            .permissions(readable())
            .tempfile_in(folder)?;
        file.write_all(self.html().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// A report is for others too, unlike most temporary files.
#[cfg(unix)]
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut page = Page::new("<b>");
        page.text("<script>");
        page.banner(Colour::Bad, "a & b");
        page.list(["<li>"]);
        page.facts([("<dt>", "<dd>")]);
        page.code("x < y");
        page.data("data", r#"{"a":"</script><img>"}"#);
        let html = page.html();
        for text in ["<b>", "<script>", "<img>", "x < y", "a & b"] {
            assert!(!html.contains(text), "{text}");
        }
    }

    #[test]
    fn a_page_that_cannot_be_written_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("report.html");
        let page = Page::new("first");
        page.write(&path).expect("the folder can be written");
        let missing = folder.path().join("missing").join("report.html");
        assert!(Page::new("second").write(&missing).is_err());
        assert_eq!(
            std::fs::read_to_string(&path).expect("it was written"),
            page.html()
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            1,
            "nothing half-written is left"
        );
    }
}
