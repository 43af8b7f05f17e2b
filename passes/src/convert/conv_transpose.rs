//! Transposed convolutions, as a gather: each output point sums over the kernel positions from which an
//! input point reaches it.

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
    axes.extend(names.iter().zip(&dy[2..]).map(|((name, _), extent)| parallel(name, extent.clone())));
    axes.push(reduction("c", channels));
    axes.extend(window.axes(&names));

    let mut write = vec![Expr::axis("n"), out_channel.clone()];
    write.extend(names.iter().map(|(name, _)| Expr::axis(name)));
    let mut x_index = vec![Expr::axis("n"), in_channel.clone()];
    let mut w_index = vec![in_channel, Expr::axis("m")];
    let mut guards = Vec::new();
    for (d, (name, kernel_name)) in names.iter().enumerate() {
        let inside = if window.kernel[d].is(1) { Expr::from(0) } else { Expr::axis(kernel_name) };
        // The input point i reaches o = i * stride + k * dilation - pad.
        let scaled =
            Expr::axis(name) + window.begin[d].clone() - inside.clone() * Expr::from(window.dilations[d]);
        let stride = Expr::from(window.strides[d]);
        x_index.push(scaled.floor_div(&stride));
        w_index.push(inside);
        if window.strides[d] > 1 {
            guards.push(scaled.modulo(&stride));
        }
    }
    let operands = vec![(x, x_index, true), (w, w_index, false)];
    let bias = op.optional(2).map(|b| (b, vec![out_channel]));
    contraction::emit(op, Contraction { name: "conv_transpose", axes, write, operands, guards, bias })
}
