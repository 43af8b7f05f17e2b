//! Proves that a plan stays within its symbols, buffers, kernels and memory.
//!
//! What is static is proven here, once, at load; what depends on symbols is left to the start of a
//! run. Two things follow the order of execution: that a heap buffer lives and that a data-dependent
//! symbol has a value where they are used. Kernels themselves are trusted: the plan only decides
//! which memory they get.

use crate::{
    BlockId, BufferId, Condition, DType, Expr, FormatError, Instruction, Launch, MAX_EXPR_DEPTH, Manifest,
    Place, Plan, SymbolDef, ValueInfo, WEIGHT_ALIGNMENT,
};

/// How deep blocks may nest.
const MAX_NESTING: usize = 32;
/// How many problems are reported; a damaged plan could have millions.
const MAX_PROBLEMS: usize = 20;

/// The sizes that a plan refers into.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The length of the weights section.
    pub weights: u64,
    /// The length of the code section; none where kernels are no code of the artifact.
    pub code: Option<u64>,
}

/// Verifies a plan together with its manifest.
///
/// # Errors
/// [`FormatError::Plan`] with all that is wrong, up to a limit.
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
    // The walk indexes by what the tables hold, so it needs them to be sound.
    if verifier.problems.is_empty() {
        verifier.instructions();
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
    /// For each buffer the one at the end of its chain of views.
    roots: Vec<usize>,
    /// For each buffer whether `Alloc` brings it into being.
    allocated: Vec<bool>,
    problems: Vec<String>,
}

/// What is alive at a point of the execution.
#[derive(Clone, PartialEq)]
struct State {
    /// By buffer; always true for those that need no `Alloc`.
    live: Vec<bool>,
    /// By symbol.
    defined: Vec<bool>,
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
                self.expr(&dim.expr, symbols, || format!("the shape of `{}`", value.name));
            }
        }
        for value in &signature.inputs {
            let early = !value.dims.iter().any(|dim| self.depends_on_data(&dim.expr));
            self.require(early, || format!("the shape of input `{}` depends on data", value.name));
        }
        for (i, value) in signature.outputs.iter().enumerate() {
            let buffers = self.plan.buffers.iter().filter(|b| b.place == Place::Output(i as u32)).count();
            self.require(buffers == 1, || format!("output `{}` has {buffers} buffers", value.name));
        }
    }

    fn buffer(&mut self, id: usize) {
        let (plan, symbols) = (self.plan, self.plan.symbols.len());
        let buffer = &plan.buffers[id];
        let name = || format!("buffer {id} `{}`", buffer.name);
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
            format!("buffer {id} `{}` is no input or output of its type and shape", buffer.name)
        });
    }

    fn instructions(&mut self) {
        let mut state = State {
            live: self.allocated.iter().map(|allocated| !allocated).collect(),
            defined: self.dependent.iter().map(|dependent| !dependent).collect(),
        };
        if self.plan.blocks.is_empty() {
            return self.problem("there is no block 0".into());
        }
        // A block that several others refer to would be walked once for each, and so on
        // exponentially; the compiler never shares one.
        let mut references = vec![0u32; self.plan.blocks.len()];
        self.block(0, 1, &mut state, &mut references);
        for (id, buffer) in self.plan.buffers.iter().enumerate() {
            if matches!(buffer.place, Place::Output(_)) && !state.live[id] {
                self.problem(format!("output buffer {id} `{}` never comes into being", buffer.name));
            }
        }
    }

    fn block(&mut self, id: BlockId, depth: usize, state: &mut State, references: &mut [u32]) {
        let Some(block) = self.plan.blocks.get(id as usize) else {
            return self.problem(format!("there is no block {id}"));
        };
        references[id as usize] += 1;
        if depth > MAX_NESTING || references[id as usize] > 1 {
            return self.problem(format!("block {id} is nested too deeply or used twice"));
        }
        for (i, instruction) in block.instructions.iter().enumerate() {
            if self.problems.len() >= MAX_PROBLEMS {
                return;
            }
            let at = format!("block {id} instruction {i}");
            self.instruction(instruction, id, depth, state, references, &at);
        }
    }

    fn instruction(
        &mut self,
        instruction: &Instruction,
        block: BlockId,
        depth: usize,
        state: &mut State,
        references: &mut [u32],
        at: &str,
    ) {
        match instruction {
            Instruction::Region(launches) => {
                launches.iter().for_each(|launch| self.launch(launch, state, at))
            }
            Instruction::Alloc(id) => {
                let allocatable = self.allocated.get(*id as usize) == Some(&true);
                if !allocatable || state.live[*id as usize] {
                    return self.problem(format!("{at} allocates buffer {id}, which is none or is alive"));
                }
                let buffer = &self.plan.buffers[*id as usize];
                for expr in buffer.dims.iter().chain([&buffer.bytes]) {
                    self.defined(expr, state, at);
                }
                state.live[*id as usize] = true;
            }
            Instruction::Free(id) => {
                let heap = self.plan.buffers.get(*id as usize).is_some_and(|b| b.place == Place::Heap);
                if !heap || !state.live[*id as usize] {
                    return self.problem(format!("{at} frees buffer {id}, which is none or is not alive"));
                }
                state.live[*id as usize] = false;
            }
            Instruction::Copy { dst, src } => {
                self.read(*src, state, at);
                self.write(*dst, state, at);
            }
            Instruction::Call(call) => {
                let (reads, writes) = call.function.arity();
                if call.buffers.len() != reads + writes {
                    return self.problem(format!(
                        "{at} calls {:?} with {} buffers",
                        call.function,
                        call.buffers.len()
                    ));
                }
                call.buffers[..reads].iter().for_each(|id| self.read(*id, state, at));
                call.buffers[reads..].iter().for_each(|id| self.write(*id, state, at));
            }
            Instruction::ReadSymbol { symbol, buffer, .. } => {
                self.scalar(*buffer, &[DType::I32, DType::I64], state, at);
                match self.plan.symbols.get(*symbol as usize) {
                    Some(SymbolDef::Data) => state.defined[*symbol as usize] = true,
                    _ => {
                        return self
                            .problem(format!("{at} reads symbol {symbol}, which does not come from data"));
                    }
                }
                // What is computed from it has a value as soon as all that it needs has one.
                for (id, def) in self.plan.symbols.iter().enumerate() {
                    if let SymbolDef::Computed(expr) = def {
                        state.defined[id] |= !expr.any_symbol(|s| !state.defined[s as usize]);
                    }
                }
            }
            Instruction::If { condition, then, otherwise } => {
                self.scalar(*condition, &[DType::Bool], state, at);
                let mut other = state.clone();
                self.nested(block, *then, depth, state, references, at);
                self.nested(block, *otherwise, depth, &mut other, references, at);
                self.require(state.live == other.live, || {
                    format!("{at} leaves other buffers alive in one branch than in the other")
                });
                for (defined, other) in state.defined.iter_mut().zip(other.defined) {
                    *defined &= other;
                }
            }
            Instruction::Loop(looped) => {
                let (trips, condition) = (looped.trip_count, looped.condition);
                let ends = trips.is_some() || condition.is_some();
                self.require(ends, || format!("{at} loops without end"));
                trips.into_iter().for_each(|id| self.scalar(id, &[DType::I64], state, at));
                condition.into_iter().for_each(|id| self.scalar(id, &[DType::Bool], state, at));
                if let Some(id) = looped.iteration {
                    self.scalar(id, &[DType::I64], state, at);
                    self.write(id, state, at);
                }
                let mut body = state.clone();
                self.nested(block, looped.body, depth, &mut body, references, at);
                self.require(state.live == body.live, || {
                    format!("{at} ends its body with other buffers alive than it began with")
                });
            }
        }
    }

    fn nested(
        &mut self,
        from: BlockId,
        to: BlockId,
        depth: usize,
        state: &mut State,
        references: &mut [u32],
        at: &str,
    ) {
        match to > from {
            true => self.block(to, depth + 1, state, references),
            false => self.problem(format!("{at} refers to block {to}, which does not come later")),
        }
    }

    fn launch(&mut self, launch: &Launch, state: &State, at: &str) {
        if launch.kernel as usize >= self.plan.kernels.len() || launch.inputs as usize > launch.buffers.len()
        {
            return self
                .problem(format!("{at} launches kernel {}, which is none or lacks buffers", launch.kernel));
        }
        let (reads, writes) = launch.buffers.split_at(launch.inputs as usize);
        reads.iter().for_each(|id| self.read(*id, state, at));
        writes.iter().for_each(|id| self.write(*id, state, at));
        let own = [&launch.tiles, &launch.scratch_bytes, &launch.flops, &launch.bytes];
        for expr in launch.sizes.iter().chain(own) {
            self.expr(expr, self.plan.symbols.len(), || at.to_string());
            self.defined(expr, state, at);
        }
    }

    /// All symbols of an expression have their values by now.
    fn defined(&mut self, expr: &Expr, state: &State, at: &str) {
        let missing = expr.any_symbol(|id| state.defined.get(id as usize) != Some(&true));
        self.require(!missing, || format!("{at} uses a symbol before it has a value"));
    }

    fn read(&mut self, id: BufferId, state: &State, at: &str) {
        if id as usize >= self.plan.buffers.len() {
            return self.problem(format!("{at} uses buffer {id}, which does not exist"));
        }
        let mut current = id as usize;
        let live = state.live[self.roots[current]];
        self.require(live, || format!("{at} uses buffer {id}, which is not alive"));
        loop {
            let buffer = &self.plan.buffers[current];
            self.defined(&buffer.bytes, state, at);
            match &buffer.place {
                Place::View { of, byte_offset } => {
                    self.defined(byte_offset, state, at);
                    current = *of as usize;
                }
                _ => break,
            }
        }
    }

    fn write(&mut self, id: BufferId, state: &State, at: &str) {
        self.read(id, state, at);
        if let Some(&root) = self.roots.get(id as usize) {
            let place = &self.plan.buffers[root].place;
            let writable = !matches!(place, Place::Input(_) | Place::Constant { .. });
            self.require(writable, || format!("{at} writes buffer {id}, which is read-only"));
        }
    }

    /// A buffer whose first element the host reads or writes.
    fn scalar(&mut self, id: BufferId, dtypes: &[DType], state: &State, at: &str) {
        self.read(id, state, at);
        if let Some(buffer) = self.plan.buffers.get(id as usize) {
            let fits = buffer.bytes.as_const().is_none_or(|bytes| bytes >= buffer.dtype.size() as i64);
            self.require(dtypes.contains(&buffer.dtype) && fits, || {
                format!("{at} takes buffer {id} for a scalar of type {}, which it is not", dtypes[0])
            });
        }
    }
}
