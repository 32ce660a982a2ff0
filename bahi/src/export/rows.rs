//! Rows in a file, as JSON Lines or CSV; knows no view.

use crate::error::Error;
use serde_json::{Value, json, value::RawValue};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line
    Jsonl,
    /// A head, then one row a line; lists and objects within as JSON
    Csv,
}

/// A file of rows.
pub struct Rows {
    path: PathBuf,
    columns: &'static [&'static str],
    kind: Kind,
}

enum Kind {
    Jsonl(BufWriter<File>),
    Csv(Box<csv::Writer<File>>),
}

impl Rows {
    /// Makes `NAME.jsonl` or `NAME.csv`; a CSV has these columns, JSON whatever a row has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(folder: &Path, name: &str, format: Format, columns: &'static [&'static str]) -> Result<Rows, Error> {
        let extension = if format == Format::Csv { "csv" } else { "jsonl" };
        let path = folder.join(format!("{name}.{extension}"));
        let file = File::create(&path).map_err(Error::file(&path))?;
        let mut rows = match format {
            Format::Jsonl => Rows { path, columns, kind: Kind::Jsonl(BufWriter::new(file)) },
            Format::Csv => Rows { path, columns, kind: Kind::Csv(Box::new(csv::Writer::from_writer(file))) },
        };
        if let Kind::Csv(writer) = &mut rows.kind {
            writer.write_record(columns).map_err(|why| Error::file(&rows.path)(why.into()))?;
        }
        Ok(rows)
    }

    /// Writes a row.
    ///
    /// # Errors
    /// When it cannot be written, or a field of it has no column.
    pub fn write(&mut self, row: Value) -> Result<(), Error> {
        let written = match &mut self.kind {
            Kind::Jsonl(file) => {
                serde_json::to_writer(&mut *file, &row).map_err(Into::into).and_then(|()| file.write_all(b"\n"))
            }
            Kind::Csv(writer) => {
                // Nothing of a row may be lost for want of a column.
                let mut fields = row.as_object().into_iter().flat_map(|row| row.keys());
                if let Some(field) = fields.find(|field| !self.columns.contains(&field.as_str())) {
                    let why = format!("a row has the field {field}, for which there is no column");
                    return Err(Error::file(&self.path)(io::Error::other(why)));
                }
                let cells = self.columns.iter().map(|column| cell(row.get(*column).unwrap_or(&Value::Null)));
                writer.write_record(cells).map_err(Into::into)
            }
        };
        written.map_err(Error::file(&self.path))
    }

    /// Writes an entry as it is stored, byte for byte.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_raw(&mut self, partition: u32, offset: u64, entry: &RawValue) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Jsonl(file) => writeln!(file, r#"{{"partition":{partition},"offset":{offset},"entry":{entry}}}"#)
                .map_err(Error::file(&self.path)),
            Kind::Csv(_) => self.write(json!({ "partition": partition, "offset": offset, "entry": entry.get() })),
        }
    }

    /// Sees that all of it has left.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<(), Error> {
        match self.kind {
            Kind::Jsonl(mut file) => file.flush(),
            Kind::Csv(mut writer) => writer.flush(),
        }
        .map_err(Error::file(&self.path))
    }
}

/// A cell: nothing for null, figures as they are, texts guarded, lists and objects as JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => guarded(text),
        other => other.to_string(),
    }
}

/// A spreadsheet takes a text that begins so for a formula; a plain decimal is none.
fn guarded(text: &str) -> String {
    let is_figure = text.strip_prefix('-').is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_digit())
            && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_figure { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_looks_like_a_formula_is_guarded_and_a_figure_is_not() {
        for formula in ["=1+1", "+cmd", "-cmd", "@sum", "-", "\t=1"] {
            assert_eq!(cell(&formula.into()), format!("'{formula}"));
        }
        for plain in ["-12.50", "12.50", "NSE:RELIANCE", "a=b", ""] {
            assert_eq!(cell(&plain.into()), plain);
        }
        assert_eq!(cell(&json!(-3)), "-3");
        assert_eq!(cell(&Value::Null), "");
        assert_eq!(cell(&json!([{"a": 1}])), r#"[{"a":1}]"#);
    }
}
