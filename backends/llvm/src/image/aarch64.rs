//! Relocations of AArch64, small code model.
//!
//! Addresses are formed by `adrp`, which gives the page of a symbol relative to the page of the
//! instruction, and by the low twelve bits in the instruction after it. Both are right for any place of
//! the image, as long as it begins at a page of 4096 bytes.
//!
//! Source: "ELF for the Arm 64-bit Architecture (AArch64)", IHI 0056, section 5.7.

use super::{Fixup, broken};
use mlcc_ir::diagnostic::Result;
use object::elf::{
    R_AARCH64_ADD_ABS_LO12_NC, R_AARCH64_ADR_GOT_PAGE, R_AARCH64_ADR_PREL_LO21, R_AARCH64_ADR_PREL_PG_HI21,
    R_AARCH64_ADR_PREL_PG_HI21_NC, R_AARCH64_CALL26, R_AARCH64_CONDBR19, R_AARCH64_JUMP26,
    R_AARCH64_LD_PREL_LO19, R_AARCH64_LD64_GOT_LO12_NC, R_AARCH64_LDST8_ABS_LO12_NC,
    R_AARCH64_LDST16_ABS_LO12_NC, R_AARCH64_LDST32_ABS_LO12_NC, R_AARCH64_LDST64_ABS_LO12_NC,
    R_AARCH64_LDST128_ABS_LO12_NC, R_AARCH64_PREL16, R_AARCH64_PREL32, R_AARCH64_PREL64, R_AARCH64_TSTBR14,
};

/// A distance in four bytes to a function, newer than the constants of `object`.
const R_AARCH64_PLT32: u32 = 314;
/// `ldr x0, [x0]`, without its registers and offset.
const LDR_X: u32 = 0xf940_0000;
/// `add x0, x0, #0`, without its registers and number.
const ADD_X: u32 = 0x9100_0000;
/// The registers of both.
const REGISTERS: u32 = 0x3ff;

pub(super) fn apply(image: &mut [u8], fixup: &Fixup) -> Result<()> {
    let value = (fixup.target as i64).wrapping_add(fixup.addend);
    let distance = value.wrapping_sub(fixup.at as i64);
    let mut place = Place { image, at: usize::try_from(fixup.at).map_err(broken)? };
    match fixup.kind {
        R_AARCH64_PREL64 => place.data(distance, 8),
        R_AARCH64_PREL32 | R_AARCH64_PLT32 => place.data(distance, 4),
        R_AARCH64_PREL16 => place.data(distance, 2),
        R_AARCH64_ADR_PREL_PG_HI21 | R_AARCH64_ADR_PREL_PG_HI21_NC | R_AARCH64_ADR_GOT_PAGE => {
            place.split_immediate((value >> 12).wrapping_sub(fixup.at as i64 >> 12))
        }
        R_AARCH64_ADR_PREL_LO21 => place.split_immediate(distance),
        R_AARCH64_ADD_ABS_LO12_NC | R_AARCH64_LDST8_ABS_LO12_NC => place.low_bits(value, 0),
        R_AARCH64_LDST16_ABS_LO12_NC => place.low_bits(value, 1),
        R_AARCH64_LDST32_ABS_LO12_NC => place.low_bits(value, 2),
        R_AARCH64_LDST64_ABS_LO12_NC => place.low_bits(value, 3),
        R_AARCH64_LDST128_ABS_LO12_NC => place.low_bits(value, 4),
        // The image has no such table: the load of an address is replaced by the addition that computes
        // it.
        R_AARCH64_LD64_GOT_LO12_NC => {
            let load = place.word()?;
            if load & !REGISTERS != LDR_X {
                return Err(broken("a load from the global offset table is not a plain load"));
            }
            place.set_word(ADD_X | load & REGISTERS)?;
            place.low_bits(value, 0)
        }
        R_AARCH64_CALL26 | R_AARCH64_JUMP26 => place.branch(distance, 26, 0),
        R_AARCH64_CONDBR19 | R_AARCH64_LD_PREL_LO19 => place.branch(distance, 19, 5),
        R_AARCH64_TSTBR14 => place.branch(distance, 14, 5),
        kind => Err(broken(format!("relocation of kind {kind} needs an address at run time"))),
    }
}

/// Where a relocation applies.
struct Place<'a> {
    image: &'a mut [u8],
    at: usize,
}

impl Place<'_> {
    fn bytes(&mut self, size: usize) -> Result<&mut [u8]> {
        let end = self.at.checked_add(size);
        end.and_then(|end| self.image.get_mut(self.at..end))
            .ok_or_else(|| broken("a relocation beyond its section"))
    }

    /// The instruction.
    fn word(&mut self) -> Result<u32> {
        let bytes = self.bytes(4)?;
        Ok(bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)))
    }

    fn set_word(&mut self, word: u32) -> Result<()> {
        self.bytes(4)?.copy_from_slice(&word.to_le_bytes());
        Ok(())
    }

    /// `bits` of an instruction from bit `low` on.
    fn set_field(&mut self, value: i64, bits: u32, low: u32) -> Result<()> {
        let mask = (1u32 << bits) - 1;
        let word = self.word()? & !(mask << low);
        self.set_word(word | (value as u32 & mask) << low)
    }

    /// A number in `size` bytes.
    fn data(&mut self, value: i64, size: usize) -> Result<()> {
        if size < 8 && !fits(value, 8 * size as u32) {
            return Err(broken(format!("a distance of {value} does not fit {size} bytes")));
        }
        self.bytes(size)?.copy_from_slice(&value.to_le_bytes()[..size]);
        Ok(())
    }

    /// The 21 bits of `adr` and `adrp`: two in front of the opcode, the rest behind it.
    fn split_immediate(&mut self, value: i64) -> Result<()> {
        if !fits(value, 21) {
            return Err(broken(format!("a distance of {value} is beyond the reach of adr")));
        }
        self.set_field(value, 2, 29)?;
        self.set_field(value >> 2, 19, 5)
    }

    /// The low twelve bits of an address, in units of `1 << scale` bytes.
    fn low_bits(&mut self, value: i64, scale: u32) -> Result<()> {
        if value & ((1 << scale) - 1) != 0 {
            return Err(broken(format!("an access to {value:#x} is not aligned to {} bytes", 1 << scale)));
        }
        self.set_field((value & 0xfff) >> scale, 12, 10)
    }

    /// A distance in instructions.
    fn branch(&mut self, distance: i64, bits: u32, low: u32) -> Result<()> {
        if distance & 3 != 0 || !fits(distance >> 2, bits) {
            return Err(broken(format!("a distance of {distance} is beyond the reach of a branch")));
        }
        self.set_field(distance >> 2, bits, low)
    }
}

/// Whether a number is one of so many bits, with sign.
fn fits(value: i64, bits: u32) -> bool {
    (-(1i64 << (bits - 1))..1i64 << (bits - 1)).contains(&value)
}

#[cfg(test)]
mod tests;
