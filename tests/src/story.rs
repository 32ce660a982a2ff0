//! What many stories begin with: a ledger in a folder of its own, its callers, a listed share and fund; and times in IST.

use crate::{Client, Reply, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// The share the stories trade: tick 0.05, band 20 percent, last price 100.00.
pub const SHARE: &str = "NSE:STORY";

/// The fund the stories buy, at a NAV of 50.0000 on each of the last days.
pub const SCHEME: &str = "119551";

/// A ledger with its server and callers.
pub struct Story {
    /// The server; restarted by [`Story::restarted`].
    pub server: Server,
    /// An operator.
    pub operator: Client,
    /// The venue.
    pub venue: Client,
    /// An auditor.
    pub auditor: Client,
    folder: TempDir,
}

impl Story {
    /// An empty ledger, always open, with an outside venue.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn begin() -> Story {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let server = Server::start(folder.path());
        Story::with(folder, server)
    }

    #[track_caller]
    fn with(folder: TempDir, server: Server) -> Story {
        let (operator, venue, auditor) = (server.operator(), server.venue(), server.auditor());
        Story { server, operator, venue, auditor, folder }
    }

    /// An empty ledger with the share and the fund.
    ///
    /// # Panics
    /// When they cannot be listed.
    #[track_caller]
    pub fn with_a_market() -> Story {
        let story = Story::begin();
        list_share(&story.operator, SHARE);
        list_scheme(&story.operator);
        story
    }

    /// The same ledger after its server was stopped and started again.
    ///
    /// # Panics
    /// When it does not stop cleanly or not start again.
    #[track_caller]
    pub fn restarted(self) -> Story {
        self.restarted_with(&["--calendar", "always-open"])
    }

    /// As [`Story::restarted`], with these arguments from then on.
    ///
    /// # Panics
    /// When it does not stop cleanly or not start again.
    #[track_caller]
    pub fn restarted_with(self, args: &[&str]) -> Story {
        let status = self.server.stop();
        assert!(status.success(), "SIGTERM ended the server with {status}");
        let server = Server::start_with(self.folder.path(), args, &[]);
        Story::with(self.folder, server)
    }

    /// The same ledger after its server was killed and started again.
    ///
    /// # Panics
    /// When it does not start again.
    #[track_caller]
    pub fn killed_and_started_again(mut self) -> Story {
        self.server.kill_9();
        let server = Server::start(self.folder.path());
        Story::with(self.folder, server)
    }

    /// A client of this account, which is opened with this much cash.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[track_caller]
    pub fn investor(&self, account: &str, rupees: &str) -> Client {
        self.operator.post("/v1/accounts", json!({ "account": account })).must_be(201);
        self.operator.post(&format!("/v1/accounts/{account}/cash/deposits"), json!({ "amount": rupees })).must_be(201);
        self.server.client("client", &[account])
    }

    /// The state hash of every view, and of every view but the journal, which also holds refusals.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn state(&self) -> State {
        State::of(&self.auditor.get("/v1/state"))
    }

    /// The data folder as text.
    ///
    /// # Panics
    /// When its path is not UTF-8.
    pub fn data(&self) -> &str {
        self.folder.path().to_str().expect("a UTF-8 path")
    }
}

/// The state hash of every view by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State(pub Vec<(String, String)>);

impl State {
    /// From what `GET state` or `bahi replay --json` says.
    ///
    /// # Panics
    /// When there is no view in it.
    #[track_caller]
    pub fn of(reply: &Reply) -> State {
        State::read(&reply.body)
    }

    /// From the JSON.
    ///
    /// # Panics
    /// When there is no view in it.
    #[track_caller]
    pub fn read(body: &Value) -> State {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no hash in {body}")).to_owned();
        // A server lists them, a replay names them.
        let mut hashes: Vec<(String, String)> = match body.get("views") {
            Some(Value::Array(views)) => views.iter().map(|view| (text(&view["view"]), text(&view["hash"]))).collect(),
            Some(Value::Object(views)) => views.iter().map(|(view, hash)| (view.clone(), text(hash))).collect(),
            _ => panic!("no views in {body}"),
        };
        hashes.sort();
        assert!(hashes.len() > 1 && hashes.iter().all(|(_, hash)| hash.len() == 64), "not a state: {body}");
        State(hashes)
    }

    /// Without the journal, which also holds what was refused.
    #[must_use]
    pub fn but_the_journal(mut self) -> State {
        self.0.retain(|(view, _)| view != "journal");
        self
    }
}

/// Lists a share with tick 0.05, band 20 percent and a last price of 100.00.
///
/// # Panics
/// When it is refused.
#[track_caller]
pub fn list_share(operator: &Client, instrument: &str) {
    let symbol = instrument.split_once(':').map_or(instrument, |(_, symbol)| symbol);
    let listing = json!({
        "instrument": instrument, "isin": "INE002A01018", "symbol": symbol, "exchange": "NSE",
        "series": "EQ", "tick_size": "0.05", "band_percent": "20"
    });
    operator.post("/v1/market/instruments", listing).must_be(201);
    let bar = json!({
        "instrument": instrument, "date": day(1), "open": "100.00", "high": "101.00", "low": "99.00",
        "close": "100.00", "previous_close": "100.00"
    });
    operator.post("/v1/market/prices", bar).must_be(201);
    let last = json!({ "instrument": instrument, "last": "100.00", "at": moment(0) });
    operator.post("/v1/market/prices", last).must_be(201);
}

/// Lists the scheme with its NAV of the last days.
///
/// # Panics
/// When it is refused.
#[track_caller]
pub fn list_scheme(operator: &Client) {
    let listing = json!({ "scheme": SCHEME, "name": "Story Flexi Cap Fund", "plan": "direct", "option": "growth" });
    operator.post("/v1/market/schemes", listing).must_be(201);
    for ago in (0..3).rev() {
        let published = json!({ "scheme": SCHEME, "date": day(ago), "nav": "50.0000" });
        operator.post("/v1/market/navs", published).must_be(201);
    }
}

/// A limit order for the share.
pub fn limit_order(side: &str, quantity: i64, price: &str) -> Value {
    json!({
        "instrument": SHARE, "side": side, "quantity": quantity, "type": "limit", "price": price,
        "product": "CNC", "validity": "DAY"
    })
}

/// Now in IST, less this many days, in whole seconds.
fn ist(days_ago: i64) -> OffsetDateTime {
    let offset = UtcOffset::from_hms(5, 30, 0).expect("IST is an offset");
    let then = OffsetDateTime::now_utc().to_offset(offset) - Duration::days(days_ago);
    then.replace_nanosecond(0).expect("0 is a nanosecond")
}

/// Seconds until the day in India ends, and with it the always-open session.
pub fn seconds_of_today_left() -> u64 {
    ist(0).time().duration_until(time::Time::MIDNIGHT).whole_seconds().unsigned_abs()
}

/// Waits, once a day at most, until the day in India has just begun: the always-open session ends with it, and intraday
/// orders before.
pub fn until_midnight_is_far() {
    while seconds_of_today_left() < 11 * 60 {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

/// That many days ago at this time of day, as RFC 3339.
///
/// # Panics
/// Never for a date of this century.
pub fn moment(days_ago: i64) -> String {
    ist(days_ago).format(&Rfc3339).expect("a time of this century can be written")
}

/// That many days ago, as `YYYY-MM-DD` in IST.
pub fn day(days_ago: i64) -> String {
    ist(days_ago).date().to_string()
}
