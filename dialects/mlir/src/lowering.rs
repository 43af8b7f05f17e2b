//! The parts of MLIR that a backend needs: a context with the dialects below the loop level, passes that
//! can be named in a pipeline, and the translation to LLVM IR.
//!
//! Only dialects and passes in use are registered, because all of them together make a binary of 240 MB.

use crate::ffi;
use melior::{
    Context,
    dialect::{DialectHandle, DialectRegistry},
    ir::{Module, operation::OperationLike},
    pass::PassManager,
    utility::parse_pass_pipeline,
};
use mlcc_ir::diagnostic::{Diagnostic, Result};
use mlir_sys::{
    MlirContext, mlirGetDialectHandle__math__, mlirGetDialectHandle__nvvm__, mlirGetDialectHandle__vector__,
    mlirTranslateModuleToLLVMIR,
};
use std::{
    ffi::{CStr, c_char, c_void},
    sync::Once,
};

unsafe extern "C" {
    fn mlccRegisterTranslations(context: MlirContext);
    fn LLVMContextCreate() -> *mut c_void;
    fn LLVMContextDispose(context: *mut c_void);
    fn LLVMPrintModuleToString(module: *mut c_void) -> *mut c_char;
    fn LLVMDisposeMessage(message: *mut c_char);
    fn LLVMDisposeModule(module: *mut c_void);
}

/// Handles of the dialects in use below the loop level.
pub(crate) fn lowering_dialects() -> Vec<DialectHandle> {
    // SAFETY: the functions return handles to static tables of MLIR, valid for the whole process.
    let (math, vector, nvvm) = unsafe {
        (
            DialectHandle::from_raw(mlirGetDialectHandle__math__()),
            DialectHandle::from_raw(mlirGetDialectHandle__vector__()),
            DialectHandle::from_raw(mlirGetDialectHandle__nvvm__()),
        )
    };
    let others = [
        DialectHandle::func(),
        DialectHandle::arith(),
        DialectHandle::scf(),
        DialectHandle::cf(),
        DialectHandle::memref(),
        DialectHandle::llvm(),
        DialectHandle::gpu(),
    ];
    [math, vector, nvvm].into_iter().chain(others).collect()
}

/// A context with `func`, `arith`, `math`, `scf`, `cf`, `vector`, `memref`, `llvm`, `gpu` and `nvvm` loaded
/// and their translations registered. The context uses no threads of its own: each worker makes a context.
#[must_use]
pub fn lowering_context() -> Context {
    register_passes();
    let registry = DialectRegistry::new();
    lowering_dialects().iter().for_each(|d| d.insert_dialect(&registry));
    let context = Context::new_with_registry(&registry, false);
    context.load_all_available_dialects();
    // SAFETY: the context is alive and no other thread has it.
    unsafe { mlccRegisterTranslations(context.to_raw()) };
    context
}

/// Registers the upstream passes in use, so that pipelines can name them. Further calls do nothing.
pub fn register_passes() {
    static ONCE: Once = Once::new();
    let registrations = [
        mlir_sys::mlirRegisterTransformsCanonicalizer,
        mlir_sys::mlirRegisterTransformsCSE,
        mlir_sys::mlirRegisterTransformsLoopInvariantCodeMotion,
        mlir_sys::mlirRegisterTransformsSCCP,
        mlir_sys::mlirRegisterTransformsSymbolDCE,
        mlir_sys::mlirRegisterArithArithExpandOpsPass,
        mlir_sys::mlirRegisterMemRefExpandStridedMetadataPass,
        mlir_sys::mlirRegisterMemRefFoldMemRefAliasOpsPass,
        mlir_sys::mlirRegisterConversionLowerAffinePass,
        mlir_sys::mlirRegisterConversionSCFToControlFlowPass,
        mlir_sys::mlirRegisterConversionConvertVectorToSCF,
        mlir_sys::mlirRegisterConversionConvertVectorToLLVMPass,
        mlir_sys::mlirRegisterConversionFinalizeMemRefToLLVMConversionPass,
        mlir_sys::mlirRegisterConversionConvertFuncToLLVMPass,
        mlir_sys::mlirRegisterConversionArithToLLVMConversionPass,
        mlir_sys::mlirRegisterConversionConvertMathToLLVMPass,
        mlir_sys::mlirRegisterConversionConvertControlFlowToLLVMPass,
        mlir_sys::mlirRegisterConversionConvertIndexToLLVMPass,
        mlir_sys::mlirRegisterConversionUBToLLVMConversionPass,
        mlir_sys::mlirRegisterConversionConvertGpuOpsToNVVMOps,
        mlir_sys::mlirRegisterConversionConvertNVVMToLLVMPass,
        mlir_sys::mlirRegisterConversionReconcileUnrealizedCastsPass,
    ];
    ONCE.call_once(|| {
        for register in registrations {
            // SAFETY: registering a pass has no precondition but not to race with another; `Once` sees
            // to that.
            unsafe { register() };
        }
    });
}

/// Runs a textual pipeline, such as `builtin.module(convert-scf-to-cf,canonicalize)`, on a module.
///
/// # Errors
/// If the pipeline does not parse (a user's error) or a pass fails (a compiler bug): the message has
/// MLIR's diagnostics.
pub fn run_pipeline(context: &Context, module: &mut Module<'_>, pipeline: &str) -> Result<()> {
    let passes = PassManager::new(context);
    parse_pass_pipeline(passes.as_operation_pass_manager(), pipeline)
        .map_err(|e| Diagnostic::user(format!("not a pass pipeline: '{pipeline}' ({e})")))?;
    let (ran, errors) = collect_errors(context, || passes.run(module).is_ok());
    if ran {
        return Ok(());
    }
    Err(Diagnostic::internal(format!("MLIR pass failed: {}", joined(&errors))))
}

/// Verifies a module.
///
/// # Errors
/// If the module is not valid; the error has the verifiers' messages.
pub fn verify(context: &Context, module: &Module<'_>) -> Result<()> {
    let (valid, errors) = collect_errors(context, || module.as_operation().verify());
    if valid {
        return Ok(());
    }
    Err(Diagnostic::internal(format!("invalid MLIR: {}", joined(&errors))))
}

/// Translates a module in the `llvm` (and `nvvm`) dialect to an LLVM module in `llvm_context`, an
/// `LLVMContextRef`. The caller owns the `LLVMModuleRef` that is returned.
///
/// # Errors
/// If an operation has no translation.
///
/// # Safety
/// `llvm_context` is a live `LLVMContextRef` of the LLVM that this process links, used by no other thread
/// during the call.
pub unsafe fn translate_to_llvm_ir(module: &Module<'_>, llvm_context: *mut c_void) -> Result<*mut c_void> {
    // SAFETY: the module is alive as long as the borrow, its context has the translations registered or
    // reports their absence as a diagnostic; the LLVM context is valid by this function's contract.
    let translate = || unsafe {
        mlirTranslateModuleToLLVMIR(module.as_operation().to_raw(), llvm_context.cast()).cast::<c_void>()
    };
    let context = module.context();
    // SAFETY: the reference lives as long as the module's borrow, which the context outlives.
    let (llvm, errors) = collect_errors(unsafe { context.to_ref() }, translate);
    if llvm.is_null() {
        return Err(Diagnostic::internal(format!("no translation to LLVM IR: {}", joined(&errors))));
    }
    Ok(llvm)
}

/// The LLVM IR of a module in the `llvm` (and `nvvm`) dialect, as text.
///
/// # Errors
/// If an operation has no translation.
pub fn llvm_ir_text(module: &Module<'_>) -> Result<String> {
    // SAFETY: a new context of the linked LLVM, which nothing else uses; module and text are given back to
    // LLVM in the order in which it wants them.
    unsafe {
        let llvm_context = LLVMContextCreate();
        let text = translate_to_llvm_ir(module, llvm_context).map(|llvm| {
            let printed = LLVMPrintModuleToString(llvm);
            let copy = CStr::from_ptr(printed).to_string_lossy().into_owned();
            LLVMDisposeMessage(printed);
            LLVMDisposeModule(llvm);
            copy
        });
        LLVMContextDispose(llvm_context);
        text
    }
}

/// Calls `action` and collects the errors that MLIR reports meanwhile, as `place: message`.
fn collect_errors<T>(context: &Context, action: impl FnOnce() -> T) -> (T, Vec<String>) {
    let mut errors = Vec::new();
    let error = |place: ffi::Location<'_>, message| errors.push(format!("{}: {message}", place.text()));
    let result = ffi::with_errors(context, error, action);
    (result, errors)
}

fn joined(errors: &[String]) -> String {
    if errors.is_empty() { "no message".into() } else { errors.join("; ") }
}
