//! A weakened rule: records are shown so that the shipped rule says of them what the weakened one would.

use super::{weak::Weak, world::Life};
use event_log::{Headers, Record, RecordKind, Stored, rule::Reader};
use std::sync::Arc;

/// The records of a partition as they are shown, from the first on, to one process if it is said which.
pub(super) fn shown(records: Vec<Arc<Stored>>, weak: Option<Weak>, to: Option<&Life>) -> Vec<Arc<Stored>> {
    let Some(weak @ (Weak::NoAfter | Weak::SourcePastLast | Weak::NoWriter | Weak::OldTerm)) = weak else {
        return records;
    };
    let mut reader = Reader::default();
    let show = |stored: Arc<Stored>| {
        let headers = shown_as(weak, &reader, &stored.record.headers, to);
        // What is corrupt is met again by whoever reads it.
        let _corrupt = reader.fold(stored.offset, &headers);
        Arc::new(Stored { offset: stored.offset, record: Record { headers, ..stored.record.clone() } })
    };
    records.into_iter().map(show).collect()
}

fn shown_as(weak: Weak, reader: &Reader, headers: &Headers, to: Option<&Life>) -> Headers {
    let Reader { term, writer, last, .. } = *reader;
    let headers = headers.clone();
    if headers.ce_type == RecordKind::Claim {
        // Nobody can tell another's claim of the same term from its own.
        let own = to.filter(|_| weak == Weak::NoWriter).and_then(|life| life.claimed(headers.term));
        return Headers { writer: own.unwrap_or(headers.writer), ..headers };
    }
    match weak {
        Weak::NoAfter => Headers { after: last, ..headers },
        Weak::SourcePastLast if headers.source > last => Headers { after: last, ..headers },
        Weak::NoWriter => Headers { writer, ..headers },
        Weak::OldTerm if headers.term < term => Headers { term, writer, ..headers },
        _ => headers,
    }
}
