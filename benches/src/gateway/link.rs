//! A connection to a server that is measured against, which may break in the middle of it.
//!
//! A broken connection says nothing about how fast anything is: nothing more is asked in that round, the server is started again, and the
//! round is made again. That is told below the table. A server that breaks too often ends the measurement.

use std::io;

use super::servers::{PolicyClient, PolicyServer, Redis, RedisClient};
use crate::table::Table;

/// How often a server may break in one measurement.
pub const MOST: usize = 3;

/// A server that can be started again.
pub trait Remote {
    /// A connection to it.
    type Client;

    /// What it is.
    fn name(&self) -> &str;

    /// Starts it again, in the state in which a measurement finds it at first.
    ///
    /// # Errors
    ///
    /// If it does not start.
    fn start_again(&mut self) -> io::Result<()>;

    /// Connects, and puts into it what is asked for later.
    ///
    /// # Errors
    ///
    /// If the connection breaks.
    fn open(&self) -> io::Result<Self::Client>;
}

/// A Redis that holds these keys, all with the same value.
#[derive(Debug)]
pub struct Filled<'k> {
    /// The server.
    pub redis: Redis,
    /// Its keys.
    pub keys: &'k [Box<str>],
    /// The value of each.
    pub value: &'k str,
}

impl Remote for Filled<'_> {
    type Client = RedisClient;

    fn name(&self) -> &str {
        &self.redis.version
    }

    fn start_again(&mut self) -> io::Result<()> {
        self.redis.start_again()
    }

    fn open(&self) -> io::Result<RedisClient> {
        let mut client = self.redis.client()?;
        for key in self.keys {
            client.command(&["SET", key, self.value, "EX", "3600"])?;
        }
        Ok(client)
    }
}

impl Remote for PolicyServer {
    type Client = PolicyClient;

    fn name(&self) -> &str {
        &self.version
    }

    fn start_again(&mut self) -> io::Result<()> {
        Self::start_again(self)
    }

    fn open(&self) -> io::Result<PolicyClient> {
        self.client()
    }
}

/// A connection, and what became of it.
#[derive(Debug)]
pub struct Link<R: Remote> {
    /// The server.
    pub remote: R,
    state: Result<R::Client, io::Error>,
    breaks: Vec<String>,
}

impl<R: Remote> Link<R> {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If the server breaks too often, or does not start again.
    pub fn open(remote: R) -> io::Result<Self> {
        let mut link = Self {
            state: remote.open(),
            remote,
            breaks: Vec::new(),
        };
        link.mend()?;
        Ok(link)
    }

    /// Asks, unless the connection is broken; nothing if it is or breaks.
    pub fn ask<T>(&mut self, ask: impl FnOnce(&mut R::Client) -> io::Result<T>) -> Option<T> {
        let client = self.state.as_mut().ok()?;
        match ask(client) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.state = Err(error);
                None
            }
        }
    }

    /// Whether the connection has held since the last time; if not, the server is started again, and there is a new one.
    ///
    /// # Errors
    ///
    /// If the server breaks too often, or does not start again.
    pub fn mend(&mut self) -> io::Result<bool> {
        let mut held = true;
        while let Err(error) = &self.state {
            held = false;
            let (name, time) = (self.remote.name(), self.breaks.len() + 1);
            if time > MOST {
                let message = format!(
                    "the connection to {name} broke {time} times, at last because of: {error}\nhelp: see whether something kills the server, such as a limit of memory"
                );
                return Err(io::Error::new(error.kind(), message));
            }
            let told = format!("The connection to {name} broke ({error}).");
            self.breaks.push(told);
            self.remote.start_again().map_err(|error| {
                let message = format!("{} does not start again: {error}", self.remote.name());
                io::Error::new(error.kind(), message)
            })?;
            self.state = self.remote.open();
        }
        Ok(held)
    }

    /// Says below a table how often the server was started again, if ever.
    pub fn tell(&self, table: &mut Table) {
        for told in &self.breaks {
            table.note(&format!(
                "{told} The server was started again, and the round was made again."
            ));
        }
    }
}
