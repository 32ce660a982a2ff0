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
    // Who asks for what was written is told to wait, and not shown less.
    let written = operator.post("/v1/accounts/L1/cash/deposits", json!({ "amount": "5.00" }));
    let position = written.must_be(201).header("bahi-position").expect("a position").to_owned();
    let asked = |path: &str| operator.ask("GET", path, &[("Bahi-Min-Position", &position)], None);
    let paths = ["/v1/accounts/L1/cash", "/v1/accounts/L1/cash?as_of_offset=1"];
    for path in paths {
        let refused = asked(path);
        assert_eq!((refused.status, refused.text_at("/code")), (503, "position_not_reached"), "{}", refused.text);
    }
    // A command needs no view.
    operator.post("/v1/accounts", json!({ "account": "L2" })).must_be(201);
    projector.signal("CONT");
    for server in [&api, &projector, &writer] {
        wait_until("it to be ready again", || (ready(server).status == 200).then_some(()));
    }
    operator.get("/v1/accounts/L2");
    for path in paths {
        let reply = asked(path);
        assert!(reply.status == 200 && reply.header("bahi-position").is_some(), "{path}: {}", reply.text);
    }
    let lags = [("orders", 0), ("orders", 1), ("cash", 0), ("cash", 1), ("journal", 0), ("prices", 0), ("prices", 1)];
    for (view, partition) in lags {
        for unit in ["entries", "seconds"] {
            let none = format!("bahi_view_lag_{unit}{{view=\"{view}\",partition=\"{partition}\"}} 0");
            // It is told every second.
            wait_until("a view that has caught up to be told of as such", || {
                projector.anybody().get("/metrics").text.lines().any(|line| line == none).then_some(())
            });
        }
    }
    for server in [api, projector, writer] {
        assert!(server.stop().success());
    }
}
