//! How settings are found: flags first, then the environment, then a TOML file, then defaults; knows no setting by name.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// One setting, as the table in `config` declares it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the file, and as a flag with dashes.
    pub name: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// What holds unless told; empty for nothing.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// For tests only: the environment alone sets it, and help does not name it.
    pub hidden: bool,
    /// Whether its text is shown nowhere; it may be kept in a file that its variable with `_FILE` names.
    pub secret: bool,
}

/// Where a setting's text came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// An environment variable.
    Environment(String),
    /// The TOML file.
    File(PathBuf),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag => out.write_str("flag"),
            Source::Environment(variable) => write!(out, "environment {variable}"),
            Source::File(path) => write!(out, "file {}", path.display()),
            Source::Default => out.write_str("default"),
        }
    }
}

/// A setting, its text and where that came from.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which.
    pub setting: &'static Setting,
    /// What it says.
    pub text: String,
    /// Who says so.
    pub source: Source,
}

impl Found {
    /// Its text as people may see it.
    pub fn shown(&self) -> String {
        match self.text.as_str() {
            "" => "(not set)".to_owned(),
            _ if self.setting.secret => "(set)".to_owned(),
            text => format!("'{text}'"),
        }
    }
}

/// Everything that may say something about settings.
#[derive(Debug, Default)]
pub struct Given {
    /// Flags by setting name.
    pub flags: BTreeMap<&'static str, String>,
    /// The environment's variables that begin with `BAHI_`.
    pub environment: BTreeMap<String, String>,
    /// The TOML file's path and text.
    pub file: Option<(PathBuf, String)>,
}

/// Variables that begin with `BAHI_` and are no settings: the tests' folder of real files, the file itself, a token to ask with.
const FOREIGN_VARIABLES: [&str; 3] = ["BAHI_DATA", "BAHI_CONFIG", "BAHI_TOKEN"];
/// What a secret's variable ends with that names the file it is in.
const SECRET_FILE: &str = "_FILE";
/// Secrets whose text may be in a file.
const SECRETS: [&str; 2] = ["BAHI_POSTGRES_URL", "BAHI_REDIS_URL"];

/// Takes secrets out of the files that variables name.
fn with_secrets(mut environment: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    for secret in SECRETS {
        let variable = format!("{secret}{SECRET_FILE}");
        let Some(path) = environment.remove(&variable).filter(|path| !path.is_empty()) else { continue };
        let text = std::fs::read_to_string(&path).map_err(|why| format!("{path}: {why}; {variable} names it"))?;
        environment.entry(secret.to_owned()).or_insert_with(|| text.trim_end().to_owned());
    }
    Ok(environment)
}

impl Given {
    /// The process's own environment, and the file it or the flag names.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(flags: BTreeMap<&'static str, String>, file: Option<PathBuf>) -> Result<Given, String> {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("BAHI_"))
            .collect();
        let file = file.or_else(|| environment.get("BAHI_CONFIG").map(PathBuf::from));
        let environment = with_secrets(environment)?;
        let read = |path: PathBuf| match std::fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(why) => Err(format!("{}: {why}; --config (or BAHI_CONFIG) names the TOML file", path.display())),
        };
        Ok(Given { flags, environment, file: file.map(read).transpose()? })
    }

    /// Finds every setting of the table; says what nobody knows.
    pub fn find(&self, table: &'static [Setting]) -> (Vec<Found>, Vec<String>) {
        let mut problems = Vec::new();
        let file = self.file_values(table, &mut problems);
        for variable in self.environment.keys() {
            let known = table.iter().any(|setting| setting.variable == variable);
            if !known && !FOREIGN_VARIABLES.contains(&variable.as_str()) {
                problems.push(format!("environment {variable}: no setting has this variable"));
            }
        }
        let found = table.iter().map(|setting| self.find_one(setting, &file)).collect();
        (found, problems)
    }

    fn find_one(&self, setting: &'static Setting, file: &BTreeMap<String, String>) -> Found {
        let found = |text: &str, source| Found { setting, text: text.to_owned(), source };
        if let Some(text) = self.flags.get(setting.name) {
            return found(text, Source::Flag);
        }
        if let Some(text) = self.environment.get(setting.variable) {
            return found(text, Source::Environment(setting.variable.to_owned()));
        }
        match (file.get(setting.name), &self.file) {
            (Some(text), Some((path, _))) => found(text, Source::File(path.clone())),
            _ => found(setting.default, Source::Default),
        }
    }

    /// The TOML file's values as text; strings, whole numbers and booleans only.
    fn file_values(&self, table: &[Setting], problems: &mut Vec<String>) -> BTreeMap<String, String> {
        let Some((path, text)) = &self.file else { return BTreeMap::new() };
        let values: toml::Table = match text.parse() {
            Ok(values) => values,
            Err(why) => {
                problems.push(format!("{}: {}", path.display(), why.to_string().trim()));
                return BTreeMap::new();
            }
        };
        let mut texts = BTreeMap::new();
        for (name, value) in values {
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(flag) => flag.to_string(),
                _ => {
                    problems.push(format!("{}: {name} must be a string or a whole number", path.display()));
                    continue;
                }
            };
            match table.iter().find(|setting| setting.name == name && !setting.hidden) {
                Some(_) => drop(texts.insert(name, text)),
                None => problems.push(format!("{}: {name} is not a setting", path.display())),
            }
        }
        texts
    }
}
