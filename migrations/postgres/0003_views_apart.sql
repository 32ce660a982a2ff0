-- Every view has its rows in tables of its own, so that one of them can be filled anew beside the others and put in the
-- place of those before. What is kept once for an account is therefore kept once for each view of it.
--
-- Rows are folded again from the log: those of the form before are removed.
truncate views_of, checkpoints, view_stops, accounts, orders, fund_orders, trades, positions, folios, instrument_gains,
    lots, folio_gains, folio_lots, cash, cash_due, cash_blocks, journal, instruments, calendar, price_facts, live_prices,
    schemes, nav_facts;

-- Rises when tables are put in the place of others: what a projector has in memory of those before is then void.
alter table checkpoints add column generation bigint not null default 0;

-- Of the journal: every account that has an entry.
alter table accounts drop column opened_at;

-- What is kept of orders and fund orders that have left; no row before any is closed.
create table order_lists (
    account text collate "C" primary key,
    row bytea not null
);

-- The same of trades.
create table trade_lists (
    account text collate "C" primary key,
    row bytea not null
);

-- Since when accounts are open; what they hold is in `positions` and `folios`.
create table portfolios (
    account text collate "C" primary key,
    opened_at timestamptz,
    row bytea not null
) with (fillfactor = 70);

alter table cash add column row bytea not null;
