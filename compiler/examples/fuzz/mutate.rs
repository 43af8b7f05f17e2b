//! Mutations: of texts by their tokens, of bytes, and of protobuf messages by their fields.
//!
//! A mutated input stays close to a valid one, so that it comes far into a parser: a text is cut into
//! tokens, a message into its fields, whose lengths are made right again when it is written.

use fastrand::Rng;

/// Words that parsers tend to stumble over.
const ODD: &[&str] = &[
    "",
    "-1",
    "0",
    "1",
    "2",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967296",
    "99999999999999999999",
    "1e999",
    "nan",
    "0x7FC00000",
    "\"\"",
    "\"\\00\"",
    "%i",
    "$9",
    "[]",
    "<>",
    "()",
    "tensor<?xf32>",
    "f32",
    "i64",
    "bf16",
    "i128",
    "}",
    "{",
    "dense<",
    "unit",
    "\u{e9}",
    "\u{20ac}",
    "floordiv(n, 0)",
    "mod(%i, n)",
    "n * m - 1",
    "(a + b)",
    "* (a + b)",
    "min(n, m)",
    "max(",
    "combine add",
    "?",
    "loc(",
];

/// Numbers of which sizes, counts and identifiers are made.
const NUMBERS: &[u64] =
    &[0, 1, 2, 3, 7, 63, 64, 127, 128, 255, 256, 65535, 1 << 31, 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX];

/// How many mutations an input gets: seldom many, for each makes it less likely to be accepted.
fn count(rng: &mut Rng) -> u32 {
    1 + rng.u32(..64).trailing_zeros().min(4)
}

/// A text with some mutations of tokens. `other` is what pieces are taken from.
pub(crate) fn text(seed: &str, other: &str, rng: &mut Rng) -> String {
    let (mut tokens, others) = (tokens(seed), tokens(other));
    for _ in 0..count(rng) {
        if tokens.is_empty() {
            tokens.push("0");
        }
        let at = rng.usize(..tokens.len());
        let end = (at + 1 + rng.usize(..8)).min(tokens.len());
        match rng.u32(..11) {
            0 => drop(tokens.drain(at..end)),
            1 => tokens[at] = ODD[rng.usize(..ODD.len())],
            2 => tokens.insert(at, ODD[rng.usize(..ODD.len())]),
            3 => {
                let with = rng.usize(..tokens.len());
                tokens.swap(at, with);
            }
            4 => {
                let piece = tokens[at..end].repeat(1 << rng.u32(..7));
                tokens.splice(at..at, piece);
            }
            // Another token of the same kind: a name for a name, a number for a number.
            5 | 6 => {
                let kind = kind(tokens[at]);
                let from = if rng.bool() { &tokens } else { &others };
                let same: Vec<&str> =
                    from.iter().copied().filter(|token| self::kind(token) == kind).collect();
                if let Some(token) = rng.choice(same) {
                    tokens[at] = token;
                }
            }
            7 if !others.is_empty() => {
                let from = rng.usize(..others.len());
                let until = (from + 1 + rng.usize(..30)).min(others.len());
                tokens.splice(at..end, others[from..until].iter().copied());
            }
            8 if at > 0 => tokens.truncate(at),
            // Lines are operations.
            9 => {
                let line =
                    |from: usize| tokens[from..].iter().position(|token| *token == "\n").map(|n| from + n);
                if let Some(first) = line(at)
                    && let Some(second) = line(first + 1)
                {
                    let line: Vec<&str> = tokens[first..second].to_vec();
                    let to = rng.usize(..tokens.len());
                    if rng.bool() {
                        tokens.drain(first..second);
                    }
                    let to = line_break(&tokens, to);
                    tokens.splice(to..to, line);
                }
            }
            _ => tokens[at] = ["0", "1", "-1", "3", "64", "9223372036854775807"][rng.usize(..6)],
        }
    }
    let mut text = tokens.concat();
    if rng.u32(..20) == 0 {
        let mut damaged = text.into_bytes();
        bytes(&mut damaged, rng);
        text = String::from_utf8_lossy(&damaged).into_owned();
    }
    text
}

fn line_break(tokens: &[&str], from: usize) -> usize {
    tokens.iter().skip(from).position(|token| *token == "\n").map_or(tokens.len(), |n| from + n)
}

/// Words, numbers, strings and single other characters; together they are the text.
fn tokens(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || "_.%$#@!".contains(c);
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length =
            if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
    tokens
}

fn kind(token: &str) -> u8 {
    match token.bytes().next() {
        Some(b'0'..=b'9') => 0,
        Some(first) if first.is_ascii_alphabetic() => 1,
        Some(first) if b"%$#@!".contains(&first) => first,
        _ => 2,
    }
}

/// Bytes with one mutation.
pub(crate) fn bytes(bytes: &mut Vec<u8>, rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.push(rng.u8(..));
        return;
    }
    let at = rng.usize(..bytes.len());
    let end = (at + 1 + rng.usize(..16)).min(bytes.len());
    match rng.u32(..6) {
        0 => bytes[at] ^= 1 << rng.u32(..8),
        1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.usize(..5)],
        2 => drop(bytes.drain(at..end)),
        3 => {
            let piece = bytes[at..end].repeat(1 << rng.u32(..5));
            bytes.splice(at..at, piece);
        }
        4 => {
            let number = NUMBERS[rng.usize(..NUMBERS.len())].to_le_bytes();
            bytes.splice(at..end, number);
        }
        _ => bytes.truncate(at),
    }
}

/// A field of a protobuf message, of which nothing is known but the encoding.
#[derive(Clone)]
struct Field {
    number: u64,
    value: Value,
}

#[derive(Clone)]
enum Value {
    Varint(u64),
    Fixed(Vec<u8>),
    Bytes(Vec<u8>),
    /// Bytes that can be read as a message, which they may be by chance.
    Message(Vec<Field>),
}

/// A message with some mutations of its fields; `other` is what fields are taken from.
pub(crate) fn message(seed: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let (Some(mut fields), Some(others)) = (decode(seed, 0), decode(other, 0)) else {
        let mut damaged = seed.to_vec();
        bytes(&mut damaged, rng);
        return damaged;
    };
    for _ in 0..count(rng) {
        change(&mut fields, &others, rng);
    }
    let mut damaged = encode(&fields);
    if rng.u32(..10) == 0 {
        bytes(&mut damaged, rng);
    }
    damaged
}

/// Changes one field, on a random way down the tree.
fn change(fields: &mut Vec<Field>, others: &[Field], rng: &mut Rng) {
    if fields.is_empty() {
        fields.extend(rng.choice(others).cloned());
        return;
    }
    let at = rng.usize(..fields.len());
    let descends = matches!(&fields[at].value, Value::Message(_)) && rng.u32(..6) > 0;
    if let Value::Message(inner) = &mut fields[at].value
        && descends
    {
        let same = others.iter().filter_map(|field| match &field.value {
            Value::Message(inner) => Some(&inner[..]),
            _ => None,
        });
        let same: Vec<&[Field]> = same.collect();
        return change(inner, rng.choice(same).unwrap_or(others), rng);
    }
    match rng.u32(..8) {
        0 => drop(fields.remove(at)),
        1 => {
            let with = rng.usize(..fields.len());
            fields.swap(at, with);
        }
        2 => {
            let copy = fields[at].clone();
            let times = 1 << rng.u32(..4);
            fields.splice(at..at, std::iter::repeat_n(copy, times));
        }
        3 => {
            // A field of the other message, where possible of the same number.
            let same: Vec<&Field> = others.iter().filter(|other| other.number == fields[at].number).collect();
            if let Some(field) = rng.choice(same).or_else(|| rng.choice(others)) {
                fields[at].value = field.value.clone();
            }
        }
        4 => fields.extend(rng.choice(others).cloned()),
        5 if rng.u32(..4) == 0 => fields[at].number = 1 + rng.u64(..20),
        // The value of a field beside it: one name for another, one list of sizes for another.
        6 => {
            let other = fields[rng.usize(..fields.len())].value.clone();
            fields[at].value = other;
        }
        _ => match &mut fields[at].value {
            Value::Varint(number) => *number = NUMBERS[rng.usize(..NUMBERS.len())],
            Value::Fixed(data) => {
                let last = data.len() - 1;
                data[last] ^= 1 << rng.u32(..8);
            }
            Value::Bytes(data) => bytes(data, rng),
            value @ Value::Message(_) => *value = Value::Bytes(Vec::new()),
        },
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn decode(mut bytes: &[u8], depth: u32) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let mut take = |length: usize| {
            let (data, rest) = bytes.split_at_checked(length)?;
            bytes = rest;
            Some(data)
        };
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut bytes)?),
            1 => Value::Fixed(take(8)?.to_vec()),
            5 => Value::Fixed(take(4)?.to_vec()),
            2 => {
                let length = varint(&mut bytes)?;
                let (data, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
                bytes = rest;
                let inner = if depth < 20 && !data.is_empty() { decode(data, depth + 1) } else { None };
                inner.map_or_else(|| Value::Bytes(data.to_vec()), Value::Message)
            }
            _ => return None,
        };
        if key >> 3 == 0 {
            return None;
        }
        fields.push(Field { number: key >> 3, value });
    }
    Some(fields)
}

fn encode(fields: &[Field]) -> Vec<u8> {
    fn put(mut number: u64, into: &mut Vec<u8>) {
        while number >= 0x80 {
            into.push(number as u8 | 0x80);
            number >>= 7;
        }
        into.push(number as u8);
    }
    let mut bytes = Vec::new();
    for field in fields {
        let key = field.number << 3;
        match &field.value {
            Value::Varint(number) => {
                put(key, &mut bytes);
                put(*number, &mut bytes);
            }
            Value::Fixed(data) => {
                put(key | if data.len() == 8 { 1 } else { 5 }, &mut bytes);
                bytes.extend(data);
            }
            Value::Bytes(data) => {
                put(key | 2, &mut bytes);
                put(data.len() as u64, &mut bytes);
                bytes.extend(data);
            }
            Value::Message(inner) => {
                let data = encode(inner);
                put(key | 2, &mut bytes);
                put(data.len() as u64, &mut bytes);
                bytes.extend(data);
            }
        }
    }
    bytes
}
