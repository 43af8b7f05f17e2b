//! Names in a nest: a stage is named by its purpose, an axis by its origin.
//!
//! | Text | Means |
//! |---|---|
//! | `conv`, `conv.init`, `y.store` | stages: what a compute does, what initialises it, what stores a buffer at the end |
//! | `conv.m` | the axis `m` of the stage `conv` |
//! | `conv.m.o`, `conv.m.i` | the loops that are left where `conv.m` was split |
//! | `conv.h_w` | the loop that `conv.h` and `conv.w` were fused into |
//! | `w.panel:conv.k` | the axis along which the panel `w.panel` is filled for `conv.k` |
//!
//! Text is how names print and what a nest holds. For nests that schedule steps make, no other file puts it together or
//! takes it apart.

use crate::Name;
use std::fmt;

/// What a stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Computes, or combines, the values of the compute that it is called after.
    Values,
    /// Stores the identity of the reduction that it is called after.
    Initial,
    /// Stores the buffer that it is called after, from the temporary in which that was computed.
    Store,
    /// Combines the partial results of the reduction that it is called after.
    Final,
    /// Stores the identity in front of [`Purpose::Final`].
    FinalInitial,
}

impl Purpose {
    const fn suffix(self) -> &'static str {
        match self {
            Purpose::Values => "",
            Purpose::Initial => ".init",
            Purpose::Store => ".store",
            Purpose::Final => ".final",
            Purpose::FinalInitial => ".final.init",
        }
    }
}

/// A stage of a nest: the loops around one store that a compute, or a step of the schedule, is turned into.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StageName {
    /// The compute or the buffer that gives the stage its name.
    pub of: Name,
    /// What it does.
    pub purpose: Purpose,
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.of, self.purpose.suffix())
    }
}

impl StageName {
    /// The stage that does this for a compute or a buffer.
    #[must_use]
    pub fn new(of: &str, purpose: Purpose) -> StageName {
        StageName { of: of.into(), purpose }
    }

    /// Whether it stores the identity of a reduction.
    #[must_use]
    pub fn is_initial(&self) -> bool {
        matches!(self.purpose, Purpose::Initial | Purpose::FinalInitial)
    }

    /// The nest's name for an axis of the stage.
    #[must_use]
    pub fn axis(&self, axis: &AxisName) -> Name {
        format!("{self}.{axis}").into()
    }

    /// The stage's own name for an axis with this name in the nest, if the axis belongs to the stage.
    #[must_use]
    pub fn own(&self, axis: &str) -> Option<AxisName> {
        let rest = axis.strip_prefix(&*self.of)?.strip_prefix(self.purpose.suffix())?;
        rest.strip_prefix('.').map(AxisName::new)
    }

    /// The stage among these to which an axis belongs. If several stages match because their names begin alike, the
    /// longest name counts.
    #[must_use]
    pub fn with_axis<'s>(stages: &'s [StageName], axis: &str) -> Option<&'s StageName> {
        let length = |s: &&StageName| s.of.len() + s.purpose.suffix().len();
        stages.iter().filter(|s| s.own(axis).is_some()).max_by_key(length)
    }

    /// Stage and axis of what the nest calls so, where no stages are known: the stage ends at the first dot.
    #[must_use]
    pub fn of_axis(axis: &str) -> Option<(StageName, AxisName)> {
        let (of, rest) = axis.split_once('.')?;
        Some((StageName::new(of, Purpose::Values), AxisName::new(rest)))
    }

    /// The same for an axis of a stage that initialises.
    #[must_use]
    pub fn of_initial_axis(axis: &str) -> Option<(StageName, AxisName)> {
        let (of, rest) = axis.split_once(".init.")?;
        Some((StageName::new(of, Purpose::Initial), AxisName::new(rest)))
    }
}

/// Which part of a split loop this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Counts blocks.
    Outer,
    /// Counts the points of a block.
    Inner,
    /// The iterations before those that need no check.
    First,
    /// The iterations after those that need no check.
    Last,
    /// The last block, which is shorter.
    Rest,
    /// Counts the vectors of a loop that runs in vectors.
    Vector,
}

impl Part {
    const ALL: [Part; 6] = [Part::Outer, Part::Inner, Part::First, Part::Last, Part::Rest, Part::Vector];

    const fn suffix(self) -> &'static str {
        match self {
            Part::Outer => ".o",
            Part::Inner => ".i",
            Part::First => ".first",
            Part::Last => ".last",
            Part::Rest => ".rest",
            Part::Vector => ".vector",
        }
    }

    /// The name of this part of an axis, with or without its stage.
    #[must_use]
    pub fn of(self, axis: &str) -> Name {
        format!("{axis}{}", self.suffix()).into()
    }
}

/// Whether an axis is another one or, at any depth, a part of it. Either both names have their stages or neither has.
#[must_use]
pub fn is_within(axis: &str, whole: &str) -> bool {
    axis.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The name of the loop into which two loops are fused, with or without their stage. If the names begin with the same
/// parts, these parts are kept once.
#[must_use]
pub fn fused(outer: &str, inner: &str) -> Name {
    let common = outer
        .char_indices()
        .zip(inner.chars())
        .take_while(|((_, a), b)| a == b)
        .filter(|((_, a), _)| *a == '.')
        .last()
        .map_or(0, |((at, _), _)| at + 1);
    format!("{outer}_{}", &inner[common..]).into()
}

/// The axis along which a panel is filled for an axis of the nest.
#[must_use]
pub fn copied(panel: &str, axis: &str) -> Name {
    format!("{panel}:{axis}").into()
}

/// The name of an axis in its stage, without the stage: `m`, `m.o`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AxisName(Name);

impl fmt::Display for AxisName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AxisName {
    /// An axis that is printed like this text.
    #[must_use]
    pub fn new(text: &str) -> AxisName {
        AxisName(text.into())
    }

    /// A part of it.
    #[must_use]
    pub fn part(&self, part: Part) -> AxisName {
        AxisName(part.of(&self.0))
    }

    /// The loop over its blocks, once it is split.
    #[must_use]
    pub fn outer(&self) -> AxisName {
        self.part(Part::Outer)
    }

    /// The loop over the points of a block, once it is split.
    #[must_use]
    pub fn inner(&self) -> AxisName {
        self.part(Part::Inner)
    }

    /// The loop into which this axis and the one inside of it are fused.
    #[must_use]
    pub fn fused(&self, inner: &AxisName) -> AxisName {
        AxisName(fused(&self.0, &inner.0))
    }

    /// The axis of which this one is a part, and the kind of part.
    #[must_use]
    pub fn parent(&self) -> Option<(AxisName, Part)> {
        Part::ALL.into_iter().find_map(|part| {
            let parent = self.0.strip_suffix(part.suffix()).filter(|parent| !parent.is_empty())?;
            Some((AxisName::new(parent), part))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_know_their_stage() {
        let conv = StageName::new("conv", Purpose::Values);
        let init = StageName::new("conv", Purpose::Initial);
        let m = AxisName::new("m").outer();
        assert_eq!(&*conv.axis(&m), "conv.m.o");
        assert_eq!(&*init.axis(&m), "conv.init.m.o");
        for stage in [&conv, &init] {
            assert_eq!(StageName::with_axis(&[conv.clone(), init.clone()], &stage.axis(&m)), Some(stage));
            assert_eq!(stage.own(&stage.axis(&m)).as_ref(), Some(&m));
        }
        assert_eq!(StageName::with_axis(std::slice::from_ref(&conv), "conv2.m"), None);
        assert_eq!(StageName::with_axis(std::slice::from_ref(&init), "conv.m"), None);
        assert_eq!(StageName::of_axis("conv.m.o"), Some((conv, m.clone())));
        assert_eq!(StageName::of_initial_axis("conv.init.m.o"), Some((init, m)));
        assert_eq!(StageName::of_initial_axis("conv.m"), None);
    }

    #[test]
    fn axes_know_their_parent_and_their_part() {
        let m = AxisName::new("m");
        for part in Part::ALL {
            assert_eq!(m.inner().part(part).parent(), Some((m.inner(), part)));
        }
        assert_eq!(m.parent(), None);
        assert_eq!(AxisName::new(".o").parent(), None);
        assert!(is_within("c.m.o.i", "c.m") && is_within("c.m", "c.m") && !is_within("c.m2", "c.m"));
    }

    #[test]
    fn fused_axes_keep_a_common_beginning_once() {
        assert_eq!(&*fused("c.h", "c.w"), "c.h_w");
        assert_eq!(AxisName::new("h.o").fused(&AxisName::new("h.i")).to_string(), "h.o_i");
        assert_eq!(AxisName::new("h").fused(&AxisName::new("w")).to_string(), "h_w");
    }
}
