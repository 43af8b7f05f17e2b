//! The decisions for a kernel: data that prints, parses and is replayed.
//!
//! ```text
//! packed: split(matmul.m, 6)
//! reorder(matmul.m.o, matmul.n, matmul.k, matmul.m.i)
//! ```

use super::Schedule;
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
};
use std::{fmt, str::FromStr};

/// How a kernel is computed on a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Name of the variant: the template that took the kernel.
    pub variant: Name,
    /// Numbers that a variant is built with if steps do not build it: `tile=128x128x16`.
    pub numbers: Vec<(Name, Name)>,
    /// The steps from the naive nest.
    pub schedule: Schedule,
    /// The templates that were tried before and why they left the kernel.
    pub refused: Vec<Refusal>,
}

/// A template that was tried, and why it left the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The template.
    pub template: Name,
    /// Why.
    pub reason: Reason,
}

/// Why a template does not take a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is not the kind of kernel that the template is for, or it lacks a part that the template needs.
    OtherKind(String),
    /// A step that the template takes is not legal on it.
    IllegalStep(String),
    /// The template could take it, but another one is estimated to be faster.
    Slower(String),
}

impl Decision {
    /// A decision of a variant that is built from numbers.
    #[must_use]
    pub fn of_numbers(variant: &str, numbers: &[(&str, &dyn fmt::Display)]) -> Decision {
        let numbers = numbers.iter().map(|(name, value)| ((*name).into(), value.to_string().into()));
        Decision { variant: variant.into(), numbers: numbers.collect(), ..Decision::default() }
    }

    /// Whether two decisions lead to the same loops; templates that were refused on the way do not count.
    #[must_use]
    pub fn is_same(&self, other: &Decision) -> bool {
        (&self.variant, &self.numbers, &self.schedule) == (&other.variant, &other.numbers, &other.schedule)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Reason::OtherKind(why) | Reason::IllegalStep(why) | Reason::Slower(why)) = self;
        f.write_str(why)
    }
}

/// `not windows: it has no window`, `not gathered, slower: its groups have few channels`.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.reason {
            Reason::OtherKind(_) => "",
            Reason::IllegalStep(_) => ", illegal step",
            Reason::Slower(_) => ", slower",
        };
        write!(f, "not {}{kind}: {}", self.template, self.reason)
    }
}

impl FromStr for Refusal {
    type Err = Diagnostic;

    fn from_str(text: &str) -> Result<Refusal> {
        let fault = || Diagnostic::user(format!("no refusal of a template: '{text}'"));
        let (head, why) = text.strip_prefix("not ").and_then(|t| t.split_once(": ")).ok_or_else(fault)?;
        let (template, kind) = head.split_once(", ").unwrap_or((head, ""));
        let reason = match kind {
            "" => Reason::OtherKind,
            "illegal step" => Reason::IllegalStep,
            "slower" => Reason::Slower,
            _ => return Err(fault()),
        };
        Ok(Refusal { template: template.into(), reason: reason(why.to_owned()) })
    }
}

/// A step of the schedule that is not legal.
impl From<Diagnostic> for Reason {
    fn from(why: Diagnostic) -> Reason {
        Reason::IllegalStep(why.message)
    }
}

/// Variant and numbers, then the steps, one a line.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.variant)?;
        self.numbers.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))?;
        let built = !self.numbers.is_empty() && self.schedule.steps.is_empty();
        if built { Ok(()) } else { write!(f, ": {}", self.schedule) }
    }
}

impl FromStr for Decision {
    type Err = Diagnostic;

    fn from_str(text: &str) -> Result<Decision> {
        let (head, steps) = text.split_once(':').unwrap_or((text, ""));
        let mut words = head.split_whitespace();
        let fault = |what: &str| Diagnostic::user(format!("not a decision: '{}' ({what})", head.trim()));
        let variant = words.next().ok_or_else(|| fault("the variant is missing"))?;
        let number = |word: &str| {
            let (name, value) = word.split_once('=').ok_or_else(|| fault("expected name=value"))?;
            Ok((name.into(), value.into()))
        };
        Ok(Decision {
            variant: variant.into(),
            numbers: words.map(number).collect::<Result<_>>()?,
            schedule: steps.parse()?,
            refused: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_print_and_parse() {
        for text in [
            "serial: ",
            "matmul tile=128x128x16 threads=256",
            "packed: split(m, 6)\nreorder(m.o, n, m.i)\n",
            "rows lanes=16: vectorize(i, 16)\n",
        ] {
            let decision: Decision = text.parse().expect(text);
            assert_eq!(decision.to_string(), text);
        }
    }

    #[test]
    fn refusals_print_and_parse() {
        for reason in [Reason::OtherKind, Reason::IllegalStep, Reason::Slower] {
            let refusal = Refusal { template: "windows".into(), reason: reason("split(m, 6): why".into()) };
            assert_eq!(refusal.to_string().parse::<Refusal>().expect("a refusal"), refusal);
        }
        for text in ["windows: no", "not windows", "not windows, unknown: no"] {
            text.parse::<Refusal>().expect_err(text);
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", " : split(m, 6)", "packed 6", "packed: split(m)", "packed: divide(m, 6)"] {
            text.parse::<Decision>().expect_err(text);
        }
    }
}
