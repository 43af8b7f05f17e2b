//! Values of tests: dtype, shape and little-endian bytes.

/// The element types that tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// `float32`
    F32,
    /// `float64`
    F64,
    /// `int32`
    I32,
    /// `int64`
    I64,
    /// `uint8`
    U8,
    /// `bool`, a byte of 0 or 1
    Bool,
}

impl DType {
    /// Bytes per element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::U8 | Self::Bool => 1,
        }
    }
}

/// A dense value in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    /// Little-endian, as both ONNX and NumPy's files have them.
    bytes: Vec<u8>,
}

impl Tensor {
    /// A value from its parts; none where the number of bytes is not that of the shape.
    #[must_use]
    pub fn new(dtype: DType, shape: &[usize], bytes: Vec<u8>) -> Option<Self> {
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size))?;
        (count.checked_mul(dtype.size())? == bytes.len()).then(|| Self {
            dtype,
            shape: shape.to_vec(),
            bytes,
        })
    }

    /// A value of `f32` elements.
    ///
    /// # Panics
    /// Where their number is not that of the shape.
    #[must_use]
    pub fn f32(shape: &[usize], values: impl IntoIterator<Item = f32>) -> Self {
        Self::collect(DType::F32, shape, values.into_iter().map(f32::to_le_bytes))
    }

    /// A value of `i64` elements.
    ///
    /// # Panics
    /// Where their number is not that of the shape.
    #[must_use]
    pub fn i64(shape: &[usize], values: impl IntoIterator<Item = i64>) -> Self {
        Self::collect(DType::I64, shape, values.into_iter().map(i64::to_le_bytes))
    }

    fn collect<const N: usize>(dtype: DType, shape: &[usize], values: impl Iterator<Item = [u8; N]>) -> Self {
        let bytes: Vec<u8> = values.flatten().collect();
        let count = bytes.len() / N;
        Self::new(dtype, shape, bytes).unwrap_or_else(|| panic!("{count} values for the shape {shape:?}"))
    }

    /// Random elements that the seed decides: floats in [-1, 1), integers in [-8, 8) (unsigned in [0, 16)),
    /// bits.
    ///
    /// # Panics
    /// Where the shape has more elements than memory has bytes.
    #[must_use]
    pub fn random(dtype: DType, shape: &[usize], seed: u64) -> Self {
        let count: usize = shape.iter().product();
        let mut random = SplitMix(seed);
        let mut bytes = Vec::with_capacity(count * dtype.size());
        for _ in 0..count {
            let bits = random.next();
            // The upper bits of a word, as the lower ones of a product are the weaker ones.
            let small = (bits >> 60) as u8;
            let unit = (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
            match dtype {
                DType::F32 => bytes.extend((((bits >> 40) as f32) / (1u32 << 23) as f32 - 1.0).to_le_bytes()),
                DType::F64 => bytes.extend(unit.to_le_bytes()),
                DType::I32 => bytes.extend((i32::from(small) - 8).to_le_bytes()),
                DType::I64 => bytes.extend((i64::from(small) - 8).to_le_bytes()),
                DType::U8 => bytes.push(small),
                DType::Bool => bytes.push(small & 1),
            }
        }
        Self { dtype, shape: shape.to_vec(), bytes }
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The sizes of the dimensions.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements as they lie in memory, little-endian.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The elements as `f64`; an `i64` beyond 2^53 is rounded.
    #[must_use]
    pub fn to_f64(&self) -> Vec<f64> {
        /// Reads elements of N bytes.
        fn read<const N: usize>(bytes: &[u8], element: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            bytes.as_chunks().0.iter().map(|&chunk| element(chunk)).collect()
        }
        match self.dtype {
            DType::F32 => read(&self.bytes, |bytes| f64::from(f32::from_le_bytes(bytes))),
            DType::F64 => read(&self.bytes, f64::from_le_bytes),
            DType::I32 => read(&self.bytes, |bytes| f64::from(i32::from_le_bytes(bytes))),
            DType::I64 => read(&self.bytes, |bytes| i64::from_le_bytes(bytes) as f64),
            DType::U8 | DType::Bool => self.bytes.iter().map(|&byte| f64::from(byte)).collect(),
        }
    }

    /// The norm of the difference over the norm of `want`; NaN where either holds one.
    ///
    /// # Errors
    /// Where dtype or shape differ: then there is no error to speak of.
    pub fn relative_error(&self, want: &Self) -> Result<f64, String> {
        if (self.dtype, &self.shape) != (want.dtype, &want.shape) {
            return Err(format!(
                "got {:?}{:?}, expected {:?}{:?}",
                self.dtype, self.shape, want.dtype, want.shape
            ));
        }
        let (got, want) = (self.to_f64(), want.to_f64());
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
        let difference = norm(&mut got.iter().zip(&want).map(|(got, want)| got - want));
        let size = norm(&mut want.iter().copied());
        // Zero against zero is right, and anything else against zero is as wrong as it is large.
        Ok(if difference == 0.0 { 0.0 } else { difference / size.max(1e-300) })
    }
}

/// Steele, Lea and Flood's SplitMix64: small, seeded by any number, the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_values_fill_their_range() {
        for (dtype, low, high) in [
            (DType::F32, -1.0, 1.0),
            (DType::F64, -1.0, 1.0),
            (DType::I32, -8.0, 7.0),
            (DType::I64, -8.0, 7.0),
            (DType::U8, 0.0, 15.0),
            (DType::Bool, 0.0, 1.0),
        ] {
            let values = Tensor::random(dtype, &[999], 1).to_f64();
            let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), &x| (a.min(x), b.max(x)));
            assert!(least >= low && most <= high, "{dtype:?}: {least} to {most}");
            assert!(least < low + 0.05 && most > high - 0.05, "{dtype:?}: {least} to {most}");
            let mean = values.iter().sum::<f64>() / 999.0;
            assert!((mean - (low + high) / 2.0).abs() < 0.1 * (high - low), "{dtype:?}: mean {mean}");
        }
    }

    #[test]
    fn the_seed_decides() {
        let draw = |seed| Tensor::random(DType::F32, &[5, 7], seed);
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn the_error_is_relative_and_in_norm() {
        let want = Tensor::f32(&[2], [3.0, 4.0]);
        let error = |values| Tensor::f32(&[2], values).relative_error(&want).unwrap();
        assert_eq!(error([3.0, 4.0]), 0.0);
        assert_eq!(error([3.0, 4.5]), 0.1);
        assert!(error([f32::NAN, 4.0]).is_nan());
        assert!(Tensor::f32(&[1, 2], [3.0, 4.0]).relative_error(&want).is_err());
        assert!(Tensor::i64(&[2], [3, 4]).relative_error(&want).is_err());
        let zero = Tensor::f32(&[2], [0.0, 0.0]);
        assert_eq!(zero.relative_error(&zero), Ok(0.0));
        assert!(want.relative_error(&zero).unwrap() > 1e100);
    }

    #[test]
    fn a_value_has_the_bytes_of_its_shape() {
        assert!(Tensor::new(DType::F32, &[2, 3], vec![0; 24]).is_some());
        assert!(Tensor::new(DType::F32, &[2, 3], vec![0; 23]).is_none());
        assert!(Tensor::new(DType::F32, &[usize::MAX, 2], vec![]).is_none());
    }
}
