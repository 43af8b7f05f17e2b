//! Random instances of a pattern: tiny shapes, random attributes, leaves of which some are weights and some uniform.

use super::super::{
    expression::{Expression, Value},
    facts::{self, Classes, Known, Leaf},
    instantiate::n_ary,
    rule::{Binding, Bindings, Pattern, Rule},
    term::{Head, Term, special},
};
use egg::Id;
use mlcc_ir::{
    Name,
    attributes::{Attr, Attrs},
    dtype::DType,
    expr::Expr,
    ops::{self, AttrKind},
    tensor::{Element, Tensor, push_element},
    types::TensorType,
};

/// Numbers that depend on a name only, so that every run of the gates is the same.
pub(in super::super) struct Random(u64);

impl Random {
    pub(in super::super) fn new(name: &str) -> Random {
        Random(
            name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)),
        )
    }

    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(in super::super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(in super::super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// What a leaf at a place should be so that the operator around it may accept it.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Hint {
    dims: Option<Vec<i64>>,
    dtype: Option<DType>,
}

/// A pattern's instance under construction.
pub(in super::super) struct Sampler<'a> {
    pub(in super::super) classes: Classes,
    pub(in super::super) bindings: Bindings,
    /// Rules whose left sides may stand in place of leaves, and how deep they may still nest.
    pub(super) nested: (&'a [Rule], usize),
    random: &'a mut Random,
}

const SIZES: &[i64] = &[1, 2, 3, 3, 5];

impl<'a> Sampler<'a> {
    pub(in super::super) fn new(random: &'a mut Random) -> Sampler<'a> {
        Sampler {
            classes: Classes::new(Known::default()),
            bindings: Bindings::default(),
            nested: (&[], 0),
            random,
        }
    }

    /// An instance of a pattern; `None` if what was chosen does not fit.
    pub(in super::super) fn build(&mut self, pattern: &Pattern, hint: Hint) -> Option<Id> {
        match pattern {
            Pattern::Variable(name) => {
                if let Some(id) = self.bindings.class(name) {
                    return Some(id);
                }
                let id = self.leaf(hint)?;
                self.bindings.set(name, Binding::Class(id));
                Some(id)
            }
            Pattern::Number(value) => {
                let dims = if self.random.below(4) == 0 { hint.dims.unwrap_or_default() } else { Vec::new() };
                self.uniform(&dims, *value)
            }
            Pattern::Absent | Pattern::Each { .. } => None,
            Pattern::Apply { op, attrs, others, operands, tail } => {
                let mut places: Vec<Option<Id>> = Vec::new();
                for (at, operand) in operands.iter().enumerate() {
                    let hint = self.hint(op, at, &places, &hint);
                    places.push(match operand {
                        Pattern::Absent => None,
                        operand => Some(self.build(operand, hint)?),
                    });
                }
                if let Some(list) = tail {
                    let count = 1 + self.random.below(3);
                    let mut items = Vec::new();
                    for _ in 0..count {
                        let first = items.first().map(|id| self.dims(*id));
                        items.push(self.leaf(Hint { dims: first, dtype: Some(DType::F32) })?);
                    }
                    places.extend(items.iter().copied().map(Some));
                    self.bindings.set(list, Binding::Classes(items));
                }
                if matches!(&**op, special::SUM | special::PRODUCT) {
                    return n_ary(&mut self.classes, op, places.into_iter().collect::<Option<_>>()?);
                }
                let attrs = self.attributes(op, attrs, others.as_ref(), &places)?;
                facts::apply(&mut self.classes, op, attrs, &places)
            }
        }
    }

    fn dims(&self, id: Id) -> Vec<i64> {
        self.classes[id].data.ty.static_dims().unwrap_or_default()
    }

    fn shape(&mut self, rank: usize) -> Vec<i64> {
        (0..rank).map(|_| self.random.pick(SIZES)).collect()
    }

    /// A left side of another rule, with variables of its own, where it fits; a leaf otherwise.
    fn leaf(&mut self, hint: Hint) -> Option<Id> {
        let (rules, depth) = self.nested;
        if depth > 0 && !rules.is_empty() && hint.dtype != Some(DType::I64) && self.random.below(2) == 0 {
            let outer = std::mem::take(&mut self.bindings);
            self.nested.1 -= 1;
            let rule = &rules[self.random.below(rules.len())];
            let inner = self.build(&rule.left, hint.clone());
            self.nested.1 += 1;
            self.bindings = outer;
            let fits = |id: &Id| {
                let ty = &self.classes[*id].data.ty;
                let wanted =
                    TensorType::of(hint.dtype.unwrap_or(DType::F32), hint.dims.as_deref().unwrap_or(&[]));
                ty.dtype == wanted.dtype && (hint.dims.is_none() || ty.dims == wanted.dims)
            };
            if let Some(id) = inner.filter(fits) {
                return Some(id);
            }
        }
        self.plain_leaf(hint)
    }

    fn plain_leaf(&mut self, hint: Hint) -> Option<Id> {
        let dtype = hint.dtype.unwrap_or(DType::F32);
        let dims = match hint.dims {
            Some(dims) => dims,
            None => {
                let rank = self.random.pick(&[0, 1, 2, 2, 2, 3, 4]);
                self.shape(rank)
            }
        };
        if dtype == DType::I64 {
            let tensor = Tensor::from_i64(&[], &[self.random.below(3) as i64]);
            return facts::add_constant(&mut self.classes, tensor);
        }
        let is_uniform = dtype == DType::F32 && self.random.below(3) == 0;
        let uniform = is_uniform.then(|| self.random.pick(&[0.5, 1.0, 2.0, -1.0, 3.0, 0.0]));
        let weight = self.random.below(2) == 0;
        self.add_leaf(Leaf {
            ty: TensorType::of(dtype, &dims),
            known: None,
            weight: weight || is_uniform,
            uniform,
        })
    }

    fn add_leaf(&mut self, leaf: Leaf) -> Option<Id> {
        let index = self.classes.analysis.leaves.len() as i64;
        self.classes.analysis.leaves.push(leaf);
        let attrs = Attrs::new().with("index", Attr::Int(index));
        facts::add(&mut self.classes, Term::new(Head::new(special::LEAF, attrs, u64::MAX), Vec::new()))
    }

    fn uniform(&mut self, dims: &[i64], value: f64) -> Option<Id> {
        let mut data = Vec::new();
        (0..dims.iter().product::<i64>())
            .for_each(|_| push_element(DType::F32, &mut data, Element::Float(value)));
        facts::add_constant(&mut self.classes, Tensor::new(DType::F32, dims.to_vec(), data.into())?)
    }

    /// What operand `at` of an operator should be, given those before it.
    fn hint(&mut self, op: &str, at: usize, places: &[Option<Id>], outer: &Hint) -> Hint {
        let first = places.first().copied().flatten().map(|id| self.dims(id));
        let dims = match (op, at, first) {
            ("conv", 0, _) => {
                Some(vec![1 + self.random.below(2) as i64, 1 + self.random.below(3) as i64, 5, 4])
            }
            ("max_pool", 0, _) => Some(vec![1, 2, 5, 4]),
            ("conv", 1, Some(x)) => {
                let kernel = self.random.pick(&[1, 1, 3, 3, 2]);
                let outputs = self.random.pick(&[1, 2, 3, x.get(1).copied().unwrap_or(1)]);
                Some(
                    [
                        &[outputs, x.get(1).copied().unwrap_or(1)][..],
                        &vec![kernel; x.len().saturating_sub(2)],
                    ]
                    .concat(),
                )
            }
            ("conv", 2, _) => {
                let weight = places.get(1).copied().flatten().map(|id| self.dims(id));
                weight.and_then(|w| w.first().copied()).map(|m| vec![m])
            }
            ("matmul", 0, _) => {
                let rank = self.random.pick(&[2, 2, 2, 3]);
                Some(outer.dims.clone().filter(|d| d.len() >= 2).unwrap_or_else(|| self.shape(rank)))
            }
            ("matmul", 1, Some(a)) if a.len() >= 2 => {
                let mut b = if self.random.below(4) == 0 { a[..a.len() - 2].to_vec() } else { Vec::new() };
                b.extend([a[a.len() - 1], self.random.pick(SIZES)]);
                Some(b)
            }
            ("layer_norm" | "rms_norm" | "softmax", 0, _) => {
                let rank = self.random.pick(&[1, 2, 3]);
                Some(outer.dims.clone().unwrap_or_else(|| self.shape(rank)))
            }
            ("layer_norm" | "rms_norm", _, Some(x)) => x.last().map(|d| vec![*d]),
            ("clip", 1.., _) => Some(Vec::new()),
            (special::SUM | special::PRODUCT, 0, _) if self.random.below(3) == 0 => Some(Vec::new()),
            (special::SUM | special::PRODUCT, 1.., Some(x)) if x.is_empty() => outer.dims.clone(),
            (_, 1.., Some(x)) => match self.random.below(8) {
                0..4 => Some(x),
                4 => Some(Vec::new()),
                5 => x.last().map(|d| vec![*d]),
                6 if x.len() > 2 => Some([&[x[1]][..], &vec![1; x.len() - 2]].concat()),
                _ => None,
            },
            ("transpose" | "slice" | "concat", 0, _) => {
                let rank = self.random.pick(&[2, 2, 3, 4]);
                Some(outer.dims.clone().filter(|d| !d.is_empty()).unwrap_or_else(|| self.shape(rank)))
            }
            _ => outer.dims.clone(),
        };
        let dtype = match (op, at) {
            ("not" | "and" | "or" | "xor", _) | ("where", 0) => DType::Bool,
            ("gather", 1) => DType::I64,
            _ => outer.dtype.unwrap_or(DType::F32),
        };
        Hint { dims, dtype: Some(dtype) }
    }

    fn attributes(
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
            rest = super::super::attributes::canonical(op, rest, dims.len());
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
                shape.iter_mut().filter(|d| **d == 1).for_each(|d| *d = self.random.pick(&[1, 3]));
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
                    1 => i64::from(kernel.last().is_some_and(|k| *k == 3)),
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
            ("conv", "group") => Attr::Int(1),
            ("max_pool", "kernel") => {
                Attr::Ints((0..spatial).map(|_| self.random.pick(&[1, 2, 3])).collect())
            }
            ("max_pool", "pads") => Attr::Exprs(vec![Expr::from(0); 2 * spatial]),
            (_, "epsilon") => Attr::Float(1e-5),
            (_, "alpha") => Attr::Float(1.0),
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
