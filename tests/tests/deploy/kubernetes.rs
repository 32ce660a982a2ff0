//! Kubernetes objects against the types of its API, those of release 1.33 and every one since; what is no object of the
//! API itself is for other modules.

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, Namespace, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Whether an object reads as its type and nothing of it is left out then.
pub fn check(object: &Value) -> Result<(), String> {
    let word = |name: &str| object[name].as_str().unwrap_or_default();
    let of_type = match (word("apiVersion"), word("kind")) {
        ("v1", "ConfigMap") => reads::<ConfigMap>,
        ("v1", "Namespace") => reads::<Namespace>,
        ("v1", "Service") => reads::<Service>,
        ("v1", "ServiceAccount") => reads::<ServiceAccount>,
        ("apps/v1", "Deployment") => reads::<Deployment>,
        ("batch/v1", "Job") => reads::<Job>,
        ("autoscaling/v2", "HorizontalPodAutoscaler") => reads::<HorizontalPodAutoscaler>,
        ("networking.k8s.io/v1", "Ingress") => reads::<Ingress>,
        ("networking.k8s.io/v1", "NetworkPolicy") => reads::<NetworkPolicy>,
        ("policy/v1", "PodDisruptionBudget") => reads::<PodDisruptionBudget>,
        (version, kind) => return Err(format!("{version} {kind} is a kind that nobody here knows")),
    };
    of_type(object).map_err(|problem| format!("{problem} of {} {}", word("apiVersion"), word("kind")))
}

/// Whether a value reads as a type that, written again, has everything the value has.
pub fn reads<T: DeserializeOwned + Serialize>(value: &Value) -> Result<(), String> {
    let read: T = serde_json::from_value(value.clone()).map_err(|why| format!("{why}, which is no value"))?;
    let written = serde_json::to_value(read).map_err(|why| why.to_string())?;
    match lost(value, &written) {
        None => Ok(()),
        Some(path) => Err(format!("{} is no field", path.trim_start_matches('.'))),
    }
}

/// The first path that the second value lacks or has otherwise.
fn lost(value: &Value, written: &Value) -> Option<String> {
    match (value, written) {
        (Value::Object(value), Value::Object(written)) => value.iter().find_map(|(name, value)| {
            let below = written.get(name).map_or(Some(String::new()), |written| lost(value, written))?;
            Some(format!(".{name}{below}"))
        }),
        (Value::Array(value), Value::Array(written)) if value.len() == written.len() => {
            let pairs = value.iter().zip(written).enumerate();
            pairs.into_iter().find_map(|(at, (value, written))| Some(format!("[{at}]{}", lost(value, written)?)))
        }
        (value, written) => (value != written).then(String::new),
    }
}
