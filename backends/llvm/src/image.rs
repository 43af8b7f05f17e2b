//! One flat, position-independent image of many objects, linked at compile time.
//!
//! The runtime maps the image readable and executable and calls into it; it never relocates. So every
//! relocation is resolved here, against the image itself. An object that needs anything else (a library
//! function, an absolute address, writable data) is refused.

mod aarch64;
mod x86_64;

use mlcc_ir::diagnostic::{Diagnostic, Result};
use object::{
    Architecture, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionFlags,
    SectionIndex, SymbolSection,
};
use std::collections::HashMap;

/// Code and constants, ready to be mapped at any address that is a multiple of [`CodeImage::ALIGNMENT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeImage {
    /// The image.
    pub bytes: Vec<u8>,
    /// Offset of the function of each object, in the objects' order.
    pub entries: Vec<u64>,
}

impl CodeImage {
    /// Alignment that the image needs, in bytes: AArch64 addresses by pages of this size.
    pub const ALIGNMENT: u64 = 4096;
}

/// A relocation whose place and target are both within the image.
struct Fixup {
    /// Offset of the place.
    at: u64,
    /// The object format's kind.
    kind: u32,
    /// The address referred to.
    target: u64,
    addend: i64,
}

fn broken(what: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::internal(format!("linking kernels: {what}"))
}

/// Links objects, each with one global function.
///
/// # Errors
/// If an object is malformed, refers to a symbol that it does not define, or needs something that an
/// image without relocation cannot have.
pub fn link<O: AsRef<[u8]>>(objects: &[O]) -> Result<CodeImage> {
    let files = objects
        .iter()
        .map(|o| object::File::parse(o.as_ref()).map_err(|e| broken(format!("not an object file: {e}"))))
        .collect::<Result<Vec<_>>>()?;
    let mut image = CodeImage { bytes: Vec::new(), entries: Vec::new() };
    // All code first, then all constants, so that neither is spread over the other's pages.
    let mut places: Vec<HashMap<SectionIndex, u64>> = vec![HashMap::new(); files.len()];
    for code in [true, false] {
        for (file, places) in files.iter().zip(&mut places) {
            place_sections(file, code, &mut image.bytes, places)?;
        }
    }
    for (file, places) in files.iter().zip(&places) {
        for fixup in fixups(file, places)? {
            match file.architecture() {
                Architecture::X86_64 => x86_64::apply(&mut image.bytes, &fixup)?,
                Architecture::Aarch64 => aarch64::apply(&mut image.bytes, &fixup)?,
                other => return Err(broken(format!("no relocations for {other:?}"))),
            }
        }
        image.entries.push(entry(file, places)?);
    }
    Ok(image)
}

fn place_sections(
    file: &object::File<'_>,
    code: bool,
    image: &mut Vec<u8>,
    places: &mut HashMap<SectionIndex, u64>,
) -> Result<()> {
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else {
            return Err(broken("only ELF objects are linked"));
        };
        let name = section.name().map_err(broken)?;
        let allocated = sh_flags & u64::from(object::elf::SHF_ALLOC) != 0;
        let executable = sh_flags & u64::from(object::elf::SHF_EXECINSTR) != 0;
        if !allocated || section.size() == 0 || name.starts_with(".eh_frame") || executable != code {
            continue;
        }
        let writable = sh_flags & u64::from(object::elf::SHF_WRITE) != 0;
        if writable && !name.starts_with(".data.rel.ro") {
            return Err(broken(format!("section '{name}' is writable data")));
        }
        let align = usize::try_from(section.align().max(if code { 64 } else { 1 })).map_err(broken)?;
        if align as u64 > CodeImage::ALIGNMENT {
            return Err(broken(format!("section '{name}' needs an alignment of {align}")));
        }
        // The bytes between functions trap; on AArch64 zeros do so.
        let traps = code && file.architecture() == Architecture::X86_64;
        image.resize(image.len().next_multiple_of(align), if traps { 0xcc } else { 0 });
        places.insert(section.index(), image.len() as u64);
        image.extend_from_slice(section.data().map_err(broken)?);
    }
    Ok(())
}

fn fixups(file: &object::File<'_>, places: &HashMap<SectionIndex, u64>) -> Result<Vec<Fixup>> {
    let mut fixups = Vec::new();
    for section in file.sections() {
        let Some(base) = places.get(&section.index()) else { continue };
        for (offset, relocation) in section.relocations() {
            let RelocationFlags::Elf { r_type: kind } = relocation.flags() else {
                return Err(broken("only ELF objects are linked"));
            };
            let target = match relocation.target() {
                RelocationTarget::Symbol(symbol) => {
                    let symbol = file.symbol_by_index(symbol).map_err(broken)?;
                    let name = symbol.name().unwrap_or("");
                    match symbol.section() {
                        SymbolSection::Section(section) => {
                            places.get(&section).map(|place| place + symbol.address()).ok_or_else(|| {
                                broken(format!("'{name}' lies in a section that is not linked"))
                            })?
                        }
                        _ => return Err(broken(format!("undefined symbol '{name}'"))),
                    }
                }
                RelocationTarget::Section(section) => {
                    *places.get(&section).ok_or_else(|| broken("a reference to a section not linked"))?
                }
                _ => return Err(broken("a relocation without a target")),
            };
            fixups.push(Fixup { at: base + offset, kind, target, addend: relocation.addend() });
        }
    }
    Ok(fixups)
}

fn entry(file: &object::File<'_>, places: &HashMap<SectionIndex, u64>) -> Result<u64> {
    let mut functions = file.symbols().filter(|s| s.is_global() && s.is_definition());
    let (Some(function), None) = (functions.next(), functions.next()) else {
        return Err(broken("an object has not exactly one global function"));
    };
    function
        .section_index()
        .and_then(|section| places.get(&section))
        .map(|place| place + function.address())
        .ok_or_else(|| broken("an object's function lies in no linked section"))
}
