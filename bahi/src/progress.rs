//! A bar for what takes over a second, where a person is watching; counts and knows nothing else.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::{
    fmt,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

/// Work shorter than this shows no bar: it would only flicker.
const QUIET_MS: u64 = 1000;
/// How often the bar is drawn at most.
const DRAWS_PER_SECOND: u8 = 10;

/// A bar that appears once its work has taken a second.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    shown: bool,
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
        Progress { bar, started: Instant::now(), shown: !io::stderr().is_terminal() }
    }

    /// So many are done by now.
    pub fn reach(&mut self, done: u64) {
        if !self.shown && self.started.elapsed() >= Duration::from_millis(QUIET_MS) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
            self.shown = true;
        }
        self.bar.set_position(done);
    }

    /// So many of so many are done by now.
    pub fn reach_of(&mut self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.reach(done);
    }

    /// Takes the bar away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
