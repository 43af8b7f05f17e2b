//! Random instances of a pattern: tiny shapes, random attributes, and leaves. Some leaves are weights and
//! some are uniform.

mod attributes;

pub(crate) use super::random::Random;

use egg::Id;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    dtype::DType,
    tensor::{Element, Tensor, push_element},
    types::TensorType,
};
use mlcc_rewriting::{
    facts::{self, Classes, Known, Leaf},
    instantiate::n_ary,
    rule::{Binding, Bindings, Pattern, Rule},
    term::{Head, Term, special},
};

/// The wish for a leaf at a place, so that the operator around it may accept it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hint {
    dims: Option<Vec<i64>>,
    dtype: Option<DType>,
}

/// A pattern's instance under construction.
pub(crate) struct Sampler<'a> {
    pub(crate) classes: Classes,
    pub(crate) bindings: Bindings,
    /// Rules whose left sides may replace leaves, and the depth that such nesting may still have.
    pub(super) nested: (&'a [Rule], usize),
    /// Element type of tensors of numbers.
    pub(super) dtype: DType,
    /// Sizes that dimensions may have.
    pub(super) sizes: &'static [i64],
    random: &'a mut Random,
}

/// Sizes of dimensions: one, odd, unequal.
const SIZES: &[i64] = &[1, 2, 3, 3, 5];
/// Sizes with so few elements that all values can be tried.
pub(super) const TINY: &[i64] = &[1, 1, 1, 2];
/// Numbers for leaves whose elements are all the same.
const UNIFORM: &[f64] =
    &[0.5, 1.0, 2.0, -1.0, 3.0, 0.0, 0.5, 1.0, 2.0, -1.0, 3.0, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY];

impl<'a> Sampler<'a> {
    pub(crate) fn new(random: &'a mut Random) -> Sampler<'a> {
        Sampler {
            classes: Classes::new(Known::default()),
            bindings: Bindings::default(),
            nested: (&[], 0),
            dtype: DType::F32,
            sizes: SIZES,
            random,
        }
    }

    /// An instance of a pattern; `None` if the choices do not fit.
    pub(crate) fn build(&mut self, pattern: &Pattern, hint: Hint) -> Option<Id> {
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
                // Mostly a scalar; sometimes as large as the surrounding tensor, or with more dimensions.
                let around = hint.dims.unwrap_or_default();
                let dims = match self.random.below(8) {
                    0 => around,
                    1 => [&[1][..], &around].concat(),
                    _ => Vec::new(),
                };
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
                        items.push(self.leaf(Hint { dims: first, dtype: Some(self.dtype) })?);
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
        (0..rank).map(|_| self.random.pick(self.sizes)).collect()
    }

    /// A left side of another rule, with variables of its own, if it fits; otherwise a leaf.
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
                    TensorType::of(hint.dtype.unwrap_or(self.dtype), hint.dims.as_deref().unwrap_or(&[]));
                ty.dtype == wanted.dtype && (hint.dims.is_none() || ty.dims == wanted.dims)
            };
            if let Some(id) = inner.filter(fits) {
                return Some(id);
            }
        }
        self.plain_leaf(hint)
    }

    fn plain_leaf(&mut self, hint: Hint) -> Option<Id> {
        let dtype = hint.dtype.unwrap_or(self.dtype);
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
        let is_uniform = dtype.is_float() && self.random.below(3) == 0;
        let uniform = is_uniform.then(|| self.random.pick(UNIFORM));
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
        // Only for floats do facts say that all elements are one number.
        let dtype = Some(self.dtype).filter(|d| d.is_float())?;
        let mut data = Vec::new();
        (0..dims.iter().product::<i64>()).for_each(|_| push_element(dtype, &mut data, Element::Float(value)));
        facts::add_constant(&mut self.classes, Tensor::new(dtype, dims.to_vec(), data.into())?)
    }

    /// The wish for operand `at` of an operator, given the operands before it.
    fn hint(&mut self, op: &str, at: usize, places: &[Option<Id>], outer: &Hint) -> Hint {
        let first = places.first().copied().flatten().map(|id| self.dims(id));
        let dims = match (op, at, first) {
            ("conv" | "max_pool", 0, _) => Some(self.image()),
            ("conv", 1, Some(x)) => Some(self.kernel(&x)),
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
                b.extend([a[a.len() - 1], self.random.pick(self.sizes)]);
                Some(b)
            }
            ("instance_norm", 0, _) => Some(self.shape(3)),
            ("instance_norm", _, Some(x)) => x.get(1).map(|d| vec![*d]),
            ("layer_norm" | "rms_norm" | "softmax", 0, _) => {
                let rank = self.random.pick(&[1, 2, 3]);
                Some(outer.dims.clone().unwrap_or_else(|| self.shape(rank)))
            }
            ("layer_norm" | "rms_norm", _, Some(x)) => x.last().map(|d| vec![*d]),
            ("clip", 1.., _) => Some(Vec::new()),
            ("rotary_embedding", 0, _) => {
                let rank = self.random.pick(&[1, 2, 3]);
                let mut dims =
                    outer.dims.clone().filter(|d| !d.is_empty()).unwrap_or_else(|| self.shape(rank));
                if let Some(last) = dims.last_mut() {
                    *last = self.random.pick(&[2, 4, 6, 7]);
                }
                Some(dims)
            }
            ("rotary_embedding", _, Some(x)) => x.split_last().map(|(features, rows)| {
                let width = self.random.pick(&[1, features / 2, features / 2, features / 2, *features]);
                let rows = if self.random.below(2) == 0 { rows } else { &[] };
                [rows, &[width]].concat()
            }),
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
            _ => outer.dtype.unwrap_or(self.dtype),
        };
        Hint { dims, dtype: Some(dtype) }
    }

    /// Dimensions of the image of a convolution.
    fn image(&mut self) -> Vec<i64> {
        let spatial: &[i64] = match self.random.below(8) {
            0 => &[4, 4],
            1 => &[3, 5],
            2 => &[1, 4],
            3 => &[5],
            _ => &[5, 4],
        };
        [&[self.random.pick(&[1, 2]), self.random.pick(&[1, 2, 3, 4])], spatial].concat()
    }

    /// Dimensions of weights for an image: one or several groups, and kernels that may be square.
    fn kernel(&mut self, image: &[i64]) -> Vec<i64> {
        let channels = image.get(1).copied().unwrap_or(1);
        let group = self.random.pick(&[1, 1, 1, 2, channels]);
        let group = if group > 0 && channels % group == 0 { group } else { 1 };
        let outputs = group * self.random.pick(&[1, 2, 3, channels / group]);
        let size = self.random.pick(&[1, 1, 3, 3, 2]);
        let mut dims = vec![outputs, channels / group];
        dims.extend(vec![size; image.len().saturating_sub(2)]);
        if self.random.below(5) == 0
            && let Some(last) = dims.get_mut(3)
        {
            *last = self.random.pick(&[1, 2, 3]);
        }
        dims
    }
}
