//! The transforms as computes over tiles.
//!
//! Tiles have the axes `h.o` and `w.o` of an image split by the tile's side, for the axes' names `h` and
//! `w`. Both transforms are separable: first down the columns of the patch, then along its rows, each
//! point a compute of its own so that its coefficients are constants.

use super::{algorithm::Algorithm, recognise::Convolution};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Compute},
    nest::names::Part,
    scalar::{BinaryOp, Body, Constant, Inst, ValueId},
};

/// Tiles of a convolution.
pub(super) struct Tiles<'a> {
    pub(super) conv: &'a Convolution,
    pub(super) algorithm: Algorithm,
}

fn parallel(name: &str, extent: i64) -> Axis {
    Axis { name: name.into(), extent: Expr::from(extent), kind: AxisKind::Parallel }
}

impl Tiles<'_> {
    /// Rows and columns of tiles of an image.
    pub(super) fn counts(&self) -> [i64; 2] {
        let side = self.algorithm.outputs() as i64;
        [&self.conv.rows, &self.conv.columns].map(|s| (s.extent + side - 1) / side)
    }

    fn names(&self) -> [Name; 2] {
        [&self.conv.rows, &self.conv.columns].map(|s| Part::Outer.of(&s.axis))
    }

    /// The axes of tiles.
    pub(super) fn axes(&self) -> Vec<Axis> {
        let own = self.names().into_iter().zip(self.counts()).map(|(name, count)| parallel(&name, count));
        self.conv.batch.iter().cloned().chain(own).collect()
    }

    /// Dimensions over tiles.
    pub(super) fn dims(&self) -> Vec<Expr> {
        self.axes().into_iter().map(|a| a.extent).collect()
    }

    fn point(&self) -> Vec<Expr> {
        self.axes().iter().map(|a| Expr::axis(&a.name)).collect()
    }

    fn compute(
        &self,
        name: &str,
        (own, points, lanes): (&str, usize, &Axis),
        target: (usize, Vec<Expr>),
        body: Body,
    ) -> Compute {
        let mut axes = self.axes();
        axes.push(parallel(own, points as i64));
        axes.push(lanes.clone());
        Compute { name: name.into(), axes, target: target.0, write: target.1, body, combine: None }
    }

    /// `patch[tile, i, j, c] = x[..]`, 0 outside of the image.
    pub(super) fn patches(&self, x_dims: usize, x: usize, patch: usize) -> Compute {
        let (side, n) = (self.algorithm.outputs() as i64, self.algorithm.points());
        let channel = self.channel();
        let mut index = vec![Expr::from(0); x_dims];
        let mut batches = self.conv.batch.iter();
        let spatial = [(&self.conv.rows, "i"), (&self.conv.columns, "j")];
        for (dim, e) in index.iter_mut().enumerate() {
            *e = if let Some((s, inner)) = spatial.iter().find(|(s, _)| s.dim == dim) {
                Expr::axis(&Part::Outer.of(&s.axis)) * Expr::from(side) + Expr::axis(inner)
                    - Expr::from(s.before)
            } else if dim + 1 == x_dims {
                Expr::axis(&channel.name)
            } else {
                batches.next().map_or(Expr::from(0), |a| Expr::axis(&a.name))
            };
        }
        let mut body = Body::default();
        let outside = Some(Constant::float(DType::F32, 0.0));
        body.push(Inst::Read { tensor: x, index, outside }, DType::F32);
        let mut write = self.point();
        write.extend(["i", "j", &*channel.name].map(Expr::axis));
        let mut compute = self.compute("patch", ("j", n, &channel), (patch, write), body);
        compute.axes.insert(compute.axes.len() - 1, parallel("i", n as i64));
        compute
    }

    /// `half[tile, a, j, c] = Σi Bᵀ[a, i] patch[tile, i, j, c]`, a compute for each `a`.
    pub(super) fn transform_columns(&self, patch: usize, half: usize) -> Vec<Compute> {
        let (n, channel) = (self.algorithm.points(), self.channel());
        let at = |i: Expr| {
            let mut index = self.point();
            index.extend([i, Expr::axis("j"), Expr::axis(&channel.name)]);
            index
        };
        let rows = self.algorithm.input();
        let compute = |a: usize| {
            let body = self.combination(&rows[a], &parity(n), &|i| (patch, at(Expr::from(i as i64))));
            self.compute(&format!("down{a}"), ("j", n, &channel), (half, at(Expr::from(a as i64))), body)
        };
        (0..n).map(compute).collect()
    }

    /// `v[a n + b, tile, c] = Σj Bᵀ[b, j] half[tile, a, j, c]`, a compute for each `b`.
    pub(super) fn transform_rows(&self, half: usize, v: usize) -> Vec<Compute> {
        let (n, channel) = (self.algorithm.points(), self.channel());
        let from = |j: i64| {
            let mut index = self.point();
            index.extend([Expr::axis("i"), Expr::from(j), Expr::axis(&channel.name)]);
            index
        };
        let rows = self.algorithm.input();
        let compute = |b: usize| {
            let body = self.combination(&rows[b], &parity(n), &|j| (half, from(j as i64)));
            let mut write = vec![Expr::axis("i") * Expr::from(n as i64) + Expr::from(b as i64)];
            write.extend(self.point());
            write.push(Expr::axis(&channel.name));
            self.compute(&format!("along{b}"), ("i", n, &channel), (v, write), body)
        };
        (0..n).map(compute).collect()
    }

    /// `product[e, tile, f] = Σc v[e, tile, c] u[e, c, f]`.
    pub(super) fn product(&self, (v, u): (usize, usize), product: usize) -> Compute {
        let n = self.algorithm.points();
        let (e, c, f) =
            (Expr::axis("e"), Expr::axis(&self.conv.channel.name), Expr::axis(&self.conv.filter.name));
        let indices = |last: &Expr| {
            let mut index = vec![e.clone()];
            index.extend(self.point());
            index.push(last.clone());
            index
        };
        let mut body = Body::default();
        let a = body.read(v, indices(&c), DType::F32);
        let b = body.read(u, vec![e.clone(), c.clone(), f.clone()], DType::F32);
        body.binary(BinaryOp::Mul, a, b);
        let mut axes = vec![parallel("e", (n * n) as i64)];
        axes.extend(self.axes());
        axes.extend([self.conv.filter.clone(), self.conv.channel.clone()]);
        Compute {
            name: "product".into(),
            axes,
            target: product,
            write: indices(&f),
            body,
            combine: Some(mlcc_ir::kernel::Combine::Add),
        }
    }

    /// `sums[tile, r, b, f] = Σa Aᵀ[r, a] product[a n + b, tile, f]`, a compute for each `r`.
    pub(super) fn restore_columns(&self, product: usize, sums: usize) -> Vec<Compute> {
        let (n, m, filter) = (self.algorithm.points(), self.algorithm.outputs(), &self.conv.filter);
        let rows = self.algorithm.output();
        let compute = |r: usize| {
            let body = self.combination(&rows[r], &self.algorithm.groups(), &|a| {
                let mut index = vec![Expr::from((a * n) as i64) + Expr::axis("j")];
                index.extend(self.point());
                index.push(Expr::axis(&filter.name));
                (product, index)
            });
            let mut write = self.point();
            write.extend([Expr::from(r as i64), Expr::axis("j"), Expr::axis(&filter.name)]);
            self.compute(&format!("up{r}"), ("j", n, filter), (sums, write), body)
        };
        (0..m).map(compute).collect()
    }

    /// `y[.., m h.o + h.i, m w.o + s, f] = Σb Aᵀ[s, b] sums[tile, h.i, b, f]`, a compute for each `s`.
    pub(super) fn restore_rows(&self, sums: usize, result: usize) -> Vec<Compute> {
        let (m, filter) = (self.algorithm.outputs(), &self.conv.filter);
        let rows = self.algorithm.output();
        let inner = Part::Inner.of(&self.conv.rows.axis);
        let compute = |s: usize| {
            let body = self.combination(&rows[s], &self.algorithm.groups(), &|b| {
                let mut index = self.point();
                index.extend([Expr::axis(&inner), Expr::from(b as i64), Expr::axis(&filter.name)]);
                (sums, index)
            });
            let [h, w] = self.names().map(|name| Expr::axis(&name) * Expr::from(m as i64));
            let mut write: Vec<Expr> = self.conv.batch.iter().map(|a| Expr::axis(&a.name)).collect();
            write.extend([h + Expr::axis(&inner), w + Expr::from(s as i64), Expr::axis(&filter.name)]);
            self.compute(&format!("back{s}"), (&inner, m, filter), (result, write), body)
        };
        (0..m).map(compute).collect()
    }

    /// Channels as a parallel axis.
    fn channel(&self) -> Axis {
        Axis { kind: AxisKind::Parallel, ..self.conv.channel.clone() }
    }

    /// A sum with constant coefficients. The part of a group is the same, up to a factor, in both rows of a
    /// pair of points, so it is computed once.
    fn combination(
        &self,
        coefficients: &[f64],
        groups: &[Vec<usize>],
        read: &dyn Fn(usize) -> (usize, Vec<Expr>),
    ) -> Body {
        let mut body = Body::default();
        let mut parts: Vec<(f64, ValueId)> = Vec::new();
        for group in groups {
            let mut terms: Vec<(f64, ValueId)> = Vec::new();
            for &at in group.iter().filter(|at| coefficients[**at] != 0.0) {
                let (tensor, index) = read(at);
                terms.push((coefficients[at], body.read(tensor, index, DType::F32)));
            }
            if let Some((last, _)) = terms.last().copied() {
                terms.iter_mut().for_each(|(c, _)| *c /= last);
                parts.push((last, sum(&mut body, terms)));
            }
        }
        body.result = sum(&mut body, parts);
        body
    }
}

/// Even and odd positions.
fn parity(n: usize) -> Vec<Vec<usize>> {
    [0, 1].map(|first| (first..n).step_by(2).collect()).to_vec()
}

/// The sum of the terms, beginning with one whose coefficient is 1.
fn sum(body: &mut Body, mut terms: Vec<(f64, ValueId)>) -> ValueId {
    let scaled = |body: &mut Body, (c, v): (f64, ValueId)| {
        let c = body.constant(Constant::float(DType::F32, c));
        body.binary(BinaryOp::Mul, v, c)
    };
    let first = terms.iter().rposition(|(c, _)| *c == 1.0);
    let mut total = match first {
        Some(at) => terms.remove(at).1,
        None if terms.is_empty() => return body.constant(Constant::float(DType::F32, 0.0)),
        None => {
            let term = terms.remove(0);
            scaled(body, term)
        }
    };
    for (c, v) in terms {
        total = match c {
            1.0 => body.binary(BinaryOp::Add, total, v),
            -1.0 => body.binary(BinaryOp::Sub, total, v),
            _ => {
                let term = scaled(body, (c, v));
                body.binary(BinaryOp::Add, total, term)
            }
        };
    }
    total
}
