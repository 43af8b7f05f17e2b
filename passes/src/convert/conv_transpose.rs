//! Transposed convolutions, as a gather: each output point sums over the kernel positions from which an
//! input point reaches it.
//!
//! The input point `i` reaches `o = i * stride + k * dilation - pad`. Take a dimension without dilation whose
//! size is a multiple of the stride. There `o = h * stride + p` for a phase `p` in `0..stride`, and only the
//! kernel positions `k = mod(p + pad, stride) + kh * stride` count, so the loops visit only these. In other
//! dimensions they visit all kernel positions, and positions that no input point reaches count as 0.

use super::{
    contraction::{self, Contraction},
    conv::{Window, spatial_names},
    kernels::{parallel, reduction},
    lowering::Lowering,
};
use mlcc_ir::{diagnostic::Result, expr::Expr};

/// Lowers `conv_transpose`; `None` if the operator is another.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    (op.name() == "conv_transpose").then(|| lower_conv_transpose(op))
}

fn lower_conv_transpose(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, w, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let (dx, dw, dy) = (op.dims(x), op.dims(w), op.dims(result));
    if dx.len() < 3 || dw.len() != dx.len() {
        return Err(op.unsupported("it needs at least one spatial dimension"));
    }
    let groups = op.attrs().int("group", 1).max(1);
    let window = Window::of(op, dw[2..].to_vec())?;
    let names = spatial_names(dx.len() - 2);
    let channels = dx[1].floor_div(&Expr::from(groups));

    let mut axes = vec![parallel("n", dy[0].clone())];
    let (mut out_channel, mut in_channel) = (Expr::axis("m"), Expr::axis("c"));
    if groups > 1 {
        axes.push(parallel("g", Expr::from(groups)));
        out_channel = Expr::axis("g") * dw[1].clone() + out_channel;
        in_channel = Expr::axis("g") * channels.clone() + in_channel;
    }
    axes.push(parallel("m", dw[1].clone()));
    let mut write = vec![Expr::axis("n"), out_channel.clone()];
    let mut x_index = vec![Expr::axis("n"), in_channel.clone()];
    let mut w_index = vec![in_channel, Expr::axis("m")];
    let mut window_axes = Vec::new();
    let mut guards = Vec::new();
    let mut kernel_leaves = false;
    for (d, (name, kernel_name)) in names.iter().enumerate() {
        let (stride, kernel) = (Expr::from(window.strides[d]), &window.kernel[d]);
        let pad = &window.begin[d];
        let size = &dy[2 + d];
        let by_phase = window.strides[d] > 1 && window.dilations[d] == 1 && size.modulo(&stride).is(0);
        let visited = if by_phase { kernel.ceil_div(&stride) } else { kernel.clone() };
        let inside = if visited.is(1) { Expr::from(0) } else { Expr::axis(kernel_name) };
        if !visited.is(1) {
            window_axes.push(reduction(kernel_name, visited));
        }
        if by_phase {
            let phase_name = format!("p{name}");
            axes.push(parallel(name, size.floor_div(&stride)));
            axes.push(parallel(&phase_name, stride.clone()));
            let phase = Expr::axis(&phase_name);
            write.push(Expr::axis(name) * stride.clone() + phase.clone());
            let reach = phase + pad.clone();
            x_index.push(Expr::axis(name) + reach.floor_div(&stride) - inside.clone());
            w_index.push(reach.modulo(&stride) + inside * stride.clone());
            kernel_leaves |= !kernel.modulo(&stride).is(0);
        } else {
            axes.push(parallel(name, size.clone()));
            write.push(Expr::axis(name));
            let scaled = Expr::axis(name) + pad.clone() - inside.clone() * Expr::from(window.dilations[d]);
            x_index.push(scaled.floor_div(&stride));
            w_index.push(inside);
            if window.strides[d] > 1 {
                guards.push(scaled.modulo(&stride));
            }
        }
    }
    axes.push(reduction("c", channels));
    axes.extend(window_axes);
    let operands = vec![(x, x_index, true), (w, w_index, kernel_leaves)];
    let bias = op.optional(2).map(|b| (b, vec![out_channel]));
    contraction::emit(op, Contraction { name: "conv_transpose", axes, write, operands, guards, bias })
}
