//! What every pod of Bahi has to be, whatever it runs: the release's image, hardened, stoppable, and told only what the
//! product knows.

use super::files::{Object, list, objects, text};
use serde_json::{Value, json};

/// One container with the pod it is in.
pub struct Container {
    /// For people.
    pub name: String,
    pub pod: Value,
    pub value: Value,
    /// Whether it goes on for ever.
    pub is_process: bool,
}

/// All of them.
pub fn containers() -> Vec<Container> {
    let with_pods = |object: &Object| ["Deployment", "Job"].contains(&object.kind().1);
    let of = |object: Object| {
        let pod = object.value["spec"]["template"]["spec"].clone();
        let container = |kind: &str| {
            let of_kind = |value: &Value| Container {
                name: format!("{} {}", object.name(), text(value, "/name")),
                pod: pod.clone(),
                value: value.clone(),
                is_process: kind == "/containers" && object.kind().1 == "Deployment",
            };
            list(&pod, kind).map(of_kind).collect::<Vec<_>>()
        };
        container("/initContainers").into_iter().chain(container("/containers")).collect::<Vec<_>>()
    };
    objects("kubernetes").into_iter().filter(with_pods).flat_map(of).collect()
}

fn nothing(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn no_pod_has_a_right_that_it_does_not_need() {
    let of_pod = [
        ("/serviceAccountName", json!("bahi")),
        ("/automountServiceAccountToken", json!(false)),
        ("/enableServiceLinks", json!(false)),
        ("/securityContext/runAsNonRoot", json!(true)),
        ("/securityContext/runAsUser", json!(10001)),
        ("/securityContext/seccompProfile/type", json!("RuntimeDefault")),
    ];
    let of_container = [
        ("/securityContext/allowPrivilegeEscalation", json!(false)),
        ("/securityContext/readOnlyRootFilesystem", json!(true)),
        ("/securityContext/capabilities/drop", json!(["ALL"])),
    ];
    let mut problems = Vec::new();
    for container in containers() {
        let (pod, own) = (
            of_pod.iter().map(|fact| (&container.pod, fact)),
            of_container.iter().map(|fact| (&container.value, fact)),
        );
        for (value, (pointer, wanted)) in pod.chain(own) {
            if value.pointer(pointer) != Some(wanted) {
                problems.push(format!("{}: {pointer} is not {wanted}", container.name));
            }
        }
        for pointer in ["/resources/requests/cpu", "/resources/requests/memory", "/resources/limits/memory"] {
            if container.value.pointer(pointer).is_none() {
                problems.push(format!("{}: {pointer} is not said", container.name));
            }
        }
        for volume in list(&container.pod, "/volumes") {
            if volume.get("secret").is_none() && volume.get("emptyDir").is_none() {
                problems.push(format!("{}: a volume that is neither a secret nor in memory", container.name));
            }
        }
    }
    nothing(problems);
}

#[test]
fn every_container_is_of_this_release() {
    let manifest = std::fs::read_to_string(super::files::root().join("Cargo.toml")).expect("the workspace");
    let version = manifest.split("\nversion = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a version");
    let mut problems: Vec<String> = containers()
        .iter()
        .filter(|container| container.value["image"] != format!("bahi:{version}"))
        .map(|container| format!("{}: {} is not of release {version}", container.name, container.value["image"]))
        .collect();
    for object in objects("kubernetes").iter().filter(|object| object.kind().1 == "Kustomization") {
        let said = list(&object.value, "/labels").map(|labels| &labels["pairs"]["app.kubernetes.io/version"]);
        let tags = list(&object.value, "/images").map(|image| &image["newTag"]);
        let others = said.chain(tags).filter(|said| **said != version);
        problems.extend(others.map(|said| format!("{}: {said} is not {version}", object.path)));
    }
    nothing(problems);
}

#[test]
fn every_process_is_asked_how_it_is_and_given_time_to_stop() {
    let drain_s = 10;
    let mut problems = Vec::new();
    for Container { name, pod, value, .. } in containers().iter().filter(|container| container.is_process) {
        for (probe, path) in
            [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
        {
            if text(value, &format!("/{probe}/httpGet/path")) != path {
                problems.push(format!("{name}: its {probe} does not ask {path}"));
            }
        }
        let pause = value.pointer("/lifecycle/preStop/sleep/seconds").and_then(Value::as_u64).unwrap_or(0);
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        if grace < pause + drain_s + 10 {
            problems.push(format!(
                "{name}: {grace} s are too few to stop: {pause} s of pause, {drain_s} s to drain, and the log to close"
            ));
        }
    }
    nothing(problems);
}

#[test]
fn whatever_selects_pods_finds_some_and_every_file_is_used() {
    let all = objects("kubernetes");
    let labels: Vec<&Value> =
        all.iter().filter_map(|object| object.value.pointer("/spec/template/metadata/labels")).collect();
    let finds = |selector: &Value| {
        let wanted = selector.as_object().into_iter().flatten();
        let wanted: Vec<_> = wanted.collect();
        labels.iter().any(|labels| wanted.iter().all(|(name, value)| labels.get(name) == Some(*value)))
    };
    let mut problems = Vec::new();
    for object in &all {
        let selector = match object.kind().1 {
            "Service" => "/spec/selector",
            "Deployment" | "PodDisruptionBudget" => "/spec/selector/matchLabels",
            "NetworkPolicy" => "/spec/podSelector/matchLabels",
            _ => continue,
        };
        if object.value.pointer(selector).is_some_and(|selector| !finds(selector)) {
            problems.push(format!("{}: its selector finds no pod", object.name()));
        }
    }
    let listed: Vec<&str> =
        all.iter().flat_map(|object| list(&object.value, "/resources")).filter_map(Value::as_str).collect();
    let unused = all.iter().filter(|object| object.kind().1 != "Kustomization").filter(|object| {
        let file = object.path.rsplit('/').next().unwrap_or_default();
        !listed.contains(&file)
    });
    problems.extend(unused.map(|object| format!("{}: no kustomization names it", object.path)));
    nothing(problems);
}
