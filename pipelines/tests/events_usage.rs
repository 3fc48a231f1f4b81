//! `pipewright events` with a command line or files that ask for what cannot be: exit code 2, and what to type instead.

mod process;

use std::net::TcpListener;

use process::{events, text};

#[test]
fn a_mistake_on_the_command_line_is_told_apart() {
    let check = |args: &[&str]| {
        let output = events(args, b"");
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            text(&output.stderr)
        );
    };
    check(&["--services", "0"]);
    check(&["--services", "1001"]);
    check(&["--generate", "many"]);
    check(&["--window", "-1"]);
    check(&["--follow"]);
    check(&["--input", "a.log", "--positions", "p.json"]);
    check(&[
        "--input",
        "a.log",
        "--follow",
        "--positions",
        "/no/such/folder/p.json",
    ]);
    check(&["--overflow", "wait"]);
    check(&["--config", "no/such/file.ron"]);
    check(&["--tuning", "no/such/file.ron", "--generate", "1"]);
    check(&["--out", "/dev/null/folder", "--generate", "1"]);
    check(&["--tcp", "nowhere"]);
    check(&["--client-ms", "0"]);
    check(&["--queue", "99999999"]);
    check(&["--tcp", "0.0.0.0:0"]);
    // Addresses for documentation, which no machine has.
    check(&["--tcp", "192.0.2.1:0", "--public"]);
    check(&["--http", "192.0.2.1:0", "--public"]);
    check(&["--watch", "no/such/folder"]);
    check(&["--unix", "no/such/folder/socket"]);
    check(&["--unix", "Cargo.toml"]);
    check(&["--unix", "Cargo.toml/socket"]);
    check(&["--nonsense"]);
}

#[test]
fn an_address_in_use_is_no_mistake_on_the_command_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = taken.local_addr().expect("an address").to_string();
    for option in ["--tcp", "--http"] {
        let output = events(&[option, &address], b"");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{option}: {told}");
        assert!(told.contains(&address), "{told}");
    }
}

#[test]
fn an_option_that_would_do_nothing_is_refused_with_what_it_needs() {
    let check = |args: &[&str], expect: &str| {
        let output = events(args, b"");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains(expect), "{args:?}: {told}");
    };
    let generated = "is for generated events, and there are none: add `--generate N`";
    check(&["--input", "-", "--seed", "7"], generated);
    check(&["--unix", "socket", "--bytes", "7"], generated);
    check(
        &["--public"],
        "<--tcp <ADDRESS:PORT>...|--http <ADDRESS:PORT>...>",
    );
    check(&["--unix", "socket", "--public"], "<--tcp <ADDRESS:PORT>");
    check(&["--input", "-", "--client-ms", "7"], "|--unix <PATH>...|");
    let lines = "<--input <FILE>...|--tcp <ADDRESS:PORT>...|";
    check(&["--max-line", "100"], lines);
    check(&["--generate", "9", "--max-line", "100"], lines);
    check(&["--watch", "src", "--max-line", "100"], lines);
    // Here they do something.
    for args in [
        &["--generate", "9", "--input", "-", "--seed", "7"],
        &["--generate", "9", "--workers", "1", "--bytes", "7"],
        &["--generate", "9", "--input", "-", "--max-line", "100"],
    ] {
        let output = events(args, b"");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}

#[test]
fn an_address_that_is_none_is_refused_with_what_to_type() {
    for option in ["--tcp", "--http"] {
        let output = events(&[option, "localhost:5180"], b"");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("such as `127.0.0.1:5180`"), "{told}");
    }
}

#[test]
fn a_file_of_services_that_cannot_be_used_is_a_mistake_of_the_command_line_and_told_in_its_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("services.ron");
    let path = file.to_string_lossy();
    let check = |services: &[u8], expect: &str| {
        std::fs::write(&file, services).expect("writes");
        let output = events(&["--generate", "1", "--config", &path], b"");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.starts_with(&format!("error: {expect}")), "{told}");
    };
    check(
        br#"(services: [(name: "a", sink: file("/no/such/folder/file"))])"#,
        "service `a`: cannot open /no/such/folder/file: No such file",
    );
    let place = |place: &str| format!("{path}:{place}: ");
    check(
        br#"(services: [(name: "a", queue: 99999999)])"#,
        &(place("1:32-1:40") + "a queue has room for 1 to 16777216 events"),
    );
    check(b"(services: [\n\xff", &(place("2:1") + "is not UTF-8"));
}

#[test]
fn a_service_that_would_write_what_is_read_or_what_another_writes_is_refused_and_nothing_is_touched()
 {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (log, config, positions) = (at("log"), at("services.ron"), at("positions.json"));
    std::fs::write(&log, "").expect("writes");
    let sink = |name: &str, path: &str| format!(r#"(name: "{name}", sink: file("{path}"))"#);
    let check = |services: &[String], args: &[&str], input: &str, expect: &str| {
        let services = format!("(services: [{}])", services.join(", "));
        std::fs::write(&config, services).expect("writes");
        let input = ["--input", input, "--follow", "--config", &config];
        let output = events(&[&input, args].concat(), b"");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(expect), "{told}");
        assert_eq!(std::fs::read(&log).expect("it is there"), b"");
        assert!(!std::fs::exists(&positions).expect("known"));
    };
    let again = at("./log");
    let loops = format!("`--input` reads {log} and service `a` writes {again}, which is the same");
    check(&[sink("a", &again)], &[], &log, &loops);
    let (one, two) = (at("out"), at("./out"));
    let twice = format!("service `a` writes {one} and service `b` writes {two}, which is the same");
    check(&[sink("a", &one), sink("b", &two)], &[], &log, &twice);
    let own = format!("`--config` reads {config} and service `a` writes {config}");
    check(&[sink("a", &config)], &[], &log, &own);
    let kept = format!("`--input` reads {log} and `--positions` writes {log}, which is the same");
    check(&[sink("a", &one)], &["--positions", &log], &log, &kept);
    let kept = format!("service `a` writes {positions} and `--positions` writes {positions}");
    check(
        &[sink("a", &positions)],
        &["--positions", &positions],
        &log,
        &kept,
    );
}

#[cfg(target_os = "linux")]
#[test]
fn positions_that_are_none_are_refused_with_their_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("positions.json");
    std::fs::write(&file, "{\"files\": 7}").expect("writes");
    let path = file.to_string_lossy();
    let output = events(&["--input", "a.log", "--follow", "--positions", &path], b"");
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(
        told.contains("positions.json:1:11: these are no positions"),
        "{told}"
    );
}
