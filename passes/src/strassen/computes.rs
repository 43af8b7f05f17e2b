//! The three kernels that a product becomes.

use super::{
    algorithm::{LEFT, PRODUCTS, RESULT, Term},
    recognise::{Cut, Product},
};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, KernelTensor, Role},
    nest::names::Part,
    scalar::{BinaryOp, Body, Constant, Inst},
    types::TensorType,
};

/// Names of axes that the rewriting adds.
const PRODUCT: &str = "strassen_e";
const ROW: &str = "strassen_row";
const TERM: &str = "strassen_term";

/// A product with the names and extents of its parts.
pub(super) struct Parts<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) product: &'a Product,
}

fn parallel(name: &str, extent: i64) -> Axis {
    Axis { name: name.into(), extent: Expr::from(extent), kind: AxisKind::Parallel }
}

fn tensor(name: &str, ty: TensorType, role: Role) -> KernelTensor {
    KernelTensor { name: name.into(), ty, role }
}

fn point(axes: &[Axis]) -> Vec<Expr> {
    axes.iter().map(|a| Expr::axis(&a.name)).collect()
}

fn extents(axes: &[Axis]) -> impl Iterator<Item = Expr> {
    axes.iter().map(|a| a.extent.clone())
}

/// The axes as parallel ones, with the cut axis halved.
fn halved(axes: &[Axis], cut: &Cut, name: &str) -> Vec<Axis> {
    let of = |a: &Axis| {
        if a.name == cut.name {
            Axis { name: name.into(), extent: cut.half(), kind: AxisKind::Parallel }
        } else {
            Axis { kind: AxisKind::Parallel, ..a.clone() }
        }
    };
    axes.iter().map(of).collect()
}

/// The sum of values that `read` appends.
fn sum(terms: &[Term], read: &mut dyn FnMut(&mut Body, usize) -> u32) -> Body {
    let mut body = Body::default();
    let mut total = None;
    for (minus, value) in terms {
        let value = read(&mut body, *value);
        let op = if *minus { BinaryOp::Sub } else { BinaryOp::Add };
        total = Some(total.map_or(value, |sum| body.binary(op, sum, value)));
    }
    body
}

fn compute(name: &str, axes: &[Axis], target: usize, write: Vec<Expr>, body: Body) -> Compute {
    Compute { name: name.into(), axes: axes.to_vec(), target, write, body, combine: None }
}

impl Parts<'_> {
    fn named(&self, part: &str) -> Name {
        format!("{}_{part}", self.kernel.name).into()
    }

    /// The name of the axis that counts pairs of rows. It is the scheduler's name for an axis split by two,
    /// since the stages behind the product are split in this way.
    fn pairs(&self) -> Name {
        Part::Outer.of(&self.product.row.name)
    }

    fn row_axes(&self) -> Vec<Axis> {
        halved(&self.product.rows, &self.product.row, &self.pairs())
    }

    fn column_axes(&self) -> Vec<Axis> {
        halved(&self.product.columns, &self.product.column, &self.product.column.name)
    }

    fn term_axes(&self) -> Vec<Axis> {
        halved(&self.product.terms, &self.product.term, &self.product.term.name)
    }

    fn seven(&self, axes: [&[Axis]; 2]) -> TensorType {
        let dims = [Expr::from(PRODUCTS as i64)].into_iter().chain(axes.into_iter().flat_map(extents));
        TensorType::new(DType::F32, dims.collect::<Vec<_>>())
    }

    /// The type of the sums of the left matrix' quarters.
    pub(super) fn left_type(&self) -> TensorType {
        self.seven([&self.row_axes(), &self.term_axes()])
    }

    /// The type of the weights' sums.
    pub(super) fn weights_type(&self) -> TensorType {
        self.seven([&self.term_axes(), &self.column_axes()])
    }

    /// The type of the products.
    pub(super) fn products_type(&self) -> TensorType {
        self.seven([&self.row_axes(), &self.column_axes()])
    }

    /// `s[e, i, k] = Σ ± x[2 i + row, k + term half]`: operands are `x` and `s`.
    pub(super) fn transform(&self) -> Kernel {
        let x = self.product.x;
        let (rows, terms) = (self.row_axes(), self.term_axes());
        let own = [parallel(ROW, 2), parallel(TERM, 2)];
        let shared: Vec<Axis> = rows.iter().chain(&terms).cloned().collect();
        let quarters: Vec<Axis> = rows.iter().chain(&own).chain(&terms).cloned().collect();
        let tensors = vec![
            tensor("x", self.kernel.tensors[x].ty.clone(), Role::Input),
            tensor("sums", self.left_type(), Role::Output),
            tensor(
                "quarters",
                TensorType::new(DType::F32, extents(&quarters).collect::<Vec<_>>()),
                Role::Temporary,
            ),
        ];
        let mut body = Body::default();
        body.push(self.quarter_of_x(), DType::F32);
        let mut computes = vec![compute("quarter", &quarters, 2, point(&quarters), body)];
        for (e, terms_of) in LEFT.iter().enumerate() {
            let body = sum(terms_of, &mut |body, quarter| {
                let mut index = point(&rows);
                index.extend([quarter / 2, quarter % 2].map(|q| Expr::from(q as i64)));
                index.extend(point(&terms));
                body.read(2, index, DType::F32)
            });
            let write = [Expr::from(e as i64)].into_iter().chain(point(&shared)).collect();
            computes.push(compute(&format!("sum{e}"), &shared, 1, write, body));
        }
        Kernel { name: self.named("quarters"), nodes: self.kernel.nodes.clone(), tensors, computes }
    }

    /// The read of a quarter's element in the left matrix.
    fn quarter_of_x(&self) -> Inst {
        let Product { x, row, term, .. } = self.product;
        let first = &self.kernel.computes[0];
        let read = first.body.insts.iter().find_map(|(inst, _)| match inst {
            Inst::Read { tensor, index, outside } if tensor == x => Some((index.clone(), *outside)),
            _ => None,
        });
        let (index, outside) = read.unwrap_or_default();
        let of_row = Expr::axis(&self.pairs()) * Expr::from(2) + Expr::axis(ROW);
        let of_term = Expr::axis(&term.name) + Expr::axis(TERM) * term.half();
        let index = index
            .iter()
            .map(|e| e.replace_axis(&row.name, &of_row).replace_axis(&term.name, &of_term))
            .collect();
        let checked = row.is_odd() || term.is_odd();
        let outside = outside.or_else(|| checked.then(|| Constant::float(DType::F32, 0.0)));
        Inst::Read { tensor: 0, index, outside }
    }

    /// `p[e, i, j] = Σk s[e, i, k] u[e, k, j]`: operands are `s`, `u` and `p`.
    pub(super) fn products(&self) -> Kernel {
        let (rows, columns, terms) = (self.row_axes(), self.column_axes(), self.term_axes());
        let tensors = vec![
            tensor("sums", self.left_type(), Role::Input),
            tensor("weights", self.weights_type(), Role::Input),
            tensor("products", self.products_type(), Role::Output),
        ];
        let e = parallel(PRODUCT, PRODUCTS as i64);
        let at = |a: &[Axis], b: &[Axis]| -> Vec<Expr> {
            [Expr::axis(PRODUCT)].into_iter().chain(point(a)).chain(point(b)).collect()
        };
        let mut body = Body::default();
        let s = body.read(0, at(&rows, &terms), DType::F32);
        let u = body.read(1, at(&terms, &columns), DType::F32);
        body.binary(BinaryOp::Mul, s, u);
        let reduced = terms.iter().map(|a| Axis { kind: AxisKind::Reduction, ..a.clone() });
        let axes: Vec<Axis> =
            [e].into_iter().chain(rows.iter().chain(&columns).cloned()).chain(reduced).collect();
        let write = at(&rows, &columns);
        let product = Compute { combine: Some(Combine::Add), ..compute("product", &axes, 2, write, body) };
        let (name, nodes) = (self.named("products"), self.kernel.nodes.clone());
        Kernel { name, nodes, tensors, computes: vec![product] }
    }

    /// Whether a tensor is still touched behind the product. The product's operands are touched there only if
    /// something else reads them too.
    pub(super) fn stays(&self, tensor: usize) -> bool {
        let Product { x, w, result, .. } = self.product;
        let (rest, lone) = (&self.kernel.computes[1..], self.kernel.computes.len() == 1);
        if tensor == *result {
            return lone;
        }
        (tensor != *x && tensor != *w) || rest.iter().any(|c| c.reads().any(|(t, _)| t == tensor))
    }

    /// The sums of products, then the work that the kernel did with its result. Operands are the products,
    /// then the kernel's operands that stay.
    ///
    /// Each half of the columns is a tensor of its own with all rows of a pair. The stages behind the product
    /// exist once for each half.
    pub(super) fn combination(&self) -> Kernel {
        let Product { result, row, column, .. } = self.product;
        let (rows, columns) = (self.row_axes(), self.column_axes());
        let mut map = vec![0; self.kernel.tensors.len()];
        let mut tensors = vec![tensor("products", self.products_type(), Role::Input)];
        for (t, old) in self.kernel.tensors.iter().enumerate().filter(|(t, _)| self.stays(*t)) {
            map[t] = tensors.len();
            tensors.push(old.clone());
        }
        // Whole pairs of rows; with an odd number, the last row is not read.
        let padded = |a: &Axis| {
            if a.name == row.name { row.half() * Expr::from(2) } else { a.extent.clone() }
        };
        let dims: Vec<Expr> = self.product.rows.iter().map(padded).chain(extents(&columns)).collect();
        let halves = tensors.len();
        for name in ["left", "right"] {
            tensors.push(tensor(name, TensorType::new(DType::F32, dims.clone()), Role::Temporary));
        }

        let shared: Vec<Axis> = rows.iter().chain(&columns).cloned().collect();
        let mut computes = Vec::new();
        for (quarter, terms) in RESULT.iter().enumerate() {
            let body = sum(terms, &mut |body, e| {
                let index = [Expr::from(e as i64)].into_iter().chain(point(&shared)).collect();
                body.read(0, index, DType::F32)
            });
            let of_row = Expr::axis(&self.pairs()) * Expr::from(2) + Expr::from((quarter / 2) as i64);
            let write = self
                .product
                .rows
                .iter()
                .map(|a| if a.name == row.name { of_row.clone() } else { Expr::axis(&a.name) });
            let write = write.chain(point(&columns)).collect();
            computes.push(compute(&format!("quarter{quarter}"), &shared, halves + quarter % 2, write, body));
        }
        let results: Vec<Axis> = self.product.rows.iter().cloned().chain(columns).collect();
        for half in 0..2 {
            let of_column = Expr::axis(&column.name) + column.half() * Expr::from(half as i64);
            for old in self.epilogue() {
                let mut c = old.clone();
                c.name = format!("{}{half}", old.name).into();
                c.axes.clone_from(&results);
                c.target = map[c.target];
                c.write.iter_mut().for_each(|e| *e = e.replace_axis(&column.name, &of_column));
                for (inst, _) in &mut c.body.insts {
                    match inst {
                        Inst::Read { tensor, index, .. } if *tensor == *result => {
                            *index = point(&results);
                            *tensor = halves + half;
                        }
                        Inst::Read { tensor, index, .. } => {
                            *tensor = map[*tensor];
                            index.iter_mut().for_each(|e| *e = e.replace_axis(&column.name, &of_column));
                        }
                        Inst::Index(e) => *e = e.replace_axis(&column.name, &of_column),
                        _ => {}
                    }
                }
                computes.push(c);
            }
        }
        Kernel { name: self.named("combined"), nodes: self.kernel.nodes.clone(), tensors, computes }
    }

    /// The stages behind the product; a store of its result if there are none.
    fn epilogue(&self) -> Vec<Compute> {
        let (first, rest) = (&self.kernel.computes[0], &self.kernel.computes[1..]);
        if !rest.is_empty() {
            return rest.to_vec();
        }
        let mut body = Body::default();
        body.read(self.product.result, first.write.clone(), DType::F32);
        let axes: Vec<Axis> = self.product.results().cloned().collect();
        vec![compute("store", &axes, first.target, first.write.clone(), body)]
    }
}
