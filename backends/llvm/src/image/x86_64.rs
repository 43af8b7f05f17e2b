//! Relocations of x86-64.

use super::{Fixup, broken};
use mlcc_ir::diagnostic::Result;
use object::elf::{
    R_X86_64_GOTPCREL, R_X86_64_GOTPCRELX, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32,
    R_X86_64_REX_GOTPCRELX,
};

pub(super) fn apply(image: &mut [u8], fixup: &Fixup) -> Result<()> {
    let distance = (fixup.target as i64).wrapping_add(fixup.addend).wrapping_sub(fixup.at as i64);
    let at = usize::try_from(fixup.at).map_err(broken)?;
    let size = if fixup.kind == R_X86_64_PC64 { 8 } else { 4 };
    if at.checked_add(size).is_none_or(|end| end > image.len()) {
        return Err(broken("a relocation beyond its section"));
    }
    match fixup.kind {
        R_X86_64_PC32 | R_X86_64_PLT32 => {}
        R_X86_64_PC64 => {
            image[at..at + 8].copy_from_slice(&distance.to_le_bytes());
            return Ok(());
        }
        // `mov symbol@GOTPCREL(%rip), %reg` becomes `lea symbol(%rip), %reg`, because the image has
        // no such table.
        R_X86_64_GOTPCREL | R_X86_64_GOTPCRELX | R_X86_64_REX_GOTPCRELX
            if at >= 2 && image[at - 2] == 0x8b && image[at - 1] & 0xc7 == 0x05 =>
        {
            image[at - 2] = 0x8d;
        }
        kind => return Err(broken(format!("relocation of kind {kind} needs an address at run time"))),
    }
    let distance = i32::try_from(distance).map_err(|_| broken("the image is larger than 2 GB"))?;
    image[at..at + 4].copy_from_slice(&distance.to_le_bytes());
    Ok(())
}
