// What MLIR's C API lacks: registration of the dialects, verification in Rust, the syntax of lists of index
// expressions, parameters of attributes, translations one by one. No logic.

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Registration.h"
#include "mlir/CAPI/Support.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

extern "C" bool mlccVerify(MlirOperation op); // in Rust

namespace mlcc {
template <typename Op>
struct RustVerified : OpTrait::TraitBase<Op, RustVerified> {
  static LogicalResult verifyRegionTrait(Operation *op) { return success(mlccVerify(wrap(op))); }
};

// An expression: an integer, a name, or quoted text.
static ParseResult parseExpr(AsmParser &p, StringAttr &expr) {
  std::string text;
  int64_t integer;
  if (auto read = p.parseOptionalInteger(integer); read.has_value()) {
    // One that is out of range was not written to `integer`.
    if (failed(*read)) return failure();
    expr = p.getBuilder().getStringAttr(Twine(integer));
    return success();
  }
  if (p.parseKeywordOrString(&text)) return failure();
  expr = p.getBuilder().getStringAttr(text);
  return success();
}
static void printExpr(AsmPrinter &p, StringAttr expr) {
  int64_t integer;
  if (expr.getValue().getAsInteger(10, integer)) p.printKeywordOrString(expr.getValue());
  else p << integer;
}
static void printExpr(AsmPrinter &p, Operation *, StringAttr expr) { printExpr(p, expr); }

// Lists of expressions keep whether an element is an integer or text.
static ParseResult parseList(AsmParser &p, AsmParser::Delimiter delimiter, ArrayAttr &list) {
  SmallVector<Attribute> elements;
  auto element = [&]() -> ParseResult {
    int64_t integer;
    if (auto read = p.parseOptionalInteger(integer); read.has_value()) {
      if (failed(*read)) return failure();
      elements.push_back(p.getBuilder().getI64IntegerAttr(integer));
      return success();
    }
    StringAttr text;
    if (parseExpr(p, text)) return failure();
    elements.push_back(text);
    return success();
  };
  if (p.parseCommaSeparatedList(delimiter, element)) return failure();
  list = p.getBuilder().getArrayAttr(elements);
  return success();
}
static void printList(AsmPrinter &p, StringRef open, ArrayAttr list, StringRef close) {
  p << open;
  llvm::interleaveComma(list, p, [&](Attribute element) {
    int64_t ignored;
    if (auto integer = dyn_cast<IntegerAttr>(element)) p << integer.getInt();
    else if (auto text = dyn_cast<StringAttr>(element); text && text.getValue().getAsInteger(10, ignored))
      p.printKeywordOrString(text.getValue());
    else p << element;
  });
  p << close;
}
static ParseResult parseExprs(AsmParser &p, ArrayAttr &list) {
  return parseList(p, AsmParser::Delimiter::LessGreater, list);
}
static void printExprs(AsmPrinter &p, ArrayAttr list) { printList(p, "<", list, ">"); }
static ParseResult parseIndex(AsmParser &p, ArrayAttr &list) {
  return parseList(p, AsmParser::Delimiter::Square, list);
}
static void printIndex(AsmPrinter &p, Operation *, ArrayAttr list) { printList(p, "[", list, "]"); }

// `name to extent`
static ParseResult parseRange(AsmParser &p, StringAttr &name, StringAttr &extent) {
  std::string text;
  if (p.parseKeywordOrString(&text) || p.parseKeyword("to") || parseExpr(p, extent)) return failure();
  name = p.getBuilder().getStringAttr(text);
  return success();
}
static void printRange(AsmPrinter &p, Operation *, StringAttr name, StringAttr extent) {
  p.printKeywordOrString(name.getValue());
  p << " to ";
  printExpr(p, extent);
}

// `(name to extent [reduction|sequential], ...)`, kept as [name, extent, kind] each.
static ParseResult parseAxes(AsmParser &p, ArrayAttr &axes) {
  SmallVector<Attribute> list;
  auto axis = [&]() -> ParseResult {
    StringAttr name, extent;
    StringRef kind = "parallel";
    if (parseRange(p, name, extent)) return failure();
    (void)p.parseOptionalKeyword(&kind, {"reduction", "sequential"});
    list.push_back(p.getBuilder().getArrayAttr({name, extent, p.getBuilder().getStringAttr(kind)}));
    return success();
  };
  if (p.parseCommaSeparatedList(AsmParser::Delimiter::Paren, axis)) return failure();
  axes = p.getBuilder().getArrayAttr(list);
  return success();
}
static void printAxes(AsmPrinter &p, Operation *op, ArrayAttr axes) {
  p << "(";
  llvm::interleaveComma(axes.getAsRange<ArrayAttr>(), p, [&](ArrayAttr axis) {
    printRange(p, op, cast<StringAttr>(axis[0]), cast<StringAttr>(axis[1]));
    if (auto kind = cast<StringAttr>(axis[2]).getValue(); kind != "parallel") p << " " << kind;
  });
  p << ")";
}

// `a < b, ...`, kept as a flat list.
static ParseResult parseGuards(AsmParser &p, ArrayAttr &guards) {
  SmallVector<Attribute> list;
  auto guard = [&]() -> ParseResult {
    StringAttr a, b;
    if (parseExpr(p, a) || p.parseLess() || parseExpr(p, b)) return failure();
    list.append({a, b});
    return success();
  };
  if (p.parseCommaSeparatedList(guard)) return failure();
  guards = p.getBuilder().getArrayAttr(list);
  return success();
}
static void printGuards(AsmPrinter &p, Operation *, ArrayAttr guards) {
  for (unsigned i = 0; i + 1 < guards.size(); i += 2) {
    p << (i ? ", " : "");
    printExpr(p, cast<StringAttr>(guards[i]));
    p << " < ";
    printExpr(p, cast<StringAttr>(guards[i + 1]));
  }
}
} // namespace mlcc

#include "graph_dialect.h.inc"
#include "te_dialect.h.inc"
#include "loop_dialect.h.inc"
#include "all_enums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "graph_attributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "te_types.h.inc"
#define GET_OP_CLASSES
#include "all_ops.h.inc"

#include "graph_dialect.cpp.inc"
#include "te_dialect.cpp.inc"
#include "loop_dialect.cpp.inc"
#include "all_enums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "graph_attributes.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "te_types.cpp.inc"
#define GET_OP_CLASSES
#include "all_ops.cpp.inc"

void mlcc::graph::GraphDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "graph_ops.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "graph_attributes.cpp.inc"
      >();
}
void mlcc::te::TeDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "te_ops.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "te_types.cpp.inc"
      >();
}
void mlcc::loop::LoopDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "loop_ops.cpp.inc"
      >();
}

extern "C" {
MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(Graph, graph);
MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(Te, te);
MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(Loop, loop);

// The name of an attribute's kind, such as `graph.dims`.
MlirStringRef mlccAttributeName(MlirAttribute attribute) {
  return wrap(unwrap(attribute).getAbstractAttribute().getName());
}
// Calls `visit` for the attributes (and types, as attributes) that an attribute is made of, in order.
void mlccAttributeParameters(MlirAttribute attribute, void (*visit)(MlirAttribute, void *), void *data) {
  unwrap(attribute).walkImmediateSubElements([&](Attribute a) { visit(wrap(a), data); },
                                             [&](Type t) { visit(wrap(Attribute(TypeAttr::get(t))), data); });
}
// Parses a module, or operations without one; null with diagnostics if that fails.
MlirModule mlccParseModule(MlirContext context, MlirStringRef text, MlirStringRef file) {
  return wrap(parseSourceString<ModuleOp>(unwrap(text), ParserConfig(unwrap(context)), unwrap(file)).release());
}
void mlccRegisterTranslations(MlirContext context) {
  registerBuiltinDialectTranslation(*unwrap(context));
  registerLLVMDialectTranslation(*unwrap(context));
  registerNVVMDialectTranslation(*unwrap(context));
}
}
MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(Graph, graph, mlcc::graph::GraphDialect)
MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(Te, te, mlcc::te::TeDialect)
MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(Loop, loop, mlcc::loop::LoopDialect)
