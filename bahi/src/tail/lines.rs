//! An entry as one line for a person: when, whose, what was asked, how it was answered, what happened; reads no log.

use super::sentences::{of_account, of_market, time_of, word};
use domain::command::Command;
use event_schemas::{Entry, MarketEntry, Outcome};

/// The line of an account's entry.
pub fn of_account_entry(entry: &Entry<'_>) -> String {
    let asked = match entry.outcome {
        Outcome::Refused => entry.command.command().ok().and_then(|command| asked(&command)),
        // What happened says it already.
        Outcome::Accepted | Outcome::Repeat => None,
    };
    let asked = asked.map(|asked| format!(" {asked}")).unwrap_or_default();
    let happened: Vec<String> = entry.events.iter().map(of_account).collect();
    let (place, kind) = (entry.ce_id(), &entry.command.kind);
    let said = said(entry.outcome, entry.first, entry.account.as_str(), &happened);
    format!("{} {place} {kind}{asked} {said}", time_of(&entry.recorded_at.text()))
}

/// The line of a market entry.
pub fn of_market_entry(entry: &MarketEntry<'_>) -> String {
    let happened: Vec<String> = entry.events.iter().map(of_market).collect();
    let said = said(entry.outcome, entry.first, &entry.key, &happened);
    format!("{} {} {} {said}", time_of(&entry.recorded_at.text()), entry.ce_id(), entry.command.kind)
}

fn said(outcome: Outcome, first: Option<u64>, key: &str, happened: &[String]) -> String {
    match (outcome, first) {
        (Outcome::Repeat, Some(first)) => format!("repeat of {key}/{first}"),
        (Outcome::Accepted, _) if happened.is_empty() => "accepted: known already".to_owned(),
        _ if happened.is_empty() => outcome.name().to_owned(),
        _ => format!("{}: {}", outcome.name(), happened.join("; ")),
    }
}

/// What a refused request had asked, where its refusal alone would not say.
fn asked(command: &Command) -> Option<String> {
    Some(match command {
        Command::PlaceOrder(order) => {
            let price = order.price.map(|price| format!(" {price}")).unwrap_or_default();
            let trigger = order.trigger_price.map(|trigger| format!(" trigger {trigger}")).unwrap_or_default();
            let (side, quantity, instrument) = (word(order.side), order.quantity, order.instrument);
            let (order_type, product) = (word(order.order_type), word(order.product));
            format!("{side} {quantity} {instrument} {order_type}{price}{trigger} {product}")
        }
        Command::ModifyOrder(modify) => modify.order_id.to_string(),
        Command::CancelOrder(cancel) => cancel.order_id.to_string(),
        Command::DepositCash(cash) => cash.amount.to_string(),
        Command::WithdrawCash(cash) => cash.amount.to_string(),
        Command::RequestFundPurchase(purchase) => format!("{} in scheme {}", purchase.amount, purchase.scheme),
        Command::RequestFundRedemption(redemption) => {
            format!("from scheme {}, folio {}", redemption.scheme, redemption.folio)
        }
        Command::ConvertPosition(convert) => format!("{} {}", convert.quantity, convert.instrument),
        Command::ImportTrade(trade) => format!("{} of {} {}", word(trade.kind), trade.quantity, trade.instrument),
        Command::ImportUnits(units) => format!("{} of {} units of {}", word(units.kind), units.units, units.scheme),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_schemas::{decode_entry, decode_market_entry};
    use std::{fs, path::Path};

    fn golden(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../event-schemas/golden/entries");
        fs::read(folder.join(format!("{name}.v1.json"))).unwrap().trim_ascii_end().to_vec()
    }

    #[test]
    fn an_entry_is_one_line_that_says_when_whose_what_and_how() {
        for name in ["entry.accepted", "entry.refused", "entry.repeat", "entry.filled"] {
            let bytes = golden(name);
            let entry = decode_entry(&bytes).unwrap();
            let line = of_account_entry(&entry);
            let begins = format!("{} {} {}", time_of(&entry.recorded_at.text()), entry.ce_id(), entry.command.kind);
            assert!(line.starts_with(&begins), "{line}");
            assert!(line.contains(entry.outcome.name()) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_refused_order_says_what_was_asked_and_why_not() {
        let text = String::from_utf8(golden("entry.refused")).unwrap();
        let line = of_account_entry(&decode_entry(text.as_bytes()).unwrap());
        let entry = decode_entry(text.as_bytes()).unwrap();
        let why = of_account(&entry.events[0]);
        assert!(line.ends_with(&format!("refused: {why}")), "{line}");
    }

    #[test]
    fn a_repeat_names_the_entry_that_it_repeats() {
        let bytes = golden("entry.repeat");
        let entry = decode_entry(&bytes).unwrap();
        let first = entry.first.unwrap();
        assert!(of_account_entry(&entry).ends_with(&format!("repeat of {}/{first}", entry.account)));
    }

    #[test]
    fn a_market_entry_is_one_line_too() {
        for name in ["market_entry.accepted", "market_entry.refused", "market_entry.repeat"] {
            let bytes = golden(name);
            let entry = decode_market_entry(&bytes).unwrap();
            let line = of_market_entry(&entry);
            assert!(line.contains(&*entry.key) && line.contains(entry.outcome.name()), "{line}");
        }
    }
}
