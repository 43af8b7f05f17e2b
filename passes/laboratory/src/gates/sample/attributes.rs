//! Random attributes of operators.

use super::Sampler;
use egg::Id;
use mlcc_ir::{
    Name,
    attributes::{Attr, Attrs},
    dtype::DType,
    expr::Expr,
    ops::{self, AttrKind},
};
use mlcc_rewriting::{
    attributes::canonical,
    expression::{Expression, Value},
    rule::Binding,
};

impl Sampler<'_> {
    pub(super) fn attributes(
        &mut self,
        op: &str,
        wanted: &[(Name, Expression)],
        others: Option<&Name>,
        places: &[Option<Id>],
    ) -> Option<Attrs> {
        let dims = places.first().copied().flatten().map(|id| self.dims(id)).unwrap_or_default();
        let kernel = places.get(1).copied().flatten().map(|id| self.dims(id)).unwrap_or_default();
        let mut attrs = Attrs::new();
        for (name, expression) in wanted {
            if let Expression::Variable(variable) = expression
                && self.bindings.get(variable).is_none()
            {
                let value = Value::of(&self.attribute(op, name, (&dims, &kernel), &attrs)?)?;
                self.bindings.set(variable, Binding::Value(value));
            }
            self.bind_axes(expression, dims.len());
            attrs = attrs.with(name, expression.evaluate(&self.classes, &self.bindings)?.attribute()?);
        }
        let Some(variable) = others else { return Some(attrs) };
        let mut rest = Attrs::new();
        if let Some(Binding::Attrs(bound)) = self.bindings.get(variable) {
            rest = bound.clone();
        } else {
            for declared in ops::definition(op)?.attributes {
                if !wanted.iter().any(|(n, _)| &**n == declared.name)
                    && let Some(value) = self.attribute(op, declared.name, (&dims, &kernel), &rest)
                {
                    rest = rest.with(declared.name, value);
                }
            }
            rest = canonical(op, rest, dims.len());
            for (name, _) in wanted {
                rest.0.remove(name);
            }
            self.bindings.set(variable, Binding::Attrs(rest.clone()));
        }
        rest.0.into_iter().for_each(|(name, value)| drop(attrs.0.insert(name, value)));
        Some(attrs)
    }

    /// Binds variables inside of an expression (`[?k]`): axes.
    fn bind_axes(&mut self, expression: &Expression, rank: usize) {
        match expression {
            Expression::Variable(name) if self.bindings.get(name).is_none() => {
                let axis = self.random.below(rank) as i64;
                self.bindings.set(name, Binding::Value(Value::Int(Expr::from(axis))));
            }
            Expression::Call(_, arguments) => arguments.iter().for_each(|a| self.bind_axes(a, rank)),
            _ => {}
        }
    }

    /// A random value of an attribute, for a first and a second operand of these dimensions.
    fn attribute(
        &mut self,
        op: &str,
        name: &str,
        (dims, kernel): (&[i64], &[i64]),
        before: &Attrs,
    ) -> Option<Attr> {
        let rank = dims.len();
        let spatial = rank.saturating_sub(2);
        Some(match (op, name) {
            ("transpose", "perm") => {
                let mut perm: Vec<i64> = (0..rank as i64).collect();
                if self.random.below(2) == 0 && rank >= 2 {
                    perm.swap(rank - 1, rank - 2);
                } else {
                    (1..rank).rev().for_each(|i| perm.swap(i, self.random.below(i + 1)));
                }
                Attr::Ints(perm)
            }
            ("reshape", "shape") => Attr::Ints(self.reshaped(dims)),
            ("expand", "shape") => {
                let mut shape = dims.to_vec();
                shape.iter_mut().filter(|d| **d == 1).for_each(|d| *d = self.random.pick(&[1, 2, 3]));
                Attr::Ints(shape)
            }
            ("slice", "steps") => Attr::Ints((0..rank).map(|_| self.random.pick(&[1, 1, 1, 2])).collect()),
            ("slice", "starts") => Attr::Ints(dims.iter().map(|&d| self.start(d)).collect()),
            ("slice", "sizes") => {
                let starts = before.ints("starts").map(<[i64]>::to_vec).unwrap_or_else(|| vec![0; rank]);
                let steps = before.ints("steps").map(<[i64]>::to_vec).unwrap_or_else(|| vec![1; rank]);
                let sizes = dims.iter().zip(starts).zip(steps).map(|((&d, start), step)| {
                    let most = (d - start + step - 1).max(1) / step.max(1);
                    if self.random.below(2) == 0 {
                        most.max(1)
                    } else {
                        1 + self.random.below(most.max(1) as usize) as i64
                    }
                });
                Attr::Ints(sizes.collect())
            }
            (_, "axis") => Attr::Int(if self.random.below(2) == 0 {
                rank as i64 - 1
            } else {
                self.random.below(rank) as i64
            }),
            (_, "axes") => {
                let axes: Vec<i64> = (0..rank as i64).filter(|_| self.random.below(2) == 0).collect();
                Attr::Ints(if axes.is_empty() { vec![0] } else { axes })
            }
            ("conv", "pads") => {
                let same = self.random.below(3) as i64;
                let pads = (0..2 * spatial).map(|_| match same {
                    0 => 0,
                    1 => i64::from(kernel.last() == Some(&3)),
                    _ => self.random.below(2) as i64,
                });
                Attr::Exprs(pads.map(Expr::from).collect())
            }
            ("pad", "pads") => {
                let channels = self.random.below(4) == 0;
                let pads = (0..2 * rank)
                    .map(|i| if i % rank.max(1) < 2 && !channels { 0 } else { self.random.below(3) as i64 });
                Attr::Exprs(pads.map(Expr::from).collect())
            }
            ("conv" | "max_pool", "strides") => {
                Attr::Ints((0..spatial).map(|_| self.random.pick(&[1, 1, 2])).collect())
            }
            ("conv" | "max_pool", "dilations") => Attr::Ints(vec![self.random.pick(&[1, 1, 2]); spatial]),
            ("conv", "group") => Attr::Int(match (dims.get(1), kernel.get(1)) {
                (Some(&all), Some(&part)) if part > 0 && all % part == 0 => all / part,
                _ => 1,
            }),
            ("max_pool", "kernel") => {
                Attr::Ints((0..spatial).map(|_| self.random.pick(&[1, 2, 3])).collect())
            }
            ("max_pool", "pads") => Attr::Exprs(vec![Expr::from(0); 2 * spatial]),
            ("rotary_embedding", "rotary_dim") => {
                let pairs = dims.last().map_or(0, |d| d / 2);
                Attr::Int(2 * if self.random.below(2) == 0 { pairs } else { self.random.pick(&[1, 2, 3]) })
            }
            (_, "epsilon") => Attr::Float(1e-5),
            (_, "alpha") => Attr::Float(1.0),
            ("cast", "to") => Attr::DType(self.random.pick(&[DType::F32, DType::F16, DType::F64])),
            ("gelu", "approximate") => Attr::Str("none".into()),
            _ => match ops::definition(op)?.attribute(name)? {
                declared if declared.kind == AttrKind::Bool => Attr::Bool(self.random.below(2) == 0),
                _ => return None,
            },
        })
    }

    fn start(&mut self, dim: i64) -> i64 {
        if self.random.below(2) == 0 { 0 } else { self.random.below(dim.max(1) as usize) as i64 }
    }

    /// The same elements in other dimensions.
    fn reshaped(&mut self, dims: &[i64]) -> Vec<i64> {
        let mut shape = dims.to_vec();
        match self.random.below(4) {
            0 => vec![dims.iter().product()],
            1 if shape.len() >= 2 => {
                let last = shape.pop().unwrap_or(1);
                if let Some(l) = shape.last_mut() {
                    *l *= last;
                }
                shape
            }
            2 => {
                shape.insert(self.random.below(shape.len() + 1), 1);
                shape
            }
            _ => shape,
        }
    }
}
