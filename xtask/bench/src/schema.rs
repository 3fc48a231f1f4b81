//! The schema of saved results, `schema/pipewright.bench-1.json`, is what the code says.

use std::{fs, path::Path};

use serde_json::Value;

use crate::results::{SCHEMA, Saved};

/// Where it lies, for whoever reads results with other tools.
fn place() -> std::path::PathBuf {
    let file = format!("{}.json", SCHEMA.replace('/', "-"));
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("schema")
        .join(file)
}

/// A schema without its descriptions, which may change with the words of the code.
fn bare(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let fields = fields.into_iter();
            // A field of that name has a schema, which is no text.
            let fields = fields.filter(|(name, of)| name != "description" || !of.is_string());
            fields.map(|(name, of)| (name, bare(of))).collect()
        }
        Value::Array(all) => all.into_iter().map(bare).collect(),
        other => other,
    }
}

#[test]
fn the_schema_of_results_is_what_is_written() {
    let schema = schemars::schema_for!(Saved);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    let place = place();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::create_dir_all(place.parent().expect("it has a folder")).expect("a folder");
        fs::write(&place, &text).expect("a file");
    }
    let there = fs::read_to_string(&place).expect("there is a schema");
    let there = serde_json::from_str(&there).expect("it is JSON");
    assert!(
        bare(there) == bare(schema.into()),
        "`{}` is not what the code says: a field that is added keeps `{SCHEMA}`, whatever else changes needs another version; \
         then `UPDATE_SCHEMA=1 cargo test -p pipewright-bench schema`",
        place.display()
    );
}

/// Whoever wrote a result with an earlier state of this version is still understood: these are its fields.
#[test]
fn a_result_of_the_first_day_is_still_read() {
    let text = r#"{"schema":"pipewright.bench/1","run_id":"r","started":"2026-01-01T00:00:00Z","mode":"quick","command":["run"],
        "partial":false,"code":{"A":{"revision":"c","dirty":false,"binary":"d"}},"env":{"class":"c","fields":{}},"limits":[],
        "scenarios":[{"id":"throughput/fused","seed":1,"blocks":0,"disturbed":{},"metrics":[{"name":"throughput","unit":"items/s",
        "better":"higher","scale":"ratio","gate":true,"sides":{"A":{"median":1.0,"mad":0.0,"values":[1.0]}}}]}],"verdict":"pass"}"#;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.json");
    fs::write(&path, text).expect("a file");
    let saved = Saved::load(&path).expect("it is a result");
    assert_eq!(saved.scenarios[0].metrics[0].name, "throughput");
}
