//! A bar for what takes over a second, where a person is watching; counts and knows nothing else.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::{
    fmt,
    io::{self, IsTerminal},
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Work shorter than this shows no bar: it would only flicker.
const QUIET: Duration = Duration::from_secs(1);
/// How often the bar is drawn at most.
const DRAWS_PER_SECOND: u8 = 10;

/// A bar that appears once its work has taken a second, though nothing of it may be done then.
pub struct Progress {
    bar: ProgressBar,
    showing: Option<Showing>,
}

/// Shows a bar when it is time; closing the channel says that it need not.
struct Showing {
    over: Sender<()>,
    thread: JoinHandle<()>,
}

impl Progress {
    /// For `total` things, named in the plural.
    pub fn new(total: u64, things: &'static str) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style = "{bar:30} {human_pos} of {human_len} {msg}, {rate}/s, {eta} left";
        let style = ProgressStyle::with_template(style).expect("the template is constant and tested by use");
        let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A bar that cannot be written is no reason to stop.
            let _ = write!(out, "{:.0}", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
        bar.set_message(things);
        let showing = io::stderr().is_terminal().then(|| Showing::of(bar.clone()));
        Progress { bar, showing }
    }

    /// So many are done by now.
    pub fn reach(&mut self, done: u64) {
        self.bar.set_position(done);
    }

    /// So many of so many are done by now.
    pub fn reach_of(&mut self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.reach(done);
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(Showing { over, thread }) = self.showing {
            drop(over);
            // Afterwards nobody shows it again.
            drop(thread.join());
        }
        self.bar.finish_and_clear();
    }
}

impl Showing {
    fn of(bar: ProgressBar) -> Showing {
        let (over, is_over) = channel::<()>();
        let thread = thread::spawn(move || {
            if is_over.recv_timeout(QUIET) == Err(RecvTimeoutError::Timeout) {
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
                bar.enable_steady_tick(Duration::from_secs(1) / u32::from(DRAWS_PER_SECOND));
            }
        });
        Showing { over, thread }
    }
}
