//! Finding a row by its number among rows in ascending order, where those asked for are mostly the last ones.

/// Where the row with this number is, if there is one. Looks from the end in steps that double, so that what is recent is
/// found without touching the rows before it: a search by halves would fetch a row from memory for each half.
pub(crate) fn find<T>(rows: &[T], seq: u64, of: impl Fn(&T) -> u64) -> Option<usize> {
    let (mut end, mut step) = (rows.len(), 1);
    while end > 0 {
        let from = end.saturating_sub(step);
        if of(&rows[from]) <= seq {
            return rows[from..end].binary_search_by_key(&seq, of).ok().map(|at| from + at);
        }
        (end, step) = (from, step * 2);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_and_nothing_else() {
        for count in 0..40_u64 {
            let rows: Vec<u64> = (0..count).map(|n| n * 2 + 1).collect();
            for seq in 0..count * 2 + 3 {
                assert_eq!(find(&rows, seq, |row| *row), rows.binary_search(&seq).ok(), "{seq} of {count}");
            }
        }
    }
}
