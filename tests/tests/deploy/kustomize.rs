//! What kustomize makes of a folder, for those who have none: of its file what is used here, and nothing else. Where
//! kubectl is installed, its own word is held against this.

use super::files::{parse, text};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What kustomize's file says it is.
pub const VERSION: &str = "kustomize.config.k8s.io/v1beta1";
const FILE: &str = "kustomization.yaml";

/// What of its file is used here: <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/>.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Kustomization {
    api_version: String,
    kind: String,
    namespace: Option<String>,
    resources: Vec<String>,
    #[serde(default)]
    labels: Vec<Labels>,
    #[serde(default)]
    images: Vec<Image>,
    #[serde(default)]
    config_map_generator: Vec<ConfigMap>,
    #[serde(default)]
    patches: Vec<Patch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Labels {
    pairs: BTreeMap<String, String>,
    #[serde(default)]
    include_templates: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Image {
    name: String,
    new_name: Option<String>,
    new_tag: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ConfigMap {
    name: String,
    #[serde(default)]
    behavior: Behavior,
    literals: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
enum Behavior {
    #[default]
    Create,
    Merge,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Patch {
    target: Target,
    patch: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Target {
    kind: String,
    name: String,
}

/// One step of a patch: <https://datatracker.ietf.org/doc/html/rfc6902>, as far as it is used here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "op")]
enum Step {
    Remove { path: String },
    Replace { path: String, value: Value },
    Add { path: String, value: Value },
}

/// Whether kustomize's file has only what it may.
pub fn check(value: &Value) -> Result<(), String> {
    read(value).map(drop)
}

fn read(value: &Value) -> Result<Kustomization, String> {
    let read = Kustomization::deserialize(value).map_err(|why| why.to_string())?;
    let is = (read.api_version.as_str(), read.kind.as_str());
    if is == (VERSION, "Kustomization") { Ok(read) } else { Err(format!("{is:?} is not kustomize's")) }
}

/// The objects that a folder of these files stands for, sorted; the names of config maps are as they are said, without
/// the sum of their content behind them.
pub fn build(files: &BTreeMap<String, String>, folder: &str) -> Result<Vec<Value>, String> {
    let mut objects = resources(files, folder)?;
    objects.sort_by_key(name);
    let twice = objects.windows(2).find(|two| name(&two[0]) == name(&two[1]));
    twice.map_or(Ok(()), |two| Err(format!("{:?} is there twice", name(&two[0]))))?;
    Ok(objects)
}

/// What tells one object of a namespace from others.
pub fn name(object: &Value) -> (String, String) {
    (text(object, "/kind").to_owned(), text(object, "/metadata/name").to_owned())
}

fn resources(files: &BTreeMap<String, String>, folder: &str) -> Result<Vec<Value>, String> {
    let path = format!("{folder}/{FILE}");
    let own = files.get(&path).ok_or_else(|| format!("{path} is not there"))?;
    let own = read(&parse(own).remove(0)).map_err(|why| format!("{path}: {why}"))?;
    let mut objects = Vec::new();
    for resource in &own.resources {
        let at = beside(folder, resource);
        objects.extend(match files.get(&at) {
            Some(file) => parse(file),
            None => resources(files, &at).map_err(|why| format!("{path} names {resource}: {why}"))?,
        });
    }
    own.change(&mut objects).map_err(|why| format!("{path}: {why}"))?;
    Ok(objects)
}

/// A path as it is said in a folder.
fn beside(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        if part == ".." { parts.truncate(parts.len().saturating_sub(1)) } else { parts.push(part) }
    }
    parts.join("/")
}

impl Kustomization {
    /// In kustomize's own order.
    fn change(&self, objects: &mut Vec<Value>) -> Result<(), String> {
        self.config_map_generator.iter().try_for_each(|map| map.generate(objects))?;
        self.patches.iter().try_for_each(|patch| patch.apply(objects))?;
        for object in objects.iter_mut() {
            if let (Some(namespace), true) = (&self.namespace, object["kind"] != "Namespace") {
                object["metadata"]["namespace"] = json!(namespace);
            }
            self.labels.iter().for_each(|labels| labels.put(object));
        }
        self.images.iter().try_for_each(|image| image.put(objects))
    }
}

impl ConfigMap {
    fn generate(&self, objects: &mut Vec<Value>) -> Result<(), String> {
        let there = objects.iter_mut().find(|object| name(object) == ("ConfigMap".to_owned(), self.name.clone()));
        let map = match (&self.behavior, there) {
            (Behavior::Create, None) => {
                objects.push(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": self.name } }));
                objects.last_mut().expect("it was just put there")
            }
            (Behavior::Merge, Some(map)) => map,
            (Behavior::Create, Some(_)) => return Err(format!("there is a config map {} already", self.name)),
            (Behavior::Merge, None) => return Err(format!("there is no config map {}", self.name)),
        };
        for literal in &self.literals {
            let (name, value) = literal.split_once('=').ok_or_else(|| format!("{literal} has no value"))?;
            map["data"][name] = json!(value);
        }
        Ok(())
    }
}

impl Patch {
    fn apply(&self, objects: &mut [Value]) -> Result<(), String> {
        let target = (self.target.kind.clone(), self.target.name.clone());
        let steps: Vec<Step> = parse(&self.patch)
            .into_iter()
            .next()
            .and_then(|steps| serde_json::from_value(steps).ok())
            .ok_or_else(|| format!("the patch of {target:?} is not a list of steps:\n{}", self.patch))?;
        // Kustomize itself would leave a patch of nothing aside, in silence.
        let object = objects.iter_mut().find(|object| name(object) == target);
        let object = object.ok_or_else(|| format!("there is no {target:?} to patch"))?;
        steps.iter().try_for_each(|step| step.apply(object))
    }
}

impl Step {
    fn apply(&self, object: &mut Value) -> Result<(), String> {
        let (Step::Remove { path } | Step::Replace { path, .. } | Step::Add { path, .. }) = self;
        let nothing = format!("there is no {path} to patch");
        let (parent, field) = path.rsplit_once('/').ok_or_else(|| nothing.clone())?;
        let fields = object.pointer_mut(parent).and_then(Value::as_object_mut).ok_or_else(|| nothing.clone())?;
        let is_there = fields.contains_key(field);
        match self {
            Step::Remove { .. } if is_there => drop(fields.remove(field)),
            Step::Replace { value, .. } if is_there => fields[field] = value.clone(),
            Step::Add { value, .. } => drop(fields.insert(field.to_owned(), value.clone())),
            Step::Remove { .. } | Step::Replace { .. } => return Err(nothing),
        }
        Ok(())
    }
}

impl Labels {
    fn put(&self, object: &mut Value) {
        for (label, value) in &self.pairs {
            object["metadata"]["labels"][label] = json!(value);
            if let (Some(template), true) = (object.pointer_mut("/spec/template/metadata"), self.include_templates) {
                template["labels"][label] = json!(value);
            }
        }
    }
}

impl Image {
    fn put(&self, objects: &mut [Value]) -> Result<(), String> {
        let mut put = 0;
        for object in objects {
            for kind in ["initContainers", "containers"] {
                let containers = object.pointer_mut(&format!("/spec/template/spec/{kind}"));
                for container in containers.and_then(Value::as_array_mut).into_iter().flatten() {
                    let Some((name, tag)) = text(container, "/image").split_once(':') else { continue };
                    if name == self.name {
                        let (name, tag) = (self.new_name.as_deref(), self.new_tag.as_deref().unwrap_or(tag));
                        container["image"] = json!(format!("{}:{tag}", name.unwrap_or(&self.name)));
                        put += 1;
                    }
                }
            }
        }
        if put > 0 { Ok(()) } else { Err(format!("no container is of {}", self.name)) }
    }
}
