//! Standard output and error of the subcommands, the one place that writes to them; formats nothing itself.

use crate::error::Error;
use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};
use tokio::{io::Interest, net::unix::pipe};

/// Prints a line, and sees that it has left.
///
/// # Errors
/// When the reader is gone.
pub fn say(line: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Resolves once nobody reads standard output any more; never where the system does not tell, as for a file.
pub async fn gone() {
    // Only asked about and never written to, so it need not be set to give way.
    let copy = io::stdout().as_fd().try_clone_to_owned();
    if let Ok(pipe) = copy.and_then(|out| pipe::Sender::from_file_unchecked(File::from(out)))
        && pipe.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Prints a line for the person who watches; a closed standard error is not worth failing for.
pub fn complain(line: &str) {
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "{line}");
}

/// Prints rows under a head, columns as wide as they need; the first is text, the others are figures.
///
/// # Errors
/// When the reader is gone.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> Result<(), Error> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|name| name.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (column, cell) in cells.enumerate() {
            let wide = widths.get(column).copied().unwrap_or(0);
            match column {
                0 => text.push_str(&format!("{cell:<wide$}")),
                _ => text.push_str(&format!("  {cell:>wide$}")),
            }
        }
        text.trim_end().to_owned()
    };
    say(&line(&mut head.iter().copied()))?;
    for row in rows {
        say(&line(&mut row.iter().map(String::as_str)))?;
    }
    Ok(())
}
