//! Why a subcommand failed, said so that a person knows what to do next; knows no HTTP status.

use std::{io, path::PathBuf, process::ExitCode};

/// Why a subcommand failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings are missing or wrong.
    #[error("{}\nrun `bahi check-config` with the same flags to see every setting and where it comes from", .0.join("\n"))]
    Config(Vec<String>),
    /// The log could not be used.
    #[error(transparent)]
    Log(#[from] event_log::Error),
    /// The writer could not be started, or stopped.
    #[error("the writer: {0}")]
    Writer(#[from] commands::Error),
    /// The views could not be folded.
    #[error("the views: {0}")]
    Views(#[from] projections::Error),
    /// The signing key, or a token asked of it.
    #[error(transparent)]
    Api(#[from] api::Error),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {source}; choose another with --listen, 127.0.0.1:0 takes any free port")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A running server could not be asked, or refused.
    #[error("{0}")]
    Server(String),
    /// What was asked for does not fit; the text says what would.
    #[error("{0}")]
    Usage(String),
    /// The ledger, or what is served from it, is not as it should be; the text is the first difference.
    #[error("{0}")]
    NotClean(String),
    /// Nothing more can be printed.
    #[error("output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// A failed use of a file.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { path, source }
    }
}

/// The exit code: 0 when done, 1 otherwise, with the reason on standard error.
pub fn exit(done: Result<(), Error>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // A reader such as `head` has seen enough; that is no failure of ours.
        Err(Error::Output(gone)) if gone.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            crate::out::complain(&format!("bahi: {error}"));
            ExitCode::FAILURE
        }
    }
}
