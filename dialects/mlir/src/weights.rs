//! Large constants are not in the text: the text names them by their content.

use bytes::Bytes;
use mlcc_ir::{
    attributes::Attr,
    diagnostic::{Diagnostic, Result},
    graph::{Def, Graph},
    program::{Program, Storage},
    tensor::Tensor,
};
use std::collections::BTreeMap;

/// Constants with at most this number of elements stand in the text.
pub const MAX_INLINE: usize = 64;

/// Finds the data of large constants by identity.
pub trait WeightSource {
    /// The bytes whose [`identity`] is `identity`.
    fn bytes(&self, identity: &str) -> Option<Bytes>;
}

/// Weights by identity.
#[derive(Clone, Debug, Default)]
pub struct WeightStore(BTreeMap<String, Bytes>);

impl WeightSource for WeightStore {
    fn bytes(&self, identity: &str) -> Option<Bytes> {
        self.0.get(identity).cloned()
    }
}

/// First bytes of a weights file.
const MAGIC: &[u8; 8] = b"mlccwts1";

impl WeightStore {
    /// No weights.
    #[must_use]
    pub fn new() -> WeightStore {
        WeightStore::default()
    }

    /// The large constants of a graph and the bodies in it.
    #[must_use]
    pub fn of_graph(graph: &Graph) -> WeightStore {
        let mut store = WeightStore::new();
        store.add_graph(graph);
        store
    }

    /// The large constants of a program.
    #[must_use]
    pub fn of_program(program: &Program) -> WeightStore {
        let mut store = WeightStore::new();
        store.add_program(program);
        store
    }

    /// Adds the large constants of a program.
    pub fn add_program(&mut self, program: &Program) {
        for tensor in &program.tensors {
            if let Storage::Constant(data) = &tensor.storage {
                self.add(data);
            }
        }
        program.origin.defaults.values().for_each(|default| self.add(default));
    }

    /// Adds the large constants of a graph and the bodies in it.
    pub fn add_graph(&mut self, graph: &Graph) {
        graph.origin.defaults.values().for_each(|default| self.add(default));
        for value in &graph.values {
            if let Def::Constant(tensor) = &value.def {
                self.add(tensor);
            }
        }
        for node in &graph.nodes {
            node.attrs.0.values().for_each(|attr| {
                if let Attr::Tensor(tensor) = attr {
                    self.add(tensor);
                }
            });
            node.regions.iter().for_each(|region| self.add_graph(region));
        }
    }

    /// Adds a constant, unless it is small.
    pub fn add(&mut self, tensor: &Tensor) {
        if tensor.elements() > MAX_INLINE {
            self.0.entry(identity(&tensor.data)).or_insert_with(|| tensor.data.clone());
        }
    }

    /// The weights as a file that goes with a dump: a table of identities and lengths, then the data.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend((self.0.len() as u64).to_le_bytes());
        for (identity, data) in &self.0 {
            file.extend(identity.as_bytes());
            file.extend((data.len() as u64).to_le_bytes());
        }
        self.0.values().for_each(|data| file.extend_from_slice(data));
        file
    }

    /// Reads a weights file, without copying.
    ///
    /// # Errors
    /// If the bytes are not a weights file, or are cut short.
    pub fn from_bytes(file: &Bytes) -> Result<WeightStore> {
        let bad = |what: &str| Diagnostic::user(format!("not a weights file of mlcc: {what}"));
        let number = |at: usize| {
            let bytes = file.get(at..at.checked_add(8)?)?;
            usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
        };
        if file.get(..8) != Some(MAGIC) {
            return Err(bad("it begins otherwise"));
        }
        let count = number(8).ok_or_else(|| bad("it is cut short"))?;
        let mut at = count.checked_mul(40).and_then(|n| n.checked_add(16)).ok_or_else(|| bad("too many"))?;
        let mut store = WeightStore::new();
        for i in 0..count {
            let entry = 16 + i * 40;
            let name = file.get(entry..entry + 32).and_then(|n| std::str::from_utf8(n).ok());
            let (name, length) = name.zip(number(entry + 32)).ok_or_else(|| bad("its table is cut short"))?;
            let end = at.checked_add(length).filter(|&end| end <= file.len());
            let end = end.ok_or_else(|| bad("its data is cut short"))?;
            store.0.insert(name.into(), file.slice(at..end));
            at = end;
        }
        Ok(store)
    }
}

/// A tensor's data, by reference or in the text.
pub(crate) enum Data<'a> {
    Inline(&'a Tensor),
    Weight(String),
}

/// How the data of `tensor` stands in the text.
pub(crate) fn data(tensor: &Tensor) -> Data<'_> {
    if tensor.elements() > MAX_INLINE { Data::Weight(identity(&tensor.data)) } else { Data::Inline(tensor) }
}

/// The hash of a constant's bytes, 128 bits in hexadecimal. It distinguishes weights; it gives no protection
/// against somebody who makes them collide.
#[must_use]
pub fn identity(data: &[u8]) -> String {
    // Two lanes of multiply and fold over words of 8 bytes, as in wyhash; the constants are digits of pi.
    const SEEDS: [u64; 2] = [0x2437_54F2_8B1C_E9A5, 0x8885_A308_D313_198A];
    const FACTORS: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F];
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let mut state = SEEDS.map(|s| s ^ data.len() as u64);
    let mut mix = |word: u64| {
        for (lane, factor) in state.iter_mut().zip(FACTORS) {
            *lane = fold(*lane ^ word, factor).rotate_left(29) ^ word.wrapping_mul(factor);
        }
    };
    let words = data.chunks_exact(8);
    let rest = words.remainder();
    words.for_each(|w| mix(u64::from_le_bytes(w.try_into().expect("eight bytes"))));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(u64::from_le_bytes(last));
    mix(FACTORS[0]);
    format!("{:016x}{:016x}", state[0], state[1])
}
