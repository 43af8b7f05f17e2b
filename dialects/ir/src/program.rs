//! The tensor level: a program of kernels, views, runtime calls and control flow over tensors.

use crate::{
    Name, expr::Expr, graph::Location, kernel::Kernel, origin::Origin, requirement::Requirement,
    size_range::SizeRanges, tensor::Tensor, types::TensorType,
};
use std::sync::Arc;

/// Index of a tensor in its [`Program`].
pub type TensorId = usize;

/// Where a program's tensor lives.
#[derive(Clone, Debug, PartialEq)]
pub enum Storage {
    /// The caller's input of that number.
    Input(usize),
    /// The caller's output of that number.
    Output(usize),
    /// A constant of the artifact.
    Constant(Tensor),
    /// Made and dropped while the program runs.
    Intermediate,
    /// The same memory as `source`, contiguous, from element `offset` on.
    View {
        /// The tensor whose memory it shares.
        source: TensorId,
        /// First element.
        offset: Expr,
    },
}

/// A tensor of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramTensor {
    /// Name.
    pub name: Name,
    /// Element type, dimensions, layout.
    pub ty: TensorType,
    /// Where it lives.
    pub storage: Storage,
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A kernel on tensors: its inputs in order, then its outputs (`Output` and `InOut`) in order.
    Kernel {
        /// What is computed.
        kernel: Arc<Kernel>,
        /// Operands.
        operands: Vec<TensorId>,
    },
    /// Copies all elements; the types are equal but for the layout.
    Copy {
        /// To.
        target: TensorId,
        /// From.
        source: TensorId,
    },
    /// A named function of the runtime.
    Call {
        /// Which.
        function: Name,
        /// Operands read.
        inputs: Vec<TensorId>,
        /// Operands written.
        outputs: Vec<TensorId>,
        /// Integer attributes.
        attributes: Vec<i64>,
        /// The ONNX node.
        location: Location,
    },
    /// Runs one of two blocks.
    If {
        /// A `Bool` tensor of one element.
        condition: TensorId,
        /// Steps if true.
        then: Vec<Step>,
        /// Steps if false.
        otherwise: Vec<Step>,
    },
    /// Runs `body` while the trip count is not reached and the condition holds.
    Loop {
        /// `i64` tensor of one element: greatest number of iterations.
        trip_count: Option<TensorId>,
        /// `i64` tensor of one element that receives the iteration's number before each one.
        iteration: TensorId,
        /// `Bool` tensor of one element, tested before each iteration.
        condition: Option<TensorId>,
        /// Steps of one iteration.
        body: Vec<Step>,
    },
}

impl Step {
    /// The blocks of steps inside the step. Not all of them need run.
    pub fn blocks(&self) -> impl Iterator<Item = &[Step]> {
        let blocks: [&[Step]; 2] = match self {
            Step::If { then, otherwise, .. } => [then, otherwise],
            Step::Loop { body, .. } => [body, &[]],
            Step::Kernel { .. } | Step::Copy { .. } | Step::Call { .. } => [&[], &[]],
        };
        blocks.into_iter().filter(|block| !block.is_empty())
    }

    /// The tensors that the step itself reads or writes.
    pub fn tensors(&self) -> impl Iterator<Item = TensorId> {
        let (some, more, single): (&[TensorId], &[TensorId], [Option<TensorId>; 3]) = match self {
            Step::Kernel { operands, .. } => (operands, &[], [None; 3]),
            Step::Copy { target, source } => (&[], &[], [Some(*source), Some(*target), None]),
            Step::Call { inputs, outputs, .. } => (inputs, outputs, [None; 3]),
            Step::If { condition, .. } => (&[], &[], [Some(*condition), None, None]),
            Step::Loop { trip_count, iteration, condition, .. } => {
                (&[], &[], [*trip_count, Some(*iteration), *condition])
            }
        };
        some.iter().chain(more).copied().chain(single.into_iter().flatten())
    }

    /// Visits the step and then all steps inside, in order.
    pub fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Step)) {
        visit(self);
        self.blocks().flatten().for_each(|step| step.visit(visit));
    }
}

/// How a symbol gets its value when the program starts.
#[derive(Clone, Debug, PartialEq)]
pub enum SymbolSource {
    /// Dimension `dim` of input `input`.
    InputDim {
        /// Which input.
        input: usize,
        /// Which dimension.
        dim: usize,
    },
}

/// A symbol of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Symbol {
    /// Name.
    pub name: Name,
    /// Where its value comes from.
    pub source: SymbolSource,
}

/// A program at the tensor level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Name of the model.
    pub name: Name,
    /// Symbols, in the order in which they are bound.
    pub symbols: Vec<Symbol>,
    /// The known ranges of the symbols' sizes; the program refuses to run at sizes outside of them.
    pub ranges: SizeRanges,
    /// Conditions on the symbols. If one does not hold, the program refuses to run.
    pub requirements: Vec<Requirement>,
    /// All tensors.
    pub tensors: Vec<ProgramTensor>,
    /// The inputs' tensors in order.
    pub inputs: Vec<TensorId>,
    /// The outputs: name and tensor. Any tensor may be an output; `Storage::Output` avoids a copy.
    pub outputs: Vec<(Name, TensorId)>,
    /// Steps in order.
    pub steps: Vec<Step>,
    /// Known facts about the model that the program came from.
    pub origin: Origin,
}

impl Program {
    /// Adds a tensor.
    pub fn add_tensor(&mut self, name: impl Into<Name>, ty: TensorType, storage: Storage) -> TensorId {
        self.tensors.push(ProgramTensor { name: name.into(), ty, storage });
        self.tensors.len() - 1
    }

    /// The tensor in whose memory `id` lies, with views resolved, and the first element of `id`
    /// there.
    #[must_use]
    pub fn resolve_view(&self, id: TensorId) -> (TensorId, Expr) {
        let (mut at, mut first) = (id, Expr::from(0));
        while let Storage::View { source, offset } = &self.tensors[at].storage {
            first = first + offset.clone();
            at = *source;
        }
        (at, first)
    }
}
