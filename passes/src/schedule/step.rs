//! Steps of a schedule: primitives with their arguments, as data and as text.

use super::{
    alias::alias,
    cache_read::cache_read,
    cache_write::cache_write,
    clip::clip,
    compute_at::compute_at,
    fuse::fuse,
    map_axis::{bind, parallel, unroll, vectorize},
    merge::merge,
    pack::pack,
    partition::partition,
    peel::peel,
    permute::permute,
    pipeline::{keeps_loops, pipeline},
    place::place,
    predicate::predicate,
    remainder::remainder,
    reorder::reorder,
    rfactor::rfactor,
    skip::skip,
    split::split,
    stream::stream,
    tensorize::tensorize,
    tile::tile,
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    nest::{LoopNest, Mapping, Space},
};
use std::{fmt, str::FromStr};

/// One primitive with its arguments. An axis means every loop over an axis of that name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Step {
    /// Two loops from one; `split(conv.m, 6)`.
    Split { axis: Name, factor: i64 },
    /// Two nested loops in tiles; `tile(conv.h, conv.w, 4, 16)`.
    Tile { outer: Name, inner: Name, factors: (i64, i64) },
    /// Perfectly nested loops in another order; `reorder(conv.k, conv.m)`.
    Reorder { axes: Vec<Name> },
    /// One loop from two; `fuse(conv.h, conv.w)`.
    Fuse { outer: Name, inner: Name },
    /// Two neighbouring loops become one; `merge(conv.m, relu.m)`.
    Merge { into: Name, from: Name },
    /// A temporary made where it is read; `compute_at(relu, conv.h.o)`.
    ComputeAt { buffer: Name, at: Name },
    /// The iterations of a reduction kept apart; `rfactor(sum.k.i)`.
    Rfactor { axis: Name },
    /// Over the pool's threads; `parallel(conv.n)`.
    Parallel { axis: Name },
    /// As vector lanes; `vectorize(conv.w, 16)`.
    Vectorize { axis: Name, lanes: u32 },
    /// Unrolled; `unroll(conv.kw)`.
    Unroll { axis: Name },
    /// On a dimension of the grid or a block; `bind(conv.m, block.0)`.
    Bind { axis: Name, mapping: Mapping },
    /// A constant extent with guards, a multiple of a number; `predicate(conv.m.i, 1)`.
    Predicate { axis: Name, multiple: i64 },
    /// The iteration in which an inner loop is shorter apart; `remainder(conv.m.o, conv.m.i)`.
    Remainder { outer: Name, inner: Name },
    /// An operand through a panel in scratch memory; `cache_read(x, conv.h.o, conv.k, conv.w)`.
    CacheRead { buffer: Name, at: Name, axes: Vec<Name> },
    /// An output through a temporary; `cache_write(y)`.
    CacheWrite { buffer: Name },
    /// A constant operand packed at compile time; `pack(w, conv.n.o, conv.k, conv.n.i)`.
    Pack { buffer: Name, axes: Vec<Name> },
    /// A temporary in the memory of another; `alias(exp, scores)`.
    Alias { buffer: Name, into: Name },
    /// An output written around the caches; `stream(y)`.
    Stream { buffer: Name },
    /// The elements that a later iteration of a loop reads are fetched by the vectors of a loop inside;
    /// `pipeline(x, exp.i0, 1, exp.i1)`.
    Pipeline { buffer: Name, axis: Name, ahead: u32, with: Name },
    /// Where a temporary lives; `place(acc, register)`.
    Place { buffer: Name, space: Space },
    /// A contraction micro-kernel; `tensorize(conv.m.i, conv.n.i, conv.k, 16)`.
    Tensorize { m: Name, n: Name, k: Name, lanes: u32 },
    /// Reductions leave out points that read an operand out of bounds; `skip(x)`.
    Skip { buffer: Name },
    /// Guards become a loop's range; `clip(conv.kh)`.
    Clip { axis: Name },
    /// The first and last iterations as code of their own; `peel(conv.w.o, 1, 1)`.
    Peel { axis: Name, first: i64, last: i64 },
    /// The iterations without conditions apart; `partition(conv.w.o)`.
    Partition { axis: Name },
    /// The dimensions of a temporary in another order; `permute(acc, 1, 0)`.
    Permute { buffer: Name, dims: Vec<u32> },
}

impl Step {
    /// The nest after this step.
    ///
    /// # Errors
    /// If the step is not legal; the message has the reason.
    pub fn apply(&self, nest: &LoopNest) -> Result<LoopNest> {
        let result = match self {
            Step::Split { axis, factor } => split(nest, axis, *factor),
            Step::Tile { outer, inner, factors } => tile(nest, outer, inner, *factors),
            Step::Reorder { axes } => reorder(nest, axes),
            Step::Fuse { outer, inner } => fuse(nest, outer, inner),
            Step::Merge { into, from } => merge(nest, into, from),
            Step::ComputeAt { buffer, at } => compute_at(nest, buffer, at),
            Step::Rfactor { axis } => rfactor(nest, axis),
            Step::Parallel { axis } => parallel(nest, axis),
            Step::Vectorize { axis, lanes } => vectorize(nest, axis, *lanes),
            Step::Unroll { axis } => unroll(nest, axis),
            Step::Bind { axis, mapping } => bind(nest, axis, *mapping),
            Step::Predicate { axis, multiple } => predicate(nest, axis, *multiple),
            Step::Remainder { outer, inner } => remainder(nest, outer, inner),
            Step::CacheRead { buffer, at, axes } => cache_read(nest, buffer, at, axes),
            Step::CacheWrite { buffer } => cache_write(nest, buffer),
            Step::Pack { buffer, axes } => pack(nest, buffer, axes),
            Step::Alias { buffer, into } => alias(nest, buffer, into),
            Step::Stream { buffer } => stream(nest, buffer),
            Step::Pipeline { buffer, axis, ahead, with } => pipeline(nest, buffer, axis, *ahead, with),
            Step::Place { buffer, space } => place(nest, buffer, *space),
            Step::Tensorize { m, n, k, lanes } => tensorize(nest, m, n, k, *lanes),
            Step::Skip { buffer } => skip(nest, buffer),
            Step::Clip { axis } => clip(nest, axis),
            Step::Peel { axis, first, last } => peel(nest, axis, *first, *last),
            Step::Partition { axis } => partition(nest, axis),
            Step::Permute { buffer, dims } => permute(nest, buffer, dims),
        };
        let result = result.and_then(|nest| keeps_loops(&nest).map(|()| nest));
        result.map_err(|d| Diagnostic { message: format!("{self}: {}", d.message), ..d })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |axes: &[Name]| axes.join(", ");
        match self {
            Step::Split { axis, factor } => write!(f, "split({axis}, {factor})"),
            Step::Tile { outer, inner, factors: (a, b) } => write!(f, "tile({outer}, {inner}, {a}, {b})"),
            Step::Reorder { axes } => write!(f, "reorder({})", list(axes)),
            Step::Fuse { outer, inner } => write!(f, "fuse({outer}, {inner})"),
            Step::Merge { into, from } => write!(f, "merge({into}, {from})"),
            Step::ComputeAt { buffer, at } => write!(f, "compute_at({buffer}, {at})"),
            Step::Rfactor { axis } => write!(f, "rfactor({axis})"),
            Step::Parallel { axis } => write!(f, "parallel({axis})"),
            Step::Vectorize { axis, lanes } => write!(f, "vectorize({axis}, {lanes})"),
            Step::Unroll { axis } => write!(f, "unroll({axis})"),
            Step::Bind { axis, mapping } => match mapping {
                Mapping::Thread(d) => write!(f, "bind({axis}, thread.{d})"),
                Mapping::Block(d) => write!(f, "bind({axis}, block.{d})"),
                other => write!(f, "bind({axis}, {})", super::map_axis::describe(*other)),
            },
            Step::Predicate { axis, multiple } => write!(f, "predicate({axis}, {multiple})"),
            Step::Remainder { outer, inner } => write!(f, "remainder({outer}, {inner})"),
            Step::CacheRead { buffer, at, axes } => write!(f, "cache_read({buffer}, {at}, {})", list(axes)),
            Step::CacheWrite { buffer } => write!(f, "cache_write({buffer})"),
            Step::Pack { buffer, axes } => write!(f, "pack({buffer}, {})", list(axes)),
            Step::Alias { buffer, into } => write!(f, "alias({buffer}, {into})"),
            Step::Stream { buffer } => write!(f, "stream({buffer})"),
            Step::Pipeline { buffer, axis, ahead, with } => {
                write!(f, "pipeline({buffer}, {axis}, {ahead}, {with})")
            }
            Step::Place { buffer, space } => write!(f, "place({buffer}, {})", space_name(*space)),
            Step::Tensorize { m, n, k, lanes } => write!(f, "tensorize({m}, {n}, {k}, {lanes})"),
            Step::Skip { buffer } => write!(f, "skip({buffer})"),
            Step::Clip { axis } => write!(f, "clip({axis})"),
            Step::Peel { axis, first, last } => write!(f, "peel({axis}, {first}, {last})"),
            Step::Partition { axis } => write!(f, "partition({axis})"),
            Step::Permute { buffer, dims } => {
                let dims: Vec<String> = dims.iter().map(u32::to_string).collect();
                write!(f, "permute({buffer}, {})", dims.join(", "))
            }
        }
    }
}

fn space_name(space: Space) -> &'static str {
    match space {
        Space::Global => "global",
        Space::Scratch => "scratch",
        Space::Register => "register",
        Space::Shared => "shared",
    }
}

/// The names of all steps.
pub const PRIMITIVES: &[&str] = &[
    "split",
    "tile",
    "reorder",
    "fuse",
    "merge",
    "compute_at",
    "rfactor",
    "parallel",
    "vectorize",
    "unroll",
    "bind",
    "predicate",
    "remainder",
    "cache_read",
    "cache_write",
    "pack",
    "alias",
    "stream",
    "pipeline",
    "place",
    "tensorize",
    "skip",
    "clip",
    "peel",
    "partition",
    "permute",
];

impl FromStr for Step {
    type Err = Diagnostic;

    fn from_str(text: &str) -> Result<Step> {
        let fault = |what: &str| Diagnostic::user(format!("not a schedule step: '{}' ({what})", text.trim()));
        let (name, rest) = text.trim().split_once('(').ok_or_else(|| fault("expected 'name(arguments)'"))?;
        let rest = rest.strip_suffix(')').ok_or_else(|| fault("expected ')' at the end"))?;
        let args: Vec<&str> = rest.split(',').map(str::trim).collect();
        if args.iter().any(|a| a.is_empty()) {
            return Err(fault("an argument is empty"));
        }
        let count =
            |n: usize| if args.len() == n { Ok(()) } else { Err(fault(&format!("expected {n} arguments"))) };
        let at_least = |n: usize| {
            if args.len() >= n { Ok(()) } else { Err(fault(&format!("expected at least {n} arguments"))) }
        };
        let word = |i: usize| Name::from(args[i]);
        let words = |from: usize| args[from..].iter().map(|a| Name::from(*a)).collect::<Vec<_>>();
        let number = |i: usize| args[i].parse::<u32>().map_err(|_| fault("expected a number"));
        match name.trim() {
            "split" => {
                count(2)?;
                Ok(Step::Split { axis: word(0), factor: i64::from(number(1)?) })
            }
            "tile" => {
                count(4)?;
                let factors = (i64::from(number(2)?), i64::from(number(3)?));
                Ok(Step::Tile { outer: word(0), inner: word(1), factors })
            }
            "reorder" => at_least(2).map(|()| Step::Reorder { axes: words(0) }),
            "fuse" => count(2).map(|()| Step::Fuse { outer: word(0), inner: word(1) }),
            "merge" => count(2).map(|()| Step::Merge { into: word(0), from: word(1) }),
            "compute_at" => count(2).map(|()| Step::ComputeAt { buffer: word(0), at: word(1) }),
            "rfactor" => count(1).map(|()| Step::Rfactor { axis: word(0) }),
            "parallel" => count(1).map(|()| Step::Parallel { axis: word(0) }),
            "vectorize" => {
                count(2)?;
                Ok(Step::Vectorize { axis: word(0), lanes: number(1)? })
            }
            "unroll" => count(1).map(|()| Step::Unroll { axis: word(0) }),
            "bind" => {
                count(2)?;
                let dimension = |d: &str| d.parse::<u8>().ok().filter(|d| *d < 3);
                let mapping = match args[1].split_once('.') {
                    Some(("block", d)) => dimension(d).map(Mapping::Block),
                    Some(("thread", d)) => dimension(d).map(Mapping::Thread),
                    _ => None,
                };
                let mapping = mapping.ok_or_else(|| fault("expected block.0 to thread.2"))?;
                Ok(Step::Bind { axis: word(0), mapping })
            }
            "predicate" => {
                count(2)?;
                Ok(Step::Predicate { axis: word(0), multiple: i64::from(number(1)?) })
            }
            "remainder" => count(2).map(|()| Step::Remainder { outer: word(0), inner: word(1) }),
            "cache_read" => {
                at_least(3).map(|()| Step::CacheRead { buffer: word(0), at: word(1), axes: words(2) })
            }
            "cache_write" => count(1).map(|()| Step::CacheWrite { buffer: word(0) }),
            "pack" => at_least(2).map(|()| Step::Pack { buffer: word(0), axes: words(1) }),
            "alias" => count(2).map(|()| Step::Alias { buffer: word(0), into: word(1) }),
            "stream" => count(1).map(|()| Step::Stream { buffer: word(0) }),
            "pipeline" => {
                count(4)?;
                Ok(Step::Pipeline { buffer: word(0), axis: word(1), ahead: number(2)?, with: word(3) })
            }
            "place" => {
                count(2)?;
                let space = match args[1] {
                    "scratch" => Space::Scratch,
                    "register" => Space::Register,
                    "shared" => Space::Shared,
                    _ => return Err(fault("expected scratch, register or shared")),
                };
                Ok(Step::Place { buffer: word(0), space })
            }
            "tensorize" => {
                count(4)?;
                Ok(Step::Tensorize { m: word(0), n: word(1), k: word(2), lanes: number(3)? })
            }
            "skip" => count(1).map(|()| Step::Skip { buffer: word(0) }),
            "clip" => count(1).map(|()| Step::Clip { axis: word(0) }),
            "peel" => {
                count(3)?;
                Ok(Step::Peel { axis: word(0), first: i64::from(number(1)?), last: i64::from(number(2)?) })
            }
            "partition" => count(1).map(|()| Step::Partition { axis: word(0) }),
            "permute" => {
                at_least(2)?;
                Ok(Step::Permute {
                    buffer: word(0),
                    dims: (1..args.len()).map(number).collect::<Result<_>>()?,
                })
            }
            other => Err(fault(&format!("there is no primitive '{other}'"))
                .hint(format!("the primitives are {}", PRIMITIVES.join(", ")))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_every_primitive() {
        for name in PRIMITIVES {
            let read = |arguments: &str| format!("{name}({arguments})").parse::<Step>();
            let unknown = |d: &Diagnostic| d.message.contains("no primitive");
            assert!(!read("").as_ref().is_err_and(unknown), "{name}");
            let arguments =
                ["a", "a, b", "a, 2", "a, 2, 2", "a, b, 2, 2", "a, b, c, 2", "a, b, 2, c", "a, b, c"];
            let others = ["a, block.0", "a, register"];
            let step = arguments.into_iter().chain(others).find_map(|arguments| read(arguments).ok());
            let step = step.unwrap_or_else(|| panic!("{name} is no step"));
            assert_eq!(step.to_string().parse::<Step>().expect("it parses"), step);
            assert!(step.to_string().starts_with(&format!("{name}(")));
        }
    }
}
