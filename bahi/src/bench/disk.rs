//! The folder a bench works in: on a real disk, made and removed, its `fdatasync` timed; knows no ledger.
#![expect(clippy::float_arithmetic, reason = "times are measurements, not amounts")]

use crate::error::Error;
use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::Instant,
};
use tempfile::TempDir;

/// File systems that live in memory: durable appends there measure nothing.
const MEMORY_FILE_SYSTEMS: [u64; 2] = [0x0102_1994 /* tmpfs */, 0x8584_58f6 /* ramfs */];
/// Syncs timed; the median is reported.
const SYNCS: usize = 64;
/// What is written before each: a page.
const SYNC_BYTES: usize = 4096;

/// A new folder under `parent`, removed when dropped.
///
/// # Errors
/// When `parent` is in memory or cannot be written.
pub fn folder(parent: &Path) -> Result<TempDir, Error> {
    let kind = rustix::fs::statfs(parent).map_err(|why| Error::file(parent)(why.into()))?;
    if MEMORY_FILE_SYSTEMS.contains(&(kind.f_type as u64)) {
        let parent = parent.display();
        return Err(Error::Usage(format!("{parent} is in memory, not on a disk; name a folder on a disk with --dir")));
    }
    tempfile::Builder::new().prefix("bahi-bench-").tempdir_in(parent).map_err(Error::file(parent))
}

/// The median time of one `fdatasync` after a page was written, in milliseconds.
///
/// # Errors
/// When the folder cannot be written.
pub fn fdatasync_ms(folder: &Path) -> Result<f64, Error> {
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

/// The load average of the last minute; 0 where the system does not say.
pub fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// Bytes of all files in the folder.
///
/// # Errors
/// When it cannot be read.
pub fn bytes_of(folder: &Path) -> Result<u64, Error> {
    let sizes = || -> std::io::Result<u64> {
        let files = std::fs::read_dir(folder)?;
        files.map(|file| Ok(file?.metadata()?.len())).sum()
    };
    sizes().map_err(Error::file(folder))
}
