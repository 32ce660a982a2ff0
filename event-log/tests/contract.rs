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
