//! The context in which the levels' text is parsed and printed.

use crate::{ffi, lowering, scan};
use melior::dialect::{DialectHandle, DialectRegistry};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    graph::Location,
};
use mlir_sys::MlirDialectHandle;

unsafe extern "C" {
    fn mlirGetDialectHandle__graph__() -> MlirDialectHandle;
    fn mlirGetDialectHandle__te__() -> MlirDialectHandle;
    fn mlirGetDialectHandle__loop__() -> MlirDialectHandle;
}

/// A context with the dialects of the levels: `graph`, `te`, `loop`, and `func`. Each thread makes its own
/// context.
pub struct MlirContext {
    context: melior::Context,
}

impl Default for MlirContext {
    fn default() -> MlirContext {
        MlirContext::new()
    }
}

impl MlirContext {
    /// A context for the levels' text.
    #[must_use]
    pub fn new() -> MlirContext {
        MlirContext::with(&[])
    }

    /// A context that also knows the dialects below the loop level.
    #[must_use]
    pub fn with_lowering_dialects() -> MlirContext {
        MlirContext::with(&lowering::lowering_dialects())
    }

    fn with(dialects: &[DialectHandle]) -> MlirContext {
        let registry = DialectRegistry::new();
        // SAFETY: the functions return handles to static tables of the bridge.
        let levels = unsafe {
            [mlirGetDialectHandle__graph__(), mlirGetDialectHandle__te__(), mlirGetDialectHandle__loop__()]
                .map(|raw| DialectHandle::from_raw(raw))
        };
        levels
            .iter()
            .chain(&[DialectHandle::func()])
            .chain(dialects)
            .for_each(|d| d.insert_dialect(&registry));
        let context = melior::Context::new_with_registry(&registry, false);
        context.load_all_available_dialects();
        MlirContext { context }
    }

    /// The context itself.
    #[must_use]
    pub fn melior(&self) -> &melior::Context {
        &self.context
    }

    /// Parses and verifies text that a user wrote or kept.
    pub(crate) fn parse(&self, text: &str, file: &str) -> Result<ffi::Module<'_>> {
        scan::check(text, file)?;
        let mut errors = Vec::new();
        let module = ffi::with_errors(
            &self.context,
            |location, message| errors.push(error(location, &message)),
            || ffi::Module::parse(&self.context, text, file),
        );
        module.ok_or_else(|| first(errors).unwrap_or_else(|| Diagnostic::user(format!("{file}: not MLIR"))))
    }

    /// Lets MLIR print the generic form that a writer wrote. A failure is the fault of the writer or of the
    /// value.
    pub(crate) fn pretty(&self, generic: &str, locations: bool) -> Result<String> {
        let generic = format!("\"builtin.module\"() ({{\n^bb0:\n{generic}\n}}) : () -> () loc(unknown)");
        let module = self.parse(&generic, "generic").map_err(|e| {
            let at = e.location.clone();
            let e = Diagnostic::internal(format!("the value has no MLIR form: {}", e.message));
            at.map_or(e.clone(), |at| e.at(&at))
        })?;
        Ok(print(module.op(), locations))
    }

    /// Runs upstream passes, such as `canonicalize,cse`, on the text of any level.
    ///
    /// # Errors
    /// If the text or the pipeline does not parse, or a pass fails.
    pub fn run_upstream_passes(&self, text: &str, pipeline: &str) -> Result<String> {
        lowering::register_passes();
        let mut module = self.parse(text, "input")?;
        let pipeline = match pipeline.trim() {
            anchored if anchored.starts_with("builtin.module(") => anchored.to_owned(),
            passes => format!("builtin.module({passes})"),
        };
        let mut errors = Vec::new();
        let ran = ffi::with_errors(
            &self.context,
            |location, message| errors.push(error(location, &message)),
            || module.run(&pipeline),
        );
        match ran {
            Ok(Some(())) => Ok(print(module.op(), true)),
            Ok(None) => Err(first(errors).unwrap_or_else(|| Diagnostic::internal("an MLIR pass failed"))),
            Err(message) => {
                Err(Diagnostic::user(format!("not a pass pipeline: '{pipeline}': {}", message.trim()))
                    .hint("name registered passes, such as 'canonicalize,cse'"))
            }
        }
    }
}

/// An operation's text. Unknown locations are left out: a line that ends in one is outside of a string.
fn print(op: ffi::Op<'_>, locations: bool) -> String {
    let text = op.print(locations);
    let lines = text.lines().map(|line| line.strip_suffix(" loc(unknown)").unwrap_or(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// One of MLIR's errors: `file:line:column: message`, or at the ONNX node.
fn error(location: ffi::Location<'_>, message: &str) -> Diagnostic {
    match (location.file(), provenance(location)) {
        // A message about an operation inside of another one begins with the inner one's place.
        (Some((file, ..)), _) if message.starts_with(&format!("{file}:")) => Diagnostic::user(message),
        (Some((file, line, column)), _) => Diagnostic::user(format!("{file}:{line}:{column}: {message}")),
        (None, Some((_, at))) => Diagnostic::user(message).at(&at),
        (None, None) => Diagnostic::user(format!("{}: {message}", location.text())),
    }
}

/// The first error, with the messages of some more.
fn first(errors: Vec<Diagnostic>) -> Option<Diagnostic> {
    let mut errors = errors.into_iter();
    let mut first = errors.next()?;
    for further in errors.take(4) {
        first.message += "\n";
        first.message += &further.message;
    }
    Some(first)
}

/// The names of an operation's results, if the location has them, and the ONNX node.
pub(crate) fn provenance(location: ffi::Location<'_>) -> Option<(Option<Vec<String>>, Location)> {
    if let Some((metadata, parts)) = location.fused() {
        let names = metadata.and_then(ffi::Attribute::array);
        let names = names.and_then(|all| all.into_iter().map(ffi::Attribute::string).collect());
        return parts.into_iter().find_map(provenance).map(|(inner, at)| (names.or(inner), at));
    }
    let mut names = Vec::new();
    let mut at = location;
    while let Some((name, below)) = at.name() {
        names.push(name);
        at = below;
    }
    let location = |node: &str, op_type: &str| Location { node: node.into(), op_type: op_type.into() };
    match &names[..] {
        [] => None,
        [node] => Some((Some(vec![node.clone()]), location(node, ""))),
        [node, op_type] => Some((Some(vec![node.clone()]), location(node, op_type))),
        [value, node, op_type, ..] => Some((Some(vec![value.clone()]), location(node, op_type))),
    }
}
