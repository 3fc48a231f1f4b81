//! What the measurements were taken on.

use std::{fmt, fs, thread};

use serde::Serialize;

/// The machine and the compiler.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    model: String,
    cores: usize,
    kernel: String,
    rustc: &'static str,
    avx512: bool,
    huge_pages: String,
    one_tbb: Option<String>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            model: field(&read("/proc/cpuinfo"), "model name"),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            rustc: env!("PEERS_RUSTC"),
            avx512: pipewright_peers_raw::has_avx512(),
            huge_pages: read("/sys/kernel/mm/transparent_hugepage/enabled")
                .trim()
                .to_owned(),
            one_tbb: pipewright_peers_raw::tbb::version(),
        }
    }
}

fn field(text: &str, name: &str) -> String {
    let values = text.lines().filter_map(|line| line.split_once(':'));
    values
        .map(|(key, value)| (key.trim(), value.trim()))
        .find(|(key, _)| *key == name)
        .map_or_else(|| "unknown".to_owned(), |(_, value)| value.to_owned())
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let avx512 = if self.avx512 { "AVX-512" } else { "no AVX-512" };
        writeln!(f, "machine: {}, {} cores, {avx512}", self.model, self.cores)?;
        writeln!(
            f,
            "kernel:  {}, huge pages {}",
            self.kernel, self.huge_pages
        )?;
        let tbb = self.one_tbb.as_deref().unwrap_or("not installed");
        write!(f, "rustc:   {}; oneTBB: {tbb}", self.rustc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_from_the_list_of_processors() {
        let text = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: A Fast One\n";
        assert_eq!(field(text, "model name"), "A Fast One");
        assert_eq!(field("", "model name"), "unknown");
    }
}
