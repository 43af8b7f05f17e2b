//! Terms of the e-graph: operators with their attributes over e-classes.

use egg::{Id, Language};
use mlcc_ir::{Name, attributes::Attrs};
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// An e-node without its operands. Two heads are equal if their keys are.
#[derive(Clone, Debug)]
pub struct Head {
    /// A mnemonic of the `graph` dialect, or one of [`special`]'s.
    pub op: Name,
    /// Attributes in canonical form: defaults filled in.
    pub attrs: Attrs,
    /// For operators with optional operands: which places are filled. `u64::MAX` if all are.
    pub present: u64,
    key: String,
}

/// Operators that exist only in terms.
pub mod special {
    /// A value from outside: an input of the block or a weight; attribute `index`.
    pub const LEAF: &str = "$leaf";
    /// A small constant; attribute `value`.
    pub const CONSTANT: &str = "$constant";
    /// The sum of any number of operands, broadcast; their order does not matter.
    pub const SUM: &str = "sum";
    /// The product of any number of operands, broadcast; their order does not matter.
    pub const PRODUCT: &str = "product";
}

impl Head {
    /// A head; `attrs` must be in canonical form.
    #[must_use]
    pub fn new(op: &str, attrs: Attrs, present: u64) -> Arc<Head> {
        use fmt::Write;
        let mut key = format!("{op} {present:x}");
        for (name, value) in &attrs.0 {
            match value {
                mlcc_ir::attributes::Attr::Tensor(t) => {
                    let _ = write!(key, " {name}={t:?}{:?}", &t.data[..]);
                }
                value => {
                    let _ = write!(key, " {name}={value:?}");
                }
            }
        }
        Arc::new(Head { op: op.into(), attrs, present, key })
    }

    /// Whether the order of operands does not matter.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        matches!(&*self.op, special::SUM | special::PRODUCT)
    }

    /// Places of the operands, absent ones included, for operands given without the absent ones.
    pub fn places<T: Copy>(&self, operands: &[T]) -> Vec<Option<T>> {
        if self.present == u64::MAX {
            return operands.iter().copied().map(Some).collect();
        }
        let mut given = operands.iter().copied();
        let count = 64 - self.present.leading_zeros() as usize;
        (0..count).map(|i| if self.present >> i & 1 == 1 { given.next() } else { None }).collect()
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.key == other.key
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for Head {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// An e-node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// Operator and attributes.
    pub head: Arc<Head>,
    /// Operands that are present, in order. If their order does not matter, they are in the order of their
    /// ids.
    pub operands: Vec<Id>,
}

impl Term {
    /// A term over these operands.
    #[must_use]
    pub fn new(head: Arc<Head>, mut operands: Vec<Id>) -> Term {
        if head.is_sorted() {
            operands.sort_unstable();
        }
        Term { head, operands }
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}", self.head.key)?;
        self.operands.iter().try_for_each(|o| write!(f, " {o}"))?;
        write!(f, ")")
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.head.op)
    }
}

impl Language for Term {
    type Discriminant = Name;

    fn discriminant(&self) -> Name {
        self.head.op.clone()
    }

    fn matches(&self, other: &Term) -> bool {
        self.head == other.head && self.operands.len() == other.operands.len()
    }

    fn children(&self) -> &[Id] {
        &self.operands
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.operands
    }

    // Ids change when classes merge: operands of sums are sorted anew, so that equal sums stay equal terms.
    fn update_children<F: FnMut(Id) -> Id>(&mut self, f: F) {
        let mut f = f;
        self.operands.iter_mut().for_each(|o| *o = f(*o));
        if self.head.is_sorted() {
            self.operands.sort_unstable();
        }
    }
}
