//! The cost of schedule primitives as rewrites of MLIR: microseconds for each step that tiles a matrix product.
//!
//! The counterpart for `LoopNest` is the example `primitive_cost` of `mlcc-cpu`; `docs/decisions` compares them.
//! Loops are `scf.for` and carry the name of their axis in an attribute. The primitives are written as well as the
//! C API allows: they change the loops in place, and a candidate of a search starts from a clone. They do less than
//! the primitives on `LoopNest`: the analysis of dependences (the C API has none), the simplification of index
//! expressions, and the flattening of buffers when loops are fused are left out. The cost of the simplification is
//! shown apart, as upstream's passes on the result.
//!
//!     cargo run --release -p mlcc-mlir --example rewrite_cost

#![allow(clippy::print_stdout, reason = "an example")]

use melior::{
    Context,
    dialect::{arith, scf},
    ir::{
        Attribute, Block, BlockLike, BlockRef, Location, Module, Operation, OperationRef, Region, RegionLike,
        Type, Value, ValueLike,
        attribute::{IntegerAttribute, StringAttribute},
        operation::{OperationLike, OperationMutLike, OperationRefMut, OperationResult},
    },
    pass::{
        PassManager,
        transform::{create_canonicalizer, create_cse},
    },
};
use mlcc_mlir::lowering::lowering_context;
use mlir_sys::{
    mlirOperationDestroy, mlirRegionTakeBody, mlirValueReplaceAllUsesExcept, mlirValueReplaceAllUsesOfWith,
};
use std::time::Instant;

/// Repetitions of the whole sequence.
const TIMES: usize = 3000;

/// The loops around a product of 1024 by 1024 matrices.
const GEMM: &str = r#"
func.func @gemm(%a: memref<1024x1024xf32>, %b: memref<1024x1024xf32>, %y: memref<1024x1024xf32>) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %size = arith.constant 1024 : index
  scf.for %m = %zero to %size step %one {
    scf.for %n = %zero to %size step %one {
      scf.for %k = %zero to %size step %one {
        %l = memref.load %a[%m, %k] : memref<1024x1024xf32>
        %r = memref.load %b[%k, %n] : memref<1024x1024xf32>
        %sum = memref.load %y[%m, %n] : memref<1024x1024xf32>
        %product = arith.mulf %l, %r : f32
        %next = arith.addf %sum, %product : f32
        memref.store %next, %y[%m, %n] : memref<1024x1024xf32>
      } {axis = "k"}
    } {axis = "n"}
  } {axis = "m"}
  return
}
"#;

/// A primitive with its arguments.
enum Step {
    Split { axis: &'static str, factor: i64 },
    Reorder { axes: &'static [&'static str] },
    Fuse { outer: &'static str, inner: &'static str },
}

/// The steps that make the tiled nest of the product.
const STEPS: [(&str, Step); 5] = [
    ("split(m, 6)", Step::Split { axis: "m", factor: 6 }),
    ("split(n, 64)", Step::Split { axis: "n", factor: 64 }),
    ("split(k, 256)", Step::Split { axis: "k", factor: 256 }),
    (
        "reorder(m.o, n.o, k.o, k.i, m.i, n.i)",
        Step::Reorder { axes: &["m.o", "n.o", "k.o", "k.i", "m.i", "n.i"] },
    ),
    ("fuse(m.o, n.o)", Step::Fuse { outer: "m.o", inner: "n.o" }),
];

/// The loops that must result, outermost first.
const WANTED: [(&str, Option<i64>); 5] =
    [("m.o_n.o", Some(171 * 16)), ("k.o", Some(4)), ("k.i", Some(256)), ("m.i", None), ("n.i", Some(64))];

/// A refusal's reason.
type Result<T> = std::result::Result<T, String>;
type Op<'c, 'm> = OperationRef<'c, 'm>;

fn main() -> Result<()> {
    let context = lowering_context();
    let original = Module::parse(&context, GEMM).ok_or("the product does not parse")?;
    let mut clones = Vec::new();
    let mut frees = Vec::new();
    let mut applied = vec![Vec::new(); STEPS.len()];
    let mut verified = vec![Vec::new(); STEPS.len()];
    for _ in 0..TIMES {
        let candidate = timed(&mut clones, || cloned(&original))?;
        for (at, (name, step)) in STEPS.iter().enumerate() {
            timed(&mut applied[at], || apply(&context, &candidate, step))
                .map_err(|e| format!("{name}: {e}"))?;
            if !timed(&mut verified[at], || candidate.as_operation().verify()) {
                return Err(format!("{name} made a module that does not verify"));
            }
        }
        timed(&mut frees, move || drop(candidate));
    }

    let candidate = cloned(&original)?;
    STEPS.iter().try_for_each(|(_, step)| apply(&context, &candidate, step))?;
    let mut clones_of_result = Vec::new();
    for _ in 0..TIMES {
        drop(timed(&mut clones_of_result, || cloned(&candidate))?);
    }
    println!("{}", candidate.as_operation());
    check(&candidate)?;
    let simplify = PassManager::new(&context);
    simplify.enable_verifier(false);
    simplify.nested_under("func.func").add_pass(create_canonicalizer());
    simplify.nested_under("func.func").add_pass(create_cse());
    let mut simplified = Vec::new();
    for _ in 0..TIMES {
        let mut copy = cloned(&candidate)?;
        timed(&mut simplified, || simplify.run(&mut copy)).map_err(text)?;
    }

    println!("median of {TIMES}, in us:         apply  verify");
    let (mut apply_total, mut verify_total) = (0.0, 0.0);
    for (at, (name, _)) in STEPS.iter().enumerate() {
        let (apply, verify) = (median(&mut applied[at]), median(&mut verified[at]));
        println!("{name:40} {apply:6.2} {verify:6.2}");
        apply_total += apply;
        verify_total += verify;
    }
    println!("{:40} {apply_total:6.2} {verify_total:6.2}", "all steps");
    println!("{:40} {:6.2}", "clone of the original", median(&mut clones));
    println!("{:40} {:6.2}", "clone of the result", median(&mut clones_of_result));
    println!("{:40} {:6.2}", "simplify the result (canonicalize, cse)", median(&mut simplified));
    println!("{:40} {:6.2}", "destroy a candidate", median(&mut frees));
    let (blocks, lines) = unsafe_code(include_str!("rewrite_cost.rs"));
    println!("unsafe blocks: {blocks}, lines of code in them: {lines}");
    Ok(())
}

fn timed<T>(times: &mut Vec<f64>, action: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = action();
    times.push(start.elapsed().as_secs_f64() * 1e6);
    result
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Counts the blocks of unsafe code and the lines in them.
fn unsafe_code(source: &str) -> (usize, usize) {
    let (mut blocks, mut lines, mut depth) = (0, 0, 0i32);
    for line in source.lines().filter(|l| !l.trim_start().starts_with("//")) {
        let opens = line.find(concat!("uns", "afe {"));
        blocks += usize::from(opens.is_some());
        if depth > 0 || opens.is_some() {
            lines += 1;
            let part = &line[opens.filter(|_| depth == 0).unwrap_or(0)..];
            depth += part.matches('{').count() as i32 - part.matches('}').count() as i32;
            depth = depth.max(0);
        }
    }
    (blocks, lines)
}

fn cloned<'c>(module: &Module<'c>) -> Result<Module<'c>> {
    let copy = Operation::clone(&module.as_operation());
    Module::from_operation(copy).ok_or_else(|| "not a module".into())
}

/// Whether the loops are the wanted ones.
fn check(module: &Module<'_>) -> Result<()> {
    let mut block = entry(module)?;
    let mut found = Vec::new();
    while let Some(op) = ops(block).find(|op| named(*op).is_some()) {
        let name = named(op).map(|n| n.to_string()).unwrap_or_default();
        found.push((name.trim_matches('"').to_owned(), constant(bounds(op)?[1])));
        block = body(op)?;
    }
    let wanted = WANTED.map(|(name, extent)| (name.to_owned(), extent));
    if found == wanted { Ok(()) } else { Err(format!("wanted {wanted:?}, found {found:?}")) }
}

fn apply<'c>(context: &'c Context, module: &Module<'c>, step: &Step) -> Result<()> {
    let build = Build { context, entry: entry(module)?, at: Location::unknown(context) };
    match step {
        Step::Split { axis, factor } => split(&build, axis, *factor),
        Step::Reorder { axes } => reorder(&build, axes),
        Step::Fuse { outer, inner } => fuse(&build, outer, inner),
    }
}

/// `for x in 0..n` becomes `x.o` around `x.i`. The loop itself is the outer one from then on.
fn split(build: &Build<'_, '_>, axis: &str, factor: i64) -> Result<()> {
    let outer = build.find(axis)?;
    let [zero, extent, one] = bounds(outer)?;
    let extent_value = constant(extent).ok_or("the extent is not constant")?;
    let by = build.constant(factor)?;

    let inner_region = taken(outer)?;
    let block = outer.region(0).map_err(text)?.append_block(build.block());
    let first = result(block.append_operation(arith::muli(argument(block)?, by, build.at)))?;
    let inner_extent = if extent_value % factor == 0 {
        by
    } else {
        let left = result(block.append_operation(arith::subi(extent, first, build.at)))?;
        result(block.append_operation(arith::minsi(by, left, build.at)))?
    };
    let inner = build.loop_over(&format!("{axis}.i"), [zero, inner_extent, one], inner_region);
    let inner = block.append_operation(inner);
    block.append_operation(scf::r#yield(&[], build.at));
    let outer_extent = build.constant((extent_value + factor - 1) / factor)?;
    mutable(outer).set_operand(1, outer_extent);
    mutable(outer).set_attribute("axis", build.name(&format!("{axis}.o")));

    let inside = body(inner)?;
    let inner_index = argument(inside)?;
    let index = build.prepend(inside, arith::addi(first, inner_index, build.at));
    replace_uses_except(inner_index, result(index)?, index);
    Ok(())
}

/// Puts the perfectly nested loops over `axes` in that order. Computations between the loops go with the loops
/// whose indices they use.
fn reorder(build: &Build<'_, '_>, axes: &[&str]) -> Result<()> {
    let wanted = axes.iter().map(|a| build.find(a)).collect::<Result<Vec<_>>>()?;
    let mut chain = Vec::new();
    let mut between = Vec::new();
    let inside = |op: Op<'_, '_>| wanted.iter().filter(|w| is_inside(**w, op)).count();
    let outermost = wanted.iter().copied().find(|w| inside(*w) == wanted.len());
    let mut next = outermost.ok_or("the loops are not nested in each other")?;
    loop {
        chain.push(next);
        if chain.len() == wanted.len() {
            break;
        }
        let mut loops = None;
        for op in ops(body(next)?) {
            if wanted.contains(&op) {
                loops = Some(op);
            } else if named(op).is_some() || !is_index_arithmetic(op) && op.next_in_block().is_some() {
                return Err("the loops are not perfectly nested".into());
            } else if op.result_count() == 1 {
                between.push(op);
            }
        }
        next = loops.ok_or("the loops are not perfectly nested")?;
    }

    // The place of an operation is the number of loops around it.
    let indices = wanted.iter().map(|l| argument(body(*l)?)).collect::<Result<Vec<_>>>()?;
    let mut places: Vec<(Op<'_, '_>, usize)> = Vec::with_capacity(between.len());
    let place = |value: Value<'_, '_>, places: &[(Op<'_, '_>, usize)]| {
        if let Some(at) = indices.iter().position(|i| i.to_raw().ptr == value.to_raw().ptr) {
            return at + 1;
        }
        let owner = OperationResult::try_from(value).ok().map(|r| r.owner());
        places.iter().find(|(op, _)| Some(*op) == owner).map_or(0, |(_, at)| *at)
    };
    for op in between {
        let at = op.operands().map(|v| place(v, &places)).max().unwrap_or(0);
        places.push((op, at));
    }
    for (at, l) in wanted.iter().enumerate() {
        if bounds(*l)?.iter().any(|b| place(*b, &places) > at) {
            return Err(format!("the extent of '{}' depends on a loop that would lie inside", axes[at]));
        }
    }

    // First all loops are put one after the other. Then each goes into the one before.
    let innermost = chain[chain.len() - 1];
    let kept = ops(body(innermost)?).filter(|op| op.next_in_block().is_some()).collect::<Vec<_>>();
    let after = chain[0].next_in_block().ok_or("a loop ends its block")?;
    wanted.iter().for_each(|l| mutable(*l).move_before(after));
    let ends = wanted.iter().map(|l| end(*l)).collect::<Result<Vec<_>>>()?;
    for (op, at) in places {
        mutable(op).move_before(if at == 0 { wanted[0] } else { ends[at - 1] });
    }
    for (outer, inner) in ends.iter().zip(&wanted[1..]) {
        mutable(*inner).move_before(*outer);
    }
    let last = ends[ends.len() - 1];
    if wanted[wanted.len() - 1] != innermost {
        kept.into_iter().for_each(|op| mutable(op).move_before(last));
    }
    Ok(())
}

/// Makes one loop of two. Computations between the two move inside.
fn fuse(build: &Build<'_, '_>, outer: &str, inner: &str) -> Result<()> {
    let name = format!("{outer}_{inner}");
    let (outer, inner) = (build.find(outer)?, build.find(inner)?);
    let between = ops(body(outer)?).filter(|op| *op != inner && op.result_count() > 0).collect::<Vec<_>>();
    if inner.parent_operation() != Some(outer) || !between.iter().all(|op| is_index_arithmetic(*op)) {
        return Err("the loops are not perfectly nested".into());
    }
    let ([zero, n, one], [_, m, _]) = (bounds(outer)?, bounds(inner)?);
    let (Some(count), Some(inner_count)) = (constant(n), constant(m)) else {
        return Err("an extent is not constant".into());
    };
    let outer_index = argument(body(outer)?)?;

    let extent = build.constant(count * inner_count)?;
    let fused = build.loop_over(&name, [zero, extent, one], taken(inner)?);
    let fused = outer.block().ok_or("the loop is in no block")?.insert_operation_before(outer, fused);
    let inside = body(fused)?;
    let index = argument(inside)?;
    let first = inside.first_operation().ok_or("the loop has no body")?;
    let quotient = inside.insert_operation_before(first, arith::divui(index, m, build.at));
    let remainder = inside.insert_operation_before(first, arith::remui(index, m, build.at));
    replace_uses_except(index, result(remainder)?, remainder);
    // The replacement changed the quotient's operand too, so it is set back.
    mutable(quotient).set_operand(0, index);
    replace_uses(outer_index, result(quotient)?);
    between.into_iter().for_each(|op| mutable(op).move_before(first));
    erase(outer);
    Ok(())
}

/// The places at which operations are made.
struct Build<'c, 'm> {
    context: &'c Context,
    entry: BlockRef<'c, 'm>,
    at: Location<'c>,
}

impl<'c, 'm> Build<'c, 'm> {
    fn name(&self, text: &str) -> Attribute<'c> {
        StringAttribute::new(self.context, text).into()
    }

    /// The loop over an axis.
    fn find(&self, axis: &str) -> Result<Op<'c, 'm>> {
        fn go<'c, 'm>(block: BlockRef<'c, 'm>, name: Attribute<'c>) -> Option<Op<'c, 'm>> {
            ops(block).find_map(|op| match named(op) {
                Some(n) if n == name => Some(op),
                Some(_) => go(body(op).ok()?, name),
                None => None,
            })
        }
        go(self.entry, self.name(axis)).ok_or_else(|| format!("there is no axis '{axis}'"))
    }

    /// A constant at the start of the function.
    fn constant(&self, value: i64) -> Result<Value<'c, 'm>> {
        let value = IntegerAttribute::new(Type::index(self.context), value);
        result(self.prepend(self.entry, arith::constant(self.context, value.into(), self.at)))
    }

    fn prepend(&self, block: BlockRef<'c, 'm>, op: Operation<'c>) -> Op<'c, 'm> {
        block.insert_operation(0, op)
    }

    /// The body of a loop, with its index.
    fn block(&self) -> Block<'c> {
        Block::new(&[(Type::index(self.context), self.at)])
    }

    fn loop_over(
        &self,
        axis: &str,
        [from, to, step]: [Value<'c, 'm>; 3],
        region: Region<'c>,
    ) -> Operation<'c> {
        let mut op = scf::r#for(from, to, step, region, self.at);
        op.set_attribute("axis", self.name(axis));
        op
    }
}

fn text(error: melior::Error) -> String {
    error.to_string()
}

/// The first block of the module's function.
fn entry<'c, 'm>(module: &'m Module<'c>) -> Result<BlockRef<'c, 'm>> {
    body(module.body().first_operation().ok_or("the module has no function")?)
}

fn ops<'c, 'm>(block: BlockRef<'c, 'm>) -> impl Iterator<Item = Op<'c, 'm>> {
    std::iter::successors(block.first_operation(), |op| op.next_in_block())
}

fn body<'c, 'm>(op: Op<'c, 'm>) -> Result<BlockRef<'c, 'm>> {
    let region = op.region(0).map_err(text)?;
    region.first_block().ok_or_else(|| "the region is empty".into())
}

fn end<'c, 'm>(op: Op<'c, 'm>) -> Result<Op<'c, 'm>> {
    body(op)?.terminator().ok_or_else(|| "the loop has no terminator".into())
}

/// The name of a loop's axis.
fn named<'c>(op: Op<'c, '_>) -> Option<Attribute<'c>> {
    op.attribute("axis").ok()
}

fn argument<'c, 'm>(block: BlockRef<'c, 'm>) -> Result<Value<'c, 'm>> {
    block.argument(0).map(Value::from).map_err(text)
}

fn result<'c, 'm>(op: Op<'c, 'm>) -> Result<Value<'c, 'm>> {
    op.result(0).map(Value::from).map_err(text)
}

/// Where a loop starts and ends, and its step.
fn bounds<'c, 'm>(op: Op<'c, 'm>) -> Result<[Value<'c, 'm>; 3]> {
    let [from, to, step] = [op.operand(0), op.operand(1), op.operand(2)];
    Ok([from.map_err(text)?, to.map_err(text)?, step.map_err(text)?])
}

/// The value of a constant.
fn constant(value: Value<'_, '_>) -> Option<i64> {
    let owner = OperationResult::try_from(value).ok()?.owner();
    let value = owner.attribute("value").ok()?;
    IntegerAttribute::try_from(value).ok().map(|v| v.value())
}

fn is_inside(op: Op<'_, '_>, outer: Op<'_, '_>) -> bool {
    std::iter::successors(Some(op), |op| op.parent_operation()).any(|op| op == outer)
}

/// Whether an operation computes an index and nothing else.
fn is_index_arithmetic(op: Op<'_, '_>) -> bool {
    op.name().as_string_ref().as_str().is_ok_and(|name| name.starts_with("arith."))
}

/// The operation, to be changed.
fn mutable<'c, 'm>(op: Op<'c, 'm>) -> OperationRefMut<'c, 'm> {
    // SAFETY: the operation is alive. Nothing stops others from having references to it: MLIR's handles are shared.
    unsafe { OperationRefMut::from_raw(op.to_raw()) }
}

/// The loop's body. It is taken out of the loop.
fn taken<'c>(from: Op<'c, '_>) -> Result<Region<'c>> {
    let (region, source) = (Region::new(), from.region(0).map_err(text)?);
    // SAFETY: both regions are alive and different. The loop has no body until it is given another.
    unsafe { mlirRegionTakeBody(region.to_raw(), source.to_raw()) };
    Ok(region)
}

fn replace_uses(of: Value<'_, '_>, with: Value<'_, '_>) {
    // SAFETY: both values are alive and have the same type.
    unsafe { mlirValueReplaceAllUsesOfWith(of.to_raw(), with.to_raw()) }
}

fn replace_uses_except(of: Value<'_, '_>, with: Value<'_, '_>, except: Op<'_, '_>) {
    let mut except = [except.to_raw()];
    // SAFETY: as above; MLIR reads one operation from the array during the call.
    unsafe { mlirValueReplaceAllUsesExcept(of.to_raw(), with.to_raw(), 1, except.as_mut_ptr()) }
}

/// Removes an unused operation and everything in it. All handles on these dangle from then on.
fn erase(op: Op<'_, '_>) {
    // SAFETY: the operation is alive and has no uses; the caller drops its handles.
    unsafe { mlirOperationDestroy(op.to_raw()) }
}
