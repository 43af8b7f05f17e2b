//! Builds small models, and provides their kernels.

use mlcc_format::{
    Block, BufferDef, Counts, DType, Dim, Expr, Instruction, KernelEntry, KernelInfo, Launch, Manifest,
    Place, Plan, Signature, SymbolDef, Target, TargetKind, ValueInfo,
};
use mlcc_runtime::{KernelFn, LoadOptions, Model};

/// Number of elements in a tile of the element-wise kernels.
pub(crate) const TILE: i64 = 16;

/// Collects a plan; buffers and symbols are named by the numbers that come back.
pub(crate) struct Builder {
    pub(crate) manifest: Manifest,
    pub(crate) plan: Plan,
    pub(crate) kernels: Vec<KernelFn>,
    pub(crate) weights: Vec<u8>,
}

impl Builder {
    pub(crate) fn new() -> Builder {
        let target = Target {
            kind: TargetKind::Cpu,
            triple: format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
            cpu: "generic".into(),
            features: vec![],
        };
        let manifest = Manifest {
            compiler: "test".into(),
            model: "test".into(),
            target,
            signature: Signature::default(),
            symbols: vec![],
            kernels: vec![],
            counts: Counts::default(),
            // The kernels are Rust's functions, which must not compute with denormals flushed.
            keep_denormals: true,
            flags: vec![],
            file_order_peak_bytes: None,
            machine: String::new(),
        };
        let plan = Plan { blocks: vec![Block::default()], ..Plan::default() };
        Builder { manifest, plan, kernels: vec![], weights: vec![] }
    }

    pub(crate) fn symbol(&mut self, name: &str, def: SymbolDef) -> Expr {
        self.manifest.symbols.push(name.into());
        self.plan.symbols.push(def);
        Expr::Symbol(self.plan.symbols.len() as u32 - 1)
    }

    pub(crate) fn input_dim(&mut self, name: &str, input: u32, dim: u32) -> Expr {
        self.symbol(name, SymbolDef::InputDim { input, dim })
    }

    pub(crate) fn buffer(&mut self, name: &str, dtype: DType, dims: &[Expr], place: Place) -> u32 {
        let bytes = Expr::product(dims.to_vec()) * dtype.size() as i64;
        self.plan.buffers.push(BufferDef { name: name.into(), dtype, dims: dims.to_vec(), bytes, place });
        self.plan.buffers.len() as u32 - 1
    }

    fn value(&self, name: &str, dtype: DType, dims: &[Expr]) -> ValueInfo {
        let dims = dims.iter().map(|expr| Dim::new(expr.clone(), &self.manifest.symbols)).collect();
        ValueInfo { name: name.into(), dtype, dims, default: None }
    }

    pub(crate) fn input(&mut self, name: &str, dtype: DType, dims: &[Expr]) -> u32 {
        let value = self.value(name, dtype, dims);
        self.manifest.signature.inputs.push(value);
        let index = self.manifest.signature.inputs.len() as u32 - 1;
        self.buffer(name, dtype, dims, Place::Input(index))
    }

    pub(crate) fn output(&mut self, name: &str, dtype: DType, dims: &[Expr]) -> u32 {
        let value = self.value(name, dtype, dims);
        self.manifest.signature.outputs.push(value);
        let index = self.manifest.signature.outputs.len() as u32 - 1;
        self.buffer(name, dtype, dims, Place::Output(index))
    }

    pub(crate) fn constant(&mut self, name: &str, values: &[f32]) -> u32 {
        self.weights.resize(self.weights.len().next_multiple_of(64), 0);
        let offset = self.weights.len() as u64;
        self.weights.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let place = Place::Constant { offset, len: 4 * values.len() as u64 };
        self.buffer(name, DType::F32, &[Expr::Const(values.len() as i64)], place)
    }

    /// A buffer in the arena, after all others.
    pub(crate) fn arena(&mut self, name: &str, dtype: DType, elements: i64) -> u32 {
        let reserved = elements as u64 * dtype.size() as u64;
        let offset = self.plan.arena_bytes.next_multiple_of(64);
        self.plan.arena_bytes = offset + reserved;
        self.buffer(name, dtype, &[Expr::Const(elements)], Place::Arena { offset, reserved })
    }

    pub(crate) fn kernel(&mut self, name: &str, function: KernelFn) -> u32 {
        self.kernels.push(function);
        self.plan.kernels.push(KernelEntry { offset: 0 });
        let info = KernelInfo { name: name.into(), nodes: vec![], decision: String::new(), refused: vec![] };
        self.manifest.kernels.push(info);
        self.kernels.len() as u32 - 1
    }

    pub(crate) fn push(&mut self, instruction: Instruction) {
        self.plan.blocks[0].instructions.push(instruction);
    }

    /// Adds a block and returns its number.
    pub(crate) fn block(&mut self, instructions: Vec<Instruction>) -> u32 {
        self.plan.blocks.push(Block { instructions });
        self.plan.blocks.len() as u32 - 1
    }

    pub(crate) fn load(self, threads: usize) -> Model {
        self.try_load(threads).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn try_load(self, threads: usize) -> Result<Model, mlcc_runtime::Error> {
        let options = LoadOptions { threads, ..LoadOptions::default() };
        // SAFETY: the kernels below keep to the sizes that `launch` gives them, which are those of
        // their buffers.
        unsafe { Model::from_parts(self.manifest, self.plan, self.kernels, &self.weights, &options) }
    }
}

/// A launch of an element-wise kernel over `elements`, with estimates that make it worth many
/// threads.
pub(crate) fn launch(kernel: u32, buffers: &[u32], inputs: u32, elements: impl Into<Expr>) -> Launch {
    let elements = elements.into();
    Launch {
        kernel,
        buffers: buffers.to_vec(),
        inputs,
        sizes: vec![elements.clone()],
        tiles: elements.ceil_div(TILE),
        scratch_bytes: Expr::Const(64),
        flops: Expr::Const(100_000_000),
        bytes: Expr::Const(0),
    }
}

pub(crate) fn region(launches: Vec<Launch>) -> Instruction {
    Instruction::Region(launches)
}

/// The range of elements that tiles `begin..end` have.
fn range(sizes: *const i64, begin: i64, end: i64) -> std::ops::Range<usize> {
    // SAFETY: every launch of `launch` has one size.
    let elements = unsafe { *sizes };
    (begin * TILE) as usize..(end * TILE).min(elements) as usize
}

/// The element `i` of buffer `b`.
unsafe fn at<T>(buffers: *const *mut u8, b: usize, i: usize) -> *mut T {
    // SAFETY: the caller stays within the launch's buffers and their elements.
    unsafe { (*buffers.add(b)).cast::<T>().add(i) }
}

/// `y[i] = a[i] + b[i]`.
pub(crate) unsafe extern "C" fn add(
    buffers: *const *mut u8,
    sizes: *const i64,
    scratch: *mut u8,
    begin: i64,
    end: i64,
) {
    assert!(!scratch.is_null() && (scratch as usize).is_multiple_of(64));
    for i in range(sizes, begin, end) {
        // SAFETY: `i` is within the elements of the launch.
        unsafe { *at::<f32>(buffers, 2, i) = *at::<f32>(buffers, 0, i) + *at::<f32>(buffers, 1, i) };
    }
}

/// `y[i] = 2 * x[n - 1 - i]`: reads elements that other tiles wrote before.
pub(crate) unsafe extern "C" fn reverse(
    buffers: *const *mut u8,
    sizes: *const i64,
    _scratch: *mut u8,
    begin: i64,
    end: i64,
) {
    // SAFETY: every launch of `launch` has one size.
    let elements = unsafe { *sizes } as usize;
    for i in range(sizes, begin, end) {
        // SAFETY: both indices are within the elements of the launch.
        unsafe { *at::<f32>(buffers, 1, i) = 2.0 * *at::<f32>(buffers, 0, elements - 1 - i) };
    }
}

/// `y[0] = x[0] < limit[0]`, one tile.
pub(crate) unsafe extern "C" fn less(
    buffers: *const *mut u8,
    _sizes: *const i64,
    _scratch: *mut u8,
    _begin: i64,
    _end: i64,
) {
    // SAFETY: each buffer has an element.
    unsafe { *at::<u8>(buffers, 2, 0) = u8::from(*at::<f32>(buffers, 0, 0) < *at::<f32>(buffers, 1, 0)) };
}

/// `y = sum over i of (i + 1) * x[i]`, one tile, double precision.
pub(crate) unsafe extern "C" fn weighted_sum(
    buffers: *const *mut u8,
    sizes: *const i64,
    scratch: *mut u8,
    _begin: i64,
    _end: i64,
) {
    // SAFETY: every launch of `launch` has one size, and 64 bytes of scratch.
    let (elements, sum) = unsafe { (*sizes as usize, &mut *scratch.cast::<f64>()) };
    *sum = 0.0;
    for i in 0..elements {
        // SAFETY: `i` is within the elements of the launch.
        *sum += (i + 1) as f64 * f64::from(unsafe { *at::<f32>(buffers, 0, i) });
    }
    // SAFETY: the output has one element.
    unsafe { *at::<f32>(buffers, 1, 0) = *sum as f32 };
}

/// Numbers in -1..1, the same for the same seed.
pub(crate) fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Norm of the difference by norm of the expected.
pub(crate) fn relative_error(got: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = got.iter().zip(expected).map(|(g, e)| square(g - e)).sum();
    let norm: f64 = expected.iter().map(|e| square(*e)).sum();
    difference.sqrt() / norm.sqrt().max(f64::MIN_POSITIVE)
}
