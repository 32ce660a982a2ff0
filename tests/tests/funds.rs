//! Redemptions as clients see them: by units, by amount, of all, and of more than is held.

use serde_json::json;
use tests::story::{SCHEME, Story, day};

const REDEMPTIONS: &str = "/v1/accounts/ACC1/fund-redemptions";

#[test]
fn units_are_redeemed_by_number_by_amount_or_all_and_never_more_than_are_held() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "1.00");
    let rows = json!({ "rows": [{ "key": "1", "scheme": SCHEME, "folio": "F/1", "kind": "purchase", "units": "10.000",
        "nav": "50.0000", "amount": "500.00", "trade_date": day(5) }] });
    let imported = story.operator.post("/v1/accounts/ACC1/imports/units", rows).must_be(200);
    assert_eq!(imported.at("/results/0/status"), &json!(201), "{}", imported.text);
    let asked = |what: &str, how: serde_json::Value| {
        let mut body = json!({ "scheme": SCHEME, "folio": "F/1" });
        body[what] = how;
        client.post(REDEMPTIONS, body)
    };
    let refused = asked("units", json!("11.000")).must_be(422);
    assert_eq!(refused.text_at("/code"), "insufficient_units");
    assert_eq!(refused.text_at("/figures/short").parse::<rust_decimal::Decimal>(), Ok(rust_decimal::Decimal::ONE));
    asked("units", json!("2.000")).must_be(201);
    asked("amount", json!("100.00")).must_be(201);
    asked("all", json!(true)).must_be(201);
    // Everything is asked for by now.
    assert_eq!(asked("units", json!("0.001")).must_be(422).text_at("/code"), "insufficient_units");
    let requests = client.get("/v1/accounts/ACC1/fund-orders");
    assert_eq!(requests.rows().len(), 3, "{}", requests.text);
    story.server.verify();
}
