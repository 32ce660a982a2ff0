//! What a bench says of the machine it ran on, looked at before it begins: figures of two hours can be compared only
//! when these are alike; knows no ledger.
#![expect(clippy::float_arithmetic, reason = "times and load are measurements, not amounts")]

use crate::error::Error;
use serde::Serialize;
use std::{
    fs::File,
    hint::black_box,
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::Instant,
};

/// Syncs timed; the median is reported.
const SYNCS: usize = 64;
/// What is written before each: a page.
const SYNC_BYTES: usize = 4096;
/// Cache lines walked through, 4 MiB: more than the second cache of most cores, less than most third caches.
const LINES: u32 = 65_536;
/// Steps timed.
const STEPS: u32 = 200_000;

/// A machine's disk, company and memory.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Machine {
    /// The median time of one `fdatasync` in the bench's folder after a page was written, in milliseconds.
    #[serde(serialize_with = "super::report::rounded")]
    pub fdatasync_ms: f64,
    /// The load average of the last minute; 0 where the system does not say.
    #[serde(serialize_with = "super::report::rounded")]
    pub load: f64,
    /// As [`memory_ns`].
    #[serde(serialize_with = "super::report::rounded")]
    pub memory_ns: f64,
}

impl Machine {
    /// Looks at it; `folder` is the bench's.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn look(folder: &Path) -> Result<Machine, Error> {
        let load = load_average();
        Ok(Machine { fdatasync_ms: fdatasync_ms(folder)?, load, memory_ns: memory_ns() })
    }
}

fn fdatasync_ms(folder: &Path) -> Result<f64, Error> {
    let path = folder.join("fdatasync");
    let timed = || -> std::io::Result<Vec<f64>> {
        let mut file = File::create(&path)?;
        let page = [7; SYNC_BYTES];
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&page)?;
            let started = Instant::now();
            file.sync_data()?;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        std::fs::remove_file(&path)?;
        Ok(times)
    };
    let mut times = timed().map_err(Error::file(&path))?;
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// A line of a processor's cache, and which comes after it.
#[derive(Clone)]
#[repr(align(64))]
struct Line(u32);

/// Nanoseconds of one step of a walk in random order through 4 MiB: about 10 to 25 with a third cache of one's own,
/// 100 and more where other guests of the same machine have taken it, which no load average shows.
pub fn memory_ns() -> f64 {
    let lines = ring();
    let walk = |from: u32, steps: u32| (0..steps).fold(from, |at, _| lines[at as usize].0);
    // Once around, so that what is there is what a cache keeps.
    let at = walk(0, LINES);
    let started = Instant::now();
    black_box(walk(black_box(at), STEPS));
    started.elapsed().as_secs_f64() * 1e9 / f64::from(STEPS)
}

/// All lines in one ring of random order (S. Sattolo, An algorithm to generate a random cyclic permutation, 1986).
fn ring() -> Vec<Line> {
    let mut lines: Vec<Line> = (0..LINES).map(Line).collect();
    let mut random = 1_u64;
    for last in (1..LINES).rev() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = (random >> 33) % u64::from(last);
        lines.swap(last as usize, other as usize);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_comes_to_every_line_once_before_it_comes_back() {
        let lines = ring();
        let mut seen = vec![false; lines.len()];
        let mut at = 0;
        for _ in 0..LINES {
            assert!(!std::mem::replace(&mut seen[at as usize], true), "line {at} twice");
            at = lines[at as usize].0;
        }
        assert_eq!(at, 0);
        assert!(memory_ns() > 0.1, "a step takes time");
    }
}
