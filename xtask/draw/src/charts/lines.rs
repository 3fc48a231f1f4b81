//! Curves over two axes: percentiles, time series, plateaus, distributions, histories.

use plotters::{
    chart::ChartContext,
    coord::cartesian::Cartesian2d,
    prelude::*,
    style::text_anchor::{HPos, VPos},
};

use crate::{
    axis::{Along, Axis, Placed},
    canvas::{self, Area, Chart, DrawError, Drawing},
    colour::Colour,
};

/// Height of a drawing unless it is given, and what is around the curves.
const HEIGHT: u32 = 320;
const ABOVE: u32 = 30;
const BELOW: u32 = 50;

/// Lines, points and bands over two axes.
///
/// Points that have no place on an axis (not a number; not above zero, on a logarithmic one) are left out, and the line goes on
/// behind them.
///
/// ```
/// use pipewright_draw::{Axis, Chart, Lines, Unit};
///
/// let rate = Lines::new("Rate", Axis::new("time", Unit::Seconds), Axis::new("rate", Unit::PerSecond).from_zero())
///     .line("offered", [(0.0, 1e4), (1.0, 2e4), (2.0, 2e4)])
///     .steps("achieved", [(0.0, 1e4), (1.0, 1.8e4), (2.0, 1.9e4)])
///     .instant(1.0, "burst");
/// assert!(rate.draw()?.wide.contains("polyline"));
/// # Ok::<(), pipewright_draw::DrawError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lines {
    title: String,
    x: Axis,
    y: Axis,
    height: u32,
    series: Vec<Series>,
    levels: Vec<(f64, String)>,
    instants: Vec<(f64, String)>,
    spans: Vec<(f64, f64, Colour)>,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    colour: Colour,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Line(Vec<(f64, f64)>),
    Marked(Vec<(f64, f64)>),
    Points(Vec<(f64, f64)>),
    Band(Vec<(f64, f64, f64)>),
}

type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Placed, Placed>>;

impl Lines {
    /// Axes with nothing on them yet.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Lines {
            title: title.into(),
            x,
            y,
            height: HEIGHT,
            series: Vec::new(),
            levels: Vec::new(),
            instants: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// The height of the drawing in pixels, 320 unless given, at least 100.
    #[must_use]
    pub fn height(mut self, pixels: u32) -> Self {
        self.height = pixels.max(100);
        self
    }

    /// Points that are connected.
    #[must_use]
    pub fn line(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.series(name, Kind::Line(points.into_iter().collect()))
    }

    /// Points that are connected, with a dot at each: for few of them.
    #[must_use]
    pub fn marked(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.series(name, Kind::Marked(points.into_iter().collect()))
    }

    /// Values that hold until the next one.
    #[must_use]
    pub fn steps(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        let mut steps: Vec<(f64, f64)> = Vec::new();
        for (x, y) in points {
            if let Some((_, before)) = steps.last().copied() {
                steps.push((x, before));
            }
            steps.push((x, y));
        }
        self.series(name, Kind::Line(steps))
    }

    /// Points that have nothing to do with one another.
    #[must_use]
    pub fn points(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.series(name, Kind::Points(points.into_iter().collect()))
    }

    /// A band between two values at each `x`, as `(x, low, high)`, in the colour of the series behind it: give it before the
    /// line that it belongs to.
    #[must_use]
    pub fn band(mut self, points: impl IntoIterator<Item = (f64, f64, f64)>) -> Self {
        let colour = self.next_colour();
        self.series.push(Series {
            name: String::new(),
            colour,
            kind: Kind::Band(points.into_iter().collect()),
        });
        self
    }

    /// A horizontal line across everything, such as a target.
    #[must_use]
    pub fn level(mut self, y: f64, name: impl Into<String>) -> Self {
        self.levels.push((y, name.into()));
        self
    }

    /// A vertical line across everything, such as an event.
    #[must_use]
    pub fn instant(mut self, x: f64, name: impl Into<String>) -> Self {
        self.instants.push((x, name.into()));
        self
    }

    /// Shades what is between two `x`, such as a phase or a plateau.
    #[must_use]
    pub fn span(mut self, from: f64, to: f64, colour: Colour) -> Self {
        self.spans.push((from, to, colour));
        self
    }

    /// Gives the series that was added last another colour than the next one of [`Colour::Series`].
    #[must_use]
    pub fn coloured(mut self, colour: Colour) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.colour = colour;
        }
        self
    }

    fn series(mut self, name: impl Into<String>, kind: Kind) -> Self {
        let colour = self.next_colour();
        self.series.push(Series {
            name: name.into(),
            colour,
            kind,
        });
        self
    }

    fn next_colour(&self) -> Colour {
        Colour::Series(
            self.series
                .iter()
                .filter(|series| !matches!(series.kind, Kind::Band(_)))
                .count(),
        )
    }

    fn xs(&self) -> impl Iterator<Item = f64> {
        self.series
            .iter()
            .flat_map(|series| self.shown(series))
            .map(|(x, _)| x)
    }

    fn ys(&self) -> impl Iterator<Item = f64> {
        self.series
            .iter()
            .flat_map(|series| self.shown(series))
            .map(|(_, y)| y)
    }

    /// The points of a series that have a place on both axes; a band is its two edges.
    fn shown(&self, series: &Series) -> Vec<(f64, f64)> {
        let points: Vec<(f64, f64)> = match &series.kind {
            Kind::Line(points) | Kind::Marked(points) | Kind::Points(points) => points.clone(),
            Kind::Band(points) => {
                let back = points.iter().rev().map(|(x, _, high)| (*x, *high));
                points
                    .iter()
                    .map(|(x, low, _)| (*x, *low))
                    .chain(back)
                    .collect()
            }
        };
        points
            .into_iter()
            .filter(|(x, y)| self.x.holds(*x) && self.y.holds(*y))
            .collect()
    }

    fn on(&self, area: &Area<'_>) -> Result<(), String> {
        let (width, height) = area.dim_in_pixel();
        let levels = self.levels.iter().map(|(y, _)| *y);
        let any = self.ys().next().is_some();
        let y = self
            .y
            .place(self.ys().chain(levels), height - ABOVE - BELOW, Along::Y)
            .filter(|_| any);
        let Some(y) = y else {
            return canvas::nothing(area, "nothing was measured");
        };
        let longest = y
            .ticks()
            .iter()
            .map(|tick| canvas::length(&self.y.write(*tick)))
            .max()
            .unwrap_or(0);
        let (left, right) = (longest + 14, 26);
        let spans = self.spans.iter().flat_map(|(from, to, _)| [*from, *to]);
        let xs = self
            .xs()
            .chain(spans)
            .chain(self.instants.iter().map(|(x, _)| *x));
        let Some(x) = self.x.place(xs, width - left - right, Along::X) else {
            return canvas::nothing(area, "nothing was measured");
        };
        let mut chart = ChartBuilder::on(area)
            .margin_top(ABOVE)
            .margin_right(right)
            .margin_bottom(BELOW - 26)
            .set_label_area_size(LabelAreaPosition::Left, left)
            .set_label_area_size(LabelAreaPosition::Bottom, 26)
            .build_cartesian_2d(x, y)
            .map_err(|error| error.to_string())?;
        self.mesh(&mut chart)?;
        self.names(area, (left, height))?;
        self.fill_spans(&mut chart)?;
        for series in &self.series {
            self.series_on(&mut chart, series)?;
        }
        self.marks(area, &chart)
    }

    fn mesh(&self, chart: &mut Plane<'_, '_>) -> Result<(), String> {
        chart
            .configure_mesh()
            .max_light_lines(0)
            .light_line_style(TRANSPARENT)
            .bold_line_style(Colour::Grid.light())
            .axis_style(Colour::Muted.light())
            .set_all_tick_mark_size(4)
            .x_label_style(canvas::style(Colour::Muted, HPos::Center, VPos::Top))
            .y_label_style(canvas::style(Colour::Muted, HPos::Right, VPos::Center))
            .x_label_formatter(&|x| self.x.write(*x))
            .y_label_formatter(&|y| self.y.write(*y))
            .draw()
            .map_err(|error| error.to_string())
    }

    /// The names of the axes: of the upright one above it, because turned text is hard to read.
    fn names(&self, area: &Area<'_>, (left, height): (u32, u32)) -> Result<(), String> {
        let style = canvas::style(Colour::Muted, HPos::Left, VPos::Top);
        canvas::write(area, self.y.name(), (2, 4), &style)?;
        canvas::write(
            area,
            self.x.name(),
            (left as i32, height as i32 - 20),
            &style,
        )
    }

    fn fill_spans(&self, chart: &mut Plane<'_, '_>) -> Result<(), String> {
        let range = chart.y_range();
        for (from, to, colour) in &self.spans {
            if self.x.holds(*from) && self.x.holds(*to) {
                let area = Rectangle::new(
                    [(*from, range.start), (*to, range.end)],
                    colour.light().mix(0.12).filled(),
                );
                chart
                    .draw_series([area])
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn series_on(&self, chart: &mut Plane<'_, '_>, series: &Series) -> Result<(), String> {
        let points = self.shown(series);
        let colour = series.colour.light();
        let line = matches!(series.kind, Kind::Line(_) | Kind::Marked(_));
        if line {
            chart
                .draw_series(LineSeries::new(
                    points.iter().copied(),
                    colour.stroke_width(2),
                ))
                .map_err(|error| error.to_string())?;
        }
        if matches!(series.kind, Kind::Band(_)) && points.len() > 2 {
            chart
                .draw_series([Polygon::new(points, colour.mix(0.2).filled())])
                .map_err(|error| error.to_string())?;
        } else if matches!(series.kind, Kind::Marked(_) | Kind::Points(_)) || points.len() == 1 {
            let dots = points
                .into_iter()
                .map(|point| Circle::new(point, 3, colour.filled()));
            chart.draw_series(dots).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Levels and instants, whose names stand within the drawing.
    fn marks(&self, area: &Area<'_>, chart: &Plane<'_, '_>) -> Result<(), String> {
        let plot = chart.plotting_area();
        let (xs, ys) = plot.get_pixel_range();
        let x_range = chart.x_range();
        for (y, name) in self.levels.iter().filter(|(y, _)| self.y.holds(*y)) {
            let at = plot.map_coordinate(&(x_range.end, *y)).1;
            canvas::stroke(area, (xs.start, at), (xs.end, at), Colour::Warn, 1)?;
            // Below the line where there is no room above it.
            let (below, anchor) = if at - 16 < ys.start {
                (4, VPos::Top)
            } else {
                (-3, VPos::Bottom)
            };
            let style = canvas::style(Colour::Warn, HPos::Right, anchor);
            canvas::write(area, name, (xs.end - 4, at + below), &style)?;
        }
        self.instants_on(area, chart)
    }

    fn instants_on(&self, area: &Area<'_>, chart: &Plane<'_, '_>) -> Result<(), String> {
        let plot = chart.plotting_area();
        let (xs, ys) = plot.get_pixel_range();
        let top = chart.y_range().end;
        // Where the names end that were written so far, in each line of them.
        let mut ends: Vec<i32> = Vec::new();
        let mut instants: Vec<_> = self
            .instants
            .iter()
            .filter(|(x, _)| self.x.holds(*x))
            .collect();
        instants.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        for (x, name) in instants {
            let at = plot.map_coordinate(&(*x, top)).0;
            canvas::stroke(area, (at, ys.start), (at, ys.end), Colour::Plain, 1)?;
            let length = canvas::length(name) as i32;
            let from = if at + 4 + length > xs.end {
                at - 4 - length
            } else {
                at + 4
            };
            let line = ends
                .iter()
                .position(|end| *end < from)
                .unwrap_or(ends.len());
            ends.resize(ends.len().max(line + 1), 0);
            ends[line] = from + length;
            let style = canvas::style(Colour::Muted, HPos::Left, VPos::Top);
            canvas::write(area, name, (from, ys.start + 4 + 16 * line as i32), &style)?;
        }
        Ok(())
    }
}

impl Chart for Lines {
    fn title(&self) -> &str {
        &self.title
    }

    fn draw(&self) -> Result<Drawing, DrawError> {
        let mut drawing = Drawing::of(&self.title, |_| self.height, |area| self.on(area))?;
        let named = self.series.iter().filter(|series| !series.name.is_empty());
        drawing.legend = named
            .map(|series| (series.colour, series.name.clone()))
            .collect();
        Ok(drawing)
    }
}
