//! The numbers that the product counts: that dashboard and alerts ask for none that is not there, and that the guide
//! explains each and says what to do about every alert.

use super::files::{deploy, list, parse, root, text};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

const GUIDE: &str = "docs/OPERATING.md";

/// Every metric in the source by name: counter, gauge or histogram.
fn counted() -> BTreeMap<String, &'static str> {
    let mut metrics = BTreeMap::new();
    for folder in ["api", "bahi", "commands", "event-log", "projections"] {
        sources(&root().join(folder).join("src"), &mut |code| {
            for kind in ["counter", "gauge", "histogram"] {
                for after in code.split(&format!("{kind}!(")).skip(1) {
                    let name = after.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                    metrics.extend(name.map(|name| (name.to_owned(), kind)));
                }
            }
        });
    }
    metrics
}

fn sources(folder: &Path, see: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).expect("a folder can be listed") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            sources(&path, see);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            see(&fs::read_to_string(&path).expect("a file of text"));
        }
    }
}

/// The metrics of the product that an expression asks for.
fn asked(expression: &str) -> impl Iterator<Item = &str> {
    expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("bahi_"))
}

/// Whether there is such a series: a histogram has a sum and a count, and buckets where it is of seconds.
fn exists(series: &str, counted: &BTreeMap<String, &str>) -> bool {
    let is_histogram = |name: &str| counted.get(name) == Some(&"histogram");
    let own = counted.get(series).is_some_and(|kind| *kind != "histogram");
    let part = ["_sum", "_count"].iter().any(|part| series.strip_suffix(part).is_some_and(is_histogram));
    let buckets = series.strip_suffix("_bucket").is_some_and(|name| name.ends_with("_seconds") && is_histogram(name));
    own || part || buckets
}

/// The alerts with their expressions.
fn alerts() -> Vec<Value> {
    let file = parse(&deploy()["prometheus/alerts.yaml"]).remove(0);
    list(&file, "/groups").flat_map(|group| list(group, "/rules").cloned()).collect()
}

/// The rows of the guide's table of metrics: name and kind.
fn explained() -> BTreeMap<String, String> {
    let page = fs::read_to_string(root().join(GUIDE)).expect("the guide");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `bahi_"));
    let row = |row: &str| {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        Some((format!("bahi_{}", cells.next()?), cells.next()?))
    };
    rows.filter_map(row).collect()
}

#[test]
fn the_dashboard_asks_for_what_is_counted() {
    let counted = counted();
    let board: Value = serde_json::from_str(&deploy()["grafana/bahi.json"]).expect("the dashboard is JSON");
    let expressions: Vec<&str> =
        list(&board, "/panels").flat_map(|panel| list(panel, "/targets")).map(|target| text(target, "/expr")).collect();
    assert!(expressions.len() > 20 && expressions.iter().all(|expression| asked(expression).next().is_some()));
    let missing: Vec<&str> =
        expressions.iter().flat_map(|expression| asked(expression)).filter(|name| !exists(name, &counted)).collect();
    assert!(missing.is_empty(), "nothing counts {missing:?}");
    let shown = |name: &str| expressions.iter().any(|expression| expression.contains(name));
    let unseen: Vec<&String> = counted.keys().filter(|name| !shown(name)).collect();
    assert!(unseen.is_empty(), "no panel shows {unseen:?}");
}

#[test]
fn every_alert_asks_for_what_is_counted_and_has_an_entry_in_the_guide() {
    let (counted, alerts) = (counted(), alerts());
    let page = fs::read_to_string(root().join(GUIDE)).expect("the guide");
    let mut entries: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### Bahi")).collect();
    for alert in &alerts {
        let name = text(alert, "/alert");
        let missing: Vec<&str> = asked(text(alert, "/expr")).filter(|name| !exists(name, &counted)).collect();
        assert!(missing.is_empty(), "{name}: nothing counts {missing:?}");
        assert_eq!(text(alert, "/annotations/runbook"), format!("{GUIDE}#{}", name.to_lowercase()));
        assert!(!text(alert, "/annotations/summary").is_empty(), "{name} does not say what is wrong");
        assert!(["warning", "critical"].contains(&text(alert, "/labels/severity")), "{name}: how bad is it?");
        let entry = entries.iter().position(|entry| format!("Bahi{entry}") == name);
        entries.swap_remove(entry.unwrap_or_else(|| panic!("{GUIDE} has no entry for {name}")));
    }
    assert!(entries.is_empty(), "{GUIDE} has entries for alerts that there are not: {entries:?}");
}

#[test]
fn the_guide_explains_every_metric_and_no_other() {
    let counted: BTreeMap<String, String> = counted().into_iter().map(|(name, kind)| (name, kind.to_owned())).collect();
    assert!(counted.len() > 20, "only {counted:?} were found");
    assert_eq!(explained(), counted);
}

#[test]
fn a_metric_that_nothing_counts_is_found() {
    let counted = [("bahi_a_total", "counter"), ("bahi_b_seconds", "histogram"), ("bahi_c_entries", "histogram")];
    let counted = counted.map(|(name, kind)| (name.to_owned(), kind)).into();
    let of = |expression| asked(expression).filter(|name| !exists(name, &counted)).collect::<Vec<_>>();
    assert!(of("sum(rate(bahi_a_total[5m])) / rate(bahi_c_entries_sum[5m]) + bahi_b_seconds_bucket").is_empty());
    assert_eq!(of("bahi_a > bahi_b_seconds"), ["bahi_a", "bahi_b_seconds"]);
    assert_eq!(of("bahi_c_entries_bucket"), ["bahi_c_entries_bucket"]);
}
