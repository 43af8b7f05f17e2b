//! One dimension of a resize: the position in the operand for each element of the result.
//!
//! If the scale is a quotient of integers, as for every resize to given sizes, positions are quotients of
//! integers too. The nearest element is then found without rounding. A rounded scale would choose the wrong
//! element for one pair of sizes in fifty.

use super::{
    super::{
        sampling::{POSITION, Tap, clamped_index, cubic_weight, linear_weight},
        scalars::Scalars,
    },
    Filter,
};
use mlcc_ir::{
    expr::{Expr, Interval},
    scalar::{self, BinaryOp, Predicate, UnaryOp},
};

/// Result's size by operand's size.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scale {
    /// A quotient of integers.
    Ratio {
        /// The dividend.
        to: Expr,
        /// The divisor.
        from: Expr,
    },
    /// Any other number: single precision, as ONNX gives it.
    Float(f64),
}

impl Scale {
    /// The quotient of two sizes.
    pub(super) fn of_sizes(to: &Expr, from: &Expr) -> Scale {
        let times = |a: &Expr, b: &Expr| {
            let quotient = Expr::from(a.floor_div(b).as_const().filter(|&q| q > 0)?);
            (b.clone() * quotient.clone() == *a).then_some(quotient)
        };
        let (to, from) = match (times(to, from), times(from, to)) {
            (Some(factor), _) => (factor, Expr::from(1)),
            (None, Some(factor)) => (Expr::from(1), factor),
            (None, None) => (to.clone(), from.clone()),
        };
        Scale::Ratio { to, from }
    }

    /// A scale given by the model: a quotient if small numbers express it.
    pub(super) fn given(scale: f64) -> Scale {
        const SMALL: f64 = 4096.0;
        let mut divisor = 1.0;
        while (scale * divisor).fract() != 0.0 && divisor < SMALL {
            divisor *= 2.0;
        }
        let dividend = scale * divisor;
        match dividend.fract() == 0.0 && (1.0..=SMALL).contains(&dividend) {
            true => Scale::Ratio { to: Expr::from(dividend as i64), from: Expr::from(divisor as i64) },
            false => Scale::Float(scale),
        }
    }

    /// The scale as a number; `None` if only a run knows it.
    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Scale::Float(scale) => Some(*scale),
            Scale::Ratio { to, from } => Some(to.as_const()? as f64 / from.as_const()? as f64),
        }
    }
}

/// One dimension of a resize.
pub(super) struct Dimension<'a> {
    /// Position in the result.
    pub(super) at: Expr,
    /// Sizes of the operand and the result.
    pub(super) from: &'a Expr,
    pub(super) to: &'a Expr,
    pub(super) scale: Scale,
    pub(super) coordinates: &'a str,
    /// Start and end of the region of interest, as parts of the operand.
    pub(super) region: (f64, f64),
}

impl Dimension<'_> {
    /// Whether the elements stay where they are.
    pub(super) fn is_kept(&self) -> bool {
        let unscaled = match &self.scale {
            Scale::Ratio { to, from } => to == from,
            Scale::Float(scale) => *scale == 1.0,
        };
        unscaled && self.from == self.to && self.coordinates != "tf_crop_and_resize"
    }

    /// Whether the scale is exactly the quotient of the sizes.
    fn fits(&self) -> bool {
        match &self.scale {
            Scale::Ratio { to, from } => self.to.clone() * from.clone() == to.clone() * self.from.clone(),
            Scale::Float(_) => false,
        }
    }

    /// The position in the operand as dividend and divisor, if it is a quotient of integers.
    fn quotient(&self) -> Option<(Expr, Expr)> {
        let Scale::Ratio { to, from } = &self.scale else { return None };
        let (one, two) = (Expr::from(1), Expr::from(2));
        let (size, whole, x) = (self.from.clone(), self.to.clone(), self.at.clone());
        let centre = x.clone() * two.clone() + one.clone();
        let twice = to.clone() * two;
        let half_pixel = centre.clone() * from.clone() - to.clone();
        Some(match self.coordinates {
            "tf_crop_and_resize" => return None,
            "asymmetric" => (x * from.clone(), to.clone()),
            "tf_half_pixel_for_nn" => {
                // Elements stay in place if the sizes turn out to be equal.
                let apart = (to.clone() - from.clone()).maximum(&(from.clone() - to.clone())).minimum(&one);
                ((centre - one + apart) * from.clone(), twice)
            }
            "align_corners" => {
                let (steps, by) = match self.fits() {
                    true => (whole - one.clone(), one.clone()),
                    false => (to.clone() * size.clone() - from.clone(), from.clone()),
                };
                // A result of one element is the first one.
                (x * (size - one.clone()) * by, steps.maximum(&one))
            }
            "half_pixel_symmetric" if !self.fits() => {
                ((centre - whole) * from.clone() + (size - one) * to.clone(), twice)
            }
            "pytorch_half_pixel" => (half_pixel * (whole - one.clone()).minimum(&one), twice),
            _ => (half_pixel, twice),
        })
    }

    /// The position in the operand, a float.
    pub(super) fn position(&self, s: &mut Scalars) -> scalar::ValueId {
        if let Some((dividend, divisor)) = self.quotient() {
            let dividend = s.index_as(dividend, POSITION);
            if divisor.is(1) {
                return dividend;
            }
            let divisor = s.index_as(divisor, POSITION);
            return s.div(dividend, divisor);
        }
        match self.scale {
            Scale::Float(scale) if self.coordinates != "tf_crop_and_resize" => self.scaled(s, scale),
            _ => self.cropped(s),
        }
    }

    /// The position under a scale that is no quotient.
    fn scaled(&self, s: &mut Scalars, scale: f64) -> scalar::ValueId {
        let x = s.index_as(self.at.clone(), POSITION);
        let by = s.float_like(x, scale);
        let half_pixel = |s: &mut Scalars| {
            let centre = s.add_float(x, 0.5);
            s.div(centre, by)
        };
        match self.coordinates {
            "asymmetric" => s.div(x, by),
            "tf_half_pixel_for_nn" => half_pixel(s),
            "align_corners" => {
                let size = s.index_as(self.from.clone(), POSITION);
                let last = s.add_float(size, -1.0);
                let way = s.mul(x, last);
                let length = s.mul_float(size, scale);
                let steps = s.add_float(length, -1.0);
                let spread = s.div(way, steps);
                let (zero, one) = (s.float_like(x, 0.0), s.float_like(x, 1.0));
                let is_single = s.compare(Predicate::Eq, length, one);
                s.select(is_single, zero, spread)
            }
            "half_pixel_symmetric" => {
                // From the middle of the operand.
                let two = Expr::from(2);
                let steps = self.at.clone() * two.clone() + Expr::from(1) - self.to.clone();
                let steps = s.index_as(steps, POSITION);
                let way = s.mul_float(steps, 0.5);
                let way = s.div(way, by);
                let last = s.index_as(self.from.clone() - Expr::from(1), POSITION);
                let middle = s.mul_float(last, 0.5);
                s.add(middle, way)
            }
            _ => {
                let v = half_pixel(s);
                let v = s.add_float(v, -0.5);
                if self.coordinates != "pytorch_half_pixel" {
                    return v;
                }
                let (zero, one) = (s.float_like(x, 0.0), s.float_like(x, 1.0));
                let whole = s.index_as(self.to.clone(), POSITION);
                let is_single = s.compare(Predicate::Eq, whole, one);
                s.select(is_single, zero, v)
            }
        }
    }

    /// The position in the region of interest.
    fn cropped(&self, s: &mut Scalars) -> scalar::ValueId {
        let (start, end) = self.region;
        let x = s.index_as(self.at.clone(), POSITION);
        let last = s.index_as(self.from.clone() - Expr::from(1), POSITION);
        let extent = s.mul_float(last, end - start);
        let way = s.mul(x, extent);
        let steps = s.index_as(self.to.clone() - Expr::from(1), POSITION);
        let spread = s.div(way, steps);
        let single = s.mul_float(extent, 0.5);
        let zero = s.float_like(steps, 0.0);
        let is_single = s.compare(Predicate::Eq, steps, zero);
        let v = s.select(is_single, single, spread);
        let offset = s.mul_float(last, start);
        s.add(v, offset)
    }

    /// The nearest element.
    pub(super) fn nearest(&self, s: &mut Scalars, rounding: &str) -> Tap {
        let index = match self.quotient() {
            Some((dividend, divisor)) => self.nearest_quotient(s, &dividend, &divisor, rounding),
            None => {
                let x = self.position(s);
                let rounded = self.rounded(s, x, rounding);
                Expr::value(clamped_index(s, rounded, self.from))
            }
        };
        Tap { index, weight: None }
    }

    /// A quotient rounded to an index that is in bounds.
    fn nearest_quotient(&self, s: &mut Scalars, dividend: &Expr, divisor: &Expr, rounding: &str) -> Expr {
        let (twice, two_divisors) = (dividend.clone() * Expr::from(2), divisor.clone() * Expr::from(2));
        let rounding = match rounding {
            "simple" => self.simple(),
            other => Some(other),
        };
        let index = match rounding {
            Some("floor") => dividend.floor_div(divisor),
            Some("ceil") => dividend.ceil_div(divisor),
            Some("round_prefer_ceil") => (twice + divisor.clone()).floor_div(&two_divisors),
            Some(_) => (twice - divisor.clone()).ceil_div(&two_divisors),
            None => {
                let (from, to) = (s.index(self.from.clone()), s.index(self.to.clone()));
                let shrinks = s.compare(Predicate::Lt, to, from);
                let up = s.index(dividend.ceil_div(divisor));
                let down = s.index(dividend.floor_div(divisor));
                Expr::value(s.select(shrinks, up, down))
            }
        };
        self.in_bounds(index, rounding)
    }

    /// An index limited to the operand, unless its computation already keeps it inside.
    fn in_bounds(&self, index: Expr, rounding: Option<&str>) -> Expr {
        let rounds = rounding.is_some_and(|r| r.starts_with("round"));
        let (down, up) = (rounding == Some("floor"), rounding == Some("ceil"));
        let fits = self.fits();
        let (from_start, to_end) = match self.coordinates {
            "align_corners" => (true, fits),
            "asymmetric" | "tf_half_pixel_for_nn" => (true, fits && down),
            // Positions are above -1/2, and below the last one and a half.
            "half_pixel_symmetric" if !fits => (false, false),
            _ => (rounds || up, fits && (rounds || down)),
        };
        let index = if from_start { index } else { index.maximum(&Expr::from(0)) };
        let last = self.from.clone() - Expr::from(1);
        let index = if to_end { index } else { index.minimum(&last) };
        let high = self.to.as_const().map(|n| n - 1);
        index.simplify(&|_| Interval { low: Some(0), high })
    }

    fn rounded(&self, s: &mut Scalars, x: scalar::ValueId, rounding: &str) -> scalar::ValueId {
        match rounding {
            "floor" => s.unary(UnaryOp::Floor, x),
            "ceil" => s.unary(UnaryOp::Ceil, x),
            "simple" => {
                let (down, up) = (s.unary(UnaryOp::Floor, x), s.unary(UnaryOp::Ceil, x));
                match self.simple() {
                    Some("ceil") => up,
                    _ => down,
                }
            }
            "round_prefer_ceil" => {
                let v = s.add_float(x, 0.5);
                s.unary(UnaryOp::Floor, v)
            }
            _ => {
                let v = s.add_float(x, -0.5);
                s.unary(UnaryOp::Ceil, v)
            }
        }
    }

    /// The direction of `simple` rounding: up where elements are dropped, down where they are repeated.
    fn simple(&self) -> Option<&'static str> {
        self.scale.as_float().map(|scale| if scale < 1.0 { "ceil" } else { "floor" })
    }

    /// The elements around the position with their weights. Elements outside may be excluded.
    pub(super) fn taps(&self, s: &mut Scalars, filter: Filter, exclude_outside: bool) -> Vec<Tap> {
        let x = self.position(s);
        let base = s.unary(UnaryOp::Floor, x);
        let fraction = s.sub(x, base);
        let offsets = if filter == Filter::Linear { 0..=1 } else { -1..=2 };
        let mut taps = Vec::new();
        let mut total = None;
        for offset in offsets {
            let position = s.add_float(base, f64::from(offset));
            let minus = s.unary(UnaryOp::Neg, fraction);
            let distance = s.add_float(minus, f64::from(offset));
            let mut weight = filter.weight(s, distance);
            if exclude_outside {
                weight = self.inside_or_zero(s, position, weight);
                total = Some(total.map_or(weight, |t| s.add(t, weight)));
            }
            let index = Expr::value(clamped_index(s, position, self.from));
            taps.push(Tap { index, weight: Some(weight) });
        }
        if let Some(total) = total {
            for tap in &mut taps {
                tap.weight = tap.weight.map(|w| s.div(w, total));
            }
        }
        taps
    }

    /// `weight`, or 0 for a position outside the operand.
    pub(super) fn inside_or_zero(
        &self,
        s: &mut Scalars,
        position: scalar::ValueId,
        weight: scalar::ValueId,
    ) -> scalar::ValueId {
        let zero = s.float_like(weight, 0.0);
        let size = s.index_as(self.from.clone(), POSITION);
        let after = s.compare(Predicate::Ge, position, zero);
        let before = s.compare(Predicate::Lt, position, size);
        let inside = s.binary(BinaryOp::And, after, before);
        s.select(inside, weight, zero)
    }
}

impl Filter {
    pub(super) fn weight(self, s: &mut Scalars, distance: scalar::ValueId) -> scalar::ValueId {
        match self {
            Filter::Cubic(a) => cubic_weight(s, distance, a),
            _ => linear_weight(s, distance),
        }
    }
}
