//! Safe, read-only handles on MLIR's operations, values, attributes, types and locations.
//!
//! Debian's MLIR is built without assertions: an accessor called on the wrong kind of attribute is undefined
//! behaviour, not an error. So every accessor here asks for the kind first and returns an `Option`. A handle
//! borrows from its owner: a [`Module`] or, during verification, the call.

mod attribute;

use mlir_sys::*;
use std::{ffi::c_void, marker::PhantomData};

unsafe extern "C" {
    /// A byte 0 must follow the text.
    fn mlccParseModule(context: MlirContext, text: MlirStringRef, file: MlirStringRef) -> MlirModule;
}

/// A string as MLIR wants it.
fn string_ref(text: &str) -> MlirStringRef {
    MlirStringRef { data: text.as_ptr().cast(), length: text.len() }
}

/// A copy of a string of MLIR's; bytes that are not UTF-8 are replaced.
///
/// # Safety
/// `text` points to `length` bytes, or is empty.
unsafe fn copied(text: MlirStringRef) -> String {
    if text.length == 0 {
        return String::new();
    }
    // SAFETY: the caller's contract; the length is not 0, so the pointer is not null.
    let bytes = unsafe { std::slice::from_raw_parts(text.data.cast::<u8>(), text.length) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// Receives pieces of printed text.
unsafe extern "C" fn append(piece: MlirStringRef, text: *mut c_void) {
    // SAFETY: `text` is the `String` that `printed` passes; MLIR's pieces are valid during the call.
    unsafe { (*text.cast::<String>()).push_str(&copied(piece)) }
}

/// The text that `print` prints.
fn printed(print: impl FnOnce(MlirStringCallback, *mut c_void)) -> String {
    let mut text = String::new();
    print(Some(append), (&raw mut text).cast());
    text
}

/// An owned module.
pub(crate) struct Module<'c> {
    raw: MlirModule,
    context: PhantomData<&'c melior::Context>,
}

impl Drop for Module<'_> {
    fn drop(&mut self) {
        // SAFETY: the module is owned and its context alive.
        unsafe { mlirModuleDestroy(self.raw) }
    }
}

impl<'c> Module<'c> {
    /// Parses and verifies a module; `None` after diagnostics if the text is not a valid module.
    pub(crate) fn parse(context: &'c melior::Context, text: &str, file: &str) -> Option<Module<'c>> {
        // MLIR's lexer reads the byte behind the text. This byte must be 0, or the lexer goes on through the memory
        // behind. Behind a string that the end of the text leaves open it would go on even so, but not behind a
        // line's end.
        let line_end = if text.ends_with('\n') { "" } else { "\n" };
        let terminated = [text, line_end, "\0"].concat();
        let text = string_ref(&terminated[..terminated.len() - 1]);
        // SAFETY: the context is alive; a 0 follows the text, which MLIR reads during the call only, as the name.
        let raw = unsafe { mlccParseModule(context.to_raw(), text, string_ref(file)) };
        (!raw.ptr.is_null()).then_some(Module { raw, context: PhantomData })
    }

    /// The `builtin.module` operation.
    pub(crate) fn op(&self) -> Op<'_> {
        // SAFETY: the module is alive.
        Op { raw: unsafe { mlirModuleGetOperation(self.raw) }, life: PhantomData }
    }

    /// Runs a pass pipeline in place; `None` after diagnostics if a pass fails, an error if there is no such
    /// pipeline.
    pub(crate) fn run(&mut self, pipeline: &str) -> Result<Option<()>, String> {
        let mut message = String::new();
        // SAFETY: the pass manager lives in this block, the module as long as `self`, and `append` gets the
        // string that it expects.
        unsafe {
            let context = mlirModuleGetContext(self.raw);
            let manager = mlirPassManagerCreate(context);
            let passes = mlirPassManagerGetAsOpPassManager(manager);
            let data = (&raw mut message).cast();
            let parsed = mlirParsePassPipeline(passes, string_ref(pipeline), Some(append), data);
            let ran = parsed.value != 0
                && mlirPassManagerRunOnOp(manager, mlirModuleGetOperation(self.raw)).value != 0;
            mlirPassManagerDestroy(manager);
            if parsed.value == 0 { Err(message) } else { Ok(ran.then_some(())) }
        }
    }
}

/// Calls `visit` for each error that MLIR reports while `action` runs: the place, where one is known as
/// `(file, line, column)`, and the message.
pub(crate) fn with_errors<T>(
    context: &melior::Context,
    mut visit: impl FnMut(Location<'_>, String),
    action: impl FnOnce() -> T,
) -> T {
    type Visit<'a> = &'a mut dyn FnMut(Location<'_>, String);
    unsafe extern "C" fn handle(diagnostic: MlirDiagnostic, data: *mut c_void) -> MlirLogicalResult {
        // SAFETY: `data` is the `Visit` below, which nobody else uses while the handler is attached: MLIR calls
        // it on this thread alone, since our contexts have no threads, and not from within itself, since printing
        // reports nothing. The diagnostic is valid during the call.
        unsafe {
            if mlirDiagnosticGetSeverity(diagnostic) == MlirDiagnosticSeverity_MlirDiagnosticError {
                let location = Location { raw: mlirDiagnosticGetLocation(diagnostic), life: PhantomData };
                let text = printed(|callback, data| mlirDiagnosticPrint(diagnostic, callback, data));
                (*data.cast::<Visit<'_>>())(location, text);
            }
        }
        MlirLogicalResult { value: 1 }
    }
    /// Detaches the handler, also if `action` panics: a context may be used again after a caught panic.
    struct Attached<'c>(&'c melior::Context, MlirDiagnosticHandlerID);
    impl Drop for Attached<'_> {
        fn drop(&mut self) {
            // SAFETY: the handler is attached and the context alive.
            unsafe { mlirContextDetachDiagnosticHandler(self.0.to_raw(), self.1) };
        }
    }
    let mut visit: Visit<'_> = &mut visit;
    let data = (&raw mut visit).cast();
    // SAFETY: the context is alive. The handler is detached before `visit` goes, which was declared before it.
    let id = unsafe { mlirContextAttachDiagnosticHandler(context.to_raw(), Some(handle), data, None) };
    let _attached = Attached(context, id);
    action()
}

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident($raw:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name<'m> {
            raw: $raw,
            life: PhantomData<&'m ()>,
        }
    )*};
}

handles! {
    /// An operation.
    Op(MlirOperation);
    /// A block.
    Block(MlirBlock);
    /// A value.
    Value(MlirValue);
    /// An attribute.
    Attribute(MlirAttribute);
    /// A type.
    Type(MlirType);
    /// A location.
    Location(MlirLocation);
}

impl<'m> Op<'m> {
    /// The operation for which MLIR calls a verifier.
    ///
    /// # Safety
    /// `raw` is alive as long as the handle is used.
    pub(crate) unsafe fn from_raw(raw: MlirOperation) -> Op<'m> {
        Op { raw, life: PhantomData }
    }

    /// `dialect.mnemonic`.
    pub(crate) fn name(self) -> String {
        // SAFETY: handles are alive by construction.
        unsafe { copied(mlirIdentifierStr(mlirOperationGetName(self.raw))) }
    }

    pub(crate) fn location(self) -> Location<'m> {
        // SAFETY: as above.
        Location { raw: unsafe { mlirOperationGetLocation(self.raw) }, life: PhantomData }
    }

    pub(crate) fn operands(self) -> impl ExactSizeIterator<Item = Value<'m>> {
        // SAFETY: as above; the positions are below the count.
        let count = unsafe { mlirOperationGetNumOperands(self.raw) } as usize;
        (0..count).map(move |i| {
            // SAFETY: as above.
            Value { raw: unsafe { mlirOperationGetOperand(self.raw, i as isize) }, life: PhantomData }
        })
    }

    pub(crate) fn results(self) -> impl ExactSizeIterator<Item = Value<'m>> {
        // SAFETY: as above; the positions are below the count.
        let count = unsafe { mlirOperationGetNumResults(self.raw) } as usize;
        (0..count).map(move |i| {
            // SAFETY: as above.
            Value { raw: unsafe { mlirOperationGetResult(self.raw, i as isize) }, life: PhantomData }
        })
    }

    /// An attribute, inherent or not.
    pub(crate) fn attribute(self, name: &str) -> Option<Attribute<'m>> {
        // SAFETY: the operation is alive; an attribute that does not exist is null.
        let raw = unsafe { mlirOperationGetAttributeByName(self.raw, string_ref(name)) };
        Attribute::new(raw)
    }

    /// All attributes by name.
    pub(crate) fn attributes(self) -> Vec<(String, Attribute<'m>)> {
        // SAFETY: the operation is alive and the positions below the count.
        unsafe {
            (0..mlirOperationGetNumAttributes(self.raw))
                .map(|i| mlirOperationGetAttribute(self.raw, i))
                .map(|n| (copied(mlirIdentifierStr(n.name)), n.attribute))
                .filter_map(|(name, raw)| Some((name, Attribute::new(raw)?)))
                .collect()
        }
    }

    /// Number of regions.
    pub(crate) fn region_count(self) -> usize {
        // SAFETY: the operation is alive.
        unsafe { mlirOperationGetNumRegions(self.raw) as usize }
    }

    /// The first block of region `i`.
    pub(crate) fn block(self, i: usize) -> Option<Block<'m>> {
        if i >= self.region_count() {
            return None;
        }
        // SAFETY: the operation is alive and has the region; without blocks the first one is null.
        let raw = unsafe { mlirRegionGetFirstBlock(mlirOperationGetRegion(self.raw, i as isize)) };
        (!raw.ptr.is_null()).then_some(Block { raw, life: PhantomData })
    }

    /// The operations of the first block of region `i`.
    pub(crate) fn body(self, i: usize) -> impl Iterator<Item = Op<'m>> {
        self.block(i).into_iter().flat_map(Block::ops)
    }

    /// Reports an error at the operation's location.
    pub(crate) fn emit_error(self, message: &str) {
        let message = message.replace('\0', "\\0");
        let message = std::ffi::CString::new(message).unwrap_or_default();
        // SAFETY: the operation is alive; MLIR copies the message.
        unsafe { mlirEmitError(mlirOperationGetLocation(self.raw), message.as_ptr()) }
    }

    /// The operation as text; SSA names come from locations. With `locations`, these are printed too, where they
    /// stand.
    pub(crate) fn print(self, locations: bool) -> String {
        // SAFETY: the flags live in this block, the operation is alive.
        unsafe {
            let flags = mlirOpPrintingFlagsCreate();
            mlirOpPrintingFlagsEnableDebugInfo(flags, locations, false);
            mlirOpPrintingFlagsUseLocalScope(flags);
            mlirOpPrintingFlagsPrintNameLocAsPrefix(flags);
            let text = printed(|callback, data| mlirOperationPrintWithFlags(self.raw, flags, callback, data));
            mlirOpPrintingFlagsDestroy(flags);
            text
        }
    }
}

impl<'m> Block<'m> {
    pub(crate) fn arguments(self) -> impl ExactSizeIterator<Item = Value<'m>> {
        // SAFETY: the block is alive; the positions are below the count.
        let count = unsafe { mlirBlockGetNumArguments(self.raw) } as usize;
        (0..count).map(move |i| {
            // SAFETY: as above.
            Value { raw: unsafe { mlirBlockGetArgument(self.raw, i as isize) }, life: PhantomData }
        })
    }

    pub(crate) fn ops(self) -> impl Iterator<Item = Op<'m>> {
        let some = |raw: MlirOperation| (!raw.ptr.is_null()).then_some(Op { raw, life: PhantomData });
        // SAFETY: the block is alive; after the last operation comes null.
        let first = some(unsafe { mlirBlockGetFirstOperation(self.raw) });
        // SAFETY: as above.
        std::iter::successors(first, move |op| some(unsafe { mlirOperationGetNextInBlock(op.raw) }))
    }
}

impl<'m> Value<'m> {
    pub(crate) fn ty(self) -> Type<'m> {
        // SAFETY: the value is alive.
        Type { raw: unsafe { mlirValueGetType(self.raw) }, life: PhantomData }
    }

    /// A key that is the same for two handles on one value.
    pub(crate) fn key(self) -> usize {
        self.raw.ptr as usize
    }

    /// Location of a block argument.
    pub(crate) fn location(self) -> Location<'m> {
        // SAFETY: the value is alive.
        Location { raw: unsafe { mlirValueGetLocation(self.raw) }, life: PhantomData }
    }
}

impl<'m> Location<'m> {
    /// A name and the location below it.
    pub(crate) fn name(self) -> Option<(String, Location<'m>)> {
        // SAFETY: the kind is asked for first.
        unsafe {
            mlirLocationIsAName(self.raw).then(|| {
                let name = copied(mlirIdentifierStr(mlirLocationNameGetName(self.raw)));
                (name, Location { raw: mlirLocationNameGetChildLoc(self.raw), life: PhantomData })
            })
        }
    }

    /// Metadata and parts of a fused location.
    pub(crate) fn fused(self) -> Option<(Option<Attribute<'m>>, Vec<Location<'m>>)> {
        // SAFETY: the kind is asked for first; the buffer has room for all parts.
        unsafe {
            if !mlirLocationIsAFused(self.raw) {
                return None;
            }
            let count = mlirLocationFusedGetNumLocations(self.raw) as usize;
            let mut parts = vec![MlirLocation { ptr: std::ptr::null() }; count];
            mlirLocationFusedGetLocations(self.raw, parts.as_mut_ptr());
            let parts = parts.into_iter().map(|raw| Location { raw, life: PhantomData }).collect();
            Some((Attribute::new(mlirLocationFusedGetMetadata(self.raw)), parts))
        }
    }

    /// File, line and column.
    pub(crate) fn file(self) -> Option<(String, u32, u32)> {
        // SAFETY: the kind is asked for first.
        unsafe {
            mlirLocationIsAFileLineColRange(self.raw).then(|| {
                let file = copied(mlirIdentifierStr(mlirLocationFileLineColRangeGetFilename(self.raw)));
                let line = mlirLocationFileLineColRangeGetStartLine(self.raw);
                (file, line as u32, mlirLocationFileLineColRangeGetStartColumn(self.raw) as u32)
            })
        }
    }

    /// The location as MLIR prints it.
    pub(crate) fn text(self) -> String {
        // SAFETY: the location is alive.
        printed(|callback, data| unsafe { mlirLocationPrint(self.raw, callback, data) })
    }
}
