//! A model: an artifact in memory, ready to run.

use crate::bind;
use crate::code::{Code, KernelFn};
use crate::pool::Step;
use crate::program::Program;
use crate::state::State;
use crate::tensor::{Tensor, TensorMut, TensorRef};
use crate::{Context, Error, Pool, cpu};
use mlcc_format::{Artifact, Limits, Manifest, Plan, Signature};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// How a model is loaded.
#[derive(Clone, Default)]
pub struct LoadOptions {
    /// The number of threads, the caller among them; 0 means [`crate::default_threads`]. It has no effect if a
    /// pool is given.
    pub threads: usize,
    /// A pool to share with other models.
    pub pool: Option<Arc<Pool>>,
    /// Whether the weights are used without a check. Otherwise they are compared with their checksum while the
    /// model is loaded, on all threads. The comparison reads the whole file. It can be left out for very large
    /// files that are known to be sound in another way. Damaged weights give wrong results; everything else is
    /// always checked.
    pub trust_weights: bool,
}

impl LoadOptions {
    fn pool(&self) -> Result<Arc<Pool>, Error> {
        match &self.pool {
            Some(pool) => Ok(Arc::clone(pool)),
            None => Ok(Arc::new(Pool::new(self.threads)?)),
        }
    }
}

/// An artifact in memory, ready to run. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Model {
    inner: Arc<Inner>,
}

/// The part of a model that all its contexts share.
pub(crate) struct Inner {
    pub(crate) manifest: Manifest,
    pub(crate) plan: Plan,
    pub(crate) program: Program,
    pub(crate) code: Code,
    pub(crate) pool: Arc<Pool>,
    source: Source,
    /// The state of finished calls of [`Model::run`], for the next ones.
    idle: Mutex<Vec<State>>,
}

/// The source of the weights.
enum Source {
    Artifact(Box<Artifact>),
    /// 64-byte aligned, as the weights section of an artifact is.
    Memory(Tensor),
}

impl Inner {
    pub(crate) fn weights(&self) -> &[u8] {
        match &self.source {
            Source::Artifact(artifact) => artifact.weights(),
            Source::Memory(weights) => weights.data(),
        }
    }

    /// The value of an input that the caller does not give.
    pub(crate) fn default_input(&self, input: usize) -> Option<TensorRef<'_>> {
        let buffer = self.manifest.signature.inputs.get(input)?.default? as usize;
        let mlcc_format::Place::Constant { offset, len } = self.plan.buffers.get(buffer)?.place else {
            return None;
        };
        let data = self.weights().get(offset as usize..)?.get(..len as usize)?;
        let dims = self.program.constant_dims.get(buffer)?;
        Some(TensorRef { dtype: self.plan.buffers[buffer].dtype, dims, data })
    }
}

impl Model {
    /// Loads an artifact, with a pool of its own of all CPUs that the process may use.
    ///
    /// An artifact is code: load only artifacts that you would execute. The file is mapped, so it must not be
    /// altered while the model lives ([`Artifact::open`] says more). If this is not certain, read the file and
    /// give [`Artifact::from_bytes`] to [`Model::from_artifact`].
    ///
    /// # Errors
    /// If the file is not a sound artifact, or is not for this machine.
    pub fn load(path: impl AsRef<Path>) -> Result<Model, Error> {
        Model::load_with(path, &LoadOptions::default())
    }

    /// Loads an artifact.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_with(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Model, Error> {
        Model::from_artifact(Artifact::open(path)?, options)
    }

    /// Makes an artifact ready to run.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn from_artifact(artifact: Artifact, options: &LoadOptions) -> Result<Model, Error> {
        cpu::check_target(&artifact.manifest().target)?;
        let pool = options.pool()?;
        if !options.trust_weights {
            verify_weights(&artifact, &pool)?;
        }
        let code = Code::map(&artifact)?;
        let (manifest, plan) = (artifact.manifest().clone(), artifact.plan().clone());
        Ok(Model::new(manifest, plan, code, Source::Artifact(Box::new(artifact)), pool))
    }

    /// A model whose kernels are functions of this process: for tests, and for interpreters.
    ///
    /// # Errors
    /// A plan that does not verify.
    ///
    /// # Safety
    /// The kernels must keep to [`KernelFn`]'s contract and within the buffers that the plan's
    /// launches give them. Unless the manifest keeps denormals, they must not do arithmetic with floating-point
    /// numbers but in assembly: Rust's may not run where denormals are taken for zeros.
    pub unsafe fn from_parts(
        manifest: Manifest,
        plan: Plan,
        kernels: Vec<KernelFn>,
        weights: &[u8],
        options: &LoadOptions,
    ) -> Result<Model, Error> {
        mlcc_format::verify(&plan, &manifest, Limits { weights: weights.len() as u64, code: None })?;
        if kernels.len() != plan.kernels.len() {
            let problem = format!("{} functions for {} kernels", kernels.len(), plan.kernels.len());
            return Err(mlcc_format::FormatError::Plan { problems: vec![problem] }.into());
        }
        let weights = Tensor::from_elements(&[weights.len() as i64], weights)?;
        let code = Code::functions(kernels, &manifest);
        Ok(Model::new(manifest, plan, code, Source::Memory(weights), options.pool()?))
    }

    fn new(manifest: Manifest, plan: Plan, code: Code, source: Source, pool: Arc<Pool>) -> Model {
        let program = Program::new(&plan);
        let idle = Mutex::new(Vec::new());
        Model { inner: Arc::new(Inner { manifest, plan, program, code, pool, source, idle }) }
    }

    /// The inputs and outputs.
    pub fn signature(&self) -> &Signature {
        &self.inner.manifest.signature
    }

    /// The value of an input that the caller does not give. It is an initializer that the model lists among its
    /// inputs.
    pub fn default_input(&self, input: usize) -> Option<TensorRef<'_>> {
        self.inner.default_input(input)
    }

    /// The artifact's description of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// The host program.
    pub fn plan(&self) -> &Plan {
        &self.inner.plan
    }

    /// The pool that executes the kernels.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.inner.pool
    }

    /// The memory of one call at a time.
    ///
    /// # Errors
    /// If there is no memory for the arena.
    pub fn context(&self) -> Result<Context, Error> {
        Ok(Context::new(Arc::clone(&self.inner), State::new(&self.inner)?))
    }

    /// The shapes of the outputs for inputs of these shapes; none for an output whose shape depends on data.
    ///
    /// # Errors
    /// Shapes that do not fit the signature.
    pub fn output_shapes(&self, inputs: &[&[i64]]) -> Result<Vec<Option<Vec<i64>>>, Error> {
        let (plan, manifest) = (&self.inner.plan, &self.inner.manifest);
        let default = |i| self.inner.default_input(i).map(|tensor| tensor.dims);
        let inputs = &bind::with_defaults(&manifest.signature.inputs, inputs, default)?;
        let dependent = &self.inner.program.dependent;
        let mut symbols = Vec::new();
        bind::symbols(plan, manifest, dependent, inputs, &mut symbols)?;
        bind::checks(plan, manifest, &symbols)?;
        let shape = |value: &mlcc_format::ValueInfo| {
            if value.dims.iter().any(|dim| dim.expr.any_symbol(|id| dependent[id as usize])) {
                return Ok(None);
            }
            let what = || format!("the shape of output '{}'", value.name);
            let dims: Result<_, Error> =
                value.dims.iter().map(|dim| bind::evaluate(&dim.expr, &symbols, what)).collect();
            dims.map(Some)
        };
        manifest.signature.outputs.iter().map(shape).collect()
    }

    /// Runs the model on inputs and outputs in the caller's memory. Any number of threads may do so at once.
    /// Each call gets a context of its own, which is kept for later calls.
    ///
    /// # Errors
    /// As [`Context::run`].
    pub fn run(&self, inputs: &[TensorRef<'_>], outputs: &mut [TensorMut<'_>]) -> Result<(), Error> {
        self.with_context(|context| context.run(inputs, outputs))
    }

    /// Runs the model on inputs in the caller's memory and returns the outputs. Any number of threads
    /// may do so at once.
    ///
    /// # Errors
    /// As [`Context::run`].
    pub fn run_owned(&self, inputs: &[TensorRef<'_>]) -> Result<Vec<Tensor>, Error> {
        self.with_context(|context| context.run_owned(inputs))
    }

    fn with_context<T>(&self, call: impl FnOnce(&mut Context) -> Result<T, Error>) -> Result<T, Error> {
        let idle = || self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let state = match taken {
            Some(state) => state,
            None => State::new(&self.inner)?,
        };
        let mut context = Context::new(Arc::clone(&self.inner), state);
        let result = call(&mut context);
        idle().push(context.into_state());
        result
    }
}

/// Compares an artifact's weights with their checksum, on all threads of a pool.
fn verify_weights(artifact: &Artifact, pool: &Pool) -> Result<(), Error> {
    let check = artifact.check_weights();
    let step = Step { tiles: check.pieces() as i64, grain: 1, waits: true };
    pool.run(&[step], &|_, _, begin, end| check.read(begin as usize..end as usize));
    Ok(check.finish()?)
}
