//! Timers and sockets of tokio in futures of a run, and futures in dry runs.

use std::{net::SocketAddr, time::Duration};

use pipewright::{TimedOut, pipeline};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Barrier,
};

use crate::{faults::Failure, world::Env};

/// All of them are under way before one goes on.
const AT_ONCE: usize = 64;

#[pipeline(env = Barrier)]
mod sleeping {
    use super::{AT_ONCE, Barrier, Duration};

    #[source]
    pub fn numbers() -> impl Iterator<Item = usize> {
        0..AT_ONCE
    }

    #[stage(from = numbers, in_flight = 64)]
    pub async fn sleep(n: usize, all: &Barrier) -> usize {
        all.wait().await;
        tokio::time::sleep(Duration::from_millis(1 + n as u64 % 3)).await;
        n
    }

    #[sink(from = sleep)]
    pub fn see(n: usize, seen: &mut Vec<usize>) {
        seen.push(n);
    }
}

#[test]
fn sleepers_sleep_at_once_and_hold_no_worker() {
    let run = sleeping::pipeline().workers(1);
    let mut report = run.start(Barrier::new(AT_ONCE)).unwrap().wait().unwrap();
    let all: Vec<usize> = (0..AT_ONCE).collect();
    assert_eq!(report.take_state::<sleeping::see>(), Some(all));
    let sleep = report.metrics().stage::<sleeping::sleep>();
    assert_eq!(sleep.flights.as_ref().unwrap().peak, AT_ONCE as u64);
}

#[test]
fn a_run_uses_the_runtime_that_it_is_given_or_started_in() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let all = || Barrier::new(AT_ONCE);
    let given = sleeping::pipeline().tokio(runtime.handle().clone());
    assert!(given.start(all()).unwrap().wait().is_ok());
    let _entered = runtime.enter();
    assert!(sleeping::pipeline().start(all()).unwrap().wait().is_ok());
}

/// Where the echo is.
#[derive(Clone, Copy, Debug)]
pub struct Echo(SocketAddr);

#[pipeline(env = Echo)]
mod echoed {
    use super::{AsyncReadExt, AsyncWriteExt, Echo, TcpStream};

    #[stage(from = input, in_flight = 16, timeout = "60s")]
    pub async fn ask(text: String, echo: &Echo) -> Result<String, super::Wrong> {
        let mut stream = TcpStream::connect(echo.0).await?;
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await?;
        let mut back = String::new();
        stream.read_to_string(&mut back).await?;
        Ok(back)
    }

    #[sink(from = ask)]
    pub fn see(text: String, seen: &mut Vec<String>) {
        seen.push(text);
    }

    #[sink(from = ask::Err)]
    pub fn complain(error: super::Wrong) {
        panic!("{}", error.0);
    }
}

#[derive(Debug)]
pub struct Wrong(pub String);

impl From<std::io::Error> for Wrong {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<TimedOut> for Wrong {
    fn from(late: TimedOut) -> Self {
        Self(late.to_string())
    }
}

#[test]
fn sockets_of_tokio_are_read_and_written() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let echo = Echo(listener.local_addr().unwrap());
    runtime.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut text = Vec::new();
                let _ = stream.read_to_end(&mut text).await;
                let _ = stream.write_all(&text).await;
            });
        }
    });
    let run = echoed::pipeline().workers(2).start(echo).unwrap();
    let texts: Vec<String> = (0..50).map(|n| format!("text {n}")).collect();
    run.send_batch(&mut texts.clone()).unwrap();
    let mut report = run.drain().unwrap();
    assert_eq!(report.take_state::<echoed::see>(), Some(texts));
}

#[pipeline(env = Env)]
mod tried {
    use std::time::Duration;

    use super::{Env, Failure};

    #[stage(from = input, timeout = "2s", retry(max = 1, backoff = "500ms"))]
    pub async fn ask(n: u64, env: &Env) -> Result<u64, Failure> {
        tokio::time::sleep(Duration::from_millis(n)).await;
        match env.tried(n) {
            1 if n == 2 => Err(Failure::Down(n)),
            _ => Ok(n),
        }
    }

    #[sink(from = ask)]
    pub async fn see(n: u64, env: &Env) {
        env.turn(2).await;
        env.see(n);
    }

    #[sink(from = ask::Err)]
    pub async fn complain(failure: Failure, env: &Env) {
        env.complain(failure);
    }
}

#[test]
fn a_dry_run_waits_for_each_future_and_cancels_what_takes_too_long() {
    let env = Env::default();
    let mut run = tried::pipeline().dry_run(env.clone());
    run.feed_input([1, 2, 3]);
    run.run();
    assert_eq!(
        env.seen(),
        [1],
        "the second waits for its pause by the clock of the run"
    );
    run.advance("500ms");
    run.run();
    assert_eq!(env.seen(), [1, 2, 3]);
    run.feed_input([100_000]);
    let report = run.drain().unwrap();
    assert_eq!(env.errors().len(), 1);
    assert!(env.errors()[0].starts_with("Late"), "{:?}", env.errors());
    assert_eq!(report.metrics().stage::<tried::ask>().failed, 1);
}
