//! Facts about the repository, checked by reading its files; taste is left to readers.
//!
//! Each check takes a [`Tree`] and answers findings with file and line, so each is also shown to
//! fail on a small made-up tree at the foot of this file. Nothing here runs cargo or the product.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::Path,
};

/// Which crates a crate may depend on, for its tests too. A crate without a row is a finding.
const EDGES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("event-schemas", &["domain"]),
    ("event-log", &["event-schemas", "domain"]),
    ("commands", &["event-log", "event-schemas", "domain"]),
    ("projections", &["event-log", "event-schemas", "domain"]),
    ("feeds", &["domain"]),
    ("api", &["commands", "projections", "event-log", "event-schemas", "domain"]),
    ("bahi", &["api", "commands", "projections", "feeds", "event-log", "event-schemas", "domain"]),
    ("tests", &["api", "bahi", "commands", "projections", "feeds", "event-log", "event-schemas", "domain"]),
];

/// Packages that name an outside system or the world of a process, and the only crates that may use them.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["event-log", "projections"]),
    ("redis", &["projections"]),
    ("axum", &["api"]),
    ("hyper", &["api", "bahi"]),
    ("jsonwebtoken", &["api"]),
    ("utoipa", &["api"]),
    ("utoipa-axum", &["api"]),
    ("utoipa-swagger-ui", &["api"]),
    ("tower-http", &["api"]),
    ("clap", &["bahi"]),
    ("toml", &["bahi"]),
    ("indicatif", &["bahi"]),
    ("tracing-subscriber", &["bahi"]),
    ("csv", &["feeds", "bahi", "tests"]),
    ("reqwest", &["bahi", "tests"]),
    ("k8s-openapi", &["tests"]),
    ("yaml_serde", &["tests"]),
];

/// What the source of a crate never says, and why: (crates the rule does not hold for, text, reason).
const UNSAID: &[(&[&str], &str, &str)] = &[
    (&["bahi", "tests"], "SystemTime::now", "only bahi reads the clock and passes it down"),
    (&["bahi", "tests"], "now_utc", "only bahi reads the clock and passes it down"),
    (&["bahi", "tests"], "env::var", "only bahi reads the environment"),
];

/// What the source of `domain` never says.
const UNSAID_IN_DOMAIN: &[&str] = &[
    "serde_json",
    "tokio",
    ".await",
    "async fn",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "Instant",
    "f32",
    "f64",
    "rand::",
];

/// Packages that `domain` never depends on outside its tests: it is told the time, and knows no JSON text and no I/O.
const STRANGE_TO_DOMAIN: &[&str] = &["serde_json", "tokio", "futures", "rand", "uuid", "chrono", "tracing", "metrics"];

/// Folders that are not part of the repository.
const NOT_OURS: &[&str] = &[".git", "target", ".data", "bahi-demo", "proptest-regressions", "__pycache__"];

/// The files of a repository by their path from its root; what is not text is there with an empty text.
#[derive(Default)]
struct Tree(BTreeMap<String, String>);

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

fn finding(path: &str, line: usize, message: impl Into<String>) -> Finding {
    Finding { path: path.to_owned(), line, message: message.into() }
}

impl Tree {
    fn read(root: &Path) -> Tree {
        let mut tree = Tree::default();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("the repository can be listed") {
                let entry = entry.expect("a folder's entry can be read");
                let (path, name) = (entry.path(), entry.file_name());
                if NOT_OURS.iter().any(|not_ours| name == *not_ours) {
                    continue;
                }
                if entry.file_type().expect("an entry has a type").is_dir() {
                    folders.push(path);
                } else {
                    let below = path.strip_prefix(root).expect("it is below the root");
                    let text = String::from_utf8(fs::read(&path).expect("a file can be read")).unwrap_or_default();
                    tree.0.insert(below.to_string_lossy().replace('\\', "/"), text);
                }
            }
        }
        tree
    }

    fn files<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter(move |(path, _)| path.ends_with(ending)).map(|(path, text)| (&**path, &**text))
    }

    /// Whether there is such a file, or a folder with a file in it.
    fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.0.contains_key(path) || path.is_empty() || self.0.keys().any(|file| file.starts_with(&folder))
    }

    /// The crates: (name, path of the manifest, its text).
    fn manifests(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.files("Cargo.toml").filter_map(|(path, text)| Some((path.strip_suffix("/Cargo.toml")?, path, text)))
    }
}

/// The packages a manifest depends on: (line, package, whether it is only for tests).
fn dependencies(manifest: &str) -> Vec<(usize, &str, bool)> {
    let (mut found, mut within, mut for_tests) = (Vec::new(), false, false);
    for (number, line) in (1..).zip(manifest.lines().map(str::trim)) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (head, named) = match section.rsplit_once("dependencies.") {
                Some((head, package)) => (format!("{head}dependencies"), Some(package)),
                None => (section.to_owned(), None),
            };
            within = head.ends_with("dependencies");
            for_tests = head.ends_with("dev-dependencies");
            if let Some(package) = named {
                found.push((number, package, for_tests));
                within = false;
            }
        } else if within && !line.is_empty() && !line.starts_with('#') {
            let alias = line.split(['.', '=', ' ']).next().unwrap_or_default();
            let renamed = line.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            found.push((number, renamed.unwrap_or(alias), for_tests));
        }
    }
    found
}

/// Edges between crates are those of [`EDGES`], and each outside system is named in its home.
fn edges(tree: &Tree) -> Vec<Finding> {
    let rows: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let mut findings = Vec::new();
    for (name, path, manifest) in tree.manifests() {
        let Some(allowed) = rows.get(name) else {
            findings.push(finding(path, 1, format!("the crate {name} has no row in the list of allowed edges")));
            continue;
        };
        for (line, package, for_tests) in dependencies(manifest) {
            if rows.contains_key(package) && !allowed.contains(&package) {
                findings.push(finding(path, line, format!("{name} must not depend on {package}")));
            }
            if let Some((_, homes)) = HOMES.iter().find(|(home, _)| *home == package)
                && !homes.contains(&name)
            {
                findings.push(finding(path, line, format!("{package} is named only in {}", homes.join(" and "))));
            }
            if name == "domain" && !for_tests && STRANGE_TO_DOMAIN.contains(&package) {
                findings.push(finding(path, line, format!("domain must not depend on {package}")));
            }
        }
    }
    findings
}

/// Words that a crate's source never says, comments aside.
fn words(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files(".rs") {
        let Some((name, _)) = path.split_once("/src/") else { continue };
        // Tests are told where the services are.
        let may_ask = |word: &str| word == "env::var" && path.ends_with("/tests.rs");
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            for (excepted, word, reason) in UNSAID {
                if code.contains(word) && !excepted.contains(&name) && !may_ask(word) {
                    findings.push(finding(path, number, format!("says {word}: {reason}")));
                }
            }
            if let Some(word) = UNSAID_IN_DOMAIN.iter().find(|word| name == "domain" && code.contains(**word)) {
                findings.push(finding(path, number, format!("says {word}, which domain does not know")));
            }
            if code.contains("#[ignore") {
                findings.push(finding(path, number, "an ignored test checks nothing"));
            }
        }
    }
    findings
}

/// Every version of every name has a schema and a golden example, and there is neither without a name.
///
/// Examples may be several, told apart after the version (`order_filled.v1.least.json`); a version
/// below 1 is a made-up older shape that proves the upcasters.
fn written_forms(tree: &Tree, kind: &str, types: &[(&str, u32)]) -> Vec<Finding> {
    let latest: BTreeMap<&str, u32> = types.iter().copied().collect();
    let mut findings = Vec::new();
    for (folder, what) in [("schemas", "schema"), ("golden", "golden example")] {
        let folder = format!("event-schemas/{folder}/{kind}/");
        for (name, version) in latest.iter().flat_map(|(name, latest)| (1..=*latest).map(move |v| (name, v))) {
            let path = format!("{folder}{name}.v{version}.json");
            if tree.0.get(&path).is_none_or(|text| text.trim().len() <= "{}".len()) {
                findings.push(finding(&path, 1, format!("the {what} of {name} version {version} is missing or empty")));
            }
        }
        for (path, _) in tree.files(".json").filter(|(path, _)| path.starts_with(&folder)) {
            let mut parts = path[folder.len()..].split('.');
            let known = parts.next().and_then(|name| latest.get(name));
            let version = parts.next().and_then(|version| version.strip_prefix('v')?.parse::<u32>().ok());
            if known.zip(version).is_none_or(|(latest, version)| version > *latest) {
                findings.push(finding(path, 1, format!("a {what} of nothing in domain")));
            }
        }
    }
    findings
}

/// Anchors of a page's headings, as GitHub makes them.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let (mut made, mut fenced) = (BTreeSet::new(), false);
    for line in markdown.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let keep = |c: char| c.is_alphanumeric() || " -_".contains(c);
        let slug = title.trim().to_lowercase().chars().filter(|c| keep(*c)).collect::<String>().replace(' ', "-");
        let numbered = (1..).map(|n| format!("{slug}-{n}"));
        let free = std::iter::once(slug.clone()).chain(numbered).find(|slug| !made.contains(slug));
        made.extend(free);
    }
    made
}

/// The targets of a page's links: (line, target). Code is passed over.
fn targets(markdown: &str) -> Vec<(usize, &str)> {
    let (mut found, mut fenced) = (Vec::new(), false);
    for (number, line) in (1..).zip(markdown.lines()) {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        let plain = line.split('`').step_by(2);
        found.extend(
            plain.flat_map(|text| text.split("](").skip(1)).filter_map(|rest| Some((number, rest.split(')').next()?))),
        );
        // A link whose text is code is cut at its backquotes; its target still opens with "](".
        if let Some((_, definition)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            found.push((number, definition.trim()));
        }
    }
    found
}

/// Every relative link leads to a file, a folder or a heading of this repository.
fn links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files(".md") {
        for (line, target) in targets(text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let mut parts: Vec<&str> = path.split('/').collect();
            parts.pop();
            for part in file.split('/').filter(|part| !part.is_empty() && *part != ".") {
                if part == ".." {
                    parts.pop();
                } else {
                    parts.push(part);
                }
            }
            let whole = if file.is_empty() { path.to_owned() } else { parts.join("/") };
            if !tree.has(&whole) {
                findings.push(finding(path, line, format!("the link {target} leads nowhere: there is no {whole}")));
            } else if let (Some(anchor), Some(page)) = (anchor, tree.0.get(&whole))
                && !anchors(page).contains(anchor)
            {
                findings.push(finding(
                    path,
                    line,
                    format!("the link {target} leads nowhere: {whole} has no such heading"),
                ));
            }
        }
    }
    findings
}

/// Only crates and folders that hold something real, each said in the code map, each opening with what it is.
fn rooms(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files(".rs") {
        if !text.starts_with("//! ") {
            findings.push(finding(path, 1, "opens without `//!` saying what it is"));
        }
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with("//")) {
            findings.push(finding(path, 1, "holds no code"));
        }
    }
    let members = tree.0.get("Cargo.toml").map_or("", |root| {
        root.split_once("members = [").and_then(|(_, rest)| rest.split(']').next()).unwrap_or_default()
    });
    for (name, path, manifest) in tree.manifests() {
        if !members.contains(&format!("\"{name}\"")) {
            findings.push(finding(path, 1, "is not a member of the workspace"));
        }
        if !manifest.contains("[lints]\nworkspace = true") {
            findings.push(finding(path, 1, "does not take the workspace's lints"));
        }
        if !["lib.rs", "main.rs"].iter().any(|root| tree.0.contains_key(&format!("{name}/src/{root}"))) {
            findings.push(finding(path, 1, "a crate without src/lib.rs or src/main.rs"));
        }
    }
    let map = tree.0.get("docs/ARCHITECTURE.md").map_or("", String::as_str);
    let folders: BTreeSet<&str> = tree
        .0
        .keys()
        .filter_map(|path| path.split_once('/'))
        .map(|(top, _)| top)
        .filter(|top| !top.starts_with('.'))
        .collect();
    for folder in folders {
        if !map.contains(&format!("`{folder}/`")) {
            findings.push(finding("docs/ARCHITECTURE.md", 1, format!("the code map does not name `{folder}/`")));
        }
    }
    findings
}

/// Fails with all findings, one a line.
fn nothing(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

fn repository() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository");
    let tree = Tree::read(root);
    assert!(tree.has("domain/src/lib.rs"), "{} is not the repository", root.display());
    tree
}

#[test]
fn crates_depend_only_where_the_design_allows() {
    nothing(edges(&repository()));
}

#[test]
fn only_the_binary_reads_the_clock_and_the_environment() {
    nothing(words(&repository()));
}

#[test]
fn every_version_of_events_commands_and_facts_has_a_schema_and_a_golden_example() {
    let tree = repository();
    let kinds = [
        ("events", domain::event::EventData::TYPES),
        ("market_events", domain::market::MarketEventData::TYPES),
        ("commands", domain::command::Command::KINDS),
        ("facts", domain::market::Fact::KINDS),
    ];
    nothing(kinds.into_iter().flat_map(|(kind, types)| written_forms(&tree, kind, types)).collect());
}

#[test]
fn every_refusal_is_told_to_who_writes_a_client() {
    let tree = repository();
    let path = "docs/API.md";
    let page = &tree.0[path];
    let untold = domain::rejection::Rejection::ALL.iter().filter(|code| {
        let row = format!("| `{}` | {} |", code.code(), code.detail());
        !page.contains(&row)
    });
    nothing(untold.map(|code| finding(path, 1, format!("no row for {}: {}", code.code(), code.detail()))).collect());
}

#[test]
fn links_in_the_docs_lead_somewhere() {
    nothing(links(&repository()));
}

#[test]
fn crates_and_folders_hold_something_real_and_say_what() {
    nothing(rooms(&repository()));
}

/// A made-up tree.
fn tree<const N: usize>(files: [(&str, &str); N]) -> Tree {
    Tree(files.map(|(path, text)| (path.to_owned(), text.to_owned())).into())
}

fn said(findings: Vec<Finding>) -> Vec<String> {
    findings.iter().map(Finding::to_string).collect()
}

#[test]
fn a_forbidden_edge_is_found_whichever_way_it_is_written() {
    let manifests = tree([
        ("domain/Cargo.toml", "[dependencies]\nserde_json.workspace = true\n[dev-dependencies]\nserde_json = \"1\"\n"),
        (
            "commands/Cargo.toml",
            "[dependencies]\ndomain.workspace = true\n[dev-dependencies.projections]\npath = \"x\"\n",
        ),
        (
            "projections/Cargo.toml",
            "[dependencies]\nedge = { package = \"axum\" }\ncommands = { path = \"../commands\" }\n",
        ),
        ("extra/Cargo.toml", "[package]\nname = \"extra\"\n"),
    ]);
    assert_eq!(
        said(edges(&manifests)),
        [
            "commands/Cargo.toml:3: commands must not depend on projections",
            "domain/Cargo.toml:2: domain must not depend on serde_json",
            "extra/Cargo.toml:1: the crate extra has no row in the list of allowed edges",
            "projections/Cargo.toml:2: axum is named only in api",
            "projections/Cargo.toml:3: projections must not depend on commands",
        ]
    );
}

#[test]
fn a_clock_read_below_the_binary_is_found_and_a_comment_is_not() {
    let sources = tree([
        ("commands/src/desk.rs", "//! Desk.\nlet now = SystemTime::now();\n"),
        ("domain/src/order.rs", "//! Never SystemTime::now, never f64.\nlet price: f64;\n"),
        ("bahi/src/clock.rs", "//! Clock.\nSystemTime::now()\n"),
        ("api/src/orders.rs", "//! Orders.\n#[ignore]\n"),
    ]);
    assert_eq!(
        said(words(&sources)),
        [
            "api/src/orders.rs:2: an ignored test checks nothing",
            "commands/src/desk.rs:2: says SystemTime::now: only bahi reads the clock and passes it down",
            "domain/src/order.rs:2: says f64, which domain does not know",
        ]
    );
}

#[test]
fn a_missing_schema_an_empty_example_and_an_orphan_are_found() {
    let forms = tree([
        ("event-schemas/schemas/events/opened.v1.json", "{\"type\":\"object\"}"),
        ("event-schemas/schemas/events/closed.v1.json", "{\"type\":\"object\"}"),
        ("event-schemas/golden/events/opened.v1.json", "{}"),
        ("event-schemas/golden/events/opened.v1.least.json", "{\"account\":\"A\"}"),
        ("event-schemas/golden/events/opened.v2.json", "{\"account\":\"A\"}"),
        ("event-schemas/golden/events/opened.v3.json", "{\"account\":\"A\"}"),
    ]);
    assert_eq!(
        said(written_forms(&forms, "events", &[("opened", 2)])),
        [
            "event-schemas/schemas/events/opened.v2.json:1: the schema of opened version 2 is missing or empty",
            "event-schemas/schemas/events/closed.v1.json:1: a schema of nothing in domain",
            "event-schemas/golden/events/opened.v1.json:1: the golden example of opened version 1 is missing or empty",
            "event-schemas/golden/events/opened.v3.json:1: a golden example of nothing in domain",
        ]
    );
}

#[test]
fn a_dead_link_and_a_dead_anchor_are_found_and_code_is_passed_over() {
    let pages = tree([
        ("README.md", "# A b, c!\n[x](#a-b-c) [y](docs/b.md#two)\n[`z`](docs/gone.md)\n```\n[n](no)\n```\n`[n](no)`\n"),
        ("docs/b.md", "## One\n[up](../README.md) [far](https://example.org/x) [d](../docs)\n\n[r]: c.md\n"),
    ]);
    assert_eq!(
        said(links(&pages)),
        [
            "README.md:2: the link docs/b.md#two leads nowhere: docs/b.md has no such heading",
            "README.md:3: the link docs/gone.md leads nowhere: there is no docs/gone.md",
            "docs/b.md:4: the link c.md leads nowhere: there is no docs/c.md",
        ]
    );
}

#[test]
fn an_empty_room_and_one_missing_from_the_map_are_found() {
    let rooms_made_up = tree([
        ("Cargo.toml", "members = [\"domain\"]\n"),
        ("docs/ARCHITECTURE.md", "`domain/` and `docs/`"),
        ("domain/Cargo.toml", "[lints]\nworkspace = true\n"),
        ("domain/src/lib.rs", "//! Truth.\npub mod money;\n"),
        ("domain/src/money.rs", "pub struct Money;\n"),
        ("later/Cargo.toml", "[package]\n"),
        ("later/src/lib.rs", "//! Later.\n"),
    ]);
    assert_eq!(
        said(rooms(&rooms_made_up)),
        [
            "domain/src/money.rs:1: opens without `//!` saying what it is",
            "later/src/lib.rs:1: holds no code",
            "later/Cargo.toml:1: is not a member of the workspace",
            "later/Cargo.toml:1: does not take the workspace's lints",
            "docs/ARCHITECTURE.md:1: the code map does not name `later/`",
        ]
    );
}
