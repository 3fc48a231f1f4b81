//! What all charts have in common: two drawings, text, and the way to `plotters`.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{axis::LETTER, colour::Colour, escape};

/// Why a chart could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// The drawing library refused.
    #[error("cannot draw `{chart}`: {why}")]
    Refused {
        /// The title of the chart.
        chart: String,
        /// What the library says.
        why: String,
    },
}

/// A chart that a [`Page`](crate::Page) can show.
pub trait Chart {
    /// What it shows, as its heading.
    fn title(&self) -> &str;

    /// Draws it.
    ///
    /// # Errors
    ///
    /// If the drawing library refuses.
    fn draw(&self) -> Result<Drawing, DrawError>;
}

/// A chart that was drawn.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Drawing {
    /// An SVG for wide windows.
    pub wide: String,
    /// An SVG for telephones.
    pub narrow: String,
    /// What the colours in it mean.
    pub legend: Vec<(Colour, String)>,
    /// The ends of a scale of colours, if it has one.
    pub scale: Option<(String, String)>,
}

/// How wide the two drawings are, in pixels.
pub(crate) const WIDE: u32 = 860;
pub(crate) const NARROW: u32 = 350;
/// `plotters` takes the size of a font with the room around it: letters are 1.24 times smaller, 12 pixels.
pub(crate) const TEXT: u32 = 15;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
impl Drawing {
    /// Draws for both widths; `height` tells how high a drawing is, of the width.
    pub(crate) fn of(
        title: &str,
        height: impl Fn(u32) -> u32,
        draw: impl Fn(&Area<'_>) -> Result<(), String>,
    ) -> Result<Drawing, DrawError> {
        let svg = |width, class| {
            svg(title, (width, height(width)), class, &draw).map_err(|why| DrawError::Refused {
                chart: title.to_owned(),
                why,
            })
        };
        Ok(Drawing {
            wide: svg(WIDE, "wide")?,
            narrow: svg(NARROW, "narrow")?,
            legend: Vec::new(),
            scale: None,
        })
    }
}

fn svg(
    title: &str,
    size: (u32, u32),
    class: &str,
    draw: impl Fn(&Area<'_>) -> Result<(), String>,
) -> Result<String, String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area)?;
        area.present().map_err(|error| error.to_string())?;
    }
    // What a screen reader says instead of the drawing; `plotters` has no place for attributes.
    let named = format!(
        "<svg class=\"{class}\" role=\"img\" aria-label=\"{}\" ",
        escape::html(title)
    );
    Ok(text.replacen("<svg ", &named, 1))
}

/// Text in a colour, placed by its anchor.
pub(crate) fn style(colour: Colour, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    TextStyle {
        font: ("sans-serif", TEXT).into_font(),
        color: colour.light().to_backend_color(),
        pos: Pos::new(horizontal, vertical),
    }
}

/// How many pixels the text is long, about: what it really is depends on the font of whoever looks.
pub(crate) fn length(text: &str) -> u32 {
    (text.chars().count() as f64 * LETTER).ceil() as u32
}

/// The text, cut so that it is not longer than so many pixels.
pub(crate) fn cut(text: &str, pixels: u32) -> String {
    let letters = (f64::from(pixels) / LETTER) as usize;
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(letters.saturating_sub(1)).collect();
    format!("{}\u{2026}", kept.trim_end())
}

/// A drawing that says that there is nothing to draw.
pub(crate) fn nothing(area: &Area<'_>, why: &str) -> Result<(), String> {
    let (width, height) = area.dim_in_pixel();
    let middle = (width as i32 / 2, height as i32 / 2);
    write(
        area,
        why,
        middle,
        &style(Colour::Muted, HPos::Center, VPos::Center),
    )
}

/// Writes text at a pixel.
pub(crate) fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    style: &TextStyle<'_>,
) -> Result<(), String> {
    area.draw_text(text, style, at)
        .map_err(|error| error.to_string())
}

/// Fills a rectangle of pixels.
pub(crate) fn fill(
    area: &Area<'_>,
    from: (i32, i32),
    to: (i32, i32),
    colour: Colour,
) -> Result<(), String> {
    shade(area, from, to, colour, 1.0)
}

/// Fills a rectangle of pixels with a colour that lets what is behind shine through.
pub(crate) fn shade(
    area: &Area<'_>,
    from: (i32, i32),
    to: (i32, i32),
    colour: Colour,
    opacity: f64,
) -> Result<(), String> {
    let style = colour.light().mix(opacity).filled();
    area.draw(&Rectangle::new([from, to], style))
        .map_err(|error| error.to_string())
}

/// A straight line between two pixels.
pub(crate) fn stroke(
    area: &Area<'_>,
    from: (i32, i32),
    to: (i32, i32),
    colour: Colour,
    width: u32,
) -> Result<(), String> {
    let style = colour.light().stroke_width(width);
    area.draw(&PathElement::new([from, to], style))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_with_a_mark() {
        for (text, pixels, expect) in [
            ("decode", 100, "decode"),
            ("decode transactions", 60, "decode\u{2026}"),
            ("a", 0, "\u{2026}"),
        ] {
            let cut = cut(text, pixels);
            assert!(cut == expect || cut.chars().count() <= 9, "{cut}");
        }
    }
}
