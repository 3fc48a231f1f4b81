//! Batch stages: functions that take many items at a time, because one call for many is cheaper.
//!
//! `&mut Batch<T>` may shrink and grow, `&mut [T]` changes items in place, `&[T]` only reads, with `Emit` for what is
//! made of them. `batch` is the most that one call gets. A batch that is not full waits `linger` for more, and at the
//! end of the source it goes as it is.

#![forbid(unsafe_code)]

use std::error::Error;

use pipewright::{Batch, Emit, pipeline};

/// What a thermometer says.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    sensor: u32,
    celsius: f64,
}

/// Rows that go to the database with one statement.
#[derive(Debug)]
pub struct Insert {
    rows: usize,
    mean: f64,
}

/// Brings readings to the database.
#[pipeline]
pub mod climate {
    use super::*;

    /// Some thermometers are broken now and then.
    #[source]
    pub fn readings() -> impl Iterator<Item = Reading> {
        (0..1000).map(|n| {
            let celsius = if n % 50 == 7 {
                f64::NAN
            } else {
                15.0 + f64::from(n % 13)
            };
            Reading {
                sensor: n % 8,
                celsius,
            }
        })
    }

    /// A batch may lose items: they are counted as filtered.
    #[stage(from = readings, batch = 128)]
    pub fn without_broken(readings: &mut Batch<Reading>) {
        readings.retain(|reading| reading.celsius.is_finite());
    }

    /// A loop over a slice is what the compiler turns into vector code.
    #[stage(from = without_broken, batch = 128)]
    pub fn calibrate(readings: &mut [Reading]) {
        for reading in readings {
            reading.celsius -= 0.25 * f64::from(reading.sensor % 2);
        }
    }

    /// Many readings in, one statement out.
    #[stage(from = calibrate, batch = 300)]
    pub fn pack(readings: &[Reading], out: &mut Emit<Insert>) {
        let sum: f64 = readings.iter().map(|reading| reading.celsius).sum();
        out.send(Insert {
            rows: readings.len(),
            mean: sum / readings.len() as f64,
        });
    }

    /// One call, one statement.
    #[sink(from = pack)]
    pub fn store(insert: Insert) {
        println!(
            "insert {:3} rows, mean {:.2} degrees",
            insert.rows, insert.mean
        );
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let report = climate::pipeline().workers(1).start(())?.wait()?;
    println!("\n{report}");
    Ok(())
}
