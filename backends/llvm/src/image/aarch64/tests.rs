//! Each kind of relocation, on instructions whose encoding is known from the architecture's manual.

use super::*;

/// The instruction at `at` of an image of three pages after a relocation.
fn applied(at: u64, kind: u32, target: u64, word: u32) -> Result<u32> {
    let mut image = vec![0u8; 3 * 4096];
    image[at as usize..at as usize + 4].copy_from_slice(&word.to_le_bytes());
    apply(&mut image, &Fixup { at, kind, target, addend: 0 })?;
    let bytes = image[at as usize..at as usize + 4].try_into().unwrap();
    Ok(u32::from_le_bytes(bytes))
}

/// The number that `adr` or `adrp` holds.
fn immediate(word: u32) -> i64 {
    let bits = (word >> 5 & 0x7_ffff) << 2 | word >> 29 & 3;
    i64::from((bits << 11) as i32 >> 11)
}

#[test]
fn pages_are_relative_to_the_instructions_page() {
    let adrp = 0x9000_0003;
    for (at, target, pages) in [(0, 0xfff, 0), (0xffc, 0x1000, 1), (0x2000, 0x1ff8, -1), (0x10, 0x2abc, 2)] {
        let word = applied(at, R_AARCH64_ADR_PREL_PG_HI21, target, adrp).unwrap();
        assert_eq!(immediate(word), pages, "{at:#x} to {target:#x}");
        assert_eq!(word & 0x9f00_001f, adrp, "register and opcode stay");
    }
    let word = applied(0x1234, R_AARCH64_ADR_PREL_LO21, 0x1001, 0x1000_0000).unwrap();
    assert_eq!(immediate(word), 0x1001 - 0x1234);
}

#[test]
fn low_bits_are_scaled_by_the_size_of_the_access() {
    let target = 0x1a30;
    for (kind, scale) in [
        (R_AARCH64_ADD_ABS_LO12_NC, 0),
        (R_AARCH64_LDST8_ABS_LO12_NC, 0),
        (R_AARCH64_LDST16_ABS_LO12_NC, 1),
        (R_AARCH64_LDST32_ABS_LO12_NC, 2),
        (R_AARCH64_LDST64_ABS_LO12_NC, 3),
        (R_AARCH64_LDST128_ABS_LO12_NC, 4),
    ] {
        // The old bits of the field are replaced; the rest stays.
        let word = applied(8, kind, target, 0x3d80_0041 | 0xfff << 10).unwrap();
        assert_eq!(word, 0x3d80_0041 & !(0xfff << 10) | (0xa30 >> scale) << 10, "{kind}");
        if scale > 0 {
            let error = applied(8, kind, target + 1, 0).unwrap_err();
            assert!(error.message.contains("not aligned"), "{error}");
        }
    }
}

#[test]
fn branches_count_instructions() {
    assert_eq!(applied(0x10, R_AARCH64_CALL26, 0x110, 0x9400_0000).unwrap(), 0x9400_0040);
    assert_eq!(applied(0x110, R_AARCH64_JUMP26, 0x10, 0x1400_0000).unwrap(), 0x17ff_ffc0);
    assert_eq!(applied(0x10, R_AARCH64_CONDBR19, 0x0c, 0x5400_0001).unwrap(), 0x54ff_ffe1);
    assert_eq!(applied(0x10, R_AARCH64_TSTBR14, 0x18, 0x3600_0002).unwrap(), 0x3600_0042);
    for (kind, target) in
        [(R_AARCH64_CALL26, 0x12), (R_AARCH64_CALL26, 1 << 28), (R_AARCH64_TSTBR14, 1 << 16)]
    {
        let error = applied(0x10, kind, target, 0).unwrap_err();
        assert!(error.message.contains("beyond the reach"), "{error}");
    }
}

#[test]
fn data_holds_distances() {
    assert_eq!(applied(0x1000, R_AARCH64_PREL32, 0xff0, 0).unwrap() as i32, -16);
    assert_eq!(applied(0x1000, R_AARCH64_PREL16, 0x1ff0, 0xabcd_0000).unwrap(), 0xabcd_0ff0);
    let error = applied(0, R_AARCH64_PREL16, 0x9000, 0).unwrap_err();
    assert!(error.message.contains("does not fit 2 bytes"), "{error}");
    let mut image = vec![0u8; 16];
    apply(&mut image, &Fixup { at: 8, kind: R_AARCH64_PREL64, target: 0, addend: -4 }).unwrap();
    assert_eq!(image[8..], (-12i64).to_le_bytes());
}

#[test]
fn a_load_from_the_global_offset_table_becomes_a_sum() {
    // ldr x7, [x9] becomes add x7, x9, #0x678.
    let word = applied(4, R_AARCH64_LD64_GOT_LO12_NC, 0x1678, 0xf940_0127).unwrap();
    assert_eq!(word, 0x9119_e127);
    let error = applied(4, R_AARCH64_LD64_GOT_LO12_NC, 0x1678, 0xb940_0127).unwrap_err();
    assert!(error.message.contains("not a plain load"), "{error}");
}

#[test]
fn what_needs_an_address_at_run_time_is_refused() {
    for kind in [object::elf::R_AARCH64_ABS64, object::elf::R_AARCH64_ABS32] {
        let error = applied(0, kind, 0x10, 0).unwrap_err();
        assert!(error.message.contains("needs an address at run time"), "{error}");
    }
    let beyond = Fixup { at: 13, kind: R_AARCH64_PREL32, target: 0, addend: 0 };
    assert!(apply(&mut [0; 16], &beyond).unwrap_err().message.contains("beyond its section"));
    let wrapped = Fixup { at: u64::MAX - 1, kind: R_AARCH64_CALL26, target: 0, addend: 0 };
    assert!(apply(&mut [0; 16], &wrapped).is_err());
}
