//! Convolutions: one reduction compute over input channels and kernel positions.

use super::{
    contraction::{self, Contraction},
    kernels::{parallel, reduction},
    lowering::Lowering,
};
use mlcc_ir::{diagnostic::Result, expr::Expr, kernel::Axis};

/// Names of the spatial axes of a tensor with that many spatial dimensions, and of the kernel's axes.
pub(super) fn spatial_names(count: usize) -> Vec<(String, String)> {
    let letters: Vec<String> = match count {
        1 => vec!["w".into()],
        2 => vec!["h".into(), "w".into()],
        3 => vec!["d".into(), "h".into(), "w".into()],
        n => (0..n).map(|i| format!("s{i}")).collect(),
    };
    letters.into_iter().map(|l| (l.clone(), format!("k{l}"))).collect()
}

/// A window that slides over the spatial dimensions.
pub(super) struct Window {
    /// Size per spatial dimension.
    pub(super) kernel: Vec<Expr>,
    /// Steps.
    pub(super) strides: Vec<i64>,
    /// Distances of neighbouring elements of the window.
    pub(super) dilations: Vec<i64>,
    /// Padding before each dimension.
    pub(super) begin: Vec<Expr>,
    /// Padding after each dimension.
    pub(super) end: Vec<Expr>,
    /// Whether a last window counts that is only partly inside of the padded input, as `ceil_mode` demands.
    pub(super) rounds_up: bool,
}

impl Window {
    /// The window of a node whose `kernel` is given, from its attributes.
    pub(super) fn of(op: &Lowering<'_, '_>, kernel: Vec<Expr>) -> Result<Window> {
        let spatial = kernel.len();
        let pads = match op.attrs().get("pads") {
            Some(_) => op.exprs("pads", 2 * spatial)?,
            None => vec![Expr::from(0); 2 * spatial],
        };
        Ok(Window {
            kernel,
            strides: op.ints("strides", spatial, 1)?,
            dilations: op.ints("dilations", spatial, 1)?,
            begin: pads[..spatial].to_vec(),
            end: pads[spatial..].to_vec(),
            rounds_up: false,
        })
    }

    /// The kernel's axes, without those of one point.
    pub(super) fn axes(&self, names: &[(String, String)]) -> Vec<Axis> {
        let all = names.iter().zip(&self.kernel);
        all.filter(|(_, extent)| !extent.is(1)).map(|((_, k), extent)| reduction(k, extent.clone())).collect()
    }

    /// Whether the window is known to be larger than the padded input along a dimension.
    pub(super) fn exceeds(&self, input: &[Expr]) -> bool {
        input.iter().enumerate().any(|(d, size)| {
            let padded = size.clone() + self.begin[d].clone() + self.end[d].clone();
            let extent =
                (self.kernel[d].clone() - Expr::from(1)) * Expr::from(self.dilations[d]) + Expr::from(1);
            (padded - extent).as_const().is_some_and(|room| room < 0)
        })
    }

    /// Position along spatial dimension `d` for an output point and a point of the window.
    pub(super) fn position(&self, d: usize, names: &[(String, String)]) -> Expr {
        let inside = if self.kernel[d].is(1) { Expr::from(0) } else { Expr::axis(&names[d].1) };
        Expr::axis(&names[d].0) * Expr::from(self.strides[d]) + inside * Expr::from(self.dilations[d])
            - self.begin[d].clone()
    }

    /// Whether a position along dimension `d` can lie outside `0..input`, for an output of that extent.
    pub(super) fn leaves(&self, d: usize, input: &Expr, output: &Expr) -> bool {
        let one = Expr::from(1);
        let last = (output.clone() - one.clone()) * Expr::from(self.strides[d])
            + (self.kernel[d].clone() - one) * Expr::from(self.dilations[d])
            - self.begin[d].clone();
        let never_before = self.begin[d].as_const().is_some_and(|b| b <= 0);
        let room = input.clone() - last;
        // Without padding at the end the window stays inside, whatever the sizes are.
        let never_after = self.end[d].as_const().is_some_and(|e| e <= 0 && !self.rounds_up)
            || room.as_const().is_some_and(|r| r >= 1);
        !(never_before && never_after)
    }
}

/// Lowers `conv`; `None` if the operator is another.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    (op.name() == "conv").then(|| lower_conv(op))
}

fn lower_conv(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, w, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let (dx, dw, dy) = (op.dims(x), op.dims(w), op.dims(result));
    if dx.len() < 3 || dw.len() != dx.len() {
        return Err(op.unsupported("it needs at least one spatial dimension"));
    }
    let groups = op.attrs().int("group", 1).max(1);
    let window = Window::of(op, dw[2..].to_vec())?;
    let names = spatial_names(dx.len() - 2);

    let mut axes = vec![parallel("n", dy[0].clone())];
    let per_group = dw[0].floor_div(&Expr::from(groups));
    let channels = dw[1].clone();
    // One channel a group, in or out, needs no axis.
    let grouped = groups > 1;
    let (mut out_channel, mut in_channel, mut filter_channel) =
        (Expr::axis("m"), Expr::axis("c"), Expr::axis("c"));
    if grouped {
        axes.push(parallel("g", Expr::from(groups)));
        let g = Expr::axis("g");
        let m = if per_group.is(1) { Expr::from(0) } else { Expr::axis("m") };
        if channels.is(1) {
            filter_channel = Expr::from(0);
        }
        out_channel = g.clone() * per_group.clone() + m;
        in_channel = g * channels.clone() + filter_channel.clone();
    }
    if !(grouped && per_group.is(1)) {
        axes.push(parallel("m", per_group));
    }
    for (d, (name, _)) in names.iter().enumerate() {
        axes.push(parallel(name, dy[2 + d].clone()));
    }
    let mut write = vec![Expr::axis("n"), out_channel.clone()];
    write.extend(names.iter().map(|(name, _)| Expr::axis(name)));

    let window_axes = window.axes(&names);
    if !(grouped && channels.is(1)) {
        axes.push(reduction("c", channels));
    }
    axes.extend(window_axes);

    let spatial = || 0..names.len();
    let mut x_index = vec![Expr::axis("n"), in_channel];
    x_index.extend(spatial().map(|d| window.position(d, &names)));
    let mut w_index = vec![out_channel.clone(), filter_channel];
    w_index.extend(
        spatial().map(|d| if window.kernel[d].is(1) { Expr::from(0) } else { Expr::axis(&names[d].1) }),
    );
    let outside = spatial().any(|d| window.leaves(d, &dx[2 + d], &dy[2 + d]));
    let operands = vec![(x, x_index, outside), (w, w_index, false)];
    let bias = op.optional(2).map(|b| (b, vec![out_channel]));
    contraction::emit(op, Contraction { name: "conv", axes, write, operands, guards: Vec::new(), bias })
}
