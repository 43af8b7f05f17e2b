//! Program, code and weights to the artifact.

use crate::{
    codegen::{Code, ScheduledKernel, UniqueKernels},
    decisions,
    format_types::{plan_dtype, plan_expr},
    packing,
};
use mlcc_format::{
    ArtifactWriter, Block, BufferDef, Call, Check, Condition, Counts, Dim, Instruction, KernelEntry,
    KernelInfo, Launch, Loop, Manifest, Place, Plan, Refused, RuntimeFunction, Signature, SymbolDef, Target,
    ValueInfo,
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    kernel::{Compute, Kernel, Role},
    nest::Packing,
    program::{Program, Step, Storage, SymbolSource, TensorId},
    requirement::{self, Requirement},
    scalar::Inst,
};
use mlcc_passes::{
    plan::{ArenaPlan, touched},
    schedule::Refusal,
};
use std::{collections::BTreeMap, path::Path};

/// The parts of an artifact.
pub struct Parts<'a> {
    /// The program at the tensor level.
    pub program: &'a Program,
    /// Its unique kernels.
    pub unique: &'a UniqueKernels,
    /// The kernels with their schedules.
    pub scheduled: &'a [ScheduledKernel],
    /// The code of the kernels.
    pub code: &'a Code,
    /// Where the intermediates live.
    pub arena: &'a ArenaPlan,
    /// The machine for which the code is made.
    pub target: Target,
    /// Whether kernels compute with denormal numbers as IEEE 754 says.
    pub keep_denormals: bool,
    /// The flags with which the model was compiled.
    pub flags: Vec<String>,
    /// The description of the machine for which decisions were taken.
    pub machine: String,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The artifact's size in bytes.
    pub bytes: u64,
    /// Number of operators of each kind.
    pub counts: Counts,
}

/// Writes the artifact to `path`.
///
/// # Errors
/// If writing fails, or an expression cannot be encoded.
pub fn write(parts: &Parts<'_>, path: &Path) -> Result<Written> {
    let writer = ArtifactWriter::create(path).map_err(io_error)?;
    let symbols: Vec<Name> = parts.program.symbols.iter().map(|s| s.name.clone()).collect();
    let mut assembler = Assembler {
        parts,
        symbols,
        writer,
        plan: Plan { arena_bytes: parts.arena.bytes as u64, ..Plan::default() },
        buffers: vec![None; parts.program.tensors.len()],
        packed: BTreeMap::new(),
        defaults: BTreeMap::new(),
        next_kernel_step: 0,
        counts: Counts::default(),
    };
    assembler.symbols()?;
    for &input in &parts.program.inputs {
        assembler.buffer(input)?;
    }
    assembler.defaults()?;
    for entry in &parts.code.entries {
        assembler.plan.kernels.push(KernelEntry { offset: *entry });
    }
    assembler.plan.blocks.push(Block::default());
    let instructions = assembler.instructions(&parts.program.steps, true)?;
    assembler.plan.blocks[0].instructions = instructions;
    let is_view = |t: &&mlcc_ir::program::ProgramTensor| matches!(t.storage, Storage::View { .. });
    assembler.counts.views = parts.program.tensors.iter().filter(is_view).count() as u64;
    let manifest = assembler.manifest()?;
    let bytes = assembler.writer.finish(&manifest, &assembler.plan, &parts.code.image).map_err(io_error)?;
    Ok(Written { bytes, counts: manifest.counts })
}

fn io_error(error: mlcc_format::FormatError) -> Diagnostic {
    crate::runtime_error::diagnostic(&error.into())
}

struct Assembler<'a> {
    parts: &'a Parts<'a>,
    symbols: Vec<Name>,
    writer: ArtifactWriter,
    plan: Plan,
    /// The plan's buffer of each of the program's tensors.
    buffers: Vec<Option<u32>>,
    /// Constants packed for a kernel: `(tensor, packing)` to buffer.
    packed: BTreeMap<(TensorId, String), u32>,
    /// The buffer of each input's default.
    defaults: BTreeMap<usize, u32>,
    next_kernel_step: usize,
    counts: Counts,
}

impl Assembler<'_> {
    fn expr(&self, expr: &Expr) -> Result<mlcc_format::Expr> {
        plan_expr(expr, &self.symbols)
    }

    fn symbols(&mut self) -> Result<()> {
        for symbol in &self.parts.program.symbols {
            let SymbolSource::InputDim { input, dim } = symbol.source;
            self.plan.symbols.push(SymbolDef::InputDim { input: input as u32, dim: dim as u32 });
        }
        for (name, range) in self.parts.program.ranges.iter() {
            let symbol = Expr::symbol(name);
            let value = self.expr(&symbol)?;
            let (min, max) = (range.low, range.high.unwrap_or(i64::MAX));
            let ends = match range.high {
                Some(max) => format!("from {min} to {max}"),
                None => format!("from {min} on"),
            };
            self.plan.checks.push(Check {
                condition: Condition::Range { value, min, max },
                message: format!("the model was compiled for {name} {ends}"),
            });
            if range.multiple > 1 {
                let rest = self.expr(&symbol.modulo(&Expr::from(range.multiple)))?;
                self.plan.checks.push(Check {
                    condition: Condition::Equal(rest, mlcc_format::Expr::Const(0)),
                    message: format!("the model was compiled for multiples of {} as {name}", range.multiple),
                });
            }
        }
        for Requirement { condition, message } in &self.parts.program.requirements {
            let condition = match condition {
                requirement::Condition::Equal(a, b) => Condition::Equal(self.expr(a)?, self.expr(b)?),
                requirement::Condition::AtLeast(value, min) => {
                    Condition::Range { value: self.expr(value)?, min: *min, max: i64::MAX }
                }
            };
            self.plan.checks.push(Check { condition, message: message.clone() });
        }
        Ok(())
    }

    /// Conditions on symbolic sizes that a kernel needs to stay inside of its tensors, as checks of the plan.
    /// The equality of sizes that meet is left to the [program's requirements](Program::requirements): the
    /// checks here are necessary for every kernel, whatever made it.
    fn size_checks(&mut self, kernel: &Kernel) -> Result<()> {
        for compute in &kernel.computes {
            self.stays_inside(kernel, compute, compute.target, &compute.write)?;
            for (inst, _) in &compute.body.insts {
                let Inst::Read { tensor, index, outside: None } = inst else { continue };
                self.stays_inside(kernel, compute, *tensor, index)?;
                // A scan reads elements that it has written itself.
                if *tensor == compute.target {
                    continue;
                }
                for (e, dim) in index.iter().zip(&kernel.tensors[*tensor].ty.dims) {
                    if dim.as_const().is_none()
                        && e.any_atom(&mut |a| matches!(a, Atom::Min(_) | Atom::Mod(_)))
                    {
                        self.check_not_empty(kernel, dim, &compute.points())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// An access at an index that is affine in the axes must stay inside of the tensor if there is a point to
    /// compute. There is one check for each dimension that depends on sizes known only at run time.
    fn stays_inside(
        &mut self,
        kernel: &Kernel,
        compute: &Compute,
        tensor: usize,
        index: &[Expr],
    ) -> Result<()> {
        let points = compute.points();
        for (e, dim) in index.iter().zip(&kernel.tensors[tensor].ty.dims) {
            let Some((first, last)) = ends(compute, e) else { continue };
            let after = dim.clone() - Expr::from(1) - last;
            for room in [first, after] {
                if room.as_const().is_some_and(|r| r >= 0) {
                    continue;
                }
                let nothing = Expr::from(0) - points.minimum(&Expr::from(1));
                let value = self.expr(&room.maximum(&nothing))?;
                let message =
                    format!("sizes do not fit together in {}: {e} must be below {dim}", nodes_of(kernel));
                let check = Check { condition: Condition::Range { value, min: 0, max: i64::MAX }, message };
                if !self.plan.checks.contains(&check) {
                    self.plan.checks.push(check);
                }
            }
        }
        Ok(())
    }

    /// An index that is clamped or wrapped into a dimension finds no element in an empty dimension. So the size
    /// must be positive if there is a point to compute.
    fn check_not_empty(&mut self, kernel: &Kernel, dim: &Expr, points: &Expr) -> Result<()> {
        let one = Expr::from(1);
        let check = Check {
            condition: Condition::Range {
                value: self.expr(&dim.maximum(&(one.clone() - points.minimum(&one))))?,
                min: 1,
                max: i64::MAX,
            },
            message: format!("{dim} must not be 0 in {}", nodes_of(kernel)),
        };
        if !self.plan.checks.contains(&check) {
            self.plan.checks.push(check);
        }
        Ok(())
    }

    fn push_buffer(&mut self, definition: BufferDef) -> u32 {
        self.plan.buffers.push(definition);
        (self.plan.buffers.len() - 1) as u32
    }

    /// The plan's buffer for a tensor. It is made on first use, so that constants used only by kernels with a
    /// packing are not stored twice.
    fn buffer(&mut self, id: TensorId) -> Result<u32> {
        if let Some(buffer) = self.buffers[id] {
            return Ok(buffer);
        }
        let tensor = &self.parts.program.tensors[id];
        let bytes = tensor.ty.bytes();
        let place = match &tensor.storage {
            Storage::Input(i) => Place::Input(*i as u32),
            Storage::Output(i) => Place::Output(*i as u32),
            Storage::Constant(value) => {
                let blob = self.writer.add_weight(&value.data).map_err(io_error)?;
                Place::Constant { offset: blob.offset, len: blob.len }
            }
            Storage::Intermediate => match self.parts.arena.offsets[id] {
                Some(offset) => {
                    let reserved = bytes.as_const().unwrap_or(0) as u64;
                    Place::Arena { offset: offset as u64, reserved }
                }
                None => Place::Heap,
            },
            Storage::View { source, offset } => {
                let of = self.buffer(*source)?;
                let size = Expr::from(tensor.ty.dtype.size() as i64);
                Place::View { of, byte_offset: self.expr(&(offset.clone() * size))? }
            }
        };
        let definition = BufferDef {
            name: tensor.name.to_string(),
            dtype: plan_dtype(tensor.ty.dtype),
            dims: tensor.ty.dims.iter().map(|d| self.expr(d)).collect::<Result<_>>()?,
            bytes: self.expr(&bytes)?,
            place,
        };
        let buffer = self.push_buffer(definition);
        self.buffers[id] = Some(buffer);
        Ok(buffer)
    }

    /// Stores the default values of inputs.
    fn defaults(&mut self) -> Result<()> {
        for (&input, tensor) in &self.parts.program.origin.defaults {
            let blob = self.writer.add_weight(&tensor.data).map_err(io_error)?;
            let buffer = self.push_buffer(BufferDef {
                name: format!(
                    "{}.default",
                    self.parts.program.tensors[self.parts.program.inputs[input]].name
                ),
                dtype: plan_dtype(tensor.dtype),
                dims: tensor.dims.iter().map(|&d| mlcc_format::Expr::Const(d)).collect(),
                bytes: mlcc_format::Expr::Const(tensor.data.len() as i64),
                place: Place::Constant { offset: blob.offset, len: blob.len },
            });
            self.defaults.insert(input, buffer);
        }
        Ok(())
    }

    fn packed_buffer(&mut self, id: TensorId, packing: &Packing, dims: &[Expr]) -> Result<u32> {
        let key = (id, format!("{packing:?} {dims:?}"));
        if let Some(buffer) = self.packed.get(&key) {
            return Ok(*buffer);
        }
        let tensor = &self.parts.program.tensors[id];
        let Storage::Constant(value) = &tensor.storage else {
            return Err(Diagnostic::internal(format!("'{}' is packed but not a constant", tensor.name)));
        };
        let dims: Vec<i64> = dims
            .iter()
            .map(|d| d.as_const().ok_or_else(|| Diagnostic::internal("a packed operand has a symbolic size")))
            .collect::<Result<_>>()?;
        let bytes = packing::pack(value, packing, &dims)?;
        let blob = self.writer.add_weight(&bytes).map_err(io_error)?;
        let buffer = self.push_buffer(BufferDef {
            name: format!("{}.packed", tensor.name),
            dtype: plan_dtype(tensor.ty.dtype),
            dims: dims.iter().map(|&d| mlcc_format::Expr::Const(d)).collect(),
            bytes: mlcc_format::Expr::Const(bytes.len() as i64),
            place: Place::Constant { offset: blob.offset, len: blob.len },
        });
        self.packed.insert(key, buffer);
        Ok(buffer)
    }

    fn block(&mut self, steps: &[Step]) -> Result<u32> {
        let block = self.plan.blocks.len() as u32;
        self.plan.blocks.push(Block::default());
        let instructions = self.instructions(steps, false)?;
        self.plan.blocks[block as usize].instructions = instructions;
        Ok(block)
    }

    fn instructions(&mut self, steps: &[Step], outermost: bool) -> Result<Vec<Instruction>> {
        let mut instructions = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let mut heap: Vec<TensorId> = Vec::new();
            if outermost {
                touched(step, &mut |id| {
                    let (root, _) = self.parts.program.resolve_view(id);
                    let on_heap = self.parts.program.tensors[root].storage == Storage::Intermediate
                        && self.parts.arena.offsets[root].is_none();
                    if on_heap && !heap.contains(&root) {
                        heap.push(root);
                    }
                });
            }
            for &id in &heap {
                if self.parts.arena.lifetimes[id].is_some_and(|life| life.0 == at) {
                    instructions.push(Instruction::Alloc(self.buffer(id)?));
                }
            }
            push(&mut instructions, self.instruction(step)?);
            for &id in &heap {
                if self.parts.arena.lifetimes[id].is_some_and(|life| life.1 == at) {
                    instructions.push(Instruction::Free(self.buffer(id)?));
                }
            }
        }
        Ok(instructions)
    }

    fn instruction(&mut self, step: &Step) -> Result<Instruction> {
        Ok(match step {
            Step::Kernel { kernel, operands } => {
                self.counts.kernels += 1;
                self.size_checks(kernel)?;
                let which = self.parts.unique.of_step[self.next_kernel_step];
                self.next_kernel_step += 1;
                Instruction::Region(vec![self.launch(kernel, operands, which)?])
            }
            Step::Copy { target, source } => {
                Instruction::Copy { dst: self.buffer(*target)?, src: self.buffer(*source)? }
            }
            Step::Call { function, inputs, outputs, attributes, location } => {
                self.counts.runtime_calls += 1;
                let named = RuntimeFunction::ALL.iter().find(|(name, _)| **name == **function);
                let Some((_, function)) = named else {
                    let message = format!("the runtime has no function '{function}'");
                    return Err(Diagnostic::unsupported(message).at(location));
                };
                let buffers =
                    inputs.iter().chain(outputs).map(|&id| self.buffer(id)).collect::<Result<_>>()?;
                Instruction::Call(Call { function: *function, buffers, attributes: attributes.clone() })
            }
            Step::If { condition, then, otherwise } => Instruction::If {
                condition: self.buffer(*condition)?,
                then: self.block(then)?,
                otherwise: self.block(otherwise)?,
            },
            Step::Loop { trip_count, iteration, condition, body } => Instruction::Loop(Loop {
                trip_count: trip_count.map(|t| self.buffer(t)).transpose()?,
                condition: condition.map(|t| self.buffer(t)).transpose()?,
                iteration: Some(self.buffer(*iteration)?),
                body: self.block(body)?,
            }),
        })
    }

    fn launch(&mut self, kernel: &Kernel, operands: &[TensorId], which: usize) -> Result<Launch> {
        let nest = &self.parts.scheduled[which].nest;
        let mut buffers = Vec::with_capacity(operands.len());
        for (position, &id) in operands.iter().enumerate() {
            let packing = nest.packings.iter().find(|p| p.target == position);
            buffers.push(match packing {
                Some(packing) => self.packed_buffer(id, packing, &nest.buffers[position].dims)?,
                None => self.buffer(id)?,
            });
        }
        let sizes = nest.symbols.iter().map(|s| self.expr(&Expr::symbol(s))).collect::<Result<_>>()?;
        let (flops, bytes) = (kernel.operations(), kernel.traffic());
        Ok(Launch {
            kernel: which as u32,
            buffers,
            inputs: kernel.with_role(Role::Input).count() as u32,
            sizes,
            tiles: self.expr(&nest.tiles())?,
            scratch_bytes: self.expr(&self.parts.code.scratch_bytes[which])?,
            flops: self.expr(&flops)?,
            bytes: self.expr(&bytes)?,
        })
    }

    fn manifest(&self) -> Result<Manifest> {
        let names: Vec<String> = self.symbols.iter().map(ToString::to_string).collect();
        let info = |name: &str, id: TensorId| {
            let ty = &self.parts.program.tensors[id].ty;
            let dims = ty.dims.iter().map(|d| Ok(Dim::new(self.expr(d)?, &names))).collect::<Result<_>>()?;
            Ok(ValueInfo { name: name.to_owned(), dtype: plan_dtype(ty.dtype), dims, default: None })
        };
        let program = self.parts.program;
        let mut inputs: Vec<ValueInfo> =
            program.inputs.iter().map(|&i| info(&program.tensors[i].name, i)).collect::<Result<_>>()?;
        for (&input, &buffer) in &self.defaults {
            inputs[input].default = Some(buffer);
        }
        let outputs = program.outputs.iter().map(|(name, o)| info(name, *o)).collect::<Result<_>>()?;
        let kernels = self.parts.scheduled.iter().enumerate().map(|(i, k)| KernelInfo {
            name: decisions::label(i, &k.kernel.name),
            nodes: k.nodes.iter().map(ToString::to_string).collect(),
            decision: k.decision.to_string(),
            refused: k.decision.refused.iter().map(refused).collect(),
        });
        Ok(Manifest {
            compiler: env!("CARGO_PKG_VERSION").into(),
            model: program.name.to_string(),
            target: self.parts.target.clone(),
            signature: Signature { inputs, outputs },
            symbols: names.clone(),
            kernels: kernels.collect(),
            counts: self.counts.clone(),
            file_order_peak_bytes: program
                .origin
                .file_order_peak_bytes
                .and_then(|bytes| u64::try_from(bytes).ok()),
            keep_denormals: self.parts.keep_denormals,
            flags: self.parts.flags.clone(),
            machine: self.parts.machine.clone(),
        })
    }
}

fn refused(refusal: &Refusal) -> Refused {
    Refused { template: refusal.template.to_string(), reason: refusal.reason.to_string() }
}

/// Appends an instruction. Consecutive launches form one region, which costs one fork.
fn push(instructions: &mut Vec<Instruction>, instruction: Instruction) {
    match (instructions.last_mut(), instruction) {
        (Some(Instruction::Region(region)), Instruction::Region(launches)) => region.extend(launches),
        (_, instruction) => instructions.push(instruction),
    }
}

fn nodes_of(kernel: &Kernel) -> String {
    let nodes: Vec<&str> = kernel.nodes.iter().map(|n| &**n).collect();
    nodes.join(", ")
}

/// The least and the greatest value of an index over a compute's points; `None` if the index is not affine in
/// the axes or depends on values.
fn ends(compute: &Compute, e: &Expr) -> Option<(Expr, Expr)> {
    if e.uses_values() {
        return None;
    }
    let (mut first, mut last) = (e.clone(), e.clone());
    for axis in &compute.axes {
        let (coefficient, _) = e.split_axis(&axis.name)?;
        let c = coefficient.as_const()?;
        let end = axis.extent.clone() - Expr::from(1);
        let (low, high) = if c >= 0 { (Expr::from(0), end) } else { (end, Expr::from(0)) };
        first = first.replace_axis(&axis.name, &low);
        last = last.replace_axis(&axis.name, &high);
    }
    Some((first, last))
}
