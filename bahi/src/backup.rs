//! `bahi backup`: a consistent copy of the log in one file, also from a running server; copies no key and no snapshot.

use crate::{config, error::Error, out, product, progress::Progress, wire};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::{NamedTempFile, TempPath};

/// How often the copy's size is looked at for the bar.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  bahi backup --data ./ledger --out ledger-2026-11-23.db
  bahi verify --data ledger-2026-11-23.db
  mkdir restored && cp ledger-2026-11-23.db restored/bahi.db && bahi serve --data ./restored

The copy is one file that holds the log as it was at one moment, and a server may go on meanwhile.
What only reads (verify, replay, export, show, tail, backup) opens it as it is. To serve it, put it
into a folder of its own as bahi.db; token.key is not in it, and snapshots are made anew.
It is the same ledger: never serve both, as each would go on by itself.";

/// Copy the log, consistent as of one moment, beside a running server
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The data folder
    #[arg(long, value_name = "DIR", env = config::DATA_VARIABLE)]
    data: PathBuf,
    /// The file to make; there must be none of that name
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Copies, and gives the copy its name once it is whole and on disk.
///
/// # Errors
/// When there is such a file already, the log cannot be read, or there is no space; then nothing is left behind.
pub fn run(args: Args) -> Result<(), Error> {
    product::runtime()?.block_on(async {
        let stop = product::stop_signal()?;
        let log = wire::open_to_read(&args.data).await?;
        let file = log.file().expect("a folder's log is a file");
        let copy = Copy::new(&args.out)?;
        // Dropped half made, the copy is removed.
        tokio::select! {
            made = file.backup(copy.path()) => made?,
            never = watch(copy.path(), file.path()) => match never {},
            () = stop => return Err(Error::Usage("stopped; there is no copy".to_owned())),
        }
        let bytes = copy.keep()?;
        out::say(&format!("{}: {bytes} bytes", args.out.display()))
    })
}

/// Nothing is ever of this type.
enum Never {}

/// Shows how far the copy is, for ever.
async fn watch(copy: &Path, log: &Path) -> Never {
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let mut bar = Progress::new(size(log), "bytes");
    loop {
        bar.reach_of(size(copy), size(log).max(size(copy)));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A copy under a name of its own beside its place; removed unless it is kept.
struct Copy {
    to: PathBuf,
    made: TempPath,
}

impl Copy {
    fn new(to: &Path) -> Result<Copy, Error> {
        let exists = || Error::Usage(format!("{}: there is such a file already; choose another name", to.display()));
        if to.symlink_metadata().is_ok() {
            return Err(exists());
        }
        let made = NamedTempFile::with_prefix_in(".bahi-backup-", folder_of(to)).map_err(Error::file(to))?;
        Ok(Copy { to: to.to_owned(), made: made.into_temp_path() })
    }

    fn path(&self) -> &Path {
        &self.made
    }

    /// Gives it its name at once and for good; gives its bytes.
    fn keep(self) -> Result<u64, Error> {
        let Copy { to, made } = self;
        let synced = File::open(&made).and_then(|file| {
            file.sync_all()?;
            file.metadata()
        });
        let bytes = synced.map_err(Error::file(&to))?.len();
        made.persist_noclobber(&to).map_err(|failed| match failed.error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::Usage(format!("{}: there is such a file by now; choose another name", to.display()))
            }
            _ => Error::file(&to)(failed.error),
        })?;
        File::open(folder_of(&to)).and_then(|folder| folder.sync_all()).map_err(Error::file(&to))?;
        Ok(bytes)
    }
}

/// The folder that a file is in.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
