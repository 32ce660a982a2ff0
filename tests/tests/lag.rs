//! Views that are further behind the log than they may be: `/readyz` says so, and that they have caught up.

use serde_json::json;
use tests::{Server, cluster::Topics, wait_until};

#[test]
fn an_api_whose_views_are_far_behind_is_not_ready_until_they_have_caught_up() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let topics = Topics::of(folder.path());
    let role = |role: &str| topics.role(role, folder.path(), &[], &[("BAHI_LAG_MAX_MS", "1000")]);
    let [writer, projector, api] = ["writer", "projector", "api"].map(role);
    let operator = api.operator();
    let ready = |server: &Server| server.anybody().try_get("/readyz").expect("an answer");
    projector.signal("STOP");
    operator.post("/v1/accounts", json!({ "account": "L1" })).must_be(201);
    let refused = wait_until("the api to say that its views are behind", || {
        Some(ready(&api)).filter(|reply| reply.status == 503)
    });
    assert_eq!(refused.text_at("/code"), "views_behind", "{}", refused.text);
    assert!(api.anybody().get("/metrics").text.contains("bahi_ready 0"));
    // A command needs no view.
    operator.post("/v1/accounts", json!({ "account": "L2" })).must_be(201);
    projector.signal("CONT");
    for server in [&api, &projector, &writer] {
        wait_until("it to be ready again", || (ready(server).status == 200).then_some(()));
    }
    operator.get("/v1/accounts/L2");
    for server in [api, projector, writer] {
        assert!(server.stop().success());
    }
}
