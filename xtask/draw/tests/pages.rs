//! Pages with every kind of chart: what is in them, and how they look in a browser.

use pipewright_draw::{
    Axis, Bars, Chart, Colour, Forest, HeatMap, Interval, Lines, Page, Table, Unit, Waterfall,
};

/// A series that looks like something measured, and is the same everywhere: no sine, whose last digit differs between machines.
fn wave(count: u32) -> impl Iterator<Item = (f64, f64)> {
    (0..count).map(|at| {
        (
            f64::from(at) / 10.0,
            f64::from((at * 7919) % 101) * 30.0 + 8_000.0,
        )
    })
}

fn tail() -> Lines {
    let curve = |scale: f64| {
        [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]
            .into_iter()
            .zip([9e3, 21e3, 80e3, 310e3, 2.1e6, 8e6].map(|ns| ns * scale))
    };
    Lines::new(
        "Latency by percentile",
        Axis::tail("part of all requests"),
        Axis::new("latency", Unit::Nanoseconds).log(),
    )
    .line("before", curve(1.0))
    .line("after", curve(0.6))
    .level(1e6, "target: p99 below 1 ms")
}

fn series() -> Lines {
    let offered = wave(100).map(|(x, _)| (x, if x < 5.0 { 8_000.0 } else { 11_500.0 }));
    Lines::new(
        "Rate over the load pattern",
        Axis::new("time", Unit::Seconds),
        Axis::new("rate", Unit::PerSecond).from_zero(),
    )
    .band(wave(100).map(|(x, y)| (x, y * 0.9, y * 1.1)))
    .line("achieved", wave(100))
    .steps("offered", offered)
    .span(5.0, 10.0, Colour::Warn)
    .instant(5.0, "burst")
    .instant(9.9, "the breaker opens")
}

fn plateaus() -> Lines {
    let points = [
        (14, 1.2),
        (15, 1.2),
        (16, 3.9),
        (17, 4.0),
        (20, 4.4),
        (21, 13.0),
        (24, 14.0),
        (25, 21.0),
        (26, 88.0),
        (28, 112.0),
    ];
    Lines::new(
        "Memory latency",
        Axis::new("size of what is read", Unit::Bytes).log(),
        Axis::new("one access", Unit::Nanoseconds).log(),
    )
    .marked(
        "4 KiB pages",
        points.map(|(power, ns)| (f64::from(2u32.pow(power)), ns)),
    )
}

fn matrix(cpus: usize) -> HeatMap {
    let mut map = HeatMap::new(format!("One way between {cpus} cpus"), Unit::Nanoseconds)
        .axes("to cpu", (0..cpus).map(|cpu| cpu.to_string()));
    for from in 0..cpus {
        let values = (0..cpus).map(|to| match (from, to) {
            (a, b) if a == b => f64::NAN,
            (a, b) if a / 8 == b / 8 => 24.0 + ((a + b) % 5) as f64,
            (a, b) => 97.0 + ((a * b) % 11) as f64,
        });
        map = map.row(from.to_string(), values);
    }
    map
}

fn forest() -> Forest {
    Forest::new(
        "main against this change",
        Axis::new("change of what costs", Unit::Change),
        1.0,
    )
    .interval(
        Interval::new("throughput", 1.062, (1.04, 1.081))
            .band(0.97, 1.03)
            .detectable(0.98, 1.02)
            .verdict("regressed", Colour::Bad),
    )
    .interval(
        Interval::new("latency p50", 0.998, (0.99, 1.006))
            .band(0.95, 1.05)
            .detectable(0.985, 1.015)
            .verdict("equivalent", Colour::Plain),
    )
    .interval(
        Interval::new(
            "latency p99 of the stage that verifies signatures",
            0.83,
            (0.77, 0.89),
        )
        .band(0.9, 1.1)
        .verdict("improved", Colour::Good),
    )
    .interval(
        Interval::new("peak memory", 1.02, (0.93, 1.12))
            .band(0.95, 1.05)
            .verdict("inconclusive", Colour::Warn),
    )
}

fn waterfall() -> Waterfall {
    Waterfall::new(
        "Where an item's time goes",
        Axis::new("since it arrived", Unit::Nanoseconds),
        ["waits", "works", "is blocked"],
    )
    .row("ingest", [0.0, 700.0, 0.0])
    .row("decode", [1_200.0, 2_300.0, 0.0])
    .row("verify", [11_000.0, 18_500.0, 400.0])
    .row("publish", [300.0, 900.0, 5_200.0])
}

fn bars() -> Bars {
    Bars::new(
        "Utilisation of stages",
        Axis::new("busy", Unit::Percent).at_most(1.0),
    )
    .bar("decode", 0.41)
    .coloured("verify", 0.97, Colour::Bad)
    .bar("publish", 0.125)
    .bar("not measured", f64::NAN)
}

fn charts() -> Vec<(&'static str, Box<dyn Chart>)> {
    vec![
        ("tail", Box::new(tail())),
        ("series", Box::new(series())),
        ("plateaus", Box::new(plateaus())),
        ("matrix_2", Box::new(matrix(2))),
        ("matrix_24", Box::new(matrix(24).log())),
        ("forest", Box::new(forest())),
        ("waterfall", Box::new(waterfall())),
        ("bars", Box::new(bars())),
        (
            "sparkline",
            Box::new(
                Lines::new(
                    "History of throughput",
                    Axis::new("run", Unit::Number),
                    Axis::new("rate", Unit::PerSecond),
                )
                .height(140)
                .points("runs", wave(60))
                .instant(3.0, "a1b2c3d"),
            ),
        ),
        (
            "nothing",
            Box::new(
                Lines::new(
                    "Nothing",
                    Axis::new("time", Unit::Seconds),
                    Axis::new("rate", Unit::PerSecond).log(),
                )
                .line("zero", [(0.0, 0.0), (1.0, f64::NAN)]),
            ),
        ),
        (
            "one_point",
            Box::new(
                Lines::new(
                    "One point",
                    Axis::new("time", Unit::Seconds),
                    Axis::new("rate", Unit::PerSecond),
                )
                .line("alone", [(1.0, 5.0)]),
            ),
        ),
    ]
}

fn page() -> Page {
    let mut page = Page::new(
        "Every kind of chart, with a title that is long enough for two lines on a telephone",
    );
    page.banner(
        Colour::Bad,
        "regressed: throughput is at most 8.1 % and at least 4 % worse",
    );
    page.facts([
        ("machine", "2 vCPU, KVM, grade C"),
        ("command", "cargo xtask bench ab --base main"),
    ]);
    page.section("Charts");
    page.text("Each of them once.");
    for (_, chart) in charts() {
        page.chart(chart.as_ref()).expect("it can be drawn");
    }
    page.section("Tables");
    let mut table = Table::new([
        "metric", "before", "after", "change", "interval", "verdict", "blocks",
    ])
    .numbers([1, 2, 3, 4, 6]);
    table.row([
        "throughput",
        "102 k/s",
        "96.1 k/s",
        "-5.8 %",
        "-7.5 .. -3.9 %",
        "regressed",
        "12",
    ]);
    table.colour(5, Colour::Bad);
    table.row([
        "latency p99",
        "310 us",
        "257 us",
        "-17 %",
        "-23 .. -11 %",
        "improved",
        "12",
    ]);
    table.colour(5, Colour::Good);
    page.table(&table);
    page.list(["a point", "another point, which is longer than the first one and goes on and on until it needs a second line"]);
    page.details("what stands behind this", |page| {
        page.code("cargo xtask bench run --seed 42 --pattern mixed --level l10k --time 5m")
    });
    page.data("result", r#"{"schema":"example/1"}"#);
    page
}

#[test]
fn charts_are_drawn_as_before() {
    for (name, chart) in charts() {
        let drawing = chart.draw().expect("it can be drawn");
        insta::assert_snapshot!(
            name,
            format!(
                "{}\n{}\n{:?}\n{:?}",
                drawing.wide, drawing.narrow, drawing.legend, drawing.scale
            )
        );
    }
}

#[test]
fn drawing_twice_gives_the_same() {
    assert_eq!(page().html(), page().html());
}

#[test]
fn a_page_names_nothing_outside_of_itself() {
    let html = page().html();
    // The only address is the name of the language that drawings are written in.
    let addresses: Vec<&str> = html
        .split("http")
        .skip(1)
        .map(|rest| &rest[..rest.len().min(25)])
        .collect();
    for address in addresses {
        assert!(
            address.starts_with("://www.w3.org/2000/svg") || address.starts_with("-equiv"),
            "{address}"
        );
    }
    for reference in ["src=", "href=", "url(", "@import", "<link", "<script>"] {
        assert!(!html.contains(reference), "{reference}");
    }
}

#[test]
fn every_colour_follows_the_theme_or_is_the_same_in_both() {
    let html = page().html();
    let (style, body) = html.split_once("</style>").expect("there is one");
    let colours = body
        .split(['"', ';'])
        .filter(|text| text.len() == 7 && text.starts_with('#'));
    let viridis = [
        "#440154", "#472D7B", "#3B528B", "#2C728E", "#21918C", "#28AE80", "#5EC962", "#ADDC30",
        "#FDE725", "#FFFFFE", "#000001",
    ];
    let mut count = 0;
    for colour in colours {
        count += 1;
        assert!(
            viridis.contains(&colour) || style.contains(&format!("[fill=\"{colour}\"]")),
            "{colour}"
        );
    }
    assert!(count > 100, "there are {count} colours");
}

#[test]
fn whatever_the_numbers_are_something_is_drawn() {
    let hostile = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        1e-300,
        -1.0,
        1.0,
    ];
    let axes = || {
        [
            Axis::new("a", Unit::Nanoseconds),
            Axis::new("a", Unit::Bytes).log(),
            Axis::tail("a"),
            Axis::new("a", Unit::Change).from_zero().at_most(f64::NAN),
        ]
    };
    for a in hostile {
        for b in hostile {
            let mut charts: Vec<Box<dyn Chart>> = vec![Box::new(
                HeatMap::new("h", Unit::Bytes)
                    .log()
                    .axes("x", ["1", "2"])
                    .row("r", [a, b, a]),
            )];
            for axis in axes() {
                for other in axes() {
                    let lines = Lines::new("l", axis.clone(), other)
                        .line("l", [(a, b), (b, a)])
                        .band([(a, b, a)])
                        .level(b, "l")
                        .instant(a, "i")
                        .span(a, b, Colour::Bad);
                    charts.push(Box::new(lines));
                }
                charts.push(Box::new(Forest::new("f", axis.clone(), a).interval(
                    Interval::new("i", a, (b, a)).band(b, a).detectable(a, b),
                )));
                charts.push(Box::new(
                    Bars::new("b", axis.clone()).bar("b", a).bar("c", b),
                ));
                charts.push(Box::new(Waterfall::new("w", axis, ["p"]).row("r", [a, b])));
            }
            for chart in charts {
                let drawing = chart
                    .draw()
                    .unwrap_or_else(|error| panic!("{a} {b}: {error}"));
                assert!(
                    drawing.wide.ends_with("</svg>\n") && !drawing.wide.contains("NaN"),
                    "{a} {b} in {}",
                    chart.title()
                );
            }
        }
    }
}

#[cfg(feature = "browser")]
#[test]
fn the_page_looks_right_in_a_browser_on_telephones_and_screens_in_both_themes() {
    let Some(browser) = pipewright_draw::Browser::find_or_skip() else {
        return;
    };
    // The pictures stay, for whoever wants to see them.
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join("page.html");
    page().write(&path).expect("the folder can be written");
    let faults = browser.faults(&[path], &folder);
    assert_eq!(faults.expect("the browser shows it"), [] as [String; 0]);
}
