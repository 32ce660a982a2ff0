//! Reads the canonical form, the one this product writes, in one pass; leaves every other form, and every error, to the general reader.
//!
//! What is read here is read the same by the general reader. This one knows no space, no escape and
//! no other order of an envelope's fields; where it meets one it gives up without a reason, and the
//! general reader answers. Replay stands on it: it takes about a third of the general reader's time.

use crate::{
    command::{By, CommandEnvelope},
    entry::{EntryContext, Head, Outcome},
    event::Stored,
    versioned::Versioned,
};
use domain::{calendar::CalendarMode, command::Submitter, time::Timestamp};
use serde::{
    Deserialize,
    de::{self, DeserializeSeed, IntoDeserializer, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// A place in a text.
pub(crate) struct Reader<'de> {
    text: &'de str,
    at: usize,
}

/// Not the canonical form; why is for the general reader to say.
#[derive(Debug)]
pub(crate) struct Other;

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the canonical form")
    }
}
impl std::error::Error for Other {}
impl de::Error for Other {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }
}

type Read<T> = Result<T, Other>;

/// An entry without its key's type: the key as text, and the rest.
pub(crate) struct Parts<'de, E> {
    pub key: &'de str,
    pub head: Head,
    pub command: CommandEnvelope<'de>,
    pub context: EntryContext<'de>,
    pub events: Vec<E>,
}

/// Reads a whole entry whose key stands behind `opening`.
pub(crate) fn entry<'de, E: Stored>(bytes: &'de [u8], opening: &str) -> Read<Parts<'de, E>> {
    let mut reader = Reader::new(bytes)?;
    reader.literal(opening)?;
    let key = reader.string()?;
    reader.literal(",\"seq\":")?;
    let seq = reader.unsigned()?;
    reader.literal(",\"source\":")?;
    let source = reader.signed()?;
    reader.literal(",\"recorded_at\":")?;
    let recorded_at = reader.instant()?;
    reader.literal(",\"command\":")?;
    let command = reader.command()?;
    reader.literal(",\"context\":")?;
    let context = reader.context()?;
    reader.literal(",\"outcome\":")?;
    let outcome = match reader.string()? {
        "accepted" => Outcome::Accepted,
        "refused" => Outcome::Refused,
        "repeat" => Outcome::Repeat,
        _ => return Err(Other),
    };
    let first = if reader.take(",\"first\":") { Some(reader.unsigned()?) } else { None };
    reader.literal(",\"events\":[")?;
    let events = reader.events()?;
    reader.literal("}")?;
    reader.end()?;
    Ok(Parts { key, head: Head { seq, source, recorded_at, outcome, first }, command, context, events })
}

/// What folding needs of an entry: its key, `seq`, time and events; what was asked, under what and by whom is passed over.
pub(crate) fn happened<'de, E: Stored>(bytes: &'de [u8], opening: &str) -> Read<(&'de str, u64, Timestamp, Vec<E>)> {
    // Bare quotes stand in no JSON text, and no command has such a field: the first is the entry's own.
    const CONTEXT: &str = ",\"context\":{\"market\":[";
    const OUTCOME: &str = "},\"outcome\":\"";
    const EVENTS: &str = ",\"events\":[";
    let mut reader = Reader::new(bytes)?;
    reader.literal(opening)?;
    let key = reader.string()?;
    reader.literal(",\"seq\":")?;
    let seq = reader.unsigned()?;
    reader.literal(",\"source\":")?;
    reader.signed()?;
    reader.literal(",\"recorded_at\":")?;
    let recorded_at = reader.instant()?;
    [CONTEXT, OUTCOME, EVENTS].into_iter().try_for_each(|mark| reader.skip_past(mark))?;
    let events = reader.events()?;
    reader.literal("}")?;
    reader.end()?;
    Ok((key, seq, recorded_at, events))
}

impl<'de> Reader<'de> {
    /// The whole text is checked once to be UTF-8.
    fn new(bytes: &'de [u8]) -> Read<Self> {
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| Other)?;
        Ok(Self { text, at: 0 })
    }
    fn end(&self) -> Read<()> {
        if self.at == self.text.len() { Ok(()) } else { Err(Other) }
    }
    fn skip_past(&mut self, mark: &str) -> Read<()> {
        let found = memchr::memmem::find(&self.text.as_bytes()[self.at..], mark.as_bytes()).ok_or(Other)?;
        self.at += found + mark.len();
        Ok(())
    }
    fn command(&mut self) -> Read<CommandEnvelope<'de>> {
        self.literal("{\"id\":")?;
        let id = Cow::Borrowed(self.string()?);
        self.literal(",\"kind\":")?;
        let kind = Cow::Borrowed(self.string()?);
        self.literal(",\"v\":")?;
        let v = self.unsigned()?;
        self.literal(",\"body\":")?;
        let body = Cow::Borrowed(self.raw()?);
        self.literal(",\"issued_at\":")?;
        let issued_at = self.instant()?;
        self.literal(",\"by\":{\"subject\":")?;
        let subject = Cow::Borrowed(self.string()?);
        self.literal(",\"role\":")?;
        let role = match self.string()? {
            "client" => Submitter::Client,
            "operator" => Submitter::Operator,
            "venue" => Submitter::Venue,
            "system" => Submitter::System,
            "import" => Submitter::Import,
            _ => return Err(Other),
        };
        self.literal(",\"session\":")?;
        let session = self.string_or_null()?;
        self.literal(",\"origin\":")?;
        let origin = self.string_or_null()?;
        self.literal(",\"algo_id\":")?;
        let algo_id = self.string_or_null()?;
        self.literal("},\"request_id\":")?;
        let request_id = self.string_or_null()?;
        self.literal(",\"min_position\":")?;
        let min_position = self.string_or_null()?;
        self.literal("}")?;
        let by = By { subject, role, session, origin, algo_id };
        Ok(CommandEnvelope { id, kind, v, body, issued_at, by, request_id, min_position })
    }
    fn context(&mut self) -> Read<EntryContext<'de>> {
        self.literal("{\"market\":[")?;
        let mut market = Vec::new();
        if !self.take("]") {
            loop {
                market.push(self.unsigned()?);
                match self.byte()? {
                    b',' => {}
                    b']' => break,
                    _ => return Err(Other),
                }
            }
        }
        self.literal(",\"calendar\":")?;
        let calendar = match self.string()? {
            "exchange" => CalendarMode::Exchange,
            "always-open" => CalendarMode::AlwaysOpen,
            _ => return Err(Other),
        };
        self.literal(",\"policy\":")?;
        let policy = Cow::Borrowed(self.string()?);
        self.literal(",\"rules\":")?;
        let rules = self.unsigned()?;
        self.literal("}")?;
        Ok(EntryContext { market, calendar, policy, rules })
    }
    fn events<E: Stored>(&mut self) -> Read<Vec<E>> {
        let mut events = Vec::new();
        if self.take("]") {
            return Ok(events);
        }
        loop {
            self.literal("{\"type\":")?;
            let name = self.string()?;
            self.literal(",\"v\":")?;
            let version: u32 = self.unsigned()?;
            self.literal(",\"effective_at\":")?;
            let effective_at = self.instant()?;
            self.literal(",\"data\":")?;
            let data = E::Data::read(name, &mut *self).ok_or(Other)??;
            if data.version() != version {
                return Err(Other); // an older version, or an error to name
            }
            events.push(E::new(effective_at, data));
            self.literal("}")?;
            match self.byte()? {
                b',' => {}
                b']' => return Ok(events),
                _ => return Err(Other),
            }
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
    #[inline]
    fn byte(&mut self) -> Read<u8> {
        let byte = self.peek().ok_or(Other)?;
        self.at += 1;
        Ok(byte)
    }
    /// The rest of a field's name, its quote and its colon.
    #[inline]
    fn field(&mut self, name: &str) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let found = rest.starts_with(name.as_bytes()) && rest[name.len()..].starts_with(b"\":");
        if found {
            self.at += name.len() + 2;
        }
        found
    }
    #[inline(always)]
    fn take(&mut self, literal: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(literal.as_bytes());
        if found {
            self.at += literal.len();
        }
        found
    }
    #[inline(always)]
    fn literal(&mut self, literal: &str) -> Read<()> {
        if self.take(literal) { Ok(()) } else { Err(Other) }
    }
    /// A string without escapes.
    fn string(&mut self) -> Read<&'de str> {
        if self.byte()? != b'"' {
            return Err(Other);
        }
        let start = self.at;
        let end = start + plain(&self.text.as_bytes()[start..]);
        self.at = end + 1;
        match self.text.as_bytes().get(end) {
            Some(b'"') => self.text.get(start..end).ok_or(Other),
            _ => Err(Other),
        }
    }
    fn string_or_null(&mut self) -> Read<Option<Cow<'de, str>>> {
        if self.take("null") { Ok(None) } else { self.string().map(|text| Some(Cow::Borrowed(text))) }
    }
    fn instant(&mut self) -> Read<Timestamp> {
        Timestamp::parse(self.string()?).map_err(|_| Other)
    }
    /// Digits without a leading zero, as JSON has them.
    fn magnitude(&mut self) -> Read<u64> {
        let start = self.at;
        let mut value: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0'))).ok_or(Other)?;
            self.at += 1;
        }
        match self.at - start {
            0 => Err(Other),
            1 => Ok(value),
            _ if self.text.as_bytes()[start] == b'0' => Err(Other),
            _ => Ok(value),
        }
    }
    fn unsigned<T: TryFrom<u64>>(&mut self) -> Read<T> {
        self.magnitude().and_then(|value| T::try_from(value).map_err(|_| Other))
    }
    fn signed(&mut self) -> Read<i64> {
        let negative = self.take("-");
        let magnitude = self.magnitude()?;
        // "-0" is a float to the general reader.
        match negative {
            true if magnitude == 0 => Err(Other),
            true => 0i64.checked_sub_unsigned(magnitude).ok_or(Other),
            false => i64::try_from(magnitude).map_err(|_| Other),
        }
    }
    /// Any value; the general reader finds its end.
    fn raw(&mut self) -> Read<&'de RawValue> {
        let rest = self.text.get(self.at..).ok_or(Other)?;
        if rest.starts_with([' ', '\n', '\r', '\t']) {
            return Err(Other);
        }
        let raw = <&RawValue>::deserialize(&mut serde_json::Deserializer::from_str(rest)).map_err(|_| Other)?;
        self.at += raw.get().len();
        Ok(raw)
    }
}

/// How many bytes stand before the first that ends or escapes a string: quote, backslash or control.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let mut at = 0;
    // Eight bytes at a time: a byte's high bit is set where it is one of those (or behind one).
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*eight);
        let (quote, backslash) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        let found = (below(word, 0x20) | below(quote, 1) | below(backslash, 1)) & HIGHS;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let ends = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    at + bytes[at..].iter().position(ends).unwrap_or(bytes.len() - at)
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $read:ident,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> { visitor.$visit(self.$read()?) })*
    };
}
macro_rules! texts {
    ($($method:ident,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> { visitor.visit_borrowed_str(self.string()?) })*
    };
}

/// Payloads read themselves from here, as from any serde format.
impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Other;

    whole_numbers! {
        deserialize_i64 visit_i64 signed, deserialize_i32 visit_i64 signed,
        deserialize_i16 visit_i64 signed, deserialize_i8 visit_i64 signed,
        deserialize_u64 visit_u64 unsigned, deserialize_u32 visit_u64 unsigned,
        deserialize_u16 visit_u64 unsigned, deserialize_u8 visit_u64 unsigned,
    }
    texts! { deserialize_str, deserialize_string, deserialize_identifier, }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match (self.take("true"), self.take("false")) {
            (true, _) => visitor.visit_bool(true),
            (_, true) => visitor.visit_bool(false),
            _ => Err(Other),
        }
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.take("null") { visitor.visit_none() } else { visitor.visit_some(self) }
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.literal("[")?;
        let value = visitor.visit_seq(Items { reader: self, begun: false })?;
        self.literal("]")?;
        Ok(value)
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.literal("{")?;
        let value = visitor.visit_map(Items { reader: self, begun: false })?;
        self.literal("}")?;
        Ok(value)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        self.literal("{")?;
        let value = visitor.visit_map(Fields { reader: self, names, next: 0, begun: false })?;
        self.literal("}")?;
        Ok(value)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        if self.peek() == Some(b'"') {
            return visitor.visit_enum(de::value::BorrowedStrDeserializer::new(self.string()?));
        }
        self.literal("{")?;
        let value = visitor.visit_enum(Tagged(self))?;
        self.literal("}")?;
        Ok(value)
    }
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Read<V::Value> {
        Err(Other)
    }
    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

/// The items of a list or the fields of an object, commas between them.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    begun: bool,
}

impl Items<'_, '_> {
    /// Whether another follows; takes its comma.
    fn another(&mut self, end: u8) -> Read<bool> {
        if self.reader.peek() == Some(end) {
            return Ok(false);
        }
        if self.begun {
            self.reader.literal(",")?;
        }
        self.begun = true;
        Ok(true)
    }
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = Other;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        if self.another(b']')? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'de> de::MapAccess<'de> for Items<'_, 'de> {
    type Error = Other;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        if self.another(b'}')? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        self.reader.literal(":")?;
        seed.deserialize(&mut *self.reader)
    }
}

/// The fields of a struct in the order of their declaration, in which they are written: each is looked for by
/// its name and given to serde by its number, so that no name is read and compared with all others.
struct Fields<'a, 'de> {
    reader: &'a mut Reader<'de>,
    names: &'static [&'static str],
    next: usize,
    begun: bool,
}

impl<'de> de::MapAccess<'de> for Fields<'_, 'de> {
    type Error = Other;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        if self.reader.peek() == Some(b'}') {
            return Ok(None);
        }
        if self.begun {
            self.reader.literal(",")?;
        }
        self.begun = true;
        self.reader.literal("\"")?;
        // Those passed over are absent, as a field that has nothing to say is not written.
        while let Some(name) = self.names.get(self.next) {
            self.next += 1;
            if self.reader.field(name) {
                let number = (self.next - 1) as u64;
                return seed.deserialize(number.into_deserializer()).map(Some);
            }
        }
        Err(Other)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        seed.deserialize(&mut *self.reader)
    }
}

/// `"variant":content`.
struct Tagged<'a, 'de>(&'a mut Reader<'de>);

impl<'de> de::EnumAccess<'de> for Tagged<'_, 'de> {
    type Error = Other;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Read<(V::Value, Self)> {
        let variant = seed.deserialize(&mut *self.0)?;
        self.0.literal(":")?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Tagged<'_, 'de> {
    type Error = Other;
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Read<T::Value> {
        seed.deserialize(self.0)
    }
    fn unit_variant(self) -> Read<()> {
        Err(Other)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Read<V::Value> {
        Err(Other)
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Read<V::Value> {
        Err(Other)
    }
}
