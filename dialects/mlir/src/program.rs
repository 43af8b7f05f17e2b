//! Programs and `te.program`.

mod read;
mod write;

use crate::{
    context::MlirContext,
    read::{Weights, error},
    weights::WeightSource,
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    nest::LoopNest,
    program::Program,
};

impl MlirContext {
    /// The text of a program and its kernels. Constants of more than [`crate::weights::MAX_INLINE`] elements are
    /// references; [`crate::weights::WeightStore::of_program`] holds their data.
    ///
    /// # Errors
    /// If the program is malformed.
    pub fn print_program(&self, program: &Program) -> Result<String> {
        self.pretty(&write::module(program)?, false)
    }

    /// The text of a program, its kernels, and the nests that implement them.
    ///
    /// # Errors
    /// If the program or a nest is malformed.
    pub fn print_loop_module(&self, program: &Program, nests: &[LoopNest]) -> Result<String> {
        let nests: Result<Vec<String>> = nests.iter().map(crate::nest::write).collect();
        self.pretty(&(write::module(program)? + &nests?.concat()), false)
    }

    /// Reads a program. Calls of one `te.kernel` share it; kernels that are not called are dropped.
    ///
    /// # Errors
    /// If the text is not MLIR (with line and column), not a program, or a weight is not at hand.
    pub fn parse_program(&self, text: &str, weights: &dyn WeightSource) -> Result<Program> {
        let module = self.parse(text, "tensor")?;
        let mut programs = module.op().body(0).filter(|op| op.name() == "te.program");
        let program = programs.next().ok_or_else(|| Diagnostic::user("tensor: expected a 'te.program'"))?;
        if let Some(second) = programs.next() {
            return Err(error(second, "a module holds one program"));
        }
        read::program(module.op(), program, Weights::From(weights))
    }

    /// Reads a program and the loop nests beside it, in order.
    ///
    /// # Errors
    /// As [`MlirContext::parse_program`] and [`MlirContext::parse_nests`].
    pub fn parse_loop_module(
        &self,
        text: &str,
        weights: &dyn WeightSource,
    ) -> Result<(Program, Vec<LoopNest>)> {
        Ok((self.parse_program(text, weights)?, self.parse_nests(text)?))
    }
}
