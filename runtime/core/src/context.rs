//! A context: the state, besides the model, that one call at a time needs.

use crate::bind::{self, Side};
use crate::execute::{Outputs, Run};
use crate::heap::HeapStatistics;
use crate::model::Inner;
use crate::profile::Recorder;
use crate::state::State;
use crate::tensor::{Tensor, TensorMut, TensorRef};
use crate::{Error, LaunchProfile, Span};
use std::sync::Arc;

/// A model together with the memory of a call: arena, scratch, heap and the sizes of the last shapes.
/// A context serves one call at a time; concurrent calls take one each.
pub struct Context {
    model: Arc<Inner>,
    state: State,
}

impl Context {
    pub(crate) fn new(model: Arc<Inner>, state: State) -> Context {
        Context { model, state }
    }

    pub(crate) fn into_state(self) -> State {
        self.state
    }

    /// Runs the model on inputs and outputs in the caller's memory. Either all inputs are given, or those without a
    /// default.
    ///
    /// # Errors
    /// Tensors that do not fit the signature, shapes for which the model was not compiled, and too little memory.
    /// The contents of the outputs after an error are unspecified.
    pub fn run(&mut self, inputs: &[TensorRef<'_>], outputs: &mut [TensorMut<'_>]) -> Result<(), Error> {
        let values = &self.model.manifest.signature.outputs;
        bind::count(Side::Output, values, outputs.len())?;
        for (value, tensor) in values.iter().zip(&*outputs) {
            bind::tensor(Side::Output, value, tensor.dtype, tensor.dims, tensor.data)?;
        }
        self.execute(inputs, Outputs::Caller(outputs))
    }

    /// Runs the model on inputs in the caller's memory and returns the outputs.
    ///
    /// # Errors
    /// As [`Context::run`].
    pub fn run_owned(&mut self, inputs: &[TensorRef<'_>]) -> Result<Vec<Tensor>, Error> {
        let count = self.model.manifest.signature.outputs.len();
        let mut outputs: Vec<Option<Tensor>> = (0..count).map(|_| None).collect();
        self.execute(inputs, Outputs::Owned(&mut outputs))?;
        // The verifier proved that every output is made.
        Ok(outputs.into_iter().flatten().collect())
    }

    fn execute(&mut self, inputs: &[TensorRef<'_>], outputs: Outputs<'_, '_>) -> Result<(), Error> {
        let model = &*self.model;
        let values = &model.manifest.signature.inputs;
        let inputs = &bind::with_defaults(values, inputs, |i| model.default_input(i))?;
        for (value, tensor) in values.iter().zip(inputs) {
            bind::tensor(Side::Input, value, tensor.dtype, tensor.dims, tensor.data)?;
        }
        let shapes: Vec<&[i64]> = inputs.iter().map(|tensor| tensor.dims).collect();
        self.state.bind(model, &shapes)?;
        for (id, buffer) in model.plan.buffers.iter().enumerate() {
            if let mlcc_format::Place::Input(input) = buffer.place {
                self.state.move_to(model, id, inputs[input as usize].data.as_ptr().cast_mut());
            }
        }
        if let Some(profile) = &mut self.state.profile {
            profile.begin_run();
        }
        let result = Run { model, state: &mut self.state, outputs }.execute();
        self.state.free_all();
        result
    }

    /// Begins to measure launches, or begins anew if they are measured already.
    pub fn start_profile(&mut self) {
        let entry =
            |launch: &mlcc_format::Launch| LaunchProfile { kernel: launch.kernel, ..Default::default() };
        let launches = self.model.plan.launches().map(entry).collect();
        self.state.profile = Some(Recorder::new(launches, self.model.pool.threads()));
    }

    /// The costs of the launches since [`Context::start_profile`], in the order of [`mlcc_format::Plan::launches`];
    /// empty if nothing was measured.
    pub fn profile(&self) -> &[LaunchProfile] {
        self.state.profile.as_ref().map_or(&[], |profile| &profile.launches)
    }

    /// The work of the threads in the last run, by begin; empty if nothing was measured.
    pub fn spans(&self) -> &[Span] {
        self.state.profile.as_ref().map_or(&[], |profile| &profile.spans)
    }

    /// The statistics of the heap so far.
    pub fn heap_statistics(&self) -> HeapStatistics {
        self.state.heap.statistics()
    }
}
