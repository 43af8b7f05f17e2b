//! Packs constant operands at compile time, into the layout that a kernel's schedule chose.

use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    nest::Packing,
    tensor::Tensor,
    types::row_major_strides,
};

/// The bytes of `source` rearranged: for every index of the target,
/// `target[p] = source[packing.index(p)]`, or 0 out of bounds.
///
/// If the index expressions are affine in the innermost axis, whole runs are copied.
pub(crate) fn pack(source: &Tensor, packing: &Packing, target_dims: &[i64]) -> Result<Vec<u8>> {
    let bad = |what: &str| Diagnostic::internal(format!("cannot pack an operand: {what}"));
    let source_dims: Vec<i64> = packing
        .source_dims
        .iter()
        .map(|d| d.as_const().ok_or_else(|| bad("its size is symbolic")))
        .collect::<Result<_>>()?;
    if mlcc_ir::tensor::element_count(&source_dims) != Some(source.elements()) {
        return Err(bad("the sizes disagree"));
    }
    let elements =
        mlcc_ir::tensor::element_count(target_dims).ok_or_else(|| bad("the packed size overflows"))?;
    let size = source.dtype.size();
    let mut packed = vec![0u8; elements * size];
    let strides: Vec<i64> = row_major_strides(&packing.source_dims)
        .iter()
        .map(|s| s.as_const().ok_or_else(|| bad("its strides are symbolic")))
        .collect::<Result<_>>()?;
    let Some((&run, outer)) = target_dims.split_last() else {
        packed.copy_from_slice(&source.data[..size]);
        return Ok(packed);
    };
    let inner = format!("p{}", outer.len());
    let split: Option<Vec<(i64, Expr)>> = packing
        .index
        .iter()
        .map(|e| e.split_axis(&inner).and_then(|(c, rest)| Some((c.as_const()?, rest))))
        .collect();
    let mut at = vec![0i64; outer.len()];
    let rows = mlcc_ir::tensor::element_count(outer).ok_or_else(|| bad("the packed size overflows"))?;
    for row in 0..rows {
        let line = &mut packed[row * run as usize * size..][..run as usize * size];
        let value = |p: i64| {
            let at = &at;
            move |atom: &Atom| match atom {
                Atom::Axis(name) => {
                    let d: usize = name.strip_prefix('p')?.parse().ok()?;
                    at.get(d).copied().or_else(|| (d == at.len()).then_some(p))
                }
                _ => None,
            }
        };
        match &split {
            Some(split) => {
                // index_d(p) = c_d * p + first_d, so offsets step by a constant.
                let mut first = Vec::with_capacity(split.len());
                for (_, rest) in split {
                    first.push(rest.evaluate(&value(0)).ok_or_else(|| bad("an index has no value"))?);
                }
                let (mut begin, mut end) = (0, run);
                for (((c, _), f), dim) in split.iter().zip(&first).zip(&source_dims) {
                    let (low, high) = valid_range(*c, *f, *dim);
                    begin = begin.max(low);
                    end = end.min(high);
                }
                let offset: i64 = first.iter().zip(&strides).map(|(f, s)| f * s).sum();
                let step: i64 = split.iter().zip(&strides).map(|((c, _), s)| c * s).sum();
                copy_run(line, &source.data, size, &Run { begin, end, offset, step });
            }
            None => {
                for p in 0..run {
                    let mut offset = Some(0);
                    for ((e, dim), stride) in packing.index.iter().zip(&source_dims).zip(&strides) {
                        let i = e.evaluate(&value(p)).ok_or_else(|| bad("an index has no value"))?;
                        offset = offset.filter(|_| (0..*dim).contains(&i)).map(|o| o + i * stride);
                    }
                    if let Some(offset) = offset {
                        copy_run(
                            line,
                            &source.data,
                            size,
                            &Run { begin: p, end: p + 1, offset: offset - p, step: 1 },
                        );
                    }
                }
            }
        }
        for (i, dim) in at.iter_mut().zip(outer).rev() {
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
    Ok(packed)
}

/// The `p` for which `0 <= c * p + f < dim`, as a half-open range.
fn valid_range(c: i64, f: i64, dim: i64) -> (i64, i64) {
    match c {
        0 if (0..dim).contains(&f) => (0, i64::MAX),
        0 => (0, 0),
        c if c > 0 => (div_up(-f, c).max(0), div_up(dim - f, c)),
        c => (div_up(f - dim + 1, -c).max(0), div_up(f + 1, -c)),
    }
}

fn div_up(a: i64, b: i64) -> i64 {
    -((-a).div_euclid(b))
}

/// Elements `begin..end` of a line; element `p` comes from `offset + p * step`.
struct Run {
    begin: i64,
    end: i64,
    offset: i64,
    step: i64,
}

fn copy_run(line: &mut [u8], source: &[u8], size: usize, run: &Run) {
    let &Run { begin, end, offset, step } = run;
    if begin >= end {
        return;
    }
    if step == 1 {
        let from = (offset + begin) as usize * size;
        let len = (end - begin) as usize * size;
        line[begin as usize * size..][..len].copy_from_slice(&source[from..from + len]);
        return;
    }
    for p in begin..end {
        let from = (offset + p * step) as usize * size;
        line[p as usize * size..][..size].copy_from_slice(&source[from..from + size]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source_dims: &[i64], target_dims: &[i64], index: &[&str]) {
        let elements: i64 = source_dims.iter().product();
        let values: Vec<f32> = (0..elements).map(|v| v as f32 + 1.0).collect();
        let source = Tensor::from_f32(source_dims, &values);
        let index: Vec<Expr> = index.iter().map(|e| e.parse().unwrap()).collect();
        let packing = Packing {
            target: 0,
            source_dims: source_dims.iter().map(|&d| Expr::from(d)).collect(),
            index: index.clone(),
        };
        let packed = Tensor::from_f32(target_dims, &vec![0.0; target_dims.iter().product::<i64>() as usize]);
        let packed = Tensor { data: pack(&source, &packing, target_dims).unwrap().into(), ..packed };
        for flat in 0..packed.elements() {
            let mut rest = flat as i64;
            let mut p = vec![0; target_dims.len()];
            for d in (0..target_dims.len()).rev() {
                p[d] = rest % target_dims[d];
                rest /= target_dims[d];
            }
            let at = |a: &Atom| match a {
                Atom::Axis(n) => Some(p[n[1..].parse::<usize>().unwrap()]),
                _ => None,
            };
            let mut want = Some(0);
            for (e, d) in index.iter().zip(source_dims) {
                let i = e.evaluate(&at).unwrap();
                want = want.filter(|_| i >= 0 && i < *d).map(|o| o * d + i);
            }
            let want = want.map_or(0.0, |o| values[o as usize]);
            assert_eq!(packed.to_f64()[flat], f64::from(want), "{target_dims:?} at {p:?}");
        }
    }

    #[test]
    fn packed_elements_are_where_the_index_says() {
        check(&[5, 7], &[2, 5, 4], &["%p1", "%p0 * 4 + %p2"]);
        check(&[7, 5], &[2, 5, 4], &["%p0 * 4 + %p2", "%p1"]);
        check(&[3, 4], &[4, 3], &["2 - %p1", "3 - %p0"]);
        check(&[6], &[4, 4], &["%p0 + %p1 * 2 - 1"]);
        check(&[4, 3], &[12], &["floordiv(%p0, 3)", "mod(%p0, 3)"]);
    }
}
