//! What the gateway is measured against: a Redis and a policy server, started and stopped here, and the least of a client for each.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A server that does not answer after so long is not there.
const START: Duration = Duration::from_secs(30);
/// A server that was there and is silent for so long has gone.
const ANSWER: Duration = Duration::from_secs(10);

/// A process that ends with this.
#[derive(Debug)]
struct Owned(Child);

impl Owned {
    fn kill(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a program is, if it is on the `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// A Redis on a Unix socket, without anything that writes to the disk.
#[derive(Debug)]
pub struct Redis {
    process: Owned,
    program: PathBuf,
    folder: tempfile::TempDir,
    /// What it calls itself.
    pub version: String,
}

impl Redis {
    /// Starts `redis-server`, where there is one.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start() -> io::Result<Option<Self>> {
        let Some(program) = find("redis-server") else {
            return Ok(None);
        };
        let version = Command::new(&program).arg("--version").output()?;
        let version = String::from_utf8_lossy(&version.stdout);
        let version = version
            .split_whitespace()
            .find_map(|word| word.strip_prefix("v="));
        let version = version.unwrap_or("of an unknown version").to_owned();
        let folder = tempfile::tempdir()?;
        let redis = Self {
            process: Self::spawn(&program, folder.path())?,
            program,
            folder,
            version: format!("Redis {version}"),
        };
        redis.wait()?;
        Ok(Some(redis))
    }

    fn spawn(program: &Path, folder: &Path) -> io::Result<Owned> {
        let process = Command::new(program)
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--daemonize",
                "no",
            ])
            .arg("--unixsocket")
            .arg(folder.join("redis.sock"))
            .arg("--dir")
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Owned(process))
    }

    fn wait(&self) -> io::Result<()> {
        wait_for(|| self.client()?.command(&["PING"]).map(drop))
    }

    /// Kills it, as a system that runs out of memory does. All that it held is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again in the place of the one before, empty.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start_again(&mut self) -> io::Result<()> {
        self.kill();
        self.process = Self::spawn(&self.program, self.folder.path())?;
        self.wait()
    }

    /// A connection to it.
    ///
    /// # Errors
    ///
    /// If it takes none.
    pub fn client(&self) -> io::Result<RedisClient> {
        let stream = UnixStream::connect(self.folder.path().join("redis.sock"))?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(RedisClient {
            out: stream.try_clone()?,
            back: BufReader::new(stream),
            text: Vec::new(),
            value: Vec::new(),
        })
    }
}

/// A connection to a Redis (RESP2).
#[derive(Debug)]
pub struct RedisClient {
    out: UnixStream,
    back: BufReader<UnixStream>,
    text: Vec<u8>,
    value: Vec<u8>,
}

impl RedisClient {
    /// Sends a command and waits for its reply: a value, or nothing.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or the reply is an error.
    pub fn command(&mut self, words: &[&str]) -> io::Result<Option<&[u8]>> {
        self.push(words);
        self.send()?;
        self.reply()
    }

    /// Adds a command to those that are sent together.
    pub fn push(&mut self, words: &[&str]) {
        // Writing to a vector does not fail.
        let _ = write!(self.text, "*{}\r\n", words.len());
        for word in words {
            let _ = write!(self.text, "${}\r\n{word}\r\n", word.len());
        }
    }

    /// Sends what was added.
    ///
    /// # Errors
    ///
    /// If the connection breaks.
    pub fn send(&mut self) -> io::Result<()> {
        self.out.write_all(&self.text)?;
        self.text.clear();
        Ok(())
    }

    /// Waits for one reply.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or the reply is an error.
    pub fn reply(&mut self) -> io::Result<Option<&[u8]>> {
        self.value.clear();
        self.back.read_until(b'\n', &mut self.value)?;
        let line = self.value.trim_ascii_end();
        let bad = || io::Error::other(String::from_utf8_lossy(line).into_owned());
        match line.split_first().ok_or(io::ErrorKind::UnexpectedEof)? {
            (b'+' | b':', _) => Ok(Some(self.value[1..].trim_ascii_end())),
            (b'$', b"-1") => Ok(None),
            (b'$', length) => {
                let length = str::from_utf8(length)
                    .ok()
                    .and_then(|length| length.parse::<usize>().ok());
                let length = length.ok_or_else(bad)?;
                self.value.resize(length + 2, 0);
                self.back.read_exact(&mut self.value)?;
                self.value.truncate(length);
                Ok(Some(&self.value))
            }
            _ => Err(bad()),
        }
    }
}

/// A policy server.
#[derive(Debug)]
pub struct PolicyServer {
    process: Owned,
    command: Command,
    address: SocketAddr,
    /// What it is.
    pub version: String,
}

/// The argument with which a program of [`PolicyServer::start`] serves policies.
pub const SERVE: &str = "--serve-policies";

impl PolicyServer {
    /// Starts `opa run --server` where there is an `opa`; else `own`, a program that serves a folder's policies on a port.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start(folder: &Path, own: &Path) -> io::Result<Self> {
        // Chosen by the system, and free again.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (mut command, version) = match find("opa") {
            Some(opa) => {
                let version = Command::new(&opa).arg("version").output()?;
                let version = String::from_utf8_lossy(&version.stdout);
                let first = version.lines().next().unwrap_or_default();
                let version = format!("opa ({})", first.trim());
                let mut command = Command::new(opa);
                command.args(["run", "--server", "--log-level", "error", "--addr"]);
                command.arg(address.to_string()).arg(folder);
                (command, version)
            }
            None => {
                let mut command = Command::new(own);
                command.arg(SERVE).arg(folder).arg(address.to_string());
                (
                    command,
                    "the same engine behind axum (no `opa` on the PATH)".to_owned(),
                )
            }
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self {
            process: Owned(command.spawn()?),
            command,
            address,
            version,
        };
        server.wait()?;
        Ok(server)
    }

    fn wait(&self) -> io::Result<()> {
        wait_for(|| self.client()?.ask("{\"input\":{}}").map(drop))
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again at the address of the one before.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start_again(&mut self) -> io::Result<()> {
        self.kill();
        self.process = Owned(self.command.spawn()?);
        self.wait()
    }

    /// A connection to it.
    ///
    /// # Errors
    ///
    /// If it takes none.
    pub fn client(&self) -> io::Result<PolicyClient> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(PolicyClient {
            out: stream.try_clone()?,
            back: BufReader::new(stream),
            text: Vec::new(),
            line: String::new(),
            body: Vec::new(),
        })
    }
}

/// A connection to a policy server that is kept open.
#[derive(Debug)]
pub struct PolicyClient {
    out: TcpStream,
    back: BufReader<TcpStream>,
    text: Vec<u8>,
    line: String,
    body: Vec<u8>,
}

impl PolicyClient {
    /// Asks, and waits for the body of the answer.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or the server does not answer the question.
    pub fn ask(&mut self, question: &str) -> io::Result<&[u8]> {
        self.text.clear();
        write!(
            self.text,
            "POST /v1/data/gateway/decision HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{question}",
            question.len()
        )?;
        self.out.write_all(&self.text)?;
        let mut length = 0;
        for line in 0.. {
            self.line.clear();
            if self.back.read_line(&mut self.line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = self.line.trim_end();
            if line == 0 && !text.contains(" 200 ") {
                return Err(io::Error::other(text.to_owned()));
            }
            if let Some(found) = text.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = found.parse().map_err(io::Error::other)?;
            }
            if text.is_empty() {
                break;
            }
        }
        self.body.resize(length, 0);
        self.back.read_exact(&mut self.body)?;
        Ok(&self.body)
    }
}

/// Until it can be done.
fn wait_for(mut answers: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match answers() {
            Err(error) if begun.elapsed() > START => return Err(error),
            Err(_) => thread::park_timeout(Duration::from_millis(5)),
            Ok(()) => return Ok(()),
        }
    }
}

/// How much memory this process has, in bytes.
///
/// # Errors
///
/// If the system does not tell.
pub fn resident() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let number = number.ok_or_else(|| io::Error::other("`/proc/self/status` has no `VmRSS`"))?;
    Ok(number * 1024)
}
