//! What a bench prints: one JSON line or a table, with the conditions under which it was measured.
#![expect(clippy::float_arithmetic, reason = "rates, latencies and load are measurements, not amounts")]

use super::machine::Machine;
use crate::{error::Error, out};
use serde::Serialize;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Measure {
    /// What was measured.
    pub name: String,
    /// Things a second.
    #[serde(serialize_with = "rounded")]
    pub per_second: f64,
    /// The median latency.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded_some")]
    pub p50_ms: Option<f64>,
    /// The latency that one in a hundred exceeds.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded_some")]
    pub p99_ms: Option<f64>,
}

/// Memory of a server at its start and while it is used.
#[derive(Debug, Clone, Serialize)]
pub struct Memory {
    /// Seconds from the start of the process until it was ready.
    #[serde(serialize_with = "rounded")]
    pub ready_s: f64,
    /// Resident bytes then.
    pub ready_bytes: u64,
    /// The most that had been resident by then.
    pub ready_peak_bytes: u64,
    /// The most that was resident at all.
    pub peak_bytes: u64,
    /// Seconds, orders so far and resident bytes, along the way.
    pub samples: Vec<(u64, u64, u64)>,
}

/// Rows of a table of samples.
const SAMPLE_ROWS: usize = 12;

impl Memory {
    fn print(&self) -> Result<(), Error> {
        let mb = |bytes: u64| grouped((bytes >> 20) as f64);
        out::say(&format!(
            "ready after {:.2} s with {} MB, at most {} MB until then",
            self.ready_s,
            mb(self.ready_bytes),
            mb(self.ready_peak_bytes)
        ))?;
        let every = self.samples.len().div_ceil(SAMPLE_ROWS).max(1);
        let row =
            |(seconds, orders, bytes): &(u64, u64, u64)| vec![seconds.to_string(), grouped(*orders as f64), mb(*bytes)];
        let mut rows: Vec<Vec<String>> = self.samples.iter().step_by(every).map(row).collect();
        rows.extend(self.samples.last().map(row));
        out::table(&["second", "orders", "MB"], &rows)?;
        let bytes = || self.samples.iter().map(|(_, _, bytes)| *bytes);
        let (least, most) = (bytes().min().unwrap_or(0), bytes().max().unwrap_or(0));
        out::say(&format!(
            "least {} MB, most {} MB, at any moment {} MB, slope {:.0} bytes an order over the second half",
            mb(least),
            mb(most),
            mb(self.peak_bytes),
            self.slope()
        ))
    }

    /// Bytes an order, by least squares over the second half of the samples: what grows for ever shows there.
    fn slope(&self) -> f64 {
        let half = &self.samples[self.samples.len() / 2..];
        let count = half.len().max(1) as f64;
        let mean = |of: fn(&(u64, u64, u64)) -> u64| half.iter().map(|sample| of(sample) as f64).sum::<f64>() / count;
        let (orders, bytes) = (mean(|sample| sample.1), mean(|sample| sample.2));
        let (mut both, mut own) = (0.0, 0.0);
        for (_, order, byte) in half {
            both += (*order as f64 - orders) * (*byte as f64 - bytes);
            own += (*order as f64 - orders).powi(2);
        }
        if own == 0.0 { 0.0 } else { both / own }
    }
}

/// Bytes of each entry.
#[derive(Debug, Clone, Serialize)]
pub struct Bytes {
    /// In the mean.
    #[serde(rename = "bytes_per_entry")]
    pub per_entry: u64,
    /// Which these are, where they are not those on disk, indexes and all: what a broker's disk holds is not known.
    #[serde(rename = "bytes_of", skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

impl Bytes {
    /// Those on disk.
    pub fn on_disk(all: u64, entries: u64) -> Bytes {
        Bytes { per_entry: all / entries.max(1), of: None }
    }
}

/// All of one bench.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Its name.
    pub bench: &'static str,
    /// Its figures.
    pub results: Vec<Measure>,
    /// The machine, before the bench.
    #[serde(flatten)]
    pub machine: Machine,
    /// Bytes of each entry.
    #[serde(flatten)]
    pub bytes: Option<Bytes>,
    /// Whether accounts were kept in Redis meanwhile, where they can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<bool>,
    /// What a soak saw of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// `clean`: a bench whose ledger does not verify fails.
    pub verify: &'static str,
}

impl Report {
    /// Of a bench whose ledger verified, with nothing said of bytes, Redis and memory.
    pub fn new(bench: &'static str, results: Vec<Measure>, machine: Machine) -> Report {
        Report { bench, results, machine, bytes: None, redis: None, memory: None, verify: "clean" }
    }

    /// Prints it.
    ///
    /// # Errors
    /// When the reader is gone.
    pub fn print(&self, json: bool) -> Result<(), Error> {
        if json {
            return out::say(&serde_json::to_string(self).expect("numbers and names serialize"));
        }
        let ms = |figure: Option<f64>| figure.map_or_else(String::new, |ms| format!("{ms:.2}"));
        let row = |measure: &Measure| {
            let Measure { name, per_second, p50_ms, p99_ms } = measure;
            vec![name.clone(), grouped(*per_second), ms(*p50_ms), ms(*p99_ms)]
        };
        let rows: Vec<Vec<String>> = self.results.iter().map(row).collect();
        out::table(&[self.bench, "per second", "p50 ms", "p99 ms"], &rows)?;
        if let Some(memory) = &self.memory {
            memory.print()?;
        }
        let bytes = self.bytes.as_ref().map_or_else(String::new, |Bytes { per_entry, of }| {
            let of = of.as_ref().map_or_else(String::new, |of| format!(" ({of})"));
            format!(" {per_entry} bytes per entry{of},")
        });
        let Machine { fdatasync_ms, load, memory_ns } = self.machine;
        let redis = self.redis.map_or("", |redis| if redis { " Redis: yes," } else { " Redis: none," });
        out::say(&format!(
            "fdatasync {fdatasync_ms:.2} ms, load average {load:.2}, memory {memory_ns:.0} ns before,{bytes}{redis} verify {}",
            self.verify
        ))
    }
}

/// `12345.6` as `12,346`.
fn grouped(figure: f64) -> String {
    let digits = format!("{:.0}", figure.max(0.0));
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn hundredths(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

pub(super) fn rounded<S: serde::Serializer>(figure: &f64, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(hundredths(*figure))
}

fn rounded_some<S: serde::Serializer>(figure: &Option<f64>, out: S) -> Result<S::Ok, S::Error> {
    figure.map(hundredths).serialize(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_of_the_second_half() {
        let samples = [(0, 0, 900), (1, 10, 100), (2, 20, 140), (3, 30, 180)].to_vec();
        let memory = Memory { ready_s: 0.0, ready_bytes: 0, ready_peak_bytes: 0, peak_bytes: 0, samples };
        assert_eq!(memory.slope(), 4.0);
    }

    #[test]
    fn the_line_has_the_names_that_the_contract_gives() {
        let measure =
            |name: &str, p50_ms| Measure { name: name.to_owned(), per_second: 12_345.678, p50_ms, p99_ms: p50_ms };
        let machine = Machine { fdatasync_ms: 0.5, load: 0.25, memory_ns: 20.125 };
        let results = vec![measure("single_zipf", Some(1.234)), measure("bare", None)];
        let report = Report { bytes: Some(Bytes::on_disk(8120, 10)), ..Report::new("orders", results, machine) };
        assert_eq!(
            serde_json::to_string(&report).expect("it serializes"),
            r#"{"bench":"orders","results":[{"name":"single_zipf","per_second":12345.68,"p50_ms":1.23,"p99_ms":1.23},{"name":"bare","per_second":12345.68}],"fdatasync_ms":0.5,"load":0.25,"memory_ns":20.13,"bytes_per_entry":812,"verify":"clean"}"#
        );
        let bytes = Some(Bytes { per_entry: 900, of: Some("key and value".to_owned()) });
        let report = Report { bytes, redis: Some(true), ..Report::new("cluster", vec![], machine) };
        assert_eq!(
            serde_json::to_string(&report).expect("it serializes"),
            r#"{"bench":"cluster","results":[],"fdatasync_ms":0.5,"load":0.25,"memory_ns":20.13,"bytes_per_entry":900,"bytes_of":"key and value","redis":true,"verify":"clean"}"#
        );
        assert_eq!(grouped(12_345.6), "12,346");
        assert_eq!(grouped(999.0), "999");
    }
}
