//! Exact amounts against rust_decimal, an implementation that shares nothing with them.

use domain::money::{Money, Nav, ParseAmountError, Percent, Price, Quantity, Rounding, Units};
use proptest::prelude::*;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::{Deserialize, IntoDeserializer, value::Error as Refused};

fn rupees(text: &str) -> Money {
    Money::parse(text).expect("a valid test value")
}

fn price(text: &str) -> Price {
    Price::parse(text).expect("a valid test value")
}

fn nav(text: &str) -> Nav {
    Nav::parse(text).expect("a valid test value")
}

fn units(text: &str) -> Units {
    Units::parse(text).expect("a valid test value")
}

const ROUNDINGS: [(Rounding, RoundingStrategy); 4] = [
    (Rounding::Down, RoundingStrategy::ToZero),
    (Rounding::Up, RoundingStrategy::AwayFromZero),
    (Rounding::HalfEven, RoundingStrategy::MidpointNearestEven),
    (Rounding::HalfUp, RoundingStrategy::MidpointAwayFromZero),
];

fn decimal(smallest: i64, scale: u32) -> Decimal {
    Decimal::from_i128_with_scale(i128::from(smallest), scale)
}

/// What the oracle says a figure is in the smallest unit of a scale.
fn rounded(exact: Decimal, scale: u32, strategy: RoundingStrategy) -> i64 {
    let figure = exact.round_dp_with_strategy(scale, strategy);
    i64::try_from(figure.mantissa() * 10_i128.pow(scale - figure.scale())).expect("a valid test value")
}

#[test]
fn every_operation_of_the_table_gives_what_a_hand_sum_gives() {
    assert_eq!(rupees("10.25") + rupees("0.75"), rupees("11"));
    assert_eq!(rupees("10.25") - rupees("0.75"), rupees("9.50"));
    assert_eq!(-rupees("10.25"), rupees("-10.25"));
    assert_eq!([rupees("1.10"), rupees("2.20")].into_iter().sum::<Money>(), rupees("3.30"));
    assert_eq!(units("1.0001") + units("2"), units("3.0001"));
    assert_eq!(Quantity::new(7) - Quantity::new(9), Quantity::new(-2));
    assert_eq!(price("2500.05").times(Quantity::new(10), Rounding::HalfUp), Some(rupees("25000.50")));
    assert_eq!(units("125.000").worth(nav("40.0000"), Rounding::Down), Some(rupees("5000.00")));
    // 4,999.75 after stamp duty at 103.5311 is 48.2922... units.
    assert_eq!(rupees("4999.75").units_at(nav("103.5311"), Rounding::Down), Some(units("48.2922")));
    assert_eq!(rupees("100.00").per_share(Quantity::new(3), Rounding::HalfUp), Some(price("33.3333")));
    assert_eq!(rupees("100.00").per_unit(units("3"), Rounding::Down), Some(nav("33.33333333")));
    assert_eq!(rupees("100.00").share(3, 10, Rounding::Down), Some(rupees("30.00")));
    assert_eq!(Percent::whole(20).of(rupees("99.99"), Rounding::Down), Some(rupees("19.99")));
    assert_eq!(Percent::parse("0.1").unwrap().of_price(price("2500.05"), Rounding::HalfUp), Some(price("2.5001")));
}

#[test]
fn ticks_are_reached_in_the_named_direction() {
    let tick = price("0.05");
    assert!(price("2500.05").is_on_tick(tick));
    assert!(!price("2500.06").is_on_tick(tick));
    assert!(!price("2500.05").is_on_tick(Price::ZERO), "no tick has no steps");
    assert_eq!(price("2500.06").to_tick(tick, Rounding::Down), price("2500.05"));
    assert_eq!(price("2500.06").to_tick(tick, Rounding::Up), price("2500.10"));
    assert_eq!(price("2500.06").to_tick(Price::ZERO, Rounding::Up), price("2500.06"));
}

#[test]
fn one_amount_has_one_text() {
    for (parsed, printed) in
        [("5", "5.00"), ("5.1", "5.10"), ("5.120000", "5.12"), ("-0.05", "-0.05"), ("-0", "0.00"), ("0.00", "0.00")]
    {
        assert_eq!(rupees(parsed).to_string(), printed);
    }
    assert_eq!(price("52.7").to_string(), "52.70");
    assert_eq!(price("52.7501").to_string(), "52.7501");
    assert_eq!(nav("103.5311").to_string(), "103.5311");
    assert_eq!(nav("10").to_string(), "10.0000");
    assert_eq!(nav("10.12345678").to_string(), "10.12345678");
    assert_eq!(units("10.3").to_string(), "10.300");
    assert_eq!(Percent::whole(20).to_string(), "20");
    assert_eq!(Percent::parse("12.5").unwrap().to_string(), "12.5");
    assert_eq!(format!("{:?}", rupees("5")), "Money(5.00)");
}

#[test]
fn what_is_no_plain_decimal_is_refused() {
    for text in [
        "", "-", "+1", "--1", "1e3", "1E3", "1_000", "1,000", " 1", "1 ", "1.", ".5", "-.5", "1.2.3", "01", "00.5",
        "0x1", "NaN", "inf", "Infinity", "१२", "1\u{a0}", "1.5-", "₹1", "1\n",
    ] {
        assert_eq!(Money::parse(text), Err(ParseAmountError::Shape), "{text:?}");
    }
    assert_eq!(Money::parse("1.005"), Err(ParseAmountError::Scale(2)));
    assert_eq!(Price::parse("1.00005"), Err(ParseAmountError::Scale(4)));
    assert_eq!(Units::parse("1.00005"), Err(ParseAmountError::Scale(4)));
    assert_eq!(Nav::parse("1.000000005"), Err(ParseAmountError::Scale(8)));
    assert_eq!(Money::parse("92233720368547758.08"), Err(ParseAmountError::Range));
    assert_eq!(Money::parse(&"9".repeat(400)), Err(ParseAmountError::Range));
}

#[test]
fn only_a_string_becomes_an_amount() {
    fn refuses<'de, T: Deserialize<'de>>() {
        assert!(T::deserialize(IntoDeserializer::<Refused>::into_deserializer(12_i64)).is_err());
        assert!(T::deserialize(IntoDeserializer::<Refused>::into_deserializer(12.5_f64)).is_err());
        assert!(T::deserialize(IntoDeserializer::<Refused>::into_deserializer(true)).is_err());
        assert!(T::deserialize(IntoDeserializer::<Refused>::into_deserializer("1e2")).is_err());
        assert!(T::deserialize(IntoDeserializer::<Refused>::into_deserializer("12.5")).is_ok());
    }
    refuses::<Money>();
    refuses::<Price>();
    refuses::<Nav>();
    refuses::<Units>();
    refuses::<Percent>();
    assert!(Quantity::deserialize(IntoDeserializer::<Refused>::into_deserializer("12")).is_err());
    assert!(Quantity::deserialize(IntoDeserializer::<Refused>::into_deserializer(12.5_f64)).is_err());
}

#[test]
fn the_edges_of_what_fits_print_read_back_and_refuse_to_overflow() {
    let (most, least) = (Money::from_smallest(i64::MAX), Money::from_smallest(i64::MIN));
    assert_eq!(most.to_string(), "92233720368547758.07");
    assert_eq!(least.to_string(), "-92233720368547758.08");
    assert_eq!(Money::parse("92233720368547758.07"), Ok(most));
    assert_eq!(Money::parse("-92233720368547758.08"), Ok(least));
    assert_eq!(most.checked_add(Money::from_smallest(1)), None);
    assert_eq!(least.checked_sub(Money::from_smallest(1)), None);
    assert_eq!(Quantity::new(i64::MAX).checked_add(Quantity::new(1)), None);
    assert_eq!(Price::from_smallest(i64::MAX).times(Quantity::new(i64::MAX), Rounding::Down), None);
    assert_eq!(Price::from_smallest(i64::MAX).times(Quantity::new(100), Rounding::Down), Some(most));
    assert_eq!(most.units_at(Nav::from_smallest(1), Rounding::Down), None);
    assert_eq!(most.share(i64::MAX, i64::MAX, Rounding::Up), Some(most));
    assert_eq!(least.share(i64::MIN, -1, Rounding::Up), None);
}

#[test]
fn nothing_is_divided_by_nothing() {
    assert_eq!(rupees("1").units_at(Nav::ZERO, Rounding::Down), None);
    assert_eq!(rupees("1").per_share(Quantity::ZERO, Rounding::Down), None);
    assert_eq!(rupees("1").per_unit(Units::ZERO, Rounding::Down), None);
    assert_eq!(rupees("1").share(1, 0, Rounding::Down), None);
}

/// The canonical text by the oracle: at least so many decimals, none beyond that at the end.
fn text_of(figure: Decimal, least: u32) -> String {
    let shortest = figure.normalize();
    let decimals = shortest.scale().max(least) as usize;
    format!("{shortest:.decimals$}")
}

macro_rules! prints_and_reads {
    ($name:ident, $type:ident, $least:literal) => {
        proptest! {
            #[test]
            fn $name(smallest in prop_oneof![any::<i64>(), -100_000_i64..100_000]) {
                let exact = decimal(smallest, $type::SCALE);
                let text = $type::from_smallest(smallest).to_string();
                prop_assert_eq!(&text, &text_of(exact, $least));
                prop_assert_eq!(Decimal::from_str_exact(&text).unwrap(), exact);
                prop_assert_eq!($type::parse(&text), Ok($type::from_smallest(smallest)));
            }
        }
    };
}

prints_and_reads!(money_prints_as_the_oracle_does_and_reads_back, Money, 2);
prints_and_reads!(a_price_prints_as_the_oracle_does_and_reads_back, Price, 2);
prints_and_reads!(a_nav_prints_as_the_oracle_does_and_reads_back, Nav, 4);
prints_and_reads!(units_print_as_the_oracle_does_and_read_back, Units, 3);
prints_and_reads!(a_percentage_prints_as_the_oracle_does_and_reads_back, Percent, 0);

proptest! {
    #[test]
    fn a_plain_decimal_reads_as_the_oracle_reads_it(text in "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,6})?") {
        let exact = Decimal::from_str_exact(&text).unwrap().normalize();
        let smallest = exact.checked_mul(Decimal::from(10_000)).and_then(|s| i64::try_from(s).ok());
        match Price::parse(&text) {
            Ok(price) => prop_assert_eq!(decimal(price.smallest(), 4), exact),
            Err(ParseAmountError::Scale(4)) => prop_assert!(exact.scale() > 4),
            Err(ParseAmountError::Range) => prop_assert!(smallest.is_none()),
            Err(error) => prop_assert!(false, "{text}: {error}"),
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,24}", digits in "[-+0-9.eE_, ]{0,24}") {
        for text in [text, digits] {
            if let Ok(amount) = Money::parse(&text) {
                prop_assert_eq!(decimal(amount.smallest(), 2), Decimal::from_str_exact(&text).unwrap());
            }
        }
    }

    #[test]
    fn every_product_rounds_as_the_oracle_does(
        smallest in -100_000_000_000_i64..100_000_000_000,
        count in -1_000_000_000_i64..1_000_000_000,
        of in -100_000_000_000_i64..100_000_000_000,
    ) {
        for (rounding, strategy) in ROUNDINGS {
            let cost = decimal(smallest, 4) * Decimal::from(count);
            prop_assert_eq!(
                Price::from_smallest(smallest).times(Quantity::new(count), rounding).map(Money::smallest),
                Some(rounded(cost, 2, strategy))
            );
            let worth = decimal(smallest, 4) * decimal(count, 8);
            prop_assert_eq!(
                Units::from_smallest(smallest).worth(Nav::from_smallest(count), rounding).map(Money::smallest),
                Some(rounded(worth, 2, strategy))
            );
            let part = decimal(of, 2) * decimal(count, 6);
            prop_assert_eq!(
                Percent::from_smallest(count).of(Money::from_smallest(of), rounding).map(Money::smallest),
                Some(rounded(part, 2, strategy))
            );
            let part = decimal(of, 4) * decimal(count, 6);
            prop_assert_eq!(
                Percent::from_smallest(count).of_price(Price::from_smallest(of), rounding).map(Price::smallest),
                Some(rounded(part, 4, strategy))
            );
        }
    }

    #[test]
    fn every_quotient_rounds_as_the_oracle_does(
        smallest in -1_000_000_000_000_i64..1_000_000_000_000,
        by in prop_oneof![1_i64..1_000_000_000, -1_000_000_000_i64..0],
        // Small figures, so that ties between two neighbours come up.
        part in -50_i64..50,
        whole in prop_oneof![1_i64..20, -20_i64..0],
    ) {
        for (rounding, strategy) in ROUNDINGS {
            let units = decimal(smallest, 2) / decimal(by, 4);
            prop_assert_eq!(
                Money::from_smallest(smallest).units_at(Nav::from_smallest(by * 10_000), rounding).map(Units::smallest),
                Some(rounded(units, 4, strategy))
            );
            let each = decimal(smallest, 2) / Decimal::from(by);
            prop_assert_eq!(
                Money::from_smallest(smallest).per_share(Quantity::new(by), rounding).map(Price::smallest),
                Some(rounded(each, 4, strategy))
            );
            let share = decimal(part, 2) * Decimal::from(part) / Decimal::from(whole);
            prop_assert_eq!(
                Money::from_smallest(part).share(part, whole, rounding).map(Money::smallest),
                Some(rounded(share, 2, strategy))
            );
            let tick = Price::from_smallest(whole.abs());
            let ticks = rounded(Decimal::from(part) / Decimal::from(whole.abs()), 0, strategy);
            prop_assert_eq!(Price::from_smallest(part).to_tick(tick, rounding).smallest(), ticks * whole.abs());
        }
    }

    #[test]
    fn sums_are_exact_or_refused(a in any::<i64>(), b in any::<i64>()) {
        let (left, right) = (Money::from_smallest(a), Money::from_smallest(b));
        let fits = |exact: i128| i64::try_from(exact).ok().map(Money::from_smallest);
        prop_assert_eq!(left.checked_add(right), fits(i128::from(a) + i128::from(b)));
        prop_assert_eq!(left.checked_sub(right), fits(i128::from(a) - i128::from(b)));
    }
}
