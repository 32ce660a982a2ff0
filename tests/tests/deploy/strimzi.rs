//! Strimzi's resources against its own definitions, kept beside this file as its release 1.2.0 ships them
//! (`install/cluster-operator`, Apache-2.0). Rules in CEL are not evaluated.

use super::{
    files::{Object, list, parse, text},
    kubernetes,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

/// What its resources say they are.
pub const VERSION: &str = "kafka.strimzi.io/v1";

const DEFINITIONS: [(&str, &str); 3] = [
    ("Kafka", include_str!("strimzi-1.2.0/040-Crd-kafka.yaml")),
    ("KafkaTopic", include_str!("strimzi-1.2.0/043-Crd-kafkatopic.yaml")),
    ("KafkaNodePool", include_str!("strimzi-1.2.0/045-Crd-kafkanodepool.yaml")),
];

/// What a broker's settings must not begin with, as the operator takes them out without a word; of
/// `KafkaClusterSpec.FORBIDDEN_PREFIXES` and its exceptions what could be meant here.
const FORBIDDEN: [&str; 9] =
    ["listeners", "advertised.", "broker.", "listener.", "log.dir", "sasl.", "ssl.", "controller.", "authorizer."];
const NOT_FORBIDDEN: [&str; 2] = ["broker.session.timeout.ms", "broker.heartbeat.interval.ms"];

/// Whether a resource is as its definition says.
pub fn check(kind: &str, resource: &Value) -> Result<(), String> {
    let definition = DEFINITIONS.iter().find(|(name, _)| *name == kind);
    let (_, definition) = definition.ok_or_else(|| format!("{kind} is a kind that nobody here knows"))?;
    let definition = parse(definition).remove(0);
    let version = list(&definition, "/spec/versions")
        .find(|version| format!("kafka.strimzi.io/{}", text(version, "/name")) == VERSION);
    let mut schema = version.ok_or("the definition has no such version")?["schema"]["openAPIV3Schema"].clone();
    close(&mut schema);
    let validator = jsonschema::validator_for(&schema).map_err(|why| why.to_string())?;
    if let Some(problem) = validator.iter_errors(resource).next() {
        return Err(format!("{}: {problem}", problem.instance_path()));
    }
    kubernetes::reads::<ObjectMeta>(&resource["metadata"])?;
    let config = resource.pointer("/spec/kafka/config").and_then(Value::as_object);
    let forbidden = |name: &&String| {
        FORBIDDEN.iter().any(|prefix| name.starts_with(prefix)) && !NOT_FORBIDDEN.contains(&name.as_str())
    };
    match config.and_then(|config| config.keys().find(forbidden)) {
        Some(name) => Err(format!("{name} is not for users to set")),
        None => Ok(()),
    }
}

/// A schema of Kubernetes refuses fields that it does not name; one of JSON does so only when told to.
fn close(schema: &mut Value) {
    if let Some(schema) = schema.as_object_mut() {
        let open = ["x-kubernetes-preserve-unknown-fields", "additionalProperties"]
            .iter()
            .any(|word| schema.contains_key(*word));
        let named = |schema: &Map<String, Value>| {
            schema.get("type") == Some(&json!("object")) && schema.contains_key("properties")
        };
        if named(schema) && !open {
            schema.insert("additionalProperties".to_owned(), json!(false));
        }
        schema.values_mut().for_each(close);
    } else if let Some(list) = schema.as_array_mut() {
        list.iter_mut().for_each(close);
    }
}

/// What a cluster lacks of what the ledger rule counts on.
pub fn lacking(kafka: &Value, all: &[Object]) -> Vec<String> {
    let wanted = [
        ("min.insync.replicas", json!(2)),
        ("default.replication.factor", json!(3)),
        ("unclean.leader.election.enable", json!(false)),
        ("auto.create.topics.enable", json!(false)),
        ("delete.topic.enable", json!(false)),
        ("message.max.bytes", json!(4 << 20)),
        ("replica.fetch.max.bytes", json!(4 << 20)),
    ];
    let config = &kafka["spec"]["kafka"]["config"];
    let wrong = wanted.iter().filter(|(name, value)| config[name] != *value);
    let mut lacking: Vec<String> =
        wrong.map(|(name, value)| format!("{name} is {}, not {value}", config[name])).collect();
    for role in ["broker", "controller"] {
        let pool = |object: &&Object| {
            object.kind().1 == "KafkaNodePool" && list(&object.value, "/spec/roles").any(|has| has == role)
        };
        let nodes: u64 = all.iter().filter(pool).filter_map(|pool| pool.value["spec"]["replicas"].as_u64()).sum();
        if nodes < 3 {
            lacking.push(format!("there are {nodes} nodes as {role}: two of three must be able to have a record"));
        }
    }
    lacking
}
