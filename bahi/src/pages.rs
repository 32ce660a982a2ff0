//! Lists read page by page to their end; knows no list in particular.

use crate::error::Error;
use projections::Page;
use serde_json::Value;

/// An answer as JSON.
///
/// # Errors
/// Never for an answer of the views; so that it can be chained.
pub fn value(answer: impl serde::Serialize) -> Result<Value, Error> {
    Ok(serde_json::to_value(answer).expect("an answer is JSON"))
}

/// Every row of a list, page by page; the newest rows of some lists come first.
///
/// # Errors
/// What asking for a page, or taking a row, says.
pub fn pages(
    list: impl Fn(&Page<'_>) -> Result<Value, Error>,
    mut row: impl FnMut(Value) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut cursor: Option<String> = None;
    loop {
        let page = Page { limit: Some(projections::page::LIMIT_MAX), cursor: cursor.as_deref() };
        let mut answer = list(&page)?;
        if let Some(Value::Array(items)) = answer.get_mut("items").map(Value::take) {
            items.into_iter().try_for_each(&mut row)?;
        }
        match next(&mut answer) {
            Some(next) => cursor = Some(next),
            None => return Ok(()),
        }
    }
}

/// The first page with the rows of all others behind its own.
///
/// # Errors
/// What asking for a page says.
pub fn whole(list: impl Fn(&Page<'_>) -> Result<Value, Error>) -> Result<Value, Error> {
    let mut first = list(&Page { limit: Some(projections::page::LIMIT_MAX), cursor: None })?;
    while let Some(cursor) = next(&mut first) {
        let page = list(&Page { limit: Some(projections::page::LIMIT_MAX), cursor: Some(&cursor) })?;
        join(&mut first, page);
    }
    Ok(first)
}

/// Puts the rows of a page behind those before it, and its cursor in place of theirs.
pub fn join(before: &mut Value, mut page: Value) {
    let cursor = page.get_mut("next_cursor").map_or(Value::Null, Value::take);
    if let (Some(Value::Array(all)), Some(Value::Array(items))) =
        (before.get_mut("items"), page.get_mut("items").map(Value::take))
    {
        all.extend(items);
    }
    before["next_cursor"] = cursor;
}

/// Takes the cursor of the next page out of a page.
pub fn next(page: &mut Value) -> Option<String> {
    match page.get_mut("next_cursor").map(Value::take) {
        Some(Value::String(next)) => Some(next),
        _ => None,
    }
}
