//! The calendar that ships with the product, read from one data file into facts; knows neither today nor which facts are recorded already.
//!
//! The file has one day a line, `date,kind,open,close,settlement,name`, and `#` comments that name the
//! sources. It lists only days that are not as their weekday says, and its last day. `kind` is
//! holiday or session; open and close are `HH:MM` IST and empty for a holiday or regular hours;
//! settlement is yes or no; the name is for the reader.

use crate::{
    ids::Exchange,
    market::{CalendarDay, DayKind},
    time::{Date, TimeOfDay},
};

/// The calendar that ships with the product.
pub const SHIPPED: &str = include_str!("../data/nse-calendar.csv");

/// What is wrong with a calendar file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("calendar line {line}: {problem}")]
pub struct CalendarFileError {
    /// Counts from 1; 0 for the file as a whole.
    pub line: usize,
    /// In words.
    pub problem: String,
}

/// The edition of the shipped file, `YYYY-MM-DD`: what follows `version,` in its first line.
pub const VERSION: &str = SHIPPED.split_at(18).0.split_at(8).1;

/// Reads a calendar file of NSE: its days in rising order, of which the last is where the file ends.
///
/// # Errors
/// Names the line and what is wrong: another first line than `version,YYYY-MM-DD`, a field that does
/// not read, days out of order or twice, hours on a holiday or backwards, a line that says only what
/// the weekday says (the last line aside), no days at all.
pub fn parse(text: &str) -> Result<Vec<CalendarDay>, CalendarFileError> {
    let exchange = Exchange::new("NSE").expect("an exchange");
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end()));
    let fail = |line: usize, problem: String| CalendarFileError { line, problem };
    let version = lines.next().and_then(|(_, line)| line.strip_prefix("version,"));
    if version.is_none_or(|version| Date::parse(version).is_err()) {
        return Err(fail(1, "must be version,YYYY-MM-DD".into()));
    }
    let mut days: Vec<(usize, CalendarDay)> = Vec::new();
    for (at, line) in lines {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let day = day(exchange, line).map_err(|problem| fail(at, problem))?;
        if days.last().is_some_and(|(_, last)| last.date >= day.date) {
            return Err(fail(at, format!("{} must come after the day before it in the file", day.date)));
        }
        days.push((at, day));
    }
    if days.is_empty() {
        return Err(fail(0, "no days".into()));
    }
    let last = days.len() - 1;
    match days[..last].iter().find(|(_, day)| says_nothing(day)) {
        Some((at, day)) => Err(fail(*at, format!("{} is as its weekday says", day.date))),
        None => Ok(days.into_iter().map(|(_, day)| day).collect()),
    }
}

fn day(exchange: Exchange, line: &str) -> Result<CalendarDay, String> {
    let fields: Vec<&str> = line.splitn(6, ',').collect();
    let [date, kind, open, close, settlement, name] = fields.as_slice() else {
        return Err("must be date,kind,open,close,settlement,name".into());
    };
    let date = Date::parse(date).map_err(|e| format!("date {e}"))?;
    let kind = match *kind {
        "holiday" => DayKind::Holiday,
        "session" => DayKind::Session,
        other => return Err(format!("kind must be holiday or session, not '{other}'")),
    };
    let hour = |field: &str, text: &str| match text {
        "" => Ok(None),
        text => TimeOfDay::parse(text).map(Some).map_err(|e| format!("{field} {e}")),
    };
    let (open, close) = (hour("open", open)?, hour("close", close)?);
    match (kind, open, close) {
        (_, None, None) => {}
        (DayKind::Session, Some(open), Some(close)) if open < close => {}
        (DayKind::Session, ..) => return Err("a session has both hours, the earlier first, or none".into()),
        (DayKind::Holiday, ..) => return Err("a holiday has no hours".into()),
    }
    let settlement = match *settlement {
        "yes" => true,
        "no" => false,
        other => return Err(format!("settlement must be yes or no, not '{other}'")),
    };
    if name.trim().is_empty() {
        return Err("a day has a name".into());
    }
    Ok(CalendarDay { exchange, date, kind, open, close, settlement: Some(settlement), corrects: None })
}

/// A weekday's regular, settling session, or a weekend's closure.
fn says_nothing(day: &CalendarDay) -> bool {
    match day.kind {
        DayKind::Session => !day.date.is_weekend() && day.open.is_none() && day.settlement == Some(true),
        DayKind::Holiday => day.date.is_weekend() && day.settlement == Some(false),
    }
}
