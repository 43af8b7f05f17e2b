//! Factors of a product: elements, and the steps applied to them before the multiplication.

use crate::{
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind},
    scalar::{BinaryOp, Body, Constant, Inst, ValueId},
};

/// One side of a multiplication.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor<'a> {
    /// The instruction whose value is multiplied.
    pub value: ValueId,
    /// The element from which the factor is made; `None` if it is computed otherwise, from several elements or none.
    pub element: Option<Element<'a>>,
    /// The steps, in order, that turn the element into the factor. Without an element they start at the value computed
    /// otherwise.
    pub steps: Vec<Step>,
    /// Whether it depends on each of the product's axes.
    pub(super) axes: Vec<bool>,
}

/// A read of a tensor, or of a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Element<'a> {
    /// The instruction that reads it.
    pub at: ValueId,
    /// The tensor or buffer.
    pub tensor: usize,
    /// Its type.
    pub dtype: DType,
    /// Where it lies.
    pub index: &'a [Expr],
    /// The value that replaces the element if the index is out of bounds; `None` if the index never is.
    pub outside: Option<Constant>,
}

/// An instruction that keeps a factor, or a product, in proportion to its former value, apart from a zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It becomes this type.
    Cast(DType),
    /// A zero point is subtracted: a constant, or an element shared by several values.
    Minus(ValueId),
    /// It is multiplied with a scale: a constant, or an element shared by several values.
    Times(ValueId),
    /// It is 0 where a condition holds.
    ZeroWhere(ValueId),
}

impl<'a> Factor<'a> {
    /// The element, if it is multiplied as it is read.
    #[must_use]
    pub fn as_read(&self) -> Option<&Element<'a>> {
        self.element.as_ref().filter(|_| self.steps.is_empty())
    }

    /// Whether the last step of the factor is the read of its element, or a cast.
    #[must_use]
    pub fn is_read_or_cast(&self) -> bool {
        match self.steps.last() {
            None => self.element.is_some(),
            Some(step) => matches!(step, Step::Cast(_)),
        }
    }

    /// The zero point that is subtracted last, and the scale.
    #[must_use]
    pub fn quantisation(&self) -> (Option<ValueId>, Option<ValueId>) {
        let last = |of: fn(&Step) -> Option<ValueId>| self.steps.iter().rev().find_map(of);
        let zero_point = last(|s| if let Step::Minus(v) = s { Some(*v) } else { None });
        (zero_point, last(|s| if let Step::Times(v) = s { Some(*v) } else { None }))
    }

    pub(super) fn is_zero_outside(&self, body: &Body) -> bool {
        let Some(element) = &self.element else { return false };
        let Some(outside) = element.outside else { return true };
        // A cast keeps a value that is equal to its zero point, because the zero point has the type to which the value
        // is cast.
        let value = self.steps.iter().try_fold(number(outside), |value, step| match step {
            Step::Minus(zero) => Some(value - number(constant(body, *zero)?)),
            Step::Times(_) if value != 0.0 => None,
            Step::Cast(_) | Step::Times(_) | Step::ZeroWhere(_) => Some(value),
        });
        value == Some(0.0)
    }
}

impl Element<'_> {
    /// Whether it is never out of bounds, or 0 there.
    #[must_use]
    pub fn is_padded_with_zero(&self) -> bool {
        self.outside.is_none_or(|c| c.bits == 0)
    }

    /// Whether its index depends on an axis.
    #[must_use]
    pub fn uses_axis(&self, axis: &str) -> bool {
        self.index.iter().any(|e| e.uses_axis(axis))
    }
}

fn number(constant: Constant) -> f64 {
    constant.element().to_f64()
}

/// The constant that a value is, whatever its type.
fn constant(body: &Body, value: ValueId) -> Option<Constant> {
    match body.insts.get(value as usize)?.0 {
        Inst::Const(c) => Some(c),
        Inst::Cast(a) => constant(body, a),
        _ => None,
    }
}

/// The axes on which the values of a body depend.
pub(super) struct Values<'b, 'a> {
    axes: &'b [Axis],
    body: &'a Body,
    /// For each instruction and axis, whether the value depends on it.
    depends: Vec<Vec<bool>>,
    /// The same, but only if neighbouring points of the axis have different elements.
    moves: Vec<Vec<bool>>,
}

impl<'b, 'a> Values<'b, 'a> {
    pub(super) fn of(axes: &'b [Axis], body: &'a Body) -> Values<'b, 'a> {
        let (mut depends, mut moves): (Vec<Vec<bool>>, Vec<Vec<bool>>) = (Vec::new(), Vec::new());
        for (inst, _) in &body.insts {
            let mut of_this = [vec![false; axes.len()], vec![false; axes.len()]];
            for (at, axis) in axes.iter().enumerate() {
                let of_index = |index: &[Expr]| {
                    let used = index.iter().filter(|e| e.uses_axis(&axis.name));
                    used.fold((false, false), |(_, moves), e| {
                        (true, moves || e.split_axis(&axis.name).is_some())
                    })
                };
                let of_expr = match inst {
                    Inst::Index(e) => of_index(std::slice::from_ref(e)),
                    Inst::Read { index, .. } => of_index(index),
                    _ => (false, false),
                };
                [of_this[0][at], of_this[1][at]] = [of_expr.0, of_expr.1];
            }
            inst.each_operand(&mut |v| {
                for (own, all) in of_this.iter_mut().zip([&depends, &moves]) {
                    let of = all.get(v as usize).into_iter().flatten();
                    own.iter_mut().zip(of).for_each(|(own, of)| *own |= of);
                }
            });
            let [d, m] = of_this;
            depends.push(d);
            moves.push(m);
        }
        Values { axes, body, depends, moves }
    }

    fn inst(&self, value: ValueId) -> Option<&'a Inst> {
        self.body.insts.get(value as usize).map(|(inst, _)| inst)
    }

    /// Whether a value is shared by several values of `other`: it is a constant, or it stays the same along an axis on
    /// which `other` moves.
    fn serves(&self, value: ValueId, other: ValueId) -> bool {
        let [v, o] = [value, other].map(|v| v as usize);
        let within = |v: &[bool], o: &[bool]| v.iter().zip(o).all(|(v, o)| !v || *o);
        self.is_constant(value) && !self.is_constant(other)
            || within(&self.depends[v], &self.depends[o])
                && within(&self.moves[v], &self.moves[o])
                && self.moves[v] != self.moves[o]
    }

    fn is_constant(&self, value: ValueId) -> bool {
        constant(self.body, value).is_some()
    }

    fn is_reduced(&self, value: ValueId) -> bool {
        let reduced = self.axes.iter().map(|a| a.kind == AxisKind::Reduction);
        self.depends[value as usize].iter().zip(reduced).any(|(depends, reduced)| *depends && reduced)
    }

    /// The last step of a value that keeps it in proportion, and the value before that step.
    fn step(&self, value: ValueId) -> Option<(Step, ValueId)> {
        match *self.inst(value)? {
            Inst::Cast(a) => Some((Step::Cast(self.body.dtype(value)), a)),
            Inst::Binary(BinaryOp::Sub, a, zero) if self.serves(zero, a) => Some((Step::Minus(zero), a)),
            Inst::Binary(BinaryOp::Mul, a, scale) if self.serves(scale, a) => Some((Step::Times(scale), a)),
            Inst::Binary(BinaryOp::Mul, scale, a) if self.serves(scale, a) => Some((Step::Times(scale), a)),
            Inst::Select(condition, zero, a) if self.is_zero(zero) => Some((Step::ZeroWhere(condition), a)),
            _ => None,
        }
    }

    fn is_zero(&self, value: ValueId) -> bool {
        matches!(self.inst(value), Some(Inst::Const(c)) if number(*c) == 0.0)
    }

    /// The multiplication that gives the body's value, and the steps applied to the product afterwards. It is the
    /// innermost multiplication without a constant; those around it are scales, as long as nothing is summed over them.
    pub(super) fn multiplication(&self) -> Option<(ValueId, Vec<Step>)> {
        let (mut value, mut behind) = (self.body.result, Vec::new());
        let mut found = None;
        loop {
            if matches!(self.inst(value), Some(Inst::Binary(BinaryOp::Mul, a, b)) if !self.is_constant(*a) && !self.is_constant(*b))
            {
                let mut steps = behind.clone();
                steps.reverse();
                found = Some((value, steps));
            }
            match self.step(value) {
                Some((Step::Minus(_), _)) | None => return found,
                Some((Step::Times(scale), _)) if self.is_reduced(scale) => return found,
                Some((step, before)) => {
                    behind.push(step);
                    value = before;
                }
            }
        }
    }

    /// The two factors of a multiplication.
    pub(super) fn factors(&self, at: ValueId) -> Option<[Factor<'a>; 2]> {
        match *self.inst(at)? {
            Inst::Binary(BinaryOp::Mul, a, b) => Some([self.factor(a), self.factor(b)]),
            _ => None,
        }
    }

    fn factor(&self, value: ValueId) -> Factor<'a> {
        let (mut at, mut steps) = (value, Vec::new());
        while let Some((step, before)) = self.step(at) {
            steps.push(step);
            at = before;
        }
        steps.reverse();
        let element = match self.inst(at) {
            Some(Inst::Read { tensor, index, outside }) => {
                let dtype = self.body.dtype(at);
                Some(Element { at, tensor: *tensor, dtype, index, outside: *outside })
            }
            _ => None,
        };
        Factor { value, element, steps, axes: self.depends[value as usize].clone() }
    }
}
