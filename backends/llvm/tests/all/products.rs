//! Properties of compilation besides right code: the same bytes each time, one image, clear
//! refusals.

use crate::{nests::*, run::verified};
use mlcc_ir::{
    diagnostic::Fault,
    dtype::DType,
    kernel::Role,
    nest::{LoopNest, Mapping, Node},
    scalar::UnaryOp,
};
use mlcc_llvm::{Options, Target, compile, compile_all, image};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

fn copy(name: &str, mapping: Mapping) -> LoopNest {
    let buffers =
        vec![buffer("x", DType::F32, &["40"], Role::Input), buffer("y", DType::F32, &["40"], Role::Output)];
    nest(
        name,
        &[],
        buffers,
        vec![axis("i", "40", mapping, vec![put(1, &["%i"], read(0, &["%i"], DType::F32))])],
    )
}

#[test]
fn code_is_the_same_on_any_number_of_threads() {
    let nests: Vec<_> = (0..6).map(|i| verified(gemm(DType::F32, [20 + i, 64, 30], 6, 32))).collect();
    let nests: Vec<_> = nests.iter().collect();
    for target in ["host", "x86-64-v3", "armv8-a"].map(|name| Target::named(name).unwrap()) {
        let objects = |threads| -> Vec<Vec<u8>> {
            let compiled = compile_all(&nests, &target, &Options::default(), threads, &|_| ());
            compiled.into_iter().map(|k| k.unwrap().object).collect()
        };
        let (one, three) = (objects(1), objects(3));
        assert_eq!(one, three);
        let image = image::link(&one).unwrap();
        assert_eq!(image, image::link(&three).unwrap());
        assert_eq!(image.entries.len(), nests.len());
    }
}

#[test]
fn code_for_aarch64_links_into_an_image() {
    // Elements two apart are gathered; the numbers of the lanes lie in a section of constants.
    let mut sparse = copy("sparse", Mapping::Vector(8));
    let body = read(0, &["2*%i"], DType::F32);
    sparse.body = vec![axis("i", "19", Mapping::Vector(8), vec![put(1, &["%i"], body)])];
    let sparse = verified(sparse);
    for cpu in ["armv8-a", "armv8.2-a", "neoverse-v1", "apple-m1"] {
        let target = Target::named(cpu).unwrap();
        let kernel = compile(&sparse, &target, &Options { texts: true, ..Options::default() }).unwrap();
        let file = object::File::parse(&*kernel.object).unwrap();
        assert_eq!(file.architecture(), object::Architecture::Aarch64);
        let references: usize = file.sections().map(|s| s.relocations().count()).sum();
        assert!(references > 0, "{cpu}: nothing to link");
        let image = image::link(&[&kernel.object, &kernel.object]).unwrap();
        assert!(image.bytes.len() as u64 > image.entries[1], "{cpu}");
        // Every vector has a fixed length: the code uses no predicate registers.
        assert!(!kernel.texts.unwrap().asm.contains("ptrue"), "{cpu}");
    }
}

#[test]
fn texts_of_every_step_are_there_on_request() {
    let texts = compile(
        &verified(copy("copy", Mapping::Vector(16))),
        &Target::host().unwrap(),
        &Options { texts: true, ..Options::default() },
    )
    .unwrap()
    .texts
    .unwrap();
    assert!(texts.mlir[0].1.contains("scf.for") || texts.mlir[0].1.contains("vector<16xf32>"));
    let last = &texts.mlir.last().unwrap().1;
    assert!(last.contains("llvm.") && !last.contains("scf.") && !last.contains("arith."), "{last}");
    assert!(texts.llvm.contains("define") && texts.asm.contains("mlcc_copy"));
}

#[test]
fn what_the_target_does_not_have_is_refused() {
    let refused = |nest: LoopNest, text: &str| {
        let error = compile(&verified(nest), &Target::host().unwrap(), &Options::default()).unwrap_err();
        assert!(error.fault == Fault::Internal && error.message.contains(text), "{error}");
    };
    refused(copy("copy", Mapping::Block(0)), "scheduled for a GPU: a loop mapped to Block(0)");
    refused(copy("copy", Mapping::Vector(128)), "axis 'i' has 128 lanes");
    let mut barrier = copy("copy", Mapping::Serial);
    barrier.body.push(Node::Barrier);
    refused(barrier, "a barrier");
}

#[test]
fn cpus_without_what_kernels_need_are_refused() {
    assert_eq!(Target::named("x86-64-v2").unwrap_err().fault, Fault::Unsupported);
    let unknown = Target::named("z80").unwrap_err();
    assert_eq!(unknown.fault, Fault::User);
    let hint = unknown.hint.unwrap();
    assert!(Target::names().count() > 30 && Target::names().all(|name| hint.contains(name)), "{hint}");
    assert!(Target::named("x86-64-v3").unwrap().vector_bits() == 256);
    assert!(Target::named("znver4").unwrap().vector_bits() == 512);
}

#[test]
fn every_other_cpu_that_can_be_named_compiles() {
    let old = ["x86-64", "x86-64-v2"];
    for name in Target::names().filter(|name| !old.contains(name)) {
        let target = Target::named(name).unwrap();
        let kernel =
            compile(&verified(copy("copy", Mapping::Vector(4))), &target, &Options::default()).unwrap();
        assert!(image::link(&[kernel.object]).is_ok(), "{name}");
        let required = target.features;
        let expected = if target.triple.starts_with("aarch64") { "neon" } else { "avx2" }.to_owned();
        assert!(required.is_sorted() && required.contains(&expected), "{name}: {required:?}");
        assert!(!required.iter().any(|f| f.starts_with("sve")), "{name}: {required:?}");
    }
}

#[test]
fn objects_that_need_anything_else_are_refused() {
    let error = image::link(&[b"not an object"]).unwrap_err();
    assert!(error.message.contains("not an object file"), "{error}");
    let kernel =
        compile(&verified(copy("copy", Mapping::Vector(16))), &Target::host().unwrap(), &Options::default())
            .unwrap();
    let twice = image::link(&[&kernel.object, &kernel.object]).unwrap();
    assert!(twice.entries[0] != twice.entries[1]);
    // The constants' symbols lose their section, so that they look like a library function.
    let mut body = read(0, &["%i"], DType::F32);
    body.unary(UnaryOp::Exp, 0);
    let mut exp = copy("exp", Mapping::Vector(16));
    exp.body = vec![axis("i", "40", Mapping::Vector(16), vec![put(1, &["%i"], body)])];
    let mut undefined =
        compile(&verified(exp), &Target::host().unwrap(), &Options::default()).unwrap().object;
    assert!(image::link(&[&undefined]).is_ok());
    let symbols: Vec<usize> = {
        let file = object::File::parse(&*undefined).unwrap();
        let table = file.sections().find(|s| s.name() == Ok(".symtab")).unwrap().file_range().unwrap().0;
        let constants = file.symbols().filter(|s| s.kind() != SymbolKind::Text);
        constants.map(|s| table as usize + 24 * s.index().0 + 6).collect()
    };
    symbols.into_iter().for_each(|at| undefined[at..at + 2].fill(0));
    let error = image::link(&[undefined]).unwrap_err();
    assert!(error.message.contains("undefined symbol"), "{error}");
    for cut in (0..kernel.object.len()).step_by(97) {
        // Linking never panics, whatever part is missing.
        let _ = image::link(&[&kernel.object[..cut]]);
    }
    for at in (0..kernel.object.len()).step_by(13) {
        let mut damaged = kernel.object.clone();
        damaged[at] ^= 0xff;
        let _ = image::link(&[damaged]);
    }
}
