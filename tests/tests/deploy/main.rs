//! The files that run Bahi elsewhere: that each is what its reader takes it for, and says nothing that the product does
//! not know. Nothing here starts a cluster.

mod files;
mod kubernetes;
mod kustomize;
mod numbers;
mod overlays;
mod pods;
mod services;
mod strimzi;
mod units;
mod words;

use files::{deploy, objects};

#[test]
fn every_kubernetes_object_has_only_fields_of_its_kind() {
    let (mut problems, mut checked) = (Vec::new(), 0);
    for object in objects("kubernetes").into_iter().chain(objects("strimzi")) {
        checked += 1;
        let found = match object.kind() {
            (kustomize::VERSION, _) => kustomize::check(&object.value),
            (strimzi::VERSION, kind) => strimzi::check(kind, &object.value),
            _ => kubernetes::check(&object.value),
        };
        problems.extend(found.err().map(|problem| format!("{}: {problem}", object.name())));
    }
    assert!(checked > 20, "only {checked} objects were found");
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn a_field_that_is_unknown_or_of_another_type_is_found() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec:\n  SPEC\n  \
        selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c}]}}\n";
    let of = |spec: &str| kubernetes::check(&files::parse(&deployment.replace("SPEC", spec)).remove(0));
    assert_eq!(of("replicas: 2"), Ok(()));
    assert_eq!(of("replica: 2").unwrap_err(), "spec.replica is no field of apps/v1 Deployment");
    assert!(of("replicas: two").unwrap_err().contains("invalid type: string \"two\""));
    assert!(of("strategy: {type: 1}").unwrap_err().contains("invalid type: integer"));
    let deep = of("paused: false\n  strategy: {rollingUpdate: {maxUnavailible: 1}}").unwrap_err();
    assert_eq!(deep, "spec.strategy.rollingUpdate.maxUnavailible is no field of apps/v1 Deployment");
    let unknown = files::parse("apiVersion: apps/v2\nkind: Deployment\n").remove(0);
    assert!(kubernetes::check(&unknown).unwrap_err().contains("nobody here knows"));
}

#[test]
fn a_strimzi_field_that_is_unknown_or_of_another_type_or_forbidden_is_found() {
    let topic = "apiVersion: kafka.strimzi.io/v1\nkind: KafkaTopic\nmetadata: {name: x}\nspec: {SPEC}\n";
    let of = |spec: &str| strimzi::check("KafkaTopic", &files::parse(&topic.replace("SPEC", spec)).remove(0));
    assert_eq!(of("partitions: 16, replicas: 3, config: {retention.ms: -1}"), Ok(()));
    assert!(of("partitons: 16").unwrap_err().contains("partitons"));
    assert!(of("partitions: many").unwrap_err().contains("many"));
    assert!(of("partitions: 0").unwrap_err().contains("minimum"));
    let kafka = "apiVersion: kafka.strimzi.io/v1\nkind: Kafka\nmetadata: {name: x}\nspec: {kafka: {config: {CONFIG}, \
        listeners: [{name: plain, port: 9092, type: internal, tls: false}]}}\n";
    let of = |config: &str| strimzi::check("Kafka", &files::parse(&kafka.replace("CONFIG", config)).remove(0));
    assert_eq!(of("min.insync.replicas: 2"), Ok(()));
    assert!(of("broker.id: 2").unwrap_err().contains("broker.id is not for users to set"));
}

#[test]
fn the_topics_of_strimzi_are_those_that_the_product_wants() {
    let printed = tests::binary::run(["topics", "manifests"]).succeeded();
    let kept = &deploy()["strimzi/topics.yaml"];
    assert_eq!(*kept, printed, "make it anew: bahi topics manifests > deploy/strimzi/topics.yaml");
}

#[test]
fn the_brokers_of_strimzi_keep_what_the_ledger_rule_needs() {
    let kafka = objects("strimzi").into_iter().find(|object| object.kind().1 == "Kafka").expect("a cluster");
    assert_eq!(strimzi::lacking(&kafka.value, &objects("strimzi")), Vec::<String>::new());
}
