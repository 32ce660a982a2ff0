-- Snapshots of the embedded log, in a file of their own: disposable, folded again from the log when
-- they do not fit. Made once in the data folder.

-- Which log they are of: `log` is the identity of its commands.
create table meta (
    name text primary key,
    value text not null
) without rowid, strict;

-- Readers of partitions, by name (`books/bahi.ledger/0`), and how far each has folded.
create table places (
    place_id integer primary key,
    name text not null unique,
    state_offset integer not null,
    term integer not null,
    writer blob not null,
    last integer not null,
    version text not null,
    state blob not null,
    checksum integer not null
) strict;

-- What a reader folded, by key; `due` sorts those that have one.
create table items (
    item_id integer primary key,
    place_id integer not null,
    key text not null,
    due integer,
    blob blob not null,
    checksum integer not null
) strict;
create unique index items_by_key on items (place_id, key);
create index items_by_due on items (place_id, due, key) where due is not null;

-- Remembered keys, in runs that are written once, each sorted and cut into rows by the first bits of
-- the key; `filter` says for most keys that they are not in the run (event-log/src/snapshot/sqlite/runs.rs).
create table runs (
    run_id integer primary key,
    place_id integer not null,
    keys integer not null,
    row_bits integer not null,
    filter blob not null,
    checksum integer not null
) strict;
-- `position` is run_id << 32 | row, so that a run's rows lie together.
create table run_rows (
    position integer primary key,
    keys blob not null,
    checksum integer not null
) strict;
