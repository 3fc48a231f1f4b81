//! Measures the gateway: `cargo run --release -p pipewright-benches --bin gateway`.
//!
//! Prints Markdown for `pipelines/RESULTS.md`: cache and policies by themselves, in process against a Redis and against a policy
//! server, the whole gateway, its memory, and which of the claims hold. Exits with 1 if one does not, and with 2 if something that it
//! compares with is missing. `--quick` shows that it works and measures nothing: no claim is judged.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

use clap::Parser;
use pipewright_benches::{
    gateway::{cache, compared, memory, policy, servers::SERVE},
    table::{Table, number},
};
use pipewright_pipelines::{
    gateway::{
        pdp,
        policy::{Files, Policies, PolicySet},
    },
    http::{Hosts, Limits, Server, bind},
};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The gateway measured, by itself and against what it replaces.
#[derive(Parser)]
struct Args {
    /// Few calls and two rounds: shows that it works, and judges nothing
    #[arg(long)]
    quick: bool,
    /// Rounds that are counted; six are the fewest with an interval
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(6..=1_000))]
    rounds: u32,
    /// Ask the whole gateway for so many minutes, and look at its memory
    #[arg(long, value_name = "MINUTES")]
    soak: Option<u32>,
    /// Nothing but the memory of the whole gateway
    #[arg(long)]
    memory: bool,
    /// Serve the policies of a folder on an address: what the measurements start by themselves
    #[arg(long = "serve-policies", num_args = 2, value_names = ["DIR", "ADDRESS"], hide = true)]
    serve: Option<Vec<String>>,
}

/// How often things are called.
struct Scale {
    rounds: usize,
    cache: usize,
    policy: usize,
    whole: usize,
    requests: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some([folder, address]) = args.serve.as_deref() {
        return match serve(Path::new(folder), address) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        };
    }
    match measure(&args) {
        Ok(code) => code,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

fn measure(args: &Args) -> io::Result<ExitCode> {
    let scale = match args.quick {
        true => Scale {
            rounds: 2,
            cache: 200,
            policy: 8,
            whole: 20,
            requests: 1_000,
        },
        false => Scale {
            rounds: args.rounds as usize,
            cache: 100_000,
            policy: 2_000,
            whole: 5_000,
            requests: 100_000,
        },
    };
    let own: PathBuf = std::env::current_exe()?;
    println!("{}", machine(args, &scale));
    let mut claims = Vec::new();
    let mut is_there = true;
    if !args.memory {
        show(&cache::tables(scale.rounds, scale.cache));
        show(&policy::tables(scale.rounds, scale.policy));
        let redis = compared::redis(scale.rounds, scale.cache)?;
        is_there = redis.is_some();
        let servers = compared::policy_server(scale.rounds, scale.policy, &own)?;
        for compared in redis.into_iter().chain(servers) {
            show(&[compared.table]);
            claims.extend(compared.claims);
        }
        show(&[memory::calls(scale.rounds, scale.whole)]);
    }
    let soak = args
        .soak
        .map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
    let grown = memory::grown(scale.requests, soak)?;
    show(&[grown.table]);
    let more = format!(
        "{} KiB more, {:.2} bytes a request (p = {:.2})",
        number(grown.grown as f64 / 1024.0),
        grown.slope,
        grown.p
    );
    claims.push((
        "memory does not grow from request to request".to_owned(),
        more,
        Some(grown.is_stable),
    ));
    claims.push((
        "requests are decided by the policy and nothing else".to_owned(),
        decided(grown.requests, &grown.missed),
        Some(grown.missed.is_empty()),
    ));
    Ok(judge(args.quick, is_there, &claims))
}

fn decided(requests: u64, missed: &BTreeMap<String, u64>) -> String {
    let others = missed
        .iter()
        .map(|(what, count)| format!("; {count}: {what}"));
    let decided = requests - missed.values().sum::<u64>();
    format!(
        "{} of {}{}",
        number(decided as f64),
        number(requests as f64),
        others.collect::<String>()
    )
}

/// What was measured where.
fn machine(args: &Args, scale: &Scale) -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let cpu = cpu.map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let quick = if args.quick {
        " (a quick run: no result)"
    } else {
        ""
    };
    let Scale {
        rounds,
        cache,
        policy,
        ..
    } = scale;
    format!(
        "```text\nmachine: {cpu}, {cpus} cpus, Linux {}\nrounds:  {rounds}{quick}, {cache} calls of the cache and {policy} of policies in each\n```\n",
        kernel.trim()
    )
}

fn show(tables: &[Table]) {
    for table in tables {
        println!("{}", table.markdown());
    }
}

fn judge(quick: bool, has_redis: bool, claims: &[(String, String, Option<bool>)]) -> ExitCode {
    let mut table = Table::new("Claims", &["claim", "found", "holds"]);
    for (claim, found, holds) in claims {
        let word = match holds {
            _ if quick => "not judged",
            Some(true) => "yes",
            Some(false) => "NO",
            None => "too few rounds",
        };
        table.row([claim.clone(), found.clone(), word.to_owned()]);
    }
    println!("{}", table.markdown());
    if !has_redis {
        eprintln!(
            "error: there is no `redis-server`, so nothing was compared with one\nhelp: apt-get install redis-server"
        );
        return ExitCode::from(2);
    }
    let all = claims.iter().all(|(_, _, holds)| *holds == Some(true));
    ExitCode::from(u8::from(!quick && !all))
}

/// Serves policies until it is killed.
fn serve(folder: &Path, address: &str) -> Result<(), String> {
    let files = Files::read(folder).map_err(|error| error.to_string())?;
    let set = PolicySet::compile(&files, None).map_err(|error| error.to_string())?;
    let address: SocketAddr = address
        .parse()
        .map_err(|_| format!("`{address}` is no address"))?;
    let listener = bind(address, false).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let routes = pdp::routes(Arc::new(Policies::new(set)), Duration::from_secs(1));
    let server = Server::start(
        listener,
        routes,
        Hosts::default(),
        Limits::default(),
        runtime.handle(),
    );
    let _server = server.map_err(|error| error.to_string())?;
    debug_assert_eq!(SERVE, "--serve-policies");
    loop {
        thread::park();
    }
}
