//! `pipewright events` as a user runs it: its exit codes, its JSON, its messages.

mod process;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use pipewright_tests::{eventually, within_a_minute};
use serde_json::{Value, json};

use process::{Process, events, json, text};

const GOOD: &str = r#"{"kind":"mcp","message":"good"}"#;

#[test]
fn generated_events_run_without_any_option_but_their_number() {
    let output = events(&["--generate", "1000"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains(" events of 1000 lines in "), "{told}");
    assert!(told.contains("to 50 services"), "{told}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn the_json_object_has_these_keys() {
    let output = events(&["--generate", "1000", "--services", "3", "--json"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let object = json(&output);
    let keys: Vec<_> = object.as_object().expect("an object").keys().collect();
    let expect = [
        "allocator",
        "blank",
        "by_format",
        "by_kind",
        "by_severity",
        "delivered",
        "deliveries",
        "dropped",
        "elapsed_s",
        "events",
        "events_per_s",
        "health",
        "latency_us",
        "ledger",
        "lines",
        "missed",
        "rejected",
        "repeated",
        "services",
        "unreadable_inputs",
        "unrouted",
    ];
    assert_eq!(keys, expect);
    assert_eq!(object["lines"], 1000);
    assert_eq!(object["health"], "healthy");
    assert_eq!(object["deliveries"], object["delivered"]);
    assert_eq!(object["services"]["audit"]["delivered"], object["events"]);
    assert_eq!(object["services"].as_object().expect("services").len(), 3);
    let kinds: Vec<_> = object["by_kind"]
        .as_object()
        .expect("kinds")
        .keys()
        .collect();
    let expect = [
        "database",
        "external",
        "filesystem",
        "mcp",
        "service",
        "system",
    ];
    assert_eq!(kinds, expect);
    assert_eq!(
        (
            &object["ledger"]["balanced"],
            &object["ledger"]["in_flight"]
        ),
        (&json!(true), &json!(0))
    );
}

#[test]
fn results_do_not_depend_on_workers() {
    let run = |workers: &str| {
        let output = events(&["--generate", "2000", "--workers", workers, "--json"], b"");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let mut object = json(&output);
        for varies in ["elapsed_s", "events_per_s", "latency_us", "allocator"] {
            object[varies].take();
        }
        object
    };
    let expect = run("1");
    for workers in ["2", "4"] {
        assert_eq!(run(workers), expect, "{workers} workers");
    }
}

#[test]
fn bad_lines_are_told_and_do_not_fail_the_run() {
    let input = format!("{GOOD}\nhello\n{GOOD}\n");
    let output = events(
        &["--input", "-", "--window", "0", "--json"],
        input.as_bytes(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let object = json(&output);
    assert_eq!(object["rejected"], json!({"unknown_format": 1}));
    assert_eq!(object["events"], 2);
    let told = text(&output.stderr);
    assert!(
        told.starts_with("rejected: standard input:2: has none of the known formats"),
        "{told}"
    );
}

#[test]
fn a_file_that_is_not_there_fails_the_run_is_named_and_is_no_line() {
    let output = events(&["--input", "no/such/file.log", "-", "--json"], b"hello\n");
    assert_eq!(output.status.code(), Some(1));
    let object = json(&output);
    assert_eq!(
        (&object["lines"], &object["unreadable_inputs"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(object["rejected"], json!({"unknown_format": 1}));
    let told = text(&output.stderr);
    assert!(told.contains("no/such/file.log: cannot be read"), "{told}");
    assert!(
        told.contains("error: the run failed: inputs that could not be read: 1"),
        "{told}"
    );
}

#[test]
fn services_of_a_file_get_what_they_want_and_write_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("services.ron");
    let services = r#"(services: [
        (name: "tools", filter: (kinds: [mcp])),
        (name: "trouble", filter: (severity: warning), overflow: reject, queue: 100000),
    ])"#;
    std::fs::write(&config, services).expect("writes");
    let made = folder.path().join("not/there/yet");
    let (config, out) = (config.to_string_lossy(), made.to_string_lossy());
    let args = [
        "--generate",
        "1000",
        "--config",
        &config,
        "--out",
        &out,
        "--json",
    ];
    let output = events(&args, b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let object = json(&output);
    for name in ["tools", "trouble"] {
        let written = std::fs::read_to_string(made.join(format!("{name}.ndjson")));
        let written = written.expect("it is written");
        let lines: Vec<Value> = written
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(object["services"][name]["delivered"], lines.len());
        assert!(!lines.is_empty());
        let wanted = |line: &Value| match name {
            "tools" => line["kind"] == "mcp",
            _ => line["severity"] != "info" && line["severity"] != "debug",
        };
        assert!(lines.iter().all(wanted), "{name}");
    }
}

/// Long after any answer.
#[cfg(target_os = "linux")]
const HANG: Duration = Duration::from_secs(60);

/// Starts a daemon and waits until it says that it is ready; what it said until then.
#[cfg(target_os = "linux")]
fn start(args: &[&str]) -> (Process, Vec<String>) {
    let mut daemon = Process::start(&[&["events"], args].concat());
    let lines = BufReader::new(daemon.stderr()).lines();
    let lines = lines.map(|line| line.expect("text"));
    let told = lines.take_while(|line| line != "ready");
    let told = within_a_minute("`ready`", || told.collect());
    (daemon, told)
}

/// What a daemon has told, the next line; it tells one.
#[cfg(target_os = "linux")]
fn next(told: &mpsc::Receiver<String>) -> String {
    let next = told.recv_timeout(HANG);
    next.expect("it tells something")
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_tells_what_goes_wrong_when_it_does_and_not_again_at_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("watched")).expect("makes");
    std::fs::write(at("log"), format!("hello\n{GOOD}\n")).expect("writes");
    let services = r#"(services: [(name: "full", sink: file("/dev/full"))])"#;
    std::fs::write(at("services.ron"), services).expect("writes");
    let [log, watched, config] = ["log", "watched", "services.ron"].map(&at);
    let [log, watched, config] = [&log, &watched, &config].map(|path| path.to_string_lossy());
    let args = [
        "--input", &log, "--follow", "--watch", &watched, "--config", &config, "--json",
    ];
    let (tells, told) = mpsc::channel();
    let output = thread::scope(|scope| {
        let mut daemon = Process::start(&[&["events"], &args[..]].concat());
        let lines = BufReader::new(daemon.stderr())
            .lines()
            .map_while(Result::ok);
        scope.spawn(move || lines.for_each(|line| drop(tells.send(line))));
        assert_eq!(next(&told), "ready");
        let mut first = [next(&told), next(&told)];
        first.sort();
        let expect = [
            format!("rejected: {log}:1: has none of the known formats: `hello`"),
            "service `full` cannot write /dev/full: disk_full; it misses events until it can"
                .to_owned(),
        ];
        assert_eq!(first, expect);
        std::fs::remove_dir(at("watched")).expect("removes");
        let gone = next(&told);
        assert!(gone.starts_with(&format!("rejected: {watched}:")), "{gone}");
        assert!(gone.contains(" is not there any more"), "{gone}");
        daemon.end()
    });
    let rest: Vec<_> = told.into_iter().collect();
    let [only] = &rest[..] else {
        panic!("{rest:?}");
    };
    let failed = "error: the run failed: services could not take ";
    assert!(only.starts_with(failed), "{only}");
    let rejected = &json(&output)["rejected"];
    assert_eq!(*rejected, json!({"gone": 1, "unknown_format": 1}));
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_tells_which_service_drops_events_while_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("services.ron");
    let services = r#"(services: [(name: "small", queue: 1, overflow: drop_newest)])"#;
    std::fs::write(&config, services).expect("writes");
    let config = config.to_string_lossy();
    let args = ["--tcp", "127.0.0.1:0", "--window", "0", "--config", &config];
    let (tells, told) = mpsc::channel();
    thread::scope(|scope| {
        let mut daemon = Process::start(&[&["events", "--input", "-"], &args[..]].concat());
        let lines = BufReader::new(daemon.stderr()).lines();
        let lines = lines.map_while(Result::ok);
        scope.spawn(move || lines.for_each(|line| drop(tells.send(line))));
        let (mut stdin, many) = (daemon.stdin(), format!("{GOOD}\n").repeat(1_000));
        // Until it reads no more.
        scope.spawn(move || while stdin.write_all(many.as_bytes()).is_ok() {});
        let drops = |line: String| line.starts_with("service `small` has dropped ");
        eventually(|| told.try_iter().any(drops));
        let output = daemon.end();
        assert_eq!(output.status.code(), Some(0));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_goes_on_when_nobody_reads_what_it_tells() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    std::fs::write(&log, "").expect("writes");
    let (path, out) = (log.to_string_lossy(), folder.path().to_string_lossy());
    let args = [
        "--input",
        &path,
        "--follow",
        "--services",
        "1",
        "--out",
        &out,
        "--json",
    ];
    // Its standard error is closed from here on.
    let (daemon, _) = start(&args);
    let bad = "hello\n".repeat(100);
    std::fs::write(&log, format!("{bad}{GOOD}\n")).expect("writes");
    wait_for_lines(&folder.path().join("audit.ndjson"), 1);
    let output = daemon.end();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(json(&output)["rejected"], json!({"unknown_format": 100}));
}

#[cfg(target_os = "linux")]
fn wait_for_lines(path: &Path, lines: usize) {
    let found = || {
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .lines()
            .count()
    };
    eventually(|| found() >= lines);
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_follows_files_and_sockets_until_it_is_asked_to_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    std::fs::write(&log, format!("{GOOD}\n")).expect("writes");
    let (path, out) = (log.to_string_lossy(), folder.path().to_string_lossy());
    let socket = folder.path().join("socket");
    let unix = socket.to_string_lossy();
    let (mut daemon, told) = start(&[
        "--input",
        &path,
        "-",
        "--follow",
        "--tcp",
        "127.0.0.1:0",
        "--unix",
        &unix,
        "--window",
        "0",
        "--services",
        "1",
        "--out",
        &out,
        "--json",
    ]);
    let address = told[0].strip_prefix("listening at ").expect("an address");
    let audit = folder.path().join("audit.ndjson");
    wait_for_lines(&audit, 1);
    let mut client = TcpStream::connect(address).expect("listens");
    writeln!(client, "{GOOD}").expect("sends");
    wait_for_lines(&audit, 2);
    std::fs::rename(&log, folder.path().join("log.1")).expect("renames");
    std::fs::write(&log, format!("{GOOD}\n{GOOD}\n")).expect("writes");
    wait_for_lines(&audit, 4);
    let mut stdin = daemon.stdin();
    writeln!(stdin, "{GOOD}").expect("sends");
    wait_for_lines(&audit, 5);
    assert!(told.contains(&format!("listening at {unix}")), "{told:?}");
    let mut client = UnixStream::connect(&socket).expect("listens");
    writeln!(client, "{GOOD}").expect("sends");
    wait_for_lines(&audit, 6);
    let output = daemon.end();
    assert_eq!(output.status.code(), Some(0));
    let object = json(&output);
    assert_eq!(
        (&object["events"], &object["delivered"]),
        (&json!(6), &json!(6))
    );
    assert_eq!(object["ledger"]["dropped"], 0);
}

/// `name` follows a log and remembers how far.
#[cfg(target_os = "linux")]
struct Remembered {
    folder: tempfile::TempDir,
}

#[cfg(target_os = "linux")]
impl Remembered {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Process {
        let [log, positions, out] = ["log", "positions.json", "out"].map(|name| self.path(name));
        let [log, positions, out] = [&log, &positions, &out].map(|path| path.to_string_lossy());
        let args = [
            "--input",
            &log,
            "--follow",
            "--positions",
            &positions,
            "--window",
            "0",
            "--services",
            "1",
            "--out",
            &out,
        ];
        start(&args).0
    }

    fn log(&self, messages: &[&str]) {
        let file = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"));
        let mut file = file.expect("opens");
        for message in messages {
            writeln!(file, r#"{{"kind":"mcp","message":"{message}"}}"#).expect("writes");
        }
    }

    /// What the service has got, when it has got so many.
    fn delivered(&self, lines: usize) -> Vec<String> {
        let audit = self.path("out/audit.ndjson");
        wait_for_lines(&audit, lines);
        let text = std::fs::read_to_string(audit).expect("it is written");
        let message = |line: &str| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            line["message"].as_str().expect("text").to_owned()
        };
        text.lines().map(message).collect()
    }

    /// Waits until it is saved that all of the log has ended.
    fn wait_until_saved(&self) {
        let length = std::fs::metadata(self.path("log"))
            .expect("it is there")
            .len();
        let saved = || {
            let text = std::fs::read(self.path("positions.json")).unwrap_or_default();
            let saved: Value = serde_json::from_slice(&text).unwrap_or_default();
            // What was renamed stands before it.
            let files = saved["files"].as_array()?;
            files.last()?["position"].as_u64()
        };
        eventually(|| saved() == Some(length));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_that_is_started_again_goes_on_where_it_was() {
    let logs = Remembered {
        folder: tempfile::tempdir().expect("a folder"),
    };
    logs.log(&["one", "two"]);
    let daemon = logs.start();
    let mut all = logs.delivered(2);
    // What differs may overtake.
    all.sort();
    assert_eq!(all, ["one", "two"]);
    assert_eq!(daemon.end().status.code(), Some(0));
    logs.log(&["three"]);
    std::fs::rename(logs.path("log"), logs.path("log.1")).expect("renames");
    logs.log(&["four"]);
    let daemon = logs.start();
    let mut all = logs.delivered(4);
    all.sort();
    assert_eq!(all, ["four", "one", "three", "two"]);
    // Also if it does not get to its end.
    std::fs::remove_file(logs.path("log.1")).expect("removes");
    logs.wait_until_saved();
    daemon.kill();
    logs.log(&["five"]);
    let daemon = logs.start();
    assert_eq!(logs.delivered(5).last().map(String::as_str), Some("five"));
    assert_eq!(daemon.end().status.code(), Some(0));
    assert_eq!(logs.delivered(5).len(), 5, "nothing came again");
}

/// Sends a request as it is, and gives the whole answer.
#[cfg(target_os = "linux")]
fn answer(address: &str, request: &[u8]) -> String {
    let mut client = TcpStream::connect(address).expect("listens");
    client.set_read_timeout(Some(HANG)).expect("a time");
    client.set_write_timeout(Some(HANG)).expect("a time");
    client.write_all(request).expect("sends");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("answers");
    answer
}

/// The most memory that a process ever had, in bytes.
#[cfg(target_os = "linux")]
fn peak(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a size") * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn bodies_of_many_lines_take_no_more_memory_than_their_bytes_and_a_queue() {
    let http = ["--http", "127.0.0.1:0", "--client-ms", "60000"];
    let (daemon, told) = start(&[&http[..], &["--services", "1", "--json"]].concat());
    let address = told[0].strip_prefix("listening at ").expect("an address");
    let head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let body = "\n".repeat(1 << 19);
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let before = peak(&daemon);
    let accepted: u64 = std::thread::scope(|scope| {
        let one = || {
            let answer = answer(address, request.as_bytes());
            let (_, counts) = answer.split_once("\r\n\r\n").expect("a body");
            let counts: Value = serde_json::from_str(counts).expect("JSON");
            assert_eq!(counts["of"], body.len());
            counts["accepted"].as_u64().expect("a number")
        };
        let all = [(); 3].map(|()| scope.spawn(one));
        all.map(|one| one.join().expect("is answered")).iter().sum()
    });
    let more = (peak(&daemon) - before) >> 20;
    assert!(more < 64, "{more} MiB");
    let object = json(&daemon.end());
    assert_eq!(
        (&object["lines"], &object["blank"]),
        (&json!(accepted), &json!(accepted))
    );
}
