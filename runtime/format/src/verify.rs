//! Proves that a plan stays within its symbols, buffers, kernels and memory.
//!
//! Static properties are proven here, once, at load; properties that depend on symbols are left to
//! the start of a run. Two checks follow the order of execution: a heap buffer must live where it is
//! used, and a data-dependent symbol must have a value. Kernels themselves are trusted: the plan
//! only decides which memory they get.

mod flow;

use crate::{
    Condition, Expr, FormatError, MAX_EXPR_DEPTH, Manifest, Place, Plan, SymbolDef, ValueInfo,
    WEIGHT_ALIGNMENT,
};

/// The most problems that are reported; a damaged plan could have millions.
const MAX_PROBLEMS: usize = 20;

/// The sizes of the sections to which a plan refers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The length of the weights section.
    pub weights: u64,
    /// The length of the code section; none if the kernels are not code of the artifact.
    pub code: Option<u64>,
}

/// Verifies a plan together with its manifest.
///
/// # Errors
/// [`FormatError::Plan`] with all problems, up to a limit.
pub fn verify(plan: &Plan, manifest: &Manifest, limits: Limits) -> Result<(), FormatError> {
    let mut verifier = Verifier {
        plan,
        manifest,
        limits,
        dependent: plan.data_dependent_symbols(),
        roots: Vec::with_capacity(plan.buffers.len()),
        allocated: Vec::with_capacity(plan.buffers.len()),
        problems: Vec::new(),
    };
    verifier.tables();
    verifier.signature();
    for id in 0..plan.buffers.len() {
        verifier.buffer(id);
    }
    // The walk uses the tables' contents as indices, so the tables must be sound.
    if verifier.problems.is_empty() {
        flow::walk(&mut verifier);
    }
    match verifier.problems.is_empty() {
        true => Ok(()),
        false => Err(FormatError::Plan { problems: verifier.problems }),
    }
}

struct Verifier<'a> {
    plan: &'a Plan,
    manifest: &'a Manifest,
    limits: Limits,
    /// For each symbol whether its value is known only during the run.
    dependent: Vec<bool>,
    /// For each buffer, the one at the end of its chain of views.
    roots: Vec<usize>,
    /// For each buffer, whether `Alloc` makes it.
    allocated: Vec<bool>,
    problems: Vec<String>,
}

impl Verifier<'_> {
    fn problem(&mut self, text: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(text);
        }
    }

    fn require(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.problem(text());
        }
    }

    /// An expression may only name the first `symbols` symbols.
    fn expr(&mut self, expr: &Expr, symbols: usize, what: impl Fn() -> String) {
        self.require(expr.depth() <= MAX_EXPR_DEPTH, || format!("{} is too deep", what()));
        let unknown = expr.any_symbol(|id| id as usize >= symbols);
        self.require(!unknown, || format!("{} names a symbol that is not defined there", what()));
    }

    fn depends_on_data(&self, expr: &Expr) -> bool {
        expr.any_symbol(|id| self.dependent.get(id as usize).copied().unwrap_or(false))
    }

    fn tables(&mut self) {
        let (plan, manifest) = (self.plan, self.manifest);
        let names = (manifest.symbols.len(), manifest.kernels.len());
        self.require(names == (plan.symbols.len(), plan.kernels.len()), || {
            format!(
                "the manifest names {} symbols and {} kernels, the plan has {} and {}",
                names.0,
                names.1,
                plan.symbols.len(),
                plan.kernels.len()
            )
        });
        for (id, symbol) in plan.symbols.iter().enumerate() {
            match symbol {
                SymbolDef::InputDim { input, dim } => {
                    let value = manifest.signature.inputs.get(*input as usize);
                    let exists = value.is_some_and(|value| (*dim as usize) < value.dims.len());
                    self.require(exists, || {
                        format!("symbol {id} is dimension {dim} of input {input}, which is missing")
                    });
                }
                SymbolDef::Computed(expr) => self.expr(expr, id, || format!("symbol {id}")),
                SymbolDef::Data => {}
            }
        }
        for (i, check) in plan.checks.iter().enumerate() {
            let exprs = match &check.condition {
                Condition::Equal(a, b) => vec![a, b],
                Condition::Range { value, .. } => vec![value],
            };
            for expr in exprs {
                self.expr(expr, plan.symbols.len(), || format!("check {i}"));
                let early = !self.depends_on_data(expr);
                self.require(early, || format!("check {i} depends on data"));
            }
        }
        for value in &manifest.signature.inputs {
            let Some(id) = value.default else { continue };
            let fits = plan.buffers.get(id as usize).is_some_and(|buffer| {
                let constant = |e: &Expr| matches!(e, Expr::Const(n) if *n >= 0);
                matches!(buffer.place, Place::Constant { .. })
                    && (buffer.dtype, buffer.dims.len()) == (value.dtype, value.dims.len())
                    && buffer.dims.iter().all(constant)
            });
            self.require(fits, || {
                format!("the default of input '{}' is no constant of its type", value.name)
            });
        }
        if let Some(code) = self.limits.code {
            for (i, kernel) in plan.kernels.iter().enumerate() {
                self.require(kernel.offset < code, || format!("kernel {i} begins beyond the code section"));
            }
        }
        let arena = isize::try_from(plan.arena_bytes).is_ok();
        self.require(arena, || format!("an arena of {} bytes does not exist", plan.arena_bytes));
    }

    fn signature(&mut self) {
        let (symbols, signature) = (self.plan.symbols.len(), &self.manifest.signature);
        for value in signature.inputs.iter().chain(&signature.outputs) {
            for dim in &value.dims {
                self.expr(&dim.expr, symbols, || format!("the shape of '{}'", value.name));
            }
        }
        for value in &signature.inputs {
            let early = !value.dims.iter().any(|dim| self.depends_on_data(&dim.expr));
            self.require(early, || format!("the shape of input '{}' depends on data", value.name));
        }
        for (i, value) in signature.outputs.iter().enumerate() {
            let buffers = self.plan.buffers.iter().filter(|b| b.place == Place::Output(i as u32)).count();
            self.require(buffers == 1, || format!("output '{}' has {buffers} buffers", value.name));
        }
    }

    fn buffer(&mut self, id: usize) {
        let (plan, symbols) = (self.plan, self.plan.symbols.len());
        let buffer = &plan.buffers[id];
        let name = || format!("buffer {id} '{}'", buffer.name);
        for expr in buffer.dims.iter().chain([&buffer.bytes]) {
            self.expr(expr, symbols, name);
        }
        let bytes = buffer.bytes.as_const();
        self.require(bytes.is_none_or(|bytes| bytes >= 0), || format!("{} has a negative size", name()));
        let fits = |limit: u64| bytes.is_none_or(|bytes| bytes as u64 <= limit);
        let late = buffer.dims.iter().chain([&buffer.bytes]).any(|expr| self.depends_on_data(expr));
        let (mut root, mut allocated) = (id, false);
        match &buffer.place {
            Place::Input(i) => self.interface(id, self.manifest.signature.inputs.get(*i as usize)),
            Place::Output(i) => {
                self.interface(id, self.manifest.signature.outputs.get(*i as usize));
                allocated = late;
            }
            Place::Constant { offset, len } => {
                let within = offset.checked_add(*len).is_some_and(|end| end <= self.limits.weights);
                self.require(within, || format!("{} reaches beyond the weights", name()));
                let aligned = offset % WEIGHT_ALIGNMENT == 0;
                self.require(aligned, || format!("{} is not aligned", name()));
                self.require(bytes.is_some() && fits(*len), || {
                    format!("{} is larger than its weight", name())
                });
            }
            Place::Arena { offset, reserved } => {
                let within = offset.checked_add(*reserved).is_some_and(|end| end <= plan.arena_bytes);
                self.require(within, || format!("{} reaches beyond the arena", name()));
                let aligned = offset % WEIGHT_ALIGNMENT == 0;
                self.require(aligned, || format!("{} is not aligned", name()));
                self.require(fits(*reserved), || format!("{} is larger than its place", name()));
                self.require(!late, || format!("{} lies in the arena but its size depends on data", name()));
            }
            Place::Heap => allocated = true,
            Place::View { of, byte_offset } => {
                self.expr(byte_offset, symbols, name);
                let of = *of as usize;
                if of < id {
                    root = self.roots[of];
                    let known = [bytes, byte_offset.as_const(), plan.buffers[of].bytes.as_const()];
                    if let [Some(bytes), Some(offset), Some(base)] = known {
                        let within = offset >= 0 && offset.checked_add(bytes).is_some_and(|end| end <= base);
                        self.require(within, || format!("{} reaches beyond what it views", name()));
                    }
                } else {
                    self.problem(format!("{} views buffer {of}, which does not come earlier", name()));
                }
            }
        }
        self.roots.push(root);
        self.allocated.push(allocated);
    }

    fn interface(&mut self, id: usize, value: Option<&ValueInfo>) {
        let buffer = &self.plan.buffers[id];
        let same = value.is_some_and(|value| {
            value.dtype == buffer.dtype && value.dims.iter().map(|dim| &dim.expr).eq(&buffer.dims)
        });
        self.require(same, || {
            format!("buffer {id} '{}' is no input or output of its type and shape", buffer.name)
        });
    }
}
