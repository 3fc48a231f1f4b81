//! The roles of colours, and what they are in the light and in the dark theme.

use std::fmt::Write;

use plotters::style::RGBColor;

/// What a colour is used for. Each has one value for light pages and one for dark ones.
///
/// The eight of [`Colour::Series`] are those of Okabe and Ito, which people with colour blindness can tell apart, with the
/// light ones darkened for white paper and the dark ones lightened for black. Cells of heat maps have the colours of viridis in
/// both themes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Colour {
    /// Text and axes.
    Ink,
    /// Text that is less important, such as the labels of axes.
    Muted,
    /// Lines behind what is drawn.
    Grid,
    /// What went well.
    Good,
    /// What did not go well.
    Bad,
    /// What needs a look.
    Warn,
    /// What says neither.
    Plain,
    /// The n-th of several; the ninth is the first again.
    Series(usize),
    /// A value between 0 (least) and 1 (most) of a scale.
    Heat(f64),
    /// Text on a cell of this value.
    OnHeat(f64),
}

struct Themed {
    name: &'static str,
    light: u32,
    dark: u32,
}

const fn themed(name: &'static str, light: u32, dark: u32) -> Themed {
    Themed { name, light, dark }
}

/// The roles that differ between the themes. Their light values must differ from each other and from those below,
/// because the style sheet finds them by these.
const THEMED: [Themed; 15] = [
    themed("ink", 0x1F_2328, 0xE6_EDF3),
    themed("muted", 0x59_636E, 0x9D_A7B3),
    themed("grid", 0xD8_DEE4, 0x30_363D),
    themed("good", 0x1A_7F37, 0x3F_B950),
    themed("bad", 0xCF_222E, 0xFF_7B72),
    themed("warn", 0x9A_6700, 0xD2_9922),
    themed("plain", 0x6E_7781, 0x8B_949E),
    themed("series0", 0x00_72B2, 0x4D_B1F0),
    themed("series1", 0xC8_5200, 0xFF_9D5C),
    themed("series2", 0x00_8060, 0x3D_D6A9),
    themed("series3", 0xA8_4C86, 0xE8_9CC9),
    themed("series4", 0x8F_6B00, 0xF0_C649),
    themed("series5", 0x2B_8CC4, 0x8F_D3FF),
    themed("series6", 0x6A_3D9A, 0xBF_A2F0),
    themed("series7", 0x5C_5C5C, 0xC4_C4C4),
];

const INK: usize = 0;
const SERIES: usize = 7;
const SERIES_COUNT: usize = 8;

/// Viridis in nine steps.
const HEAT: [u32; 9] = [
    0x44_0154, 0x47_2D7B, 0x3B_528B, 0x2C_728E, 0x21_918C, 0x28_AE80, 0x5E_C962, 0xAD_DC30,
    0xFD_E725,
];
const ON_DARK_HEAT: u32 = 0xFF_FFFE;
const ON_LIGHT_HEAT: u32 = 0x00_0001;
/// From this step on, black can be read better than white.
const LIGHT_HEAT_FROM: usize = 4;

impl Colour {
    /// Its value on a light page, as `plotters` wants it.
    pub(crate) fn light(self) -> RGBColor {
        let [_, red, green, blue] = self.hex().to_be_bytes();
        RGBColor(red, green, blue)
    }

    /// Its value for a style sheet: a custom property that follows the theme, or what it is in both.
    pub(crate) fn css(self) -> String {
        match self.themed() {
            Some(index) => format!("var(--{})", THEMED[index].name),
            None => format!("#{:06X}", self.hex()),
        }
    }

    fn hex(self) -> u32 {
        match self {
            Colour::Heat(part) => HEAT[step(part)],
            Colour::OnHeat(part) if step(part) < LIGHT_HEAT_FROM => ON_DARK_HEAT,
            Colour::OnHeat(_) => ON_LIGHT_HEAT,
            _ => THEMED[self.themed().unwrap_or(INK)].light,
        }
    }

    fn themed(self) -> Option<usize> {
        Some(match self {
            Colour::Ink => INK,
            Colour::Muted => 1,
            Colour::Grid => 2,
            Colour::Good => 3,
            Colour::Bad => 4,
            Colour::Warn => 5,
            Colour::Plain => 6,
            Colour::Series(n) => SERIES + n % SERIES_COUNT,
            Colour::Heat(_) | Colour::OnHeat(_) => return None,
        })
    }

    /// The colours of a heat map's scale, from the least value to the most.
    pub(crate) fn heat_scale() -> impl Iterator<Item = Colour> {
        let last = HEAT.len() - 1;
        (0..=last).map(move |at| Colour::Heat(at as f64 / last as f64))
    }
}

fn step(part: f64) -> usize {
    let last = HEAT.len() - 1;
    // A cast saturates, and makes 0 of what is not a number.
    ((part * HEAT.len() as f64) as usize).min(last)
}

/// The part of the style sheet that knows colours: the properties of both themes, and which attributes they stand for.
pub(crate) fn style_sheet() -> String {
    let mut css = String::from(":root{color-scheme:light dark;--paper:#FFFFFF;--raised:#F6F8FA;");
    for Themed { name, light, .. } in &THEMED {
        let _ = write!(css, "--{name}:#{light:06X};");
    }
    css.push_str("}\n@media (prefers-color-scheme: dark){:root{--paper:#0D1117;--raised:#161B22;");
    for Themed { name, dark, .. } in &THEMED {
        let _ = write!(css, "--{name}:#{dark:06X};");
    }
    css.push_str("}}\n");
    for Themed { name, light, .. } in &THEMED {
        let _ = writeln!(
            css,
            "svg [fill=\"#{light:06X}\"]{{fill:var(--{name})}}svg [stroke=\"#{light:06X}\"]{{stroke:var(--{name})}}"
        );
    }
    css
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_roles_share_the_value_by_which_the_style_sheet_finds_them() {
        let all: Vec<u32> = THEMED
            .iter()
            .map(|themed| themed.light)
            .chain(HEAT)
            .chain([ON_DARK_HEAT, ON_LIGHT_HEAT])
            .collect();
        let distinct: HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    /// The contrast of two colours after WCAG 2.2, <https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>.
    fn contrast(a: u32, b: u32) -> f64 {
        let luminance = |colour: u32| {
            let [_, red, green, blue] = colour.to_be_bytes();
            let linear = |part: u8| {
                let part = f64::from(part) / 255.0;
                if part <= 0.04045 {
                    part / 12.92
                } else {
                    ((part + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_stands_out_by_at_least_4_5_and_lines_by_3_in_both_themes() {
        for Themed { name, light, dark } in &THEMED {
            let least = match *name {
                "grid" => continue,
                "ink" | "muted" | "good" | "bad" | "warn" => 4.5,
                _ => 3.0,
            };
            for (theme, colour, paper) in [("light", *light, 0xFF_FFFF), ("dark", *dark, 0x0D_1117)]
            {
                let contrast = contrast(colour, paper);
                assert!(contrast >= least, "{name} has {contrast:.1} on {theme}");
            }
        }
    }

    #[test]
    fn text_on_every_cell_of_a_heat_map_can_be_read() {
        for colour in Colour::heat_scale() {
            let Colour::Heat(part) = colour else {
                unreachable!("a heat scale has heat")
            };
            let contrast = contrast(colour.hex(), Colour::OnHeat(part).hex());
            assert!(contrast >= 4.5, "{part}: {contrast:.1}");
        }
    }

    #[test]
    fn values_outside_of_a_scale_have_the_colour_of_its_end() {
        for (part, same_as) in [
            (-1.0, 0.0),
            (f64::NAN, 0.0),
            (1.0, 0.99),
            (f64::INFINITY, 1.0),
        ] {
            assert_eq!(
                Colour::Heat(part).hex(),
                Colour::Heat(same_as).hex(),
                "{part}"
            );
        }
    }
}
