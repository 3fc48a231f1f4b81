//! What the benchmarks measure, and how: pipelines, the loops by hand that they are measured against, and paired runs.

#![forbid(unsafe_code)]

pub mod budgets;
pub mod cached;
pub mod gateway;
pub mod gather;
pub mod heavy;
pub mod idle;
pub mod linear;
pub mod links;
pub mod load;
pub mod mandelbrot;
pub mod measure;
pub mod paired;
pub mod pools;
pub mod steady;
pub mod systems;
pub mod table;
pub mod tasks;
