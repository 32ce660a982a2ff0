//! The files below `deploy/` and the documents in them; knows no kind of document.

use serde::Deserialize as _;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

/// One document of a YAML file.
pub struct Object {
    /// The file, from `deploy/`.
    pub path: String,
    pub value: Value,
}

impl Object {
    /// Its `apiVersion` and `kind`.
    pub fn kind(&self) -> (&str, &str) {
        (text(&self.value, "/apiVersion"), text(&self.value, "/kind"))
    }

    /// For people.
    pub fn name(&self) -> String {
        format!("{} {} {}", self.path, self.kind().1, text(&self.value, "/metadata/name"))
    }
}

/// The text at a pointer; empty where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The values of a list at a pointer.
pub fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository")
}

/// Every file below `deploy/` by its path from there.
pub fn deploy() -> BTreeMap<String, String> {
    let (top, mut files) = (root().join("deploy"), BTreeMap::new());
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&top).expect("it is below").to_string_lossy().into_owned();
            files.insert(name, fs::read_to_string(&path).expect("a file of text"));
        }
    }
    files
}

/// The documents of a text; refuses a key that is there twice.
pub fn parse(text: &str) -> Vec<Value> {
    let document = |document| {
        let mut value = yaml_serde::Value::deserialize(document).unwrap_or_else(|why| panic!("{why}:\n{text}"));
        value.apply_merge().expect("merges are of maps");
        serde_json::to_value(value).expect("keys are texts")
    };
    yaml_serde::Deserializer::from_str(text).map(document).filter(|value| !value.is_null()).collect()
}

/// Every document of the YAML files in a folder of `deploy/`, and below.
pub fn objects(folder: &str) -> Vec<Object> {
    let inside = |path: &str| path.starts_with(&format!("{folder}/")) && path.ends_with(".yaml");
    let files = deploy().into_iter().filter(|(path, _)| inside(path));
    files
        .flat_map(|(path, text)| parse(&text).into_iter().map(move |value| Object { path: path.clone(), value }))
        .collect()
}
