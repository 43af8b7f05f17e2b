//! Rules as data: `{name, class, proof, left side, right side, guard}`, read from the rule files.

mod parse;

pub use parse::{parse, parse_pattern};

use super::expression::{Expression, Value};
use mlcc_ir::Name;
use std::fmt;

/// The effect of a rule on the bits of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exactness {
    /// The same bits, computed by the reference interpreter.
    Exact,
    /// Equal over the real numbers; floating-point rounding differs.
    Reassociating,
    /// Equal up to a stated error only.
    Approximate,
}

impl Exactness {
    /// Its name in a rule file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Exactness::Exact => "exact",
            Exactness::Reassociating => "reassociating",
            Exactness::Approximate => "approximate",
        }
    }
}

/// The reason why a rule is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is one of the audited axioms.
    Axiom,
    /// It follows from the axioms; `cargo xtask rules` derives it.
    Derived,
    /// Its values were compared, exhaustively or only by sampling, as the rule's class allows.
    Tested,
}

/// A difference beyond rounding that the two sides of a rule may have if it is not exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The sign of a zero.
    SignedZero,
    /// An infinity on one side is a number, or the other infinity, on the other side.
    Infinite,
    /// A NaN on one side is a number on the other side.
    Nan,
}

/// A rewrite rule in one direction.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique name; the reverse direction of `name` is `name-reversed`.
    pub name: Name,
    /// The statement that the rule comes from: its name without the direction and without the operator of a
    /// family.
    pub schema: Name,
    /// Its effect on rounding.
    pub class: Exactness,
    /// For an approximate rule, the greatest difference between the sides, relative to numbers beyond 1; else
    /// 0.
    pub error: f64,
    /// The differences that the sides may have.
    pub differs: Vec<Difference>,
    /// Why it holds.
    pub proof: Proof,
    /// For a derived rule, the axioms or earlier rules that it follows from. Empty: any axioms.
    pub from: Vec<Name>,
    /// The pattern that it replaces.
    pub left: Pattern,
    /// The replacement.
    pub right: Pattern,
    /// Conditions; all must hold.
    pub guard: Vec<Expression>,
    /// One line for the documentation.
    pub note: String,
    /// The rule as it stands in the file: both sides and the guard.
    pub text: String,
}

impl Difference {
    /// All kinds.
    pub const ALL: [Difference; 3] = [Difference::SignedZero, Difference::Infinite, Difference::Nan];

    /// Its word in the rule file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Difference::SignedZero => "signed-zero",
            Difference::Infinite => "infinite",
            Difference::Nan => "nan",
        }
    }

    fn named(word: &str) -> Option<Difference> {
        Difference::ALL.into_iter().find(|d| d.name() == word)
    }
}

/// A term with variables.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// Any class.
    Variable(Name),
    /// A tensor whose elements all have this value; as a replacement, a scalar.
    Number(f64),
    /// An optional operand that is absent.
    Absent,
    /// For each class of a list variable (`?xs...`), as `?it`: a replacement only.
    Each {
        /// The list.
        list: Name,
        /// The term made of each element.
        body: Box<Pattern>,
    },
    /// An operator.
    Apply {
        /// Its mnemonic.
        op: Name,
        /// Attributes given; others must have their defaults, unless `others` binds them.
        attrs: Vec<(Name, Expression)>,
        /// A variable for all attributes that are not given.
        others: Option<Name>,
        /// Operands.
        operands: Vec<Pattern>,
        /// A list variable for all operands that follow.
        tail: Option<Name>,
    },
}

impl Pattern {
    /// The mnemonic of the outermost operator.
    #[must_use]
    pub fn op(&self) -> Option<&Name> {
        match self {
            Pattern::Apply { op, .. } => Some(op),
            _ => None,
        }
    }
}

/// The notation of the rule file.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Variable(name) => write!(f, "?{name}"),
            Pattern::Number(value) => write!(f, "{value}"),
            Pattern::Absent => write!(f, "_"),
            Pattern::Each { list, body } => write!(f, "(each ?{list}... {body})"),
            Pattern::Apply { op, attrs, others, operands, tail } => {
                write!(f, "({op}")?;
                let mut given: Vec<String> =
                    attrs.iter().map(|(name, value)| format!("{name} {value}")).collect();
                given.extend(others.iter().map(|o| format!(".. ?{o}")));
                if !given.is_empty() {
                    write!(f, " [{}]", given.join(" "))?;
                }
                operands.iter().try_for_each(|o| write!(f, " {o}"))?;
                tail.iter().try_for_each(|t| write!(f, " ?{t}..."))?;
                write!(f, ")")
            }
        }
    }
}

/// A variable's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Binding {
    /// A tensor.
    Class(egg::Id),
    /// Any number of tensors.
    Classes(Vec<egg::Id>),
    /// An attribute, or a part of one.
    Value(Value),
    /// All attributes that a pattern does not give.
    Attrs(mlcc_ir::attributes::Attrs),
}

/// Values of variables by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bindings(Vec<(Name, Binding)>);

impl Bindings {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Binding> {
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, b)| b)
    }

    /// Gives a variable a value, in place of the one that it has.
    pub fn set(&mut self, name: &Name, value: Binding) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.clone(), value)),
        }
    }

    /// The tensor that a variable stands for.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<egg::Id> {
        match self.get(name)? {
            Binding::Class(id) => Some(*id),
            _ => None,
        }
    }
}
