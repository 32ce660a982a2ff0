//! The built `bahi` and what it says when it runs to its end; knows no subcommand.

use crate::wait::wait_at_most;
use std::{
    env,
    ffi::OsStr,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// The longest a subcommand that ends by itself may take; verifying a story's few thousand entries is far below.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// The folder of what is built in this profile, where the test's own executable is too.
///
/// # Panics
/// When the test runs from somewhere else than cargo's folders.
pub fn profile_folder() -> PathBuf {
    let own = env::current_exe().expect("a running test has a path");
    own.ancestors().nth(2).expect("cargo puts tests into PROFILE/deps").to_path_buf()
}

/// The binary under test.
///
/// # Panics
/// When it has not been built.
pub fn path() -> PathBuf {
    let path = profile_folder().join("bahi");
    assert!(
        path.is_file(),
        "the binary under test is missing at {}: run `make test`, or `cargo build --bin bahi` first",
        path.display()
    );
    path
}

/// How a run ended and what it said.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Standard output, of a run that must have succeeded.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "failed:\n{}{}", self.out, self.err);
        self.out
    }

    /// Standard error, of a run that must have failed, in words and not by a panic.
    ///
    /// # Panics
    /// When it succeeded, or panicked, or said nothing.
    #[track_caller]
    pub fn failed(self) -> String {
        assert!(self.code.is_some_and(|code| code != 0), "should have failed:\n{}{}", self.out, self.err);
        assert!(!self.err.contains("panicked at"), "panicked:\n{}", self.err);
        assert!(!self.err.trim().is_empty(), "failed without a word; it printed:\n{}", self.out);
        self.err
    }
}

/// Runs `bahi` with these arguments to its end, with nothing of this process's `BAHI_*` settings.
///
/// # Panics
/// When it cannot be started or does not end in time.
#[track_caller]
pub fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ran {
    finish(command(args).stdout(Stdio::piped()).stderr(Stdio::piped()))
}

/// Runs a prepared command to its end.
///
/// # Panics
/// When it cannot be started or does not end in time.
#[track_caller]
pub fn finish(command: &mut Command) -> Ran {
    finish_within(RUN_LIMIT, command)
}

/// As [`finish`], with a limit of its own.
///
/// # Panics
/// When it cannot be started or does not end in time.
#[track_caller]
pub fn finish_within(limit: Duration, command: &mut Command) -> Ran {
    let mut child = command.spawn().expect("the program can be started");
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let status =
        wait_at_most(limit, &format!("{command:?} to end"), || child.try_wait().expect("a child can be asked"));
    let text = |reader: thread::JoinHandle<String>| reader.join().expect("a reader does not panic");
    Ran { code: status.code(), out: text(out), err: text(err) }
}

/// `bahi` with these arguments, not yet started.
///
/// # Panics
/// When the binary has not been built.
pub fn command<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(path());
    command.args(args).stdin(Stdio::null());
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BAHI_")) {
        command.env_remove(name);
    }
    command
}

/// Reads a pipe to its end beside the process that fills it, so that a full pipe stops nobody.
fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before a broken pipe still counts.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Ends a process at once, as a power cut would.
///
/// # Panics
/// When the process cannot be reached.
pub fn kill_9(child: &mut Child) {
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
}
