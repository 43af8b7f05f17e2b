//! Protobuf's wire format: <https://protobuf.dev/programming-guides/encoding/>.

/// A message as its bytes so far; fields stand in the order in which they are added.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

/// How a field's value is delimited.
#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    LengthDelimited = 2,
    Fixed32 = 5,
}

impl Message {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// An `int32`, `int64` or enum.
    pub(super) fn integer(&mut self, field: u32, value: i64) -> &mut Self {
        self.tag(field, WireType::Varint);
        // A negative number is its 64-bit two's complement.
        self.varint(value.cast_unsigned());
        self
    }

    /// A `repeated int64`, unpacked, as ONNX's proto2 has it.
    pub(super) fn integers(&mut self, field: u32, values: &[i64]) -> &mut Self {
        for &value in values {
            self.integer(field, value);
        }
        self
    }

    /// A `float`.
    pub(super) fn float(&mut self, field: u32, value: f32) -> &mut Self {
        self.tag(field, WireType::Fixed32);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// A `repeated float`, unpacked.
    pub(super) fn floats(&mut self, field: u32, values: &[f32]) -> &mut Self {
        for &value in values {
            self.float(field, value);
        }
        self
    }

    /// A `bytes`.
    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) -> &mut Self {
        self.tag(field, WireType::LengthDelimited);
        self.varint(value.len() as u64);
        self.bytes.extend(value);
        self
    }

    /// A `string`.
    pub(super) fn text(&mut self, field: u32, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    /// A `repeated string`.
    pub(super) fn texts(&mut self, field: u32, values: &[String]) -> &mut Self {
        for value in values {
            self.text(field, value);
        }
        self
    }

    /// A message within the message.
    pub(super) fn message(&mut self, field: u32, value: &Self) -> &mut Self {
        self.bytes(field, &value.bytes)
    }

    fn tag(&mut self, field: u32, wire_type: WireType) {
        self.varint(u64::from(field) << 3 | wire_type as u64);
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}
