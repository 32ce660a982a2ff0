//! Work that time has made due, named with ids that make doing it twice harmless.

use super::{Book, Context, days::session_end, intraday};
use crate::{
    command::Command,
    fund::Send,
    ids::{CommandId, FundOrderId, InstrumentId, OrderId},
    intraday::{Convert, SquareOff, Standing},
    money::Quantity,
    order::{Cancel, DueTo, Expire, Product},
    position::{NetDay, Settle},
    time::{Date, Timestamp},
};

/// What is due now, at most `limit`: netting before settling, as a late trade needs both.
///
/// An id ends with the `seq` of the entry that made the work due, so a later entry makes new work.
pub fn due(book: &Book, context: &Context<'_>, limit: usize) -> Vec<(CommandId, Command)> {
    let account = book.account;
    let named = |text: String| CommandId::new(&text).expect("an id of known parts is short and visible");
    let sends = book.to_send.iter().map(|seq| {
        let fund_order_id = FundOrderId { account, seq: *seq };
        (named(format!("send/{fund_order_id}")), Command::SendFundOrder(Send { fund_order_id }))
    });
    let today = context.now.date();
    let expiries = book
        .sessions
        .iter()
        .take_while(|(date, _)| *date <= today)
        .filter(|(_, seq)| {
            book.orders
                .get(seq)
                .is_some_and(|order| context.now >= session_end(order, &context.market.calendar, context.calendar))
        })
        .map(|(_, seq)| {
            let order_id = OrderId { account, seq: *seq };
            (named(format!("expire/{order_id}")), Command::ExpireOrder(Expire { order_id }))
        });
    // What may still trade is cancelled before the position is squared off, once: the venue may refuse.
    let cancellations = book
        .intraday_orders
        .iter()
        .take_while(|(date, _)| *date <= today)
        .filter(|(_, seq)| {
            let window = book.orders.get(seq).and_then(|order| intraday::cancels(order, context));
            window.is_some_and(|(from, until)| (from..until).contains(&context.now))
        })
        .map(|(date, seq)| {
            let order_id = OrderId { account, seq: *seq };
            (
                named(format!("square-off/{date}/cancel/{order_id}")),
                Command::CancelOrder(Cancel { order_id, due_to: Some(DueTo::SquareOff) }),
            )
        });
    let square_offs = book
        .intraday
        .iter()
        .filter(|((date, instrument), _)| {
            intraday::squares_off(book, *date, *instrument, context)
                .is_some_and(|(from, until)| (from..until).contains(&context.now))
        })
        .map(|((date, instrument), standing)| {
            let square_off = SquareOff { instrument: *instrument, trade_date: *date, product: Product::Mis };
            let again = square_off_again(*date, *instrument, standing, context);
            (named(format!("square-off/{date}/{instrument}/MIS{again}")), Command::SquareOff(square_off))
        });
    let deliveries = book
        .intraday
        .iter()
        .filter(|((date, instrument), _)| {
            intraday::delivers_at(book, *date, *instrument, context).is_some_and(|at| context.now >= at)
        })
        .map(|((date, instrument), standing)| {
            let convert = Convert {
                instrument: *instrument,
                from: Product::Mis,
                to: Product::Cnc,
                quantity: Quantity::new(standing.position.quantity.shares().abs()),
                trade_date: Some(*date),
            };
            // What waits for shares is due again with each entry that moves or frees some.
            let moved = book.positions.get(instrument).filter(|_| standing.is_short_delivery);
            let seq = standing.last_seq.max(moved.map_or(0, |position| position.last_seq));
            (named(format!("deliver/{date}/{instrument}/{seq}")), Command::ConvertPosition(convert))
        });
    let nettings = book.nettings.iter().take_while(|(date, ..)| context.now >= date.next().start()).map(
        |(trade_date, instrument, exchange)| {
            let day = book.positions.get(instrument).and_then(|position| position.days.get(&(*exchange, *trade_date)));
            let seq = day.map_or(0, |day| day.last_seq);
            let net = NetDay { exchange: *exchange, instrument: *instrument, trade_date: *trade_date };
            (named(format!("net-day/{trade_date}/{instrument}/{seq}")), Command::NetDay(net))
        },
    );
    let settles_at = |date: Date| context.market.calendar.settles_at(context.calendar, date);
    let settlements =
        book.settlements.iter().take_while(|(date, _)| context.now >= settles_at(**date)).map(|(date, seq)| {
            (named(format!("settle/{date}/{seq}")), Command::Settle(Settle { settlement_date: *date }))
        });
    sends
        .chain(expiries)
        .chain(cancellations)
        .chain(square_offs)
        .chain(deliveries)
        .chain(nettings)
        .chain(settlements)
        .take(limit)
        .collect()
}

/// What tells a square-off from those asked before: how many of them were orders, and, when the position has changed
/// since squaring off began, the entry that did, as one may have been refused because nothing was open then.
fn square_off_again(date: Date, instrument: InstrumentId, standing: &Standing, context: &Context<'_>) -> String {
    let from = intraday::square_off_from(date, instrument, context);
    let is_as_before = from.is_some_and(|from| standing.changed_at < from);
    match (standing.square_offs, is_as_before) {
        (0, true) => String::new(),
        (tries, true) => format!("/{tries}"),
        (tries, false) => format!("/{tries}/{}", standing.last_seq),
    }
}

/// When `due` will next have something; does not look at the context's time.
pub fn next_due(book: &Book, context: &Context<'_>) -> Option<Timestamp> {
    if !book.to_send.is_empty() {
        return Some(Timestamp::from_micros(0));
    }
    let session = book.sessions.first().and_then(|(_, seq)| book.orders.get(seq));
    let session = session.map(|order| session_end(order, &context.market.calendar, context.calendar));
    let orders = book.intraday_orders.iter().filter_map(|(_, seq)| book.orders.get(seq));
    let cancellation = orders.filter_map(|order| intraday::cancels(order, context)).map(|(from, _)| from).min();
    let open = book.intraday.iter().filter(|(_, standing)| !standing.position.quantity.is_zero());
    let position = open.filter_map(|((date, instrument), _)| {
        let square_off = intraday::squares_off(book, *date, *instrument, context).map(|(from, _)| from);
        square_off.or_else(|| intraday::delivers_at(book, *date, *instrument, context))
    });
    let netting = book.nettings.first().map(|(date, ..)| date.next().start());
    let settlement = book.settlements.first_key_value();
    let settlement = settlement.map(|(date, _)| context.market.calendar.settles_at(context.calendar, *date));
    [session, cancellation, position.min(), netting, settlement].into_iter().flatten().min()
}
