//! The graph dialect's operators, as TableGen declares them.

/// How many values stand at an operand's or result's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly one.
    One,
    /// One or none.
    Optional,
    /// Any number.
    Variadic,
}

/// An operand or result of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// Name.
    pub name: &'static str,
    /// How many.
    pub arity: Arity,
}

/// An attribute of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Name.
    pub name: &'static str,
    /// TableGen's constraint, such as `I64Attr`.
    pub kind: &'static str,
    /// Whether it may be absent.
    pub optional: bool,
}

/// An operator.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// Mnemonic: `graph.<name>`.
    pub name: &'static str,
    /// What it computes, in one line.
    pub summary: &'static str,
    /// Number of regions.
    pub regions: usize,
    /// Operands in order.
    pub operands: &'static [Operand],
    /// Attributes in order.
    pub attributes: &'static [Attribute],
    /// Results in order.
    pub results: &'static [Operand],
}

const ALL: &[Operator] = include!(concat!(env!("OUT_DIR"), "/operators.rs"));

/// Operations of the dialect that are not operators of the graph.
const OTHERS: [&str; 3] = ["constant", "weight", "return"];

/// Every operator of the graph dialect.
pub fn operators() -> impl Iterator<Item = &'static Operator> {
    ALL.iter().filter(|o| !OTHERS.contains(&o.name))
}

/// The operator `name`.
#[must_use]
pub fn operator(name: &str) -> Option<&'static Operator> {
    operators().find(|o| o.name == name)
}

/// The number of values at each place, if these values are present in all; `None` if they do not
/// fit the places.
pub(crate) fn segments(places: &[Operand], present: &[bool]) -> Option<Vec<usize>> {
    let mut sizes = Vec::with_capacity(places.len());
    let mut at = 0;
    for (i, place) in places.iter().enumerate() {
        let after = places.len() - i - 1;
        let size = match place.arity {
            Arity::One => usize::from(*present.get(at)?),
            Arity::Optional => usize::from(present.get(at).copied().unwrap_or(false)),
            Arity::Variadic => {
                let size = present.len().saturating_sub(at + after);
                if !present.get(at..at + size).unwrap_or_default().iter().all(|p| *p) {
                    return None;
                }
                at += size;
                sizes.push(size);
                continue;
            }
        };
        if place.arity == Arity::One && size == 0 {
            return None;
        }
        at += 1;
        sizes.push(size);
    }
    (at >= present.len()).then_some(sizes)
}

/// Whether MLIR needs the segments' sizes: it does if more than one place may hold a variable
/// number of values.
pub(crate) fn needs_segments(places: &[Operand]) -> bool {
    places.iter().filter(|p| p.arity != Arity::One).count() > 1
}
