//! What processes are told, wherever they run: subcommands, flags and variables that the product knows, by its own word.

use super::{
    files::{deploy, list, objects, parse, text},
    pods::containers,
    units::units,
};
use serde_json::Value;
use tests::binary;

/// What one process is told.
struct Told {
    by: String,
    words: Vec<String>,
    variables: Vec<String>,
}

fn words(value: &Value, pointer: &str) -> Vec<String> {
    list(value, pointer).filter_map(|word| Some(word.as_str()?.to_owned())).collect()
}

fn on_kubernetes() -> Vec<Told> {
    let own = |container: &Value| list(container, "/env").map(|variable| text(variable, "/name").to_owned()).collect();
    let of = containers().into_iter().filter(|container| container.value.get("command").is_none());
    of.map(|container| Told {
        words: words(&container.value, "/args"),
        variables: own(&container.value),
        by: container.name,
    })
    .collect()
}

/// The variables of all processes on Kubernetes.
fn generated() -> Vec<Told> {
    let kustomizations = objects("kubernetes").into_iter().filter(|object| object.kind().1 == "Kustomization");
    let variables = |object: &Value| {
        let literals = list(object, "/configMapGenerator").flat_map(|map| words(map, "/literals"));
        literals.filter_map(|literal| Some(literal.split_once('=')?.0.to_owned())).collect()
    };
    kustomizations.map(|object| Told { variables: variables(&object.value), by: object.path, words: vec![] }).collect()
}

fn in_compose() -> Vec<Told> {
    let file = parse(&deploy()["compose.yaml"]).remove(0);
    let services = file["services"].as_object().expect("services");
    let ours = services.iter().filter(|(_, service)| text(service, "/image").starts_with("bahi:"));
    ours.map(|(name, service)| Told {
        by: format!("compose.yaml {name}"),
        words: words(service, "/command"),
        variables: service["environment"].as_object().into_iter().flat_map(|names| names.keys().cloned()).collect(),
    })
    .collect()
}

fn in_units() -> Vec<Told> {
    let told = |(path, unit): (String, String)| {
        let said = |name: &str| unit.lines().filter_map(|line| line.strip_prefix(name)).collect::<Vec<_>>();
        let variables =
            said("Environment=").iter().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
        let words = said("ExecStart=/usr/local/bin/bahi ").join(" ").split(' ').map(str::to_owned).collect();
        Told { by: path, words, variables }
    };
    units().into_iter().map(told).collect()
}

#[test]
fn processes_are_told_only_what_the_product_knows() {
    let known = binary::run(["check-config", "--data", "somewhere"]).succeeded();
    let knows =
        |variable: &str| known.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == variable);
    assert!(knows("BAHI_LISTEN") && !knows("BAHI_LISTN"), "{known}");
    let (mut problems, mut roles) = (Vec::new(), Vec::new());
    for Told { by, words, variables } in
        on_kubernetes().into_iter().chain(generated()).chain(in_compose()).chain(in_units())
    {
        problems.extend(variables.iter().filter(|name| !knows(name)).map(|name| format!("{by}: {name} is no setting")));
        let subcommand: Vec<&str> =
            words.iter().map(String::as_str).take_while(|word| !word.starts_with("--")).collect();
        if subcommand.is_empty() {
            continue;
        }
        roles.push(subcommand.join(" "));
        let help = binary::run(subcommand.iter().copied().chain(["--help"]));
        if help.code != Some(0) {
            problems.push(format!("{by}: bahi {} is no subcommand", subcommand.join(" ")));
        }
        let flags = words.iter().filter(|word| word.starts_with("--"));
        let strange = flags.filter(|flag| !help.out.contains(&format!("{flag} ")));
        problems.extend(strange.map(|flag| format!("{by}: bahi {} has no {flag}", subcommand.join(" "))));
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    for (role, least) in
        [("api", 3), ("writer", 3), ("projector", 3), ("venue", 2), ("migrate", 2), ("topics apply", 2)]
    {
        assert!(roles.iter().filter(|told| *told == role).count() >= least, "{role} is not told everywhere: {roles:?}");
    }
}
