//! Code contains no instruction of a feature that its target does not list: before it executes the code, the
//! runtime looks for the listed features and for no others.

use crate::{nests::*, run::verified};
use mlcc_ir::{
    dtype::DType,
    kernel::Role,
    nest::{LoopNest, Mapping},
    scalar::{BinaryOp, Constant},
};
use mlcc_llvm::{Options, Target, compile};

/// `y = x >> 3` on bytes. LLVM computes it by GFNI's matrices of bits if it may use them.
fn shift() -> LoopNest {
    let buffers =
        vec![buffer("x", DType::U8, &["999"], Role::Input), buffer("y", DType::U8, &["999"], Role::Output)];
    let mut body = read(0, &["%i"], DType::U8);
    let three = body.constant(Constant::int(DType::U8, 3));
    body.binary(BinaryOp::Shr, 0, three);
    nest("shift", &[], buffers, vec![axis("i", "999", Mapping::Vector(64), vec![put(1, &["%i"], body)])])
}

/// LLVM IR and assembly.
fn texts(target: &Target) -> (String, String) {
    let texts = compile(&verified(shift()), target, &Options { texts: true, ..Options::default() })
        .unwrap()
        .texts
        .unwrap();
    (texts.llvm, texts.asm)
}

#[test]
fn code_uses_the_features_that_are_listed_and_no_others() {
    const INSTRUCTION: &str = "vgf2p8affineqb";
    let newer = Target::named("znver4").unwrap();
    let older = Target::named("skylake-avx512").unwrap();
    assert!(newer.has("gfni") && texts(&newer).1.contains(INSTRUCTION));
    assert!(!older.has("gfni") && !texts(&older).1.contains(INSTRUCTION));
    // The name decides the tuning, not the available features.
    let tuned = Target { features: older.features, ..newer };
    assert!(!texts(&tuned).1.contains(INSTRUCTION));
}

#[test]
fn llvm_is_given_exactly_what_is_listed() {
    for name in Target::names().filter(|name| !["x86-64", "x86-64-v2"].contains(name)) {
        let target = Target::named(name).unwrap();
        let baseline = if target.triple.starts_with("aarch64") { "generic" } else { "x86-64" };
        let listed = format!("\"target-features\"=\"+{}\"", target.features.join(",+"));
        let (llvm, _) = texts(&target);
        assert!(llvm.contains(&format!("\"target-cpu\"=\"{baseline}\"")), "{name}");
        assert!(llvm.contains(&listed), "{name}: no {listed}");
    }
}

#[test]
fn the_host_has_what_its_name_promises_or_less() {
    let host = Target::host().unwrap();
    assert!(host.features.is_sorted());
    let named = Target::names().filter(|name| *name == host.cpu).map(|name| Target::named(name).unwrap());
    for named in named {
        let beyond: Vec<_> = host.features.iter().filter(|f| !named.has(f)).collect();
        assert!(beyond.is_empty(), "{} has {beyond:?}, too", host.cpu);
    }
}
