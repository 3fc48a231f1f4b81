//! Real logs of six formats, against the fields that the collection gives for each of their lines.
//!
//! The samples are those of Zhu et al., "Loghub: A Large Collection of System Log Datasets for AI-driven Log Analytics" (ISSRE
//! 2023).

use std::{collections::BTreeMap, fs};

use super::{real_logs, run, settings};
use crate::events::{
    feed::Input,
    parse::recognise,
    service,
    types::{Format, Parts},
};

/// The values of a line of CSV, where a value with a comma or a quote in it stands in quotes.
fn values(line: &str) -> Vec<String> {
    let (mut values, mut value, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                value.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(std::mem::take(&mut value)),
            other => value.push(other),
        }
    }
    values.push(value);
    values
}

/// What was found in a line, by the names that the collection gives to the fields of this format.
fn found(format: Format, line: &str, parts: &Parts) -> BTreeMap<&'static str, String> {
    let day = parts.date.of(line);
    let (month, of_month) = day.split_once(' ').unwrap_or_default();
    let (month, of_month) = (month.to_owned(), of_month.trim().to_owned());
    let of = |span: crate::events::types::Span| span.of(line).to_owned();
    let content = ("Content", of(parts.content));
    match format {
        Format::Syslog => BTreeMap::from([
            ("Month", month),
            ("Date", of_month),
            ("Time", of(parts.time)),
            ("Level", of(parts.host)),
            ("Component", of(parts.component)),
            ("PID", of(parts.pid)),
            content,
        ]),
        Format::OpenSsh => BTreeMap::from([
            ("Date", month),
            ("Day", of_month),
            ("Time", of(parts.time)),
            ("Component", of(parts.host)),
            ("Pid", of(parts.pid)),
            content,
        ]),
        Format::Apache => BTreeMap::from([
            ("Time", of(parts.date)),
            ("Level", of(parts.level)),
            content,
        ]),
        Format::Hdfs => BTreeMap::from([
            ("Date", of(parts.date)),
            ("Time", of(parts.time)),
            ("Pid", of(parts.pid)),
            ("Level", of(parts.level)),
            ("Component", of(parts.component)),
            content,
        ]),
        Format::Zookeeper => BTreeMap::from([
            ("Date", of(parts.date)),
            ("Time", of(parts.time)),
            ("Level", of(parts.level)),
            ("Node", of(parts.node)),
            ("Component", of(parts.component)),
            ("Id", of(parts.place)),
            content,
        ]),
        Format::OpenStack => BTreeMap::from([
            ("Logrecord", of(parts.file)),
            ("Date", of(parts.date)),
            ("Time", of(parts.time)),
            ("Pid", of(parts.pid)),
            ("Level", of(parts.level)),
            ("Component", of(parts.component)),
            ("ADDR", of(parts.context)),
            content,
        ]),
        Format::Json => BTreeMap::new(),
    }
}

const LOGS: [(&str, Format); 6] = [
    ("Linux", Format::Syslog),
    ("OpenSSH", Format::OpenSsh),
    ("Apache", Format::Apache),
    ("HDFS", Format::Hdfs),
    ("Zookeeper", Format::Zookeeper),
    ("OpenStack", Format::OpenStack),
];

#[test]
fn every_line_of_six_real_logs_has_the_fields_that_the_collection_gives() {
    let Some(folder) = real_logs() else { return };
    for (name, format) in LOGS {
        let log = fs::read_to_string(folder.join(format!("{name}_2k.log"))).expect("a log");
        let fields = folder.join(format!("{name}_2k.log_structured.csv"));
        let fields = fs::read_to_string(fields).expect("its fields");
        let mut rows = fields.lines().map(values);
        let names = rows.next().expect("the names of the fields");
        let mut lines = 0;
        for (line, row) in log.lines().zip(rows) {
            let (recognised, parts) = recognise(line).unwrap_or_else(|reason| panic!("{reason}"));
            assert_eq!(recognised, format, "{line}");
            let found = found(format, line, &parts);
            let expect = names.iter().map(String::as_str).zip(row);
            let mut expect: BTreeMap<_, _> = expect.collect();
            // What the collection adds itself.
            for added in ["LineId", "EventId", "EventTemplate"] {
                expect.remove(added).expect(added);
            }
            assert_eq!(found, expect, "{line}");
            lines += 1;
        }
        assert_eq!(lines, 2_000, "{name}");
    }
}

#[test]
fn real_logs_go_through_the_whole_pipeline() {
    let Some(folder) = real_logs() else { return };
    let paths = LOGS.map(|(name, _)| Input::File(folder.join(format!("{name}_2k.log"))));
    let mut settings = settings(paths.to_vec(), service::examples(10));
    settings.window = std::time::Duration::ZERO;
    let outcome = run(settings);
    let summary = &outcome.summary;
    assert!(
        summary.rejects.by_reason.is_empty(),
        "{:?}",
        summary.rejects
    );
    assert_eq!((summary.lines, summary.events()), (12_000, 12_000));
    // None of JSON, and 2,000 of each other format.
    assert_eq!(
        summary.counts.formats,
        [0, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000]
    );
    assert_eq!(summary.services[0].counts.delivered, 12_000);
    assert!(outcome.is_good());
}
