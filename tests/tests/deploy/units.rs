//! The systemd units: that systemd takes them without a word, and that each has as few rights as any.

use super::files::deploy;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};
use tests::binary;

/// What `systemd-analyze security` says at most, in tenths: from 0, for what may nothing, to 100.
const EXPOSURE_MAX: &str = "15";
/// Settings that add to what was said before under their name.
const ADDING: [&str; 3] = ["Environment", "LoadCredential", "SystemCallFilter"];

/// Every unit by its path from `deploy/`.
pub fn units() -> BTreeMap<String, String> {
    deploy().into_iter().filter(|(path, _)| path.ends_with(".service")).collect()
}

/// What systemd says of a unit whose program is where it was built; none where there is no systemd.
fn analyzed(words: &[&str], unit: &str) -> Option<binary::Ran> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("bahi-test.service");
    let program = binary::path();
    let program = program.to_str().expect("a path that is text");
    fs::write(&path, unit.replace("/usr/local/bin/bahi", program)).expect("it can be written");
    let said = Command::new("systemd-analyze").arg("--no-pager").args(words).arg(&path).output().ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(binary::Ran { code: said.status.code(), out: text(&said.stdout), err: text(&said.stderr) })
}

/// What of a unit no systemd is needed to see: lines that are none, and settings that are there twice or in no section.
fn odd_lines(unit: &str) -> Vec<String> {
    let (mut odd, mut section, mut seen) = (Vec::new(), "", BTreeSet::new());
    for line in unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if ["[Unit]", "[Service]", "[Install]"].contains(&line) {
            section = line;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| !section.is_empty()) {
            let is_name = name.starts_with(char::is_uppercase) && name.chars().all(|c| c.is_ascii_alphanumeric());
            let is_new = seen.insert((section, name)) || ADDING.contains(&name);
            if !is_name || !is_new || value.ends_with(' ') {
                odd.push(format!("{section} {line}"));
            }
        } else {
            odd.push(format!("{section} {line}"));
        }
    }
    let needed = [("[Service]", "ExecStart"), ("[Service]", "Type"), ("[Install]", "WantedBy")];
    odd.extend(
        needed.iter().filter(|one| !seen.contains(*one)).map(|(section, name)| format!("{section} lacks {name}")),
    );
    odd
}

#[test]
fn systemd_takes_every_unit_without_a_word() {
    for (path, unit) in units() {
        assert_eq!(odd_lines(&unit), [] as [&str; 0], "{path}");
        let Some(verified) = analyzed(&["--man=no", "verify"], &unit) else {
            eprintln!("skipped: there is no systemd-analyze here, so only the lines of {path} were checked");
            continue;
        };
        assert_eq!((verified.code, &*verified.err, &*verified.out), (Some(0), "", ""), "{path}");
        let exposed = analyzed(&["security", "--offline=true", &format!("--threshold={EXPOSURE_MAX}")], &unit);
        let exposed = exposed.expect("it was there a moment ago");
        assert_eq!(exposed.code, Some(0), "{path} may more than it needs:\n{}{}", exposed.out, exposed.err);
    }
}

#[test]
fn a_unit_that_says_what_systemd_does_not_know_is_found() {
    let unit = &units()["bahi.service"];
    for (line, instead) in [
        ("Restart=on-failure", "Restart on-failure"),
        ("[Service]", "[Servise]"),
        ("KillSignal=SIGTERM", "KillSignal=SIGTERM\nKillSignal=SIGTERM"),
        ("Type=exec\n", ""),
    ] {
        assert_ne!(odd_lines(&unit.replace(line, instead)), [] as [&str; 0], "{instead:?}");
    }
    for (line, instead, found) in [
        ("Restart=", "Restrat=", "'Restrat'"),
        ("Restart=on-failure", "Restart=sometimes", "sometimes"),
        ("@system-service", "@system-services", "@system-services"),
        ("ExecStart=/usr/local/bin/bahi", "ExecStart=/nowhere/bahi", "/nowhere/bahi"),
    ] {
        let Some(verified) = analyzed(&["--man=no", "verify"], &unit.replace(line, instead)) else { return };
        assert!(verified.err.contains(found), "{instead}: {}", verified.err);
    }
    let careless = unit.replace("NoNewPrivileges=yes\n", "").replace("CapabilityBoundingSet=\n", "");
    let careless = careless.replace("SystemCallFilter=@system-service\n", "").replace("PrivateUsers=yes\n", "");
    let exposed = analyzed(&["security", "--offline=true", &format!("--threshold={EXPOSURE_MAX}")], &careless);
    assert!(exposed.is_none_or(|exposed| exposed.code != Some(0)), "rights that are not needed are not found");
}

#[test]
fn every_unit_has_no_right_that_the_one_for_serve_has_not() {
    let units = units();
    let rights = |unit: &str| {
        let lines = unit.lines().skip_while(|line| !line.starts_with("NoNewPrivileges"));
        lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let wanted = rights(&units["bahi.service"]);
    assert!(wanted.len() > 20, "{wanted:?}");
    for (path, unit) in &units {
        assert_eq!(rights(unit), wanted, "{path}");
        for line in ["DynamicUser=yes", "UMask=0077", "KillSignal=SIGTERM"] {
            assert!(unit.lines().any(|said| said == line), "{path} does not say {line}");
        }
    }
    assert_eq!(units.len(), 5);
}
