//! The objects that each overlay stands for once it is merged with its base: of their kinds, in its namespace, of its
//! images, and whole, so that none names what is not there.

use super::{
    files::{deploy, list, parse, root, text},
    kubernetes, kustomize,
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// The folders of the overlays, from `deploy/`.
fn overlays(files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let of = |path: &String| {
        let folder = path.strip_suffix("/kustomization.yaml")?;
        folder.starts_with("kubernetes/overlays/").then(|| folder.to_owned())
    };
    files.keys().filter_map(of).collect()
}

/// What PostgreSQL lets in unless told otherwise, but for those that it keeps for its own administrator.
const CONNECTIONS_MAX: u64 = 100 - 3;

/// An overlay that was merged, and what its own file says of it.
struct Overlay {
    objects: Vec<Value>,
    file: Value,
    /// The secrets that its file says to make first.
    secrets: BTreeSet<String>,
}

/// What is wrong with an overlay of these files.
fn problems(files: &BTreeMap<String, String>, folder: &str) -> Vec<String> {
    let objects = match kustomize::build(files, folder) {
        Ok(objects) => objects,
        Err(problem) => return vec![problem],
    };
    let file = &files[&format!("{folder}/kustomization.yaml")];
    let comments = file.lines().take_while(|line| line.starts_with('#'));
    let made = comments.filter_map(|line| line.split(" create secret ").nth(1)?.split(' ').nth(1).map(str::to_owned));
    let overlay = Overlay { objects, secrets: made.collect(), file: parse(file).remove(0) };
    let mut problems = Vec::new();
    for object in &overlay.objects {
        let mut wrong = vec![];
        wrong.extend(kubernetes::check(object).err());
        wrong.extend(overlay.out_of_place(object));
        wrong.extend(overlay.missing_for_pods(object));
        wrong.extend(overlay.missing_for_routes(object));
        wrong.extend(overlay.missing_for_selector(object));
        let (kind, name) = kustomize::name(object);
        problems.extend(wrong.into_iter().map(|problem| format!("{folder} {kind} {name}: {problem}")));
    }
    problems.extend(overlay.unreachable());
    problems.extend(overlay.too_many_connections());
    problems
}

impl Overlay {
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.of_kind(kind).find(|object| object["metadata"]["name"] == name)
    }

    /// Whether an object is in the overlay's namespace, and its containers of the overlay's images.
    fn out_of_place(&self, object: &Value) -> Vec<String> {
        let mut problems = Vec::new();
        let namespace = text(&self.file, "/namespace");
        let place = if object["kind"] == "Namespace" { "/metadata/name" } else { "/metadata/namespace" };
        if namespace.is_empty() || text(object, place) != namespace {
            problems.push(format!("it is not in the namespace {namespace:?}"));
        }
        if self.find("Namespace", namespace).is_none() {
            problems.push(format!("nothing makes the namespace {namespace:?}"));
        }
        let image = |image: &Value| format!("{}:{}", text(image, "/newName"), text(image, "/newTag"));
        let images: BTreeSet<String> = list(&self.file, "/images").map(image).collect();
        let strange = containers(object).map(|container| text(container, "/image")).filter(|it| !images.contains(*it));
        problems.extend(strange.map(|image| format!("{image} is none of {images:?}")));
        problems
    }

    /// What the pods of an object name and nobody has.
    fn missing_for_pods(&self, object: &Value) -> Vec<String> {
        let pod = &object["spec"]["template"]["spec"];
        if pod.is_null() {
            return Vec::new();
        }
        let account = text(pod, "/serviceAccountName");
        let mut missing: Vec<Option<String>> =
            vec![lacks("ServiceAccount", account, self.find("ServiceAccount", account).is_some())];
        let volumes: BTreeSet<&str> = list(pod, "/volumes").map(|volume| text(volume, "/name")).collect();
        missing.extend(
            list(pod, "/volumes")
                .filter_map(|volume| volume["secret"]["secretName"].as_str())
                .map(|name| self.lacks_secret(name)),
        );
        for container in containers(object) {
            for map in list(container, "/envFrom").map(|from| text(from, "/configMapRef/name")) {
                missing.push(lacks("ConfigMap", map, self.find("ConfigMap", map).is_some()));
            }
            for volume in list(container, "/volumeMounts").map(|mount| text(mount, "/name")) {
                missing.push(lacks("volume", volume, volumes.contains(volume)));
            }
            let probes =
                ["startupProbe", "livenessProbe", "readinessProbe"].map(|probe| format!("/{probe}/httpGet/port"));
            for port in probes.iter().filter_map(|probe| container.pointer(probe)?.as_str()) {
                missing.push(lacks("port", port, has_port(container, port)));
            }
        }
        missing.into_iter().flatten().collect()
    }

    /// What an ingress or a scaler names and nobody has.
    fn missing_for_routes(&self, object: &Value) -> Vec<String> {
        let mut missing: Vec<Option<String>> =
            list(object, "/spec/tls").map(|tls| self.lacks_secret(text(tls, "/secretName"))).collect();
        for path in list(object, "/spec/rules").flat_map(|rule| list(rule, "/http/paths")) {
            let (service, port) = (text(path, "/backend/service/name"), text(path, "/backend/service/port/name"));
            let found = self.find("Service", service);
            let mut ports = found.into_iter().flat_map(|found| list(found, "/spec/ports"));
            missing.push(lacks("Service and port", &format!("{service} {port}"), ports.any(|own| own["name"] == port)));
        }
        if let Some(target) = object.pointer("/spec/scaleTargetRef") {
            let (kind, name) = (text(target, "/kind"), text(target, "/name"));
            let scaled = self.find(kind, name);
            missing.push(lacks(kind, name, scaled.is_some()));
            // Each apply would set back what was scaled.
            let is_free = scaled.is_none_or(|scaled| scaled["spec"].get("replicas").is_none());
            missing.push(lacks("number of replicas that is left to it in", name, is_free));
        }
        missing.into_iter().flatten().collect()
    }

    /// Whether an object selects nothing, or pods that lack what it asks of them.
    fn missing_for_selector(&self, object: &Value) -> Vec<String> {
        let spec = &object["spec"];
        let (labels, expressions) = match text(object, "/kind") {
            "Service" => (&spec["selector"], &Value::Null),
            "Deployment" | "PodDisruptionBudget" => (&spec["selector"]["matchLabels"], &spec["selector"]),
            "NetworkPolicy" => (&spec["podSelector"]["matchLabels"], &spec["podSelector"]),
            _ => return Vec::new(),
        };
        let is_selected = |own: &Map<String, Value>| {
            let expressed = |one: &Value| {
                let own = own.get(text(one, "/key"));
                one["operator"] == "In" && list(one, "/values").any(|value| Some(value) == own)
            };
            labels.as_object().into_iter().flatten().all(|(name, value)| own.get(name) == Some(value))
                && list(expressions, "/matchExpressions").all(expressed)
        };
        let pods: Vec<&Value> = self.pods().filter(|(own, _)| is_selected(own)).map(|(_, pod)| pod).collect();
        // A Deployment that selects the pods of another takes them for its own.
        let is_right = match object.pointer("/spec/template") {
            Some(own) => pods == [own],
            None => !pods.is_empty(),
        };
        let mut missing = vec![lacks("pod for the selector of", text(object, "/metadata/name"), is_right)];
        for port in list(object, "/spec/ports").filter_map(|port| port["targetPort"].as_str()) {
            let reaches = |pod: &&Value| list(pod, "/spec/containers").any(|container| has_port(container, port));
            missing.push(lacks("port", port, pods.iter().all(reaches)));
        }
        missing.into_iter().flatten().collect()
    }

    fn lacks_secret(&self, name: &str) -> Option<String> {
        lacks("secret said to be made,", name, self.secrets.contains(name))
    }

    /// The labels of each pod, and its template.
    fn pods(&self) -> impl Iterator<Item = (&Map<String, Value>, &Value)> {
        let templates = self.objects.iter().filter_map(|object| object.pointer("/spec/template"));
        templates.filter_map(|pod| Some((pod["metadata"]["labels"].as_object()?, pod)))
    }

    /// What processes are told to ask, at `HOST.NAMESPACE:PORT`, and no policy lets them.
    fn unreachable(&self) -> Vec<String> {
        let told = self.of_kind("ConfigMap").flat_map(|map| map["data"].as_object().into_iter().flatten());
        let asked = told.filter_map(|(name, value)| {
            let value = value.as_str()?;
            let address = value.split("//").last()?.split('/').next()?;
            let (host, port) = address.rsplit_once(':')?;
            Some((name, host.split_once('.')?.1, port.parse::<u16>().ok()?))
        });
        let asked = asked.filter(|(name, ..)| *name != "BAHI_LISTEN");
        let rules: Vec<&Value> =
            self.of_kind("NetworkPolicy").flat_map(|policy| list(policy, "/spec/egress")).collect();
        let lets = |namespace: &str, port: u16| {
            rules.iter().any(|rule| {
                let label = "/namespaceSelector/matchLabels/kubernetes.io~1metadata.name";
                list(rule, "/to").any(|to| text(to, label) == namespace)
                    && list(rule, "/ports").any(|own| own["port"] == port)
            })
        };
        asked
            .filter(|(_, namespace, port)| !lets(namespace, *port))
            .map(|(name, namespace, port)| format!("{name}: no policy lets anybody reach {namespace} at {port}"))
            .collect()
    }

    /// Whether all processes, with those that come before others leave, are more than the database lets in.
    fn too_many_connections(&self) -> Option<String> {
        let process = |deployment: &Value| {
            let name = text(deployment, "/metadata/name");
            let scaler =
                self.of_kind("HorizontalPodAutoscaler").find(|one| one["spec"]["scaleTargetRef"]["name"] == name);
            let most = scaler.map_or(&deployment["spec"]["replicas"], |scaler| &scaler["spec"]["maxReplicas"]);
            let surge = &deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"];
            most.as_u64().unwrap_or(1) + surge.as_u64().unwrap_or(0)
        };
        let each = self.of_kind("ConfigMap").find_map(|map| map["data"]["BAHI_POSTGRES_CONNECTIONS"].as_str());
        let each: u64 = each.and_then(|each| each.parse().ok()).unwrap_or(10);
        let processes: u64 = self.of_kind("Deployment").map(process).sum();
        let most = processes * each;
        (most > CONNECTIONS_MAX).then(|| format!("{processes} processes of {each} connections are {most} together"))
    }
}

fn lacks(kind: &str, name: &str, is_there: bool) -> Option<String> {
    (!is_there).then(|| format!("there is no {kind} {name:?}"))
}

fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    let of = |kind: &str| list(object, &format!("/spec/template/spec/{kind}")).collect::<Vec<_>>();
    of("initContainers").into_iter().chain(of("containers"))
}

fn has_port(container: &Value, port: &str) -> bool {
    list(container, "/ports").any(|own| own["name"] == port)
}

#[test]
fn every_overlay_is_whole_once_it_is_merged() {
    let files = deploy();
    let overlays = overlays(&files);
    assert!(!overlays.is_empty(), "there is no overlay");
    let problems: Vec<String> = overlays.iter().flat_map(|overlay| problems(&files, overlay)).collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn what_an_overlay_names_and_nobody_has_is_found() {
    const OVERLAY: &str = "kubernetes/overlays/example";
    let with = |file: &str, this: &str, that: &str| {
        let mut files = deploy();
        let text = files.get_mut(&format!("kubernetes/{file}")).expect("the file");
        assert!(text.contains(this), "{file} has no {this}");
        *text = text.replace(this, that);
        problems(&files, OVERLAY).join("\n")
    };
    let own = "overlays/example/kustomization.yaml";
    for (file, this, that, found) in [
        (own, "- venue.yaml", "- venu.yaml", "venu.yaml/kustomization.yaml is not there"),
        (own, "../../base", "../base", "overlays/base/kustomization.yaml is not there"),
        (
            own,
            "kind: Deployment\n      name: bahi-api",
            "kind: Deployment\n      name: bahi",
            "(\"Deployment\", \"bahi\")",
        ),
        (own, "/spec/replicas", "/spec/replica", "there is no /spec/replica to patch"),
        (own, "op: remove", "op: replace\n        value: 2", "is left to it in \"bahi-api\""),
        (own, "- name: bahi\n    newName", "- name: bahy\n    newName", "no container is of bahy"),
        (own, "- name: bahi\n    behavior", "- name: bahy\n    behavior", "there is no config map bahy"),
        (own, "namespace: bahi\nres", "namespace: other\nres", "nothing makes the namespace \"other\""),
        (own, "bahi-token-key", "bahi-token", "no secret said to be made, \"bahi-token-key\""),
        (own, "redis.redis:", "redis.cache:", "no policy lets anybody reach cache at 6379"),
        (
            "overlays/example/ingress.yaml",
            "name: bahi-api",
            "name: bahi-apis",
            "no Service and port \"bahi-apis http\"",
        ),
        ("overlays/example/autoscaling.yaml", "maxReplicas: 3", "maxReplicas: 9", "are 150 together"),
        ("base/kustomization.yaml", "  - service-account.yaml\n", "", "no ServiceAccount \"bahi\""),
        (
            "base/writer.yaml",
            "name: postgres\n              mountPath",
            "name: pg\n              mountPath",
            "no volume \"pg\"",
        ),
        ("base/writer.yaml", "containerPort", "containerPorts", "is no field of apps/v1 Deployment"),
        ("base/writer.yaml", "component: writer", "component: api", "pod for the selector of \"bahi-api\""),
        ("base/api.yaml", "targetPort: http", "targetPort: web", "no port \"web\""),
        ("base/network.yaml", "[api, projector]", "[ape]", "pod for the selector of \"bahi-to-redis\""),
    ] {
        let problems = with(file, this, that);
        assert!(problems.contains(found), "{that:?} in {file}: {problems:?}");
    }
}

#[test]
fn kubectl_merges_the_overlays_as_they_are_merged_here() {
    let files = deploy();
    let client = Command::new("kubectl").args(["version", "--client"]).output();
    let client = client.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    // Before 5 it has no labels that leave selectors alone.
    let is_able = client.lines().filter_map(|line| line.strip_prefix("Kustomize Version: v")).any(|version| {
        version.split('.').next().and_then(|major| major.parse().ok()).is_some_and(|major: u32| major >= 5)
    });
    if !is_able {
        return eprintln!(
            "skipped: there is no kubectl with kustomize 5 here, so only the merge of this test was checked"
        );
    }
    for overlay in overlays(&files) {
        let merged = Command::new("kubectl").arg("kustomize").arg(root().join("deploy").join(&overlay)).output();
        let merged = merged.expect("kubectl can be started");
        assert!(merged.status.success(), "{overlay}: {}", String::from_utf8_lossy(&merged.stderr));
        let mut merged = String::from_utf8(merged.stdout).expect("text");
        let ours = kustomize::build(&files, &overlay).expect("it is merged here");
        for map in parse(&merged).iter().filter(|object| object["kind"] == "ConfigMap") {
            let summed = text(map, "/metadata/name");
            let (name, _sum) = summed.rsplit_once('-').expect("a name, and the sum of what is in it");
            merged = merged.replace(summed, name);
        }
        let mut theirs = parse(&merged);
        theirs.sort_by_key(kustomize::name);
        assert_eq!(ours.len(), theirs.len(), "{overlay}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{overlay} {:?}", kustomize::name(theirs));
        }
    }
}
