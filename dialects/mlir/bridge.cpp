// What MLIR's C API lacks: single translations to LLVM IR.

#include "mlir/CAPI/IR.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"

extern "C" void mlccRegisterTranslations(MlirContext context) {
  mlir::registerBuiltinDialectTranslation(*unwrap(context));
  mlir::registerLLVMDialectTranslation(*unwrap(context));
  mlir::registerNVVMDialectTranslation(*unwrap(context));
}
