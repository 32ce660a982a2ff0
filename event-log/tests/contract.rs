//! Every adapter keeps the contract of the port.

mod memory {
    use std::sync::Arc;

    use event_log::{EventLog, contract::PARTITIONS, event_log_contract, memory::Memory};

    async fn open() -> ((), Arc<dyn EventLog>) {
        ((), Arc::new(Memory::new(PARTITIONS)))
    }

    event_log_contract!(open);
}

mod sqlite {
    use std::sync::Arc;

    use event_log::{
        EventLog,
        contract::PARTITIONS,
        event_log_contract,
        sqlite::{Options, Sqlite},
    };
    use tempfile::TempDir;

    async fn open() -> (TempDir, Arc<dyn EventLog>) {
        let folder = TempDir::new().expect("a folder can be made");
        let options = Options { partitions: PARTITIONS, ..Options::default() };
        let log = Sqlite::open(folder.path(), options).await.expect("a log can be made");
        (folder, Arc::new(log))
    }

    event_log_contract!(open);
}

mod memory_snapshots {
    use std::sync::Arc;

    use event_log::{
        snapshot::{SnapshotStore, memory::Memory},
        snapshot_contract,
    };

    async fn open() -> ((), Arc<dyn SnapshotStore>) {
        ((), Arc::new(Memory::new()))
    }

    snapshot_contract!(open);
}

mod sqlite_snapshots {
    use std::sync::Arc;

    use event_log::{
        snapshot::{SnapshotStore, sqlite::Sqlite},
        snapshot_contract,
    };
    use tempfile::TempDir;

    async fn open() -> (TempDir, Arc<dyn SnapshotStore>) {
        let folder = TempDir::new().expect("a folder can be made");
        let store = Sqlite::open(folder.path(), Default::default()).await.expect("snapshots can be made");
        (folder, Arc::new(store))
    }

    snapshot_contract!(open);
}
