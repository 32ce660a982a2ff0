-- The embedded log, made once in the data folder. Rows are added, never changed.

-- What is fixed when the folder is made: `partitions`, `commands_id`.
create table meta (
    name text primary key,
    value text not null
) without rowid, strict;

-- Runs of records. `position` is topic, partition and the offset of the run's first record in one
-- integer (topic << 60 | partition << 44 | offset), so that rows are only ever added at the end of
-- their partition; `records` is the run in the form that event-log/src/sqlite/block.rs describes.
create table blocks (
    position integer primary key,
    records blob not null
) strict;

-- Which offsets each key has, for every full segment of 65,536 offsets, spread by key over 256
-- rows. `position` is topic, partition, segment and row in one integer
-- (topic << 60 | partition << 44 | segment << 8 | row).
create table key_segments (
    position integer primary key,
    keys blob not null
) strict;
