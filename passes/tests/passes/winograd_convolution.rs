//! `winograd-convolution`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    program::Program,
};
use mlcc_machine::{Machine, WinogradRates};
use mlcc_passes::{
    fusion::{fuse_epilogue, inline_elementwise, inline_movement},
    layout::assign_layouts,
    winograd::{
        algorithm::Algorithm,
        cost::Sizes,
        winograd_convolution::{run, run_with},
    },
};

/// The tensor added to a convolution's result.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Residual {
    None,
    /// A program input.
    Other,
    /// The convolution's own input.
    Own,
}

/// A convolution, between two kernels if it is not alone, with layouts assigned.
struct Conv {
    sizes: Sizes,
    pads: [i64; 4],
    stride: i64,
    residual: Residual,
    relu: bool,
    /// Whether it reads the program's input and writes its output; their layouts are fixed.
    alone: bool,
    /// Whether the number of images is a symbol.
    symbolic: bool,
}

impl Conv {
    fn program(&self) -> Program {
        let Sizes { batch, rows, columns, channels, filters, .. } = self.sizes;
        let [top, left, bottom, right] = self.pads;
        let (height, width) =
            ((rows - 1) * self.stride + 3 - top - bottom, (columns - 1) * self.stride + 3 - left - right);
        let mut b = GraphBuilder::new();
        let batch = if self.symbolic { "batch".to_owned() } else { batch.to_string() };
        let images = |b: &mut GraphBuilder, name: &str, dims: [i64; 3]| {
            let dims = dims.map(|d| d.to_string());
            b.symbolic_input(name, &[&batch, &dims[0], &dims[1], &dims[2]])
        };
        let x = images(&mut b, "x", [channels, height, width]);
        let r = (self.residual == Residual::Other).then(|| images(&mut b, "r", [filters, rows, columns]));
        let values = |count: i64, scale: f32| -> Vec<f32> {
            (0..count).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * scale).collect()
        };
        let w = b.constant(&[filters, channels, 3, 3], &values(filters * channels * 9, 0.1));
        let bias = b.constant(&[filters], &values(filters, 0.3));
        let attrs = |pads: &[i64], stride| {
            Attrs::new()
                .with("pads", Attr::Ints(pads.to_vec()))
                .with("strides", Attr::Ints(vec![stride; 2]))
                .with("dilations", Attr::Ints(vec![1; 2]))
                .with("group", Attr::Int(1))
        };
        // Between two kernels, so that the layouts are free.
        let x = if self.alone { x } else { b.op("tanh", &[x]) };
        let r = if self.residual == Residual::Own { Some(x) } else { r };
        let mut y = b.op_with("conv", &[x, w, bias], attrs(&self.pads, self.stride));
        if let Some(r) = r {
            y = b.op("add", &[y, r]);
        }
        if self.relu {
            y = b.op("tanh", &[y]);
        }
        let last = b.constant(&[2, filters, 1, 1], &values(2 * filters, 0.2));
        let y = if self.alone { y } else { b.op_with("conv", &[y, last], attrs(&[0; 4], 1)) };
        let mut program = program::of(&b.finish(&[y]));
        inline_movement::run(&mut program);
        inline_elementwise::run(&mut program);
        fuse_epilogue::run(&mut program);
        assign_layouts::run(&mut program);
        program
    }
}

fn conv(sizes: [i64; 5], pads: [i64; 4]) -> Conv {
    let [batch, rows, columns, channels, filters] = sizes;
    Conv {
        sizes: Sizes { batch, rows, columns, channels, filters, copied: 0 },
        pads,
        stride: 1,
        residual: Residual::None,
        relu: false,
        alone: false,
        symbolic: false,
    }
}

fn by_f2(program: &mut Program) -> usize {
    run_with(program, &|_| Some(Algorithm::F2))
}

fn by_f4(program: &mut Program) -> usize {
    run_with(program, &|_| Some(Algorithm::F4))
}

#[test]
fn results_stay_on_odd_sizes_with_any_padding() {
    for pads in [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0], [1, 0, 0, 1]] {
        for pass in [by_f2, by_f4] {
            let mut program = conv([1, 7, 5, 5, 6], pads).program();
            assert_eq!(program::kernels(&program).len(), 3);
            assert_eq!(program::run_and_compare(&mut program, pass), 1, "{pads:?}");
            assert_eq!(program::kernels(&program).len(), 5);
        }
    }
}

#[test]
fn what_follows_the_sum_follows_the_inverse_transform() {
    for pass in [by_f2, by_f4] {
        let mut program =
            Conv { residual: Residual::Other, relu: true, ..conv([2, 6, 9, 3, 4], [1; 4]) }.program();
        assert_eq!(program::kernels(&program).len(), 3);
        assert_eq!(program::run_and_compare(&mut program, pass), 1);
        assert_eq!(program::kernels(&program).len(), 5);
    }
}

#[test]
fn what_is_convolved_may_be_added_to_the_result() {
    for pass in [by_f2, by_f4] {
        let mut program = Conv { residual: Residual::Own, ..conv([2, 6, 9, 4, 4], [1; 4]) }.program();
        assert_eq!(program::kernels(&program).len(), 3);
        assert_eq!(program::run_and_compare(&mut program, pass), 1);
        assert_eq!(program::kernels(&program).len(), 5);
    }
}

#[test]
fn images_with_channels_first_are_copied() {
    for residual in [Residual::None, Residual::Other, Residual::Own] {
        for pass in [by_f2, by_f4] {
            let mut program =
                Conv { residual, relu: true, alone: true, ..conv([2, 6, 9, 5, 5], [1; 4]) }.program();
            assert_eq!(program::kernels(&program).len(), 1);
            assert_eq!(program::run_and_compare(&mut program, pass), 1, "{residual:?}");
            assert_eq!(program::kernels(&program).len(), 5);
        }
    }
}

#[test]
fn batches_may_be_symbolic() {
    for residual in [Residual::None, Residual::Other, Residual::Own] {
        for (alone, kernels) in [(false, 3), (true, 1)] {
            for pass in [by_f2, by_f4] {
                let conv = conv([1, 7, 5, 5, 5], [1; 4]);
                let mut program = Conv { residual, relu: true, alone, symbolic: true, ..conv }.program();
                assert_eq!(program::kernels(&program).len(), kernels);
                assert_eq!(program::run_and_compare(&mut program, pass), 1, "{residual:?}");
                assert!(program::kernels(&program).len() > kernels);
            }
        }
    }
}

#[test]
fn symbolic_batches_are_taken_for_one_to_eight_or_what_is_known_of_them() {
    let program = || Conv { alone: true, symbolic: true, ..conv([1, 28, 27, 16, 24], [1; 4]) }.program();
    let look = |program: &mut Program, batches: &[i64]| {
        let seen = std::cell::Cell::new(false);
        let choose = |sizes: &[Sizes]| {
            assert_eq!(sizes.iter().map(|s| s.batch).collect::<Vec<_>>(), batches);
            let copied = |s: &Sizes| s.copied == s.batch * 28 * 27 * (16 + 24);
            assert!(sizes.iter().all(copied));
            seen.set(true);
            None
        };
        assert_eq!(run_with(program, &choose), 0);
        assert!(seen.get());
    };
    look(&mut program(), &[1, 2, 4, 8]);
    let mut ranged = program();
    ranged.ranges.insert("batch".into(), "16..54".parse().unwrap());
    look(&mut ranged, &[16, 24, 36, 54]);
    assert_eq!(run(&mut program(), &WinogradRates::of(&Machine::usual())), 1);
}

#[test]
fn copies_count() {
    let mut program = Conv { alone: true, ..conv([2, 28, 27, 16, 24], [1; 4]) }.program();
    let count = |sizes: &[Sizes]| {
        assert_eq!(sizes.len(), 1);
        assert_eq!(sizes[0].copied, 2 * 28 * 27 * (16 + 24));
        None
    };
    assert_eq!(run_with(&mut program, &count), 0);
    assert_eq!(run(&mut program, &WinogradRates::of(&Machine::usual())), 1);
    let slow = WinogradRates { bytes_per_operation: 0.1, ..WinogradRates::of(&Machine::usual()) };
    let mut program = Conv { alone: true, ..conv([2, 28, 27, 16, 24], [1; 4]) }.program();
    assert_eq!(run(&mut program, &slow), 0);
}

#[test]
fn only_windows_of_stride_one_change() {
    let mut program = Conv { stride: 2, ..conv([1, 7, 5, 16, 16], [1; 4]) }.program();
    assert_eq!(program::run_and_compare(&mut program, by_f4), 0);
}

#[test]
fn few_channels_are_summed_directly() {
    let mut program = conv([1, 7, 5, 3, 16], [1; 4]).program();
    assert_eq!(program::run_and_compare(&mut program, |p| run(p, &WinogradRates::of(&Machine::usual()))), 0);
}
