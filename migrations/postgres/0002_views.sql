-- The views of a cluster: rows folded from the log, to be read by the api and by people. Disposable: folded again
-- from the log at any time, with the same state hash.
--
-- Amounts are exact decimals, in the code's own scale: money 2 decimals (paise), prices, units and percentages 4,
-- NAVs 8; shares are whole. Times are `timestamptz` to the microsecond, dates are days in India. Ids are compared by
-- their bytes (`collate "C"`), as everywhere else.
-- `row` is the row as the fold has it, in the program's own form; the columns beside it say the same to a person.
-- Tables that are updated all the time leave room in their pages, so that an update needs no index written.

-- Which log they are of (the identity of its commands), and the shape of the rows' own form.
create table views_of (
    one boolean primary key default true check (one),
    log text collate "C" not null,
    shape bigint not null
);

-- How far each partition is folded into the tables below, with all that the ledger rule remembers; moved in the
-- transaction that writes the rows.
create table checkpoints (
    topic text collate "C" not null,
    partition int not null,
    next_offset bigint not null,
    term bigint not null,
    writer bytea not null,
    last bigint not null,
    -- When the last record below `next_offset` was recorded.
    recorded_at timestamptz,
    primary key (topic, partition)
) with (fillfactor = 50);

-- Where a view met an entry that it cannot fold: it stands there until it is rebuilt, others go on.
create table view_stops (
    view text collate "C" not null,
    partition int not null,
    entry_offset bigint not null,
    reason text not null,
    recorded_at timestamptz not null,
    primary key (view, partition)
);

-- Accounts, with what is kept once for each; `last_offset` is the last entry folded into its rows.
create table accounts (
    account text collate "C" primary key,
    partition int not null,
    opened_at timestamptz,
    entries bigint not null,
    journal_chain bytea not null,
    last_offset bigint not null,
    row bytea not null
) with (fillfactor = 70);

-- Orders. Once one `has_left` (its session and settlement are over) it never changes again.
create table orders (
    account text collate "C" not null,
    seq bigint not null,
    last_seq bigint not null,
    instrument text collate "C" not null,
    side text collate "C" not null,
    order_type text collate "C" not null,
    product text collate "C" not null,
    validity text collate "C" not null,
    status text collate "C" not null,
    session_date date not null,
    quantity bigint not null,
    filled bigint not null,
    filled_value numeric(19, 2) not null,
    price numeric(19, 4),
    trigger_price numeric(19, 4),
    triggered boolean not null,
    market_protection numeric(19, 4),
    disclosed_quantity bigint,
    blocked numeric(19, 2) not null,
    blocked_quantity bigint not null,
    modifications bigint not null,
    waiting text collate "C",
    requested_at timestamptz not null,
    updated_at timestamptz not null,
    exchange_order_id text collate "C",
    tag text,
    algo_id text collate "C",
    reason text,
    has_left boolean not null,
    row bytea not null,
    primary key (account, seq)
) with (fillfactor = 80);
create index orders_current on orders (account) where not has_left;

-- Fund orders: a purchase of an amount, or a redemption of units, of an amount or of everything.
create table fund_orders (
    account text collate "C" not null,
    seq bigint not null,
    last_seq bigint not null,
    scheme text collate "C" not null,
    folio text collate "C",
    kind text collate "C" not null,
    amount numeric(19, 2),
    units numeric(19, 4),
    redeem_all boolean not null,
    blocked_units numeric(19, 4),
    status text collate "C" not null,
    requested_at timestamptz not null,
    updated_at timestamptz not null,
    answered_on date,
    nav_date date,
    nav numeric(19, 8),
    answered_units numeric(19, 4),
    stamp_duty numeric(19, 2),
    answered_amount numeric(19, 2),
    pays_on date,
    mismatch boolean,
    reason text,
    has_left boolean not null,
    row bytea not null,
    primary key (account, seq)
) with (fillfactor = 80);
create index fund_orders_current on fund_orders (account) where not has_left;

-- Trades: of orders (`order_seq` is the entry that requested it), imported, and unmatched ones until they are assigned.
create table trades (
    account text collate "C" not null,
    seq bigint not null,
    origin text collate "C" not null,
    order_seq bigint,
    imported_kind text collate "C",
    unmatched_order text collate "C",
    unmatched_reason text collate "C",
    instrument text collate "C",
    side text collate "C",
    exchange text collate "C",
    trade_id text collate "C",
    quantity bigint not null,
    price numeric(19, 4),
    value numeric(19, 2),
    executed_at timestamptz not null,
    trade_date date not null,
    settlement_date date,
    product text collate "C",
    flag text collate "C",
    cancelled boolean not null,
    has_left boolean not null,
    row bytea not null,
    primary key (account, seq)
);
create index trades_current on trades (account) where not has_left;

-- Shares: `settled` is the holding; `intraday` (MIS) is above zero when bought and below when sold.
create table positions (
    account text collate "C" not null,
    instrument text collate "C" not null,
    bought_today bigint not null,
    t1 bigint not null,
    settled bigint not null,
    intraday bigint not null,
    primary key (account, instrument)
) with (fillfactor = 80);

-- Fund units.
create table folios (
    account text collate "C" not null,
    scheme text collate "C" not null,
    folio text collate "C" not null,
    units numeric(19, 4) not null,
    primary key (account, scheme, folio)
) with (fillfactor = 80);

-- Gains by instrument, first in first out, after the last netted day; `cost` is that of the lots below.
create table instrument_gains (
    account text collate "C" not null,
    instrument text collate "C" not null,
    bought numeric(19, 2) not null,
    sold numeric(19, 2) not null,
    intraday_gain numeric(19, 2) not null,
    realised_gain numeric(19, 2) not null,
    unknown_cost_quantity bigint not null,
    unknown_cost_proceeds numeric(19, 2) not null,
    unknown_price_quantity bigint not null,
    unknown_price_cost numeric(19, 2) not null,
    quantity bigint not null,
    unknown_quantity bigint not null,
    cost numeric(19, 2) not null,
    row bytea not null,
    primary key (account, instrument)
) with (fillfactor = 80);

-- Lots of shares, the oldest first by (acquired, number). A `kind` of 'lot' is held and `amount` is its cost; one of
-- 'short' is a sale that nothing covers yet, and `amount` what it brought. Without an amount it is not known.
create table lots (
    account text collate "C" not null,
    instrument text collate "C" not null,
    acquired date not null,
    number bigint not null,
    kind text collate "C" not null,
    quantity bigint not null,
    amount numeric(19, 2),
    primary key (account, instrument, acquired, number)
);

-- The same by folio.
create table folio_gains (
    account text collate "C" not null,
    scheme text collate "C" not null,
    folio text collate "C" not null,
    bought numeric(19, 2) not null,
    sold numeric(19, 2) not null,
    realised_gain numeric(19, 2) not null,
    unknown_cost_units numeric(19, 4) not null,
    unknown_cost_proceeds numeric(19, 2) not null,
    unknown_price_units numeric(19, 4) not null,
    unknown_price_cost numeric(19, 2) not null,
    units numeric(19, 4) not null,
    unknown_units numeric(19, 4) not null,
    cost numeric(19, 2) not null,
    row bytea not null,
    primary key (account, scheme, folio)
) with (fillfactor = 80);

-- The same of fund units.
create table folio_lots (
    account text collate "C" not null,
    scheme text collate "C" not null,
    folio text collate "C" not null,
    acquired date not null,
    number bigint not null,
    kind text collate "C" not null,
    units numeric(19, 4) not null,
    amount numeric(19, 2),
    primary key (account, scheme, folio, acquired, number)
);

-- Rupees; `withdrawable` is settled less payables less blocked.
create table cash (
    account text collate "C" primary key,
    settled numeric(19, 2) not null,
    receivable numeric(19, 2) not null,
    payable numeric(19, 2) not null,
    blocked numeric(19, 2) not null,
    blocked_for_fund_orders numeric(19, 2) not null,
    blocked_for_positions numeric(19, 2) not null,
    withdrawable numeric(19, 2) not null
) with (fillfactor = 80);

create table cash_due (
    account text collate "C" not null,
    settlement_date date not null,
    receivable numeric(19, 2) not null,
    usable numeric(19, 2) not null,
    payable numeric(19, 2) not null,
    primary key (account, settlement_date)
);

-- What each pending order or fund purchase blocks, by the entry that requested it; no row where it blocks nothing.
create table cash_blocks (
    account text collate "C" not null,
    seq bigint not null,
    amount numeric(19, 2) not null,
    primary key (account, seq)
);

-- Every live entry of every account, as it is in the log. `key_hash` names the command it answers (account, role of who
-- submitted it, its id): of several with one hash the first answered it, the others are repeats. An entry that cannot
-- be read has none.
--
-- Partitioned by the hash of the account, not by ranges of offsets: every question is about one account and so goes to
-- one part, new parts never have to be made while it runs, and the log is kept for ever, so nothing is ever cut off.
create table journal (
    account text collate "C" not null,
    entry_offset bigint not null,
    seq bigint not null,
    partition int not null,
    recorded_at timestamptz not null,
    key_hash bytea,
    kinds text not null,
    value bytea not null,
    primary key (account, entry_offset)
) partition by hash (account);
create index journal_by_key on journal (key_hash) where key_hash is not null;
do $$
begin
    for number in 0..15 loop
        execute format('create table journal_%s partition of journal for values with (modulus 16, remainder %s)',
                       number, number);
    end loop;
end
$$;

-- Instruments by the day from which a listing holds; without one it is undated.
create table instruments (
    instrument text collate "C" not null,
    valid_from date,
    isin text collate "C",
    symbol text collate "C" not null,
    exchange text collate "C" not null,
    series text collate "C" not null,
    tick_size numeric(19, 4),
    band_percent numeric(19, 4),
    row bytea not null,
    unique nulls not distinct (instrument, valid_from)
);

-- Days of the exchanges' calendars that were told; others follow the weekday.
create table calendar (
    exchange text collate "C" not null,
    date date not null,
    kind text collate "C" not null,
    opens text collate "C",
    closes text collate "C",
    settlement boolean,
    row bytea not null,
    primary key (exchange, date)
);

-- Every fact about a day's prices; of several about one day the one recorded last holds.
create table price_facts (
    instrument text collate "C" not null,
    date date not null,
    recorded_offset bigint not null,
    open numeric(19, 4) not null,
    high numeric(19, 4) not null,
    low numeric(19, 4) not null,
    close numeric(19, 4) not null,
    previous_close numeric(19, 4),
    volume bigint,
    primary key (instrument, date, recorded_offset)
);
create view prices as
    select distinct on (instrument, date) * from price_facts order by instrument, date, recorded_offset desc;

-- The latest live price.
create table live_prices (
    instrument text collate "C" primary key,
    last numeric(19, 4) not null,
    traded_at timestamptz not null,
    recorded_offset bigint not null,
    row bytea not null
) with (fillfactor = 50);

create table schemes (
    scheme text collate "C" primary key,
    name text not null,
    isin_growth text collate "C",
    isin_reinvestment text collate "C",
    amc text,
    category text,
    plan text,
    option text,
    row bytea not null
);

-- Every fact about a day's NAV; of several about one day the one recorded last holds.
create table nav_facts (
    scheme text collate "C" not null,
    date date not null,
    recorded_offset bigint not null,
    nav numeric(19, 8) not null,
    primary key (scheme, date, recorded_offset)
);
create view navs as
    select distinct on (scheme, date) * from nav_facts order by scheme, date, recorded_offset desc;
