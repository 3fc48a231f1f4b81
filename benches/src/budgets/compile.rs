//! What a pipeline adds to a build: two small packages in a folder of their own, one with a pipeline of ten stages and one
//! that calls the same functions in a loop. Their dependencies are built once; then each is built again and again, as after
//! a change of its source.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{Plan, Reading};

/// Stages between source and sink, with both.
const STAGES: usize = 10;

/// Seconds that the pipeline takes more than the loop, in both profiles.
pub(super) fn compile(plan: &Plan) -> Vec<Reading> {
    match packages() {
        Ok(folder) => vec![
            more(&folder, plan, "compile.debug", &[]),
            more(&folder, plan, "compile.release", &["--release"]),
        ],
        Err(_) => ["compile.debug", "compile.release"]
            .map(|key| Reading::unknown(key, "the packages cannot be written"))
            .into(),
    }
}

fn more(folder: &TempDir, plan: &Plan, key: &'static str, profile: &[&str]) -> Reading {
    let build = |package: &str| build(folder.path(), package, profile);
    // The dependencies, and whatever the system reads for the first time.
    if build("piped").and(build("by_hand")).is_none() {
        return Reading::unknown(key, "`cargo build` failed; it said why");
    }
    let pairs: Option<Vec<f64>> = (0..plan.rounds)
        .map(|_| Some(build("piped")?.as_secs_f64() - build("by_hand")?.as_secs_f64()))
        .collect();
    match pairs {
        Some(seconds) => Reading::new(key, seconds),
        None => Reading::unknown(key, "`cargo build` failed; it said why"),
    }
}

/// Builds a package as if its source had changed.
fn build(folder: &Path, package: &str, profile: &[&str]) -> Option<Duration> {
    let source = folder.join(package).join("src/main.rs");
    let text = fs::read_to_string(&source).ok()?;
    fs::write(&source, text).ok()?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--package", package])
        .args(profile)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("CARGO_TARGET_DIR", folder.join("target"));
    let begun = Instant::now();
    let status = command.status().ok()?;
    status.success().then(|| begun.elapsed())
}

/// Both packages, in a workspace with the versions of the repository.
fn packages() -> io::Result<TempDir> {
    let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()?;
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    fs::write(
        root.join("Cargo.toml"),
        "[workspace]\nresolver = \"3\"\nmembers = [\"piped\", \"by_hand\"]\n",
    )?;
    fs::copy(repository.join("Cargo.lock"), root.join("Cargo.lock"))?;
    let runtime = format!(
        "pipewright = {{ path = {:?} }}\n",
        repository.join("runtime")
    );
    package(root, "piped", &runtime, &piped(STAGES))?;
    package(root, "by_hand", "", &by_hand(STAGES))?;
    Ok(folder)
}

fn package(root: &Path, name: &str, dependencies: &str, main: &str) -> io::Result<()> {
    let folder = root.join(name);
    fs::create_dir_all(folder.join("src"))?;
    let manifest = format!(
        "[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}"
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/main.rs"), main)
}

/// The functions: a source, maps, filters, a stage that fails, and a sink; `stages` of them. `attribute` stands before each.
fn functions(stages: usize, attribute: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    let mut function = |i: usize, body: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "    {}\n    {body}\n", attribute(i));
    };
    function(
        0,
        "pub fn s0() -> impl Iterator<Item = u64> { 0..1_000_000 }",
    );
    for i in 1..stages - 1 {
        let body = match i % 3 {
            1 => format!(
                "pub fn s{i}(n: u64) -> u64 {{ n.wrapping_mul({}) ^ (n >> {i}) }}",
                2 * i + 1
            ),
            2 => format!("pub fn s{i}(n: &u64) -> bool {{ n % {} != 0 }}", i + 5),
            _ => format!("pub fn s{i}(n: u64) -> Option<u64> {{ n.checked_add({i}) }}"),
        };
        function(i, &body);
    }
    let last = stages - 1;
    function(
        last,
        &format!("pub fn s{last}(n: u64, sum: &mut u64) {{ *sum = sum.wrapping_add(n); }}"),
    );
    text
}

/// A module that is a pipeline of so many stages, without its attribute.
pub(super) fn module(stages: usize) -> String {
    let attribute = |i: usize| match i {
        0 => "#[source]".to_owned(),
        i if i == stages - 1 => format!("#[sink(from = s{})]", i - 1),
        i => format!("#[stage(from = s{})]", i - 1),
    };
    format!(
        "pub mod numbers {{\n    use pipewright::{{sink, source, stage}};\n\n{}}}\n",
        functions(stages, attribute)
    )
}

fn piped(stages: usize) -> String {
    let module = module(stages).replace("    use pipewright::{sink, source, stage};\n\n", "");
    let last = stages - 1;
    format!(
        "use pipewright::pipeline;\n\n#[pipeline]\n{module}\nfn main() {{\n    let run = numbers::pipeline().workers(1).start(()).unwrap();\n    println!(\"{{:?}}\", run.wait().unwrap().take_state::<numbers::s{last}>());\n}}\n"
    )
}

fn by_hand(stages: usize) -> String {
    let functions = functions(stages, |_| "#[inline]".to_owned());
    let mut body = String::new();
    for i in 1..stages - 1 {
        let _ = match i % 3 {
            1 => writeln!(body, "        let n = s{i}(n);"),
            2 => writeln!(body, "        if !s{i}(&n) {{ continue; }}"),
            _ => writeln!(body, "        let Some(n) = s{i}(n) else {{ continue }};"),
        };
    }
    let last = stages - 1;
    format!(
        "mod numbers {{\n{functions}}}\n\nuse numbers::*;\n\nfn main() {{\n    let mut sum = 0;\n    for n in s0() {{\n{body}        s{last}(n, &mut sum);\n    }}\n    println!(\"{{:?}}\", Some(sum));\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_are_rust_and_call_every_stage() {
        for (name, text) in [("piped", piped(STAGES)), ("by_hand", by_hand(STAGES))] {
            let tokens: Result<proc_macro2::TokenStream, _> = text.parse();
            assert!(tokens.is_ok(), "{name}: {text}");
            for i in 0..STAGES {
                assert!(
                    text.matches(&format!("s{i}")).count() >= 2 || name == "piped",
                    "{name}: s{i}"
                );
                assert!(text.contains(&format!("fn s{i}(")), "{name}: s{i}");
            }
        }
    }
}
