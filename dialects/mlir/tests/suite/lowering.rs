//! The path from upstream dialects to LLVM IR.

use melior::ir::Module;
use mlcc_mlir::lowering::{lowering_context, run_pipeline, verify};

const TO_LLVM: &str = "builtin.module(convert-vector-to-scf,convert-scf-to-cf,expand-strided-metadata,\
    lower-affine,convert-vector-to-llvm,convert-arith-to-llvm,convert-math-to-llvm,\
    finalize-memref-to-llvm,convert-func-to-llvm,convert-cf-to-llvm,canonicalize,cse,\
    reconcile-unrealized-casts)";

const KERNEL: &str = "func.func @k(%a: memref<?x8xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    %v = vector.load %a[%i, %c0] : memref<?x8xf32>, vector<8xf32>
    %w = math.fma %v, %v, %v : vector<8xf32>
    vector.store %w, %a[%i, %c0] : memref<?x8xf32>, vector<8xf32>
  }
  return
}";

#[test]
fn a_kernel_becomes_llvm_ir() {
    let context = lowering_context();
    let mut module = Module::parse(&context, KERNEL).expect("valid text");
    verify(&context, &module).unwrap();
    run_pipeline(&context, &mut module, TO_LLVM).unwrap();
    let text = mlcc_mlir::lowering::llvm_ir_text(&module).unwrap();
    assert!(text.contains("@llvm.fma.v8f32"), "{text}");
}

#[test]
fn a_pipeline_that_does_not_exist_is_a_users_error() {
    let context = lowering_context();
    let mut module = Module::parse(&context, KERNEL).expect("valid text");
    let error = run_pipeline(&context, &mut module, "builtin.module(no-such-pass)").unwrap_err();
    assert_eq!(error.fault, mlcc_ir::diagnostic::Fault::User);
    assert!(error.message.contains("no-such-pass"), "{error}");
}

#[test]
fn what_has_no_translation_is_named() {
    let context = lowering_context();
    let module = Module::parse(&context, KERNEL).expect("valid text");
    let error = mlcc_mlir::lowering::llvm_ir_text(&module).unwrap_err();
    assert!(error.message.contains("func.func"), "{error}");
}
