-- Snapshots of a cluster's readers: disposable, folded again from the log when they do not fit.

-- Readers of partitions, by the log they read (the identity of its commands) and by name
-- (`books/bahi.ledger/0`), and how far each has folded.
create table snapshot_places (
    place_id bigint generated always as identity primary key,
    log text collate "C" not null,
    name text collate "C" not null,
    state_offset bigint not null,
    term bigint not null,
    writer bytea not null,
    last bigint not null,
    version text not null,
    state bytea not null,
    checksum bigint not null,
    -- Nothing of it is read any more: its rows are being deleted.
    forgotten boolean not null default false
);
create unique index snapshot_places_by_name on snapshot_places (log, name) where not forgotten;

-- What a reader folded, by key; `due` sorts those that have one.
create table snapshot_items (
    place_id bigint not null,
    key text collate "C" not null,
    due bigint,
    blob bytea not null,
    checksum bigint not null,
    primary key (place_id, key)
);
create index snapshot_items_by_due on snapshot_items (place_id, due, key) where due is not null;

-- Remembered keys: 16 bytes of the key's hash, 16 of the content's, and where the entry is; only ever added.
create table snapshot_keys (
    place_id bigint not null,
    key bytea not null,
    content bytea not null,
    entry_offset bigint not null,
    checksum bigint not null,
    primary key (place_id, key)
);
