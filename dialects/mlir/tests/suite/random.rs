//! Random choices with a fixed seed, and random values of the levels.

use mlcc_ir::{
    attributes::{Attr, Attrs},
    dtype::DType,
    expr::Expr,
    size_range::SizeRange,
    tensor::{Element, Tensor, push_element},
    types::{Layout, TensorType},
};
use mlcc_mlir::operators::Attribute;

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.next() >> 33) as usize) % n
    }

    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// A range that excludes some size.
    pub(crate) fn size_range(&mut self) -> SizeRange {
        let (low, multiple) = (self.below(100) as i64, 2 + self.below(20) as i64);
        SizeRange { low, high: self.chance().then_some(low + 100), multiple }
    }

    pub(crate) fn chance(&mut self) -> bool {
        self.below(2) == 0
    }

    /// A name with characters that are difficult for text forms.
    pub(crate) fn name(&mut self) -> String {
        let odd = [
            "/conv1/Conv_output_0",
            "x",
            "a b",
            "quote\"back\\slash",
            "é€",
            "new\nline",
            "7",
            "%i",
            "@k",
            "f32",
        ];
        format!("{}{}", self.pick(&odd), self.below(1000))
    }

    /// An expression over symbols.
    pub(crate) fn expr(&mut self, depth: usize) -> Expr {
        let n = Expr::from(self.below(9) as i64 + 1);
        if depth == 0 {
            return if self.chance() {
                n
            } else {
                Expr::symbol(self.pick(&["batch", "n", "h.o", "f32", "to"]))
            };
        }
        let (a, b) = (self.expr(depth - 1), self.expr(depth - 1));
        match self.below(7) {
            0 => a + b,
            1 => a * b,
            2 => a - b,
            3 => a.floor_div(&n),
            4 => a.modulo(&n),
            5 => a.minimum(&b),
            _ => a.maximum(&b),
        }
    }

    pub(crate) fn ty(&mut self) -> TensorType {
        let dims: Vec<Expr> = (0..self.below(4)).map(|_| self.expr(self.0 as usize % 3)).collect();
        let mut ty = TensorType::new(self.pick(&DType::ALL), dims);
        if ty.rank() > 0 && self.below(4) == 0 {
            let d = self.below(ty.rank());
            ty.layout = Layout::Blocked(vec![(d, 8)]);
        }
        ty
    }

    pub(crate) fn float(&mut self) -> f64 {
        let bits = f64::from_bits(self.next());
        self.pick(&[0.0, -0.0, 1.5, 0.1, f64::INFINITY, f64::NEG_INFINITY, bits])
    }

    pub(crate) fn tensor(&mut self, large: bool) -> Tensor {
        let dims: Vec<i64> = if large {
            vec![3, 5, 1 + self.below(7) as i64 + 5]
        } else {
            (0..self.below(3)).map(|_| self.below(4) as i64).collect()
        };
        let dtype = self.pick(&DType::ALL);
        let mut data = Vec::new();
        for _ in 0..dims.iter().product::<i64>() {
            let float = self.float();
            let float = if float.is_nan() { 2.5 } else { float };
            let value =
                if dtype.is_float() { Element::Float(float) } else { Element::Int(self.next() as i64) };
            push_element(dtype, &mut data, value);
        }
        Tensor::new(dtype, dims, data.into()).expect("as many elements as dimensions say")
    }

    /// Values for attributes that the dialect declares.
    pub(crate) fn attrs(&mut self, declared: &[Attribute]) -> Attrs {
        let mut attrs = Attrs::new();
        for attribute in declared {
            if !attribute.optional || self.chance() {
                attrs = attrs.with(attribute.name, self.attr(attribute.kind));
            }
        }
        attrs
    }

    fn attr(&mut self, kind: &str) -> Attr {
        let count = self.below(4);
        match kind {
            "BoolAttr" => Attr::Bool(self.chance()),
            "I64Attr" => Attr::Int(self.next() as i64),
            "F64Attr" => Attr::Float(self.float()),
            "StrAttr" => Attr::Str(self.name().into()),
            "TypeAttr" => Attr::DType(self.pick(&DType::ALL)),
            "DenseI64ArrayAttr" => Attr::Ints((0..count).map(|_| self.next() as i64).collect()),
            "F64ArrayAttr" => Attr::Floats((0..count).map(|_| self.float()).collect()),
            "Graph_ExprsAttr" if self.below(4) == 0 => {
                Attr::Ints((0..count + 1).map(|_| self.below(9) as i64 - 4).collect())
            }
            "Graph_ExprsAttr" => Attr::Exprs((0..count).map(|_| self.expr(2)).collect()),
            other => panic!("no random values for {other}"),
        }
    }
}
