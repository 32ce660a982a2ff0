//! Measures the codec: nanoseconds per entry to decode, encode, and read the command; run it in release.
#![expect(clippy::print_stdout, reason = "a measurement is for reading")]

use event_schemas::{check_entry, decode_entry, encode_entry};
use std::{hint::black_box, time::Instant};

/// Entries per round: about a millisecond, shorter than a scheduler's slice.
const ENTRIES: u32 = 1_000;
/// Rounds, of which the fastest counts: the others hold the machine's other work.
const ROUNDS: u32 = 1_000;

fn main() {
    for (name, text) in [
        ("place_order", include_str!("../golden/entries/entry.accepted.v1.json")),
        ("record_fill", include_str!("../golden/entries/entry.filled.v1.json")),
        ("refused", include_str!("../golden/entries/entry.refused.v1.json")),
    ] {
        let bytes = text.trim_end().as_bytes();
        let entry = decode_entry(bytes).expect("a golden entry");
        let ce_id = entry.ce_id();
        let mut out = Vec::new();
        let decode = fastest(|| drop(black_box(decode_entry(black_box(bytes)))));
        let encode = fastest(|| {
            out.clear();
            encode_entry(black_box(&entry), &mut out);
        });
        let command = fastest(|| drop(black_box(entry.command.command())));
        let hash = fastest(|| drop(black_box(entry.command.content_hash().to_vec())));
        let check = fastest(|| drop(black_box(check_entry(&entry, &ce_id))));
        println!(
            "{name:12} {:5} bytes: decode {decode} ns, encode {encode} ns, command {command} ns, content hash {hash} ns, check {check} ns",
            bytes.len()
        );
    }
}

fn fastest(mut work: impl FnMut()) -> u128 {
    let round = |_| {
        let start = Instant::now();
        (0..ENTRIES).for_each(|_| work());
        start.elapsed().as_nanos() / u128::from(ENTRIES)
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}
