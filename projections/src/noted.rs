//! Which rows of a list changed, for who asked that it be noted; no part of what the rows are.

/// The `seq` of each row that was added, changed or removed, some of them more than once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted(Option<Vec<u64>>);

impl Noted {
    /// From now on changes are noted.
    pub(crate) fn begin(&mut self) {
        self.0 = Some(Vec::new());
    }
    /// Notes that a row is not what it was.
    pub(crate) fn note(&mut self, seq: u64) {
        if let Some(noted) = &mut self.0 {
            noted.push(seq);
        }
    }
    /// What was noted, ascending and each once; nothing is noted from now on.
    pub(crate) fn end(&mut self) -> Vec<u64> {
        let mut noted = self.0.take().unwrap_or_default();
        noted.sort_unstable();
        noted.dedup();
        noted
    }
}

/// Rows are equal whether or not somebody watches them.
impl PartialEq for Noted {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
