//! The kernels that a pass of the tensor level makes of one kernel.

use mlcc_ir::{
    kernel::Kernel,
    program::{Program, Step, Storage},
    tensor::Tensor,
    types::TensorType,
};
use std::sync::Arc;

/// The kernels that `pass` makes of a kernel. The operands with the given names are constants. Each result
/// has the indices of its tensors that are constants.
pub fn after(
    kernel: Kernel,
    constants: &[&str],
    pass: fn(&mut Program) -> usize,
) -> Vec<(Arc<Kernel>, Vec<usize>)> {
    let mut program = Program::default();
    let mut operands = Vec::new();
    for t in kernel.operands() {
        let ty: &TensorType = &kernel.tensors[t].ty;
        let storage = if constants.contains(&&*kernel.tensors[t].name) {
            let dims = ty.static_dims().unwrap();
            let values: Vec<f32> = (0..dims.iter().product::<i64>()).map(|i| (i as f32).sin()).collect();
            Storage::Constant(Tensor::from_f32(&dims, &values))
        } else {
            Storage::Intermediate
        };
        operands.push(program.add_tensor(kernel.tensors[t].name.clone(), ty.clone(), storage));
    }
    program.steps.push(Step::Kernel { kernel: Arc::new(kernel), operands });
    assert_eq!(pass(&mut program), 1);
    let of = |step: &Step| match step {
        Step::Kernel { kernel, operands } => {
            let constant = |id: &usize| matches!(program.tensors[*id].storage, Storage::Constant(_));
            let constants = kernel.operands().zip(operands).filter(|(_, id)| constant(id)).map(|(t, _)| t);
            Some((kernel.clone(), constants.collect()))
        }
        _ => None,
    };
    program.steps.iter().filter_map(of).collect()
}
