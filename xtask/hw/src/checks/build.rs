//! B: how programs are built, and what this process runs under.

use sha2::{Digest, Sha256};
use toml::Table;

use super::Run;
use crate::check::{Found, Look, Profile, Reason, Without, met, noted, skip, test, unknown};

pub(super) const ALL: [(&str, Run); 10] = [
    ("B01", optimised),
    ("B02", codegen),
    ("B03", allocator),
    ("B04", instrumented),
    ("B05", logging),
    ("B06", debugger),
    ("B07", environment),
    ("B08", features),
    ("B09", frames),
    ("B10", toolchain),
];

/// Allocators that a program can have instead of the system's.
const ALLOCATORS: [&str; 6] = [
    "tikv-jemallocator",
    "jemallocator",
    "mimalloc",
    "snmalloc-rs",
    "rpmalloc",
    "scudo",
];

/// The manifest of the workspace.
fn manifest(look: &Look<'_>) -> Result<Table, Without> {
    match look.workspace("Cargo.toml")? {
        Some(text) => parse("Cargo.toml", &text),
        None => skip(Reason::NotPresent, "there is no `Cargo.toml` here"),
    }
}

fn parse(path: &str, text: &str) -> Result<Table, Without> {
    match text.parse() {
        Ok(table) => Ok(table),
        Err(_) => unknown(format!("`{path}` is not TOML")),
    }
}

/// A setting of the profile that is measured and shipped: of `bench`, or of `release`.
fn setting(look: &Look<'_>, manifest: &Table, key: &str) -> Option<String> {
    let profiles = manifest.get("profile")?;
    let names: &[&str] = match look.profile {
        Profile::Bench => &["bench", "release"],
        _ => &["release"],
    };
    let value = names
        .iter()
        .find_map(|name| profiles.get(*name)?.get(key))?;
    let shown = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    look.saw(format_args!("Cargo.toml {key}"), &shown);
    Some(shown)
}

/// A variable of the environment that this process was started with.
fn variable(look: &Look<'_>, name: &str) -> Result<Option<String>, Without> {
    let environ = look.peek("proc/self/environ")?;
    let found = environ
        .split('\0')
        .find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
    if let Some(value) = found {
        look.saw(format_args!("/proc/self/environ {name}"), value);
    }
    Ok(found.map(str::to_owned).filter(|value| !value.is_empty()))
}

/// The flags of the compiler: of the environment, else of the configuration.
fn flags(look: &Look<'_>) -> Result<String, Without> {
    if let Some(flags) = variable(look, "RUSTFLAGS")? {
        return Ok(flags);
    }
    for path in [".cargo/config.toml", ".cargo/config"] {
        let Some(text) = look.workspace(path)? else {
            continue;
        };
        let table = parse(path, &text)?;
        let mut flags = Vec::new();
        let mut add = |value: Option<&toml::Value>| match value {
            Some(toml::Value::String(text)) => flags.push(text.clone()),
            Some(toml::Value::Array(all)) => {
                flags.extend(all.iter().filter_map(|one| one.as_str().map(str::to_owned)))
            }
            _ => {}
        };
        add(table.get("build").and_then(|build| build.get("rustflags")));
        let targets = table.get("target").and_then(toml::Value::as_table);
        for target in targets.iter().flat_map(|targets| targets.values()) {
            add(target.get("rustflags"));
        }
        look.saw(format_args!("{path} rustflags"), flags.join(" "));
        return Ok(flags.join(" "));
    }
    Ok(String::new())
}

fn optimised(look: &Look<'_>) -> Found {
    let manifest = manifest(look)?;
    let level = setting(look, &manifest, "opt-level").unwrap_or_else(|| "3".to_owned());
    let asserts = setting(look, &manifest, "debug-assertions").is_some_and(|value| value == "true");
    let overflow = setting(look, &manifest, "overflow-checks").is_some_and(|value| value == "true");
    let mut text = format!("level {level}");
    if asserts {
        text.push_str(", with debug assertions");
    }
    if overflow {
        text.push_str(", with overflow checks");
    }
    test(level == "3" && !asserts && !overflow, text)
}

fn codegen(look: &Look<'_>) -> Found {
    let manifest = manifest(look)?;
    let or =
        |key: &str, other: &str| setting(look, &manifest, key).unwrap_or_else(|| other.to_owned());
    let (lto, units, panic) = (
        or("lto", "false"),
        or("codegen-units", "16"),
        or("panic", "unwind"),
    );
    let flags = flags(look)?;
    let cpu = flags
        .split("target-cpu=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    let text = format!(
        "lto {lto}, {units} codegen units, panic {panic}, for {}",
        cpu.unwrap_or("any cpu")
    );
    let many = units.parse::<u32>().is_ok_and(|units| units > 1);
    test(!(many && ["false", "off"].contains(&lto.as_str())), text)
}

fn allocator(look: &Look<'_>) -> Found {
    let Some(lock) = look.workspace("Cargo.lock")? else {
        return skip(Reason::NotPresent, "there is no `Cargo.lock` here");
    };
    let lock = parse("Cargo.lock", &lock)?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let names = packages
        .into_iter()
        .flatten()
        .filter_map(|package| package.get("name")?.as_str());
    let found: Vec<&str> = names.filter(|name| ALLOCATORS.contains(name)).collect();
    look.saw("Cargo.lock", found.join(" "));
    match found.is_empty() {
        true => noted("the system's"),
        false => noted(format!("{} is at hand", found.join(", "))),
    }
}

fn instrumented(look: &Look<'_>) -> Found {
    const WORDS: [&str; 6] = [
        "sanitizer",
        "instrument-coverage",
        "profile-generate",
        "cfg loom",
        "cfg shuttle",
        "cfg=loom",
    ];
    let flags = flags(look)?;
    let found: Vec<&str> = WORDS
        .into_iter()
        .filter(|word| flags.contains(word))
        .collect();
    match found.is_empty() {
        true => met("nothing"),
        false => test(false, found.join(", ")),
    }
}

fn logging(look: &Look<'_>) -> Found {
    match variable(look, "RUST_LOG")? {
        Some(level) => {
            let chatty = ["debug", "trace"]
                .iter()
                .any(|word| level.to_lowercase().contains(word));
            test(!chatty, format!("RUST_LOG={level}"))
        }
        None => met("RUST_LOG is not set"),
    }
}

fn debugger(look: &Look<'_>) -> Found {
    match look.field("proc/self/status", "TracerPid")? {
        0 => met("none"),
        pid => test(false, format!("process {pid} traces this one")),
    }
}

fn environment(look: &Look<'_>) -> Found {
    let mut set = Vec::new();
    for name in [
        "LD_PRELOAD",
        "LD_BIND_NOW",
        "MALLOC_CONF",
        "_RJEM_MALLOC_CONF",
        "RUST_BACKTRACE",
        "RUST_MIN_STACK",
    ] {
        set.extend(variable(look, name)?.map(|value| format!("{name}={value}")));
    }
    let preload = set.iter().any(|one| one.starts_with("LD_PRELOAD"));
    let text = if set.is_empty() {
        "nothing set".to_owned()
    } else {
        set.join(", ")
    };
    test(!preload, text)
}

fn features(look: &Look<'_>) -> Found {
    /// Features of pipewright that only tests and budgets want.
    const FOR_TESTS: [&str; 2] = ["failpoints", "measure"];
    let root = manifest(look)?;
    let members = root
        .get("workspace")
        .and_then(|workspace| workspace.get("members")?.as_array());
    let members = members
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str);
    let mut manifests = vec![("Cargo.toml".to_owned(), root.clone())];
    for member in members.filter(|member| !member.contains('*')) {
        let path = format!("{member}/Cargo.toml");
        if let Some(text) = look.workspace(&path)? {
            manifests.push((path.clone(), parse(&path, &text)?));
        }
    }
    let (mut users, mut on) = (0, Vec::new());
    for (path, manifest) in &manifests {
        let Some(needs) = manifest
            .get("dependencies")
            .and_then(|needs| needs.get("pipewright"))
        else {
            continue;
        };
        users += 1;
        let given = needs.get("features").and_then(toml::Value::as_array);
        for name in given.into_iter().flatten().filter_map(toml::Value::as_str) {
            look.saw(format_args!("{path} pipewright"), name);
            if FOR_TESTS.contains(&name) {
                on.push(format!("{name} in {path}"));
            }
        }
    }
    if users == 0 {
        return skip(Reason::NotPresent, "no package here depends on pipewright");
    }
    match on.is_empty() {
        true => noted("none of those for tests"),
        false => noted(on.join(", ")),
    }
}

fn frames(look: &Look<'_>) -> Found {
    let manifest = manifest(look)?;
    let debug = setting(look, &manifest, "debug").unwrap_or_else(|| "false".to_owned());
    let pointers = flags(look)?.contains("force-frame-pointers");
    let lines = !["false", "0", "none"].contains(&debug.as_str());
    test(
        lines || pointers,
        format!(
            "debug info {debug}, frame pointers {}",
            if pointers {
                "on"
            } else {
                "as the target has them"
            }
        ),
    )
}

fn toolchain(look: &Look<'_>) -> Found {
    let Some(rustc) = &look.facts().rustc else {
        return skip(Reason::NotPresent, "`rustc -V` says nothing here");
    };
    look.saw("rustc -V", rustc);
    let lock = look.workspace("Cargo.lock")?;
    let lock = lock.map(|text| {
        let hash = Sha256::digest(text.as_bytes());
        hash.iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    });
    let lock = lock.map_or("no Cargo.lock".to_owned(), |hash| {
        format!("Cargo.lock {hash}")
    });
    let commit = look
        .facts()
        .commit
        .as_deref()
        .map_or("no commit".to_owned(), |commit| format!("commit {commit}"));
    noted(format!("{rustc}, {lock}, {commit}"))
}
