//! The header of an artifact: a fixed part and a table of sections.
//!
//! ```text
//! 0   magic              8 bytes
//! 8   format version     u32
//! 12  number of sections u32
//! 16  length of the file u64
//! 24  checksum           u64   of the header without this field
//! 32  sections           kind u32, target u32, offset u64, length u64, checksum u64
//! ```
//! All numbers are little-endian. Sections do not overlap, the last one ends where the file does, and all
//! bytes that belong to neither the header nor a section are zero.

use crate::FormatError;
use xxhash_rust::xxh3::Xxh3;

/// The version of the format that this crate writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 2;
/// Sections begin at multiples of this, so that each can be mapped.
pub const SECTION_ALIGNMENT: u64 = 4096;
/// Weights and arena buffers begin at multiples of this: a cache line, and the widest vector.
pub const WEIGHT_ALIGNMENT: u64 = 64;

// As in PNG: a byte that is not ASCII, and line ends that text-mode transfers would change.
const MAGIC: [u8; 8] = *b"\x93MLCC\r\n\x1a";
/// Whether a file with these first bytes is an artifact, damaged or not.
pub fn begins_artifact(first: &[u8]) -> bool {
    first.starts_with(&MAGIC)
}

const FIXED: usize = 32;
const ENTRY: usize = 32;
const MAX_SECTIONS: usize = (SECTION_ALIGNMENT as usize - FIXED) / ENTRY;

/// The content of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionKind {
    /// The manifest, JSON.
    Manifest,
    /// The plan, postcard.
    Plan,
    /// Machine code and read-only data of all kernels.
    Code,
    /// The packed weights.
    Weights,
}

impl SectionKind {
    /// Every kind of section.
    pub const ALL: [SectionKind; 4] =
        [SectionKind::Manifest, SectionKind::Plan, SectionKind::Code, SectionKind::Weights];

    /// The name for messages.
    pub fn name(self) -> &'static str {
        match self {
            SectionKind::Manifest => "manifest",
            SectionKind::Plan => "plan",
            SectionKind::Code => "code",
            SectionKind::Weights => "weights",
        }
    }

    fn code(self) -> u32 {
        match self {
            SectionKind::Manifest => 1,
            SectionKind::Plan => 2,
            SectionKind::Code => 3,
            SectionKind::Weights => 4,
        }
    }
}

/// A section of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it holds.
    pub kind: SectionKind,
    /// The target of the section; an artifact for several targets has a plan and code for each.
    pub target: u32,
    /// Its first byte in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The checksum of its bytes: XXH3 over the XXH3 of each MiB.
    pub checksum: u64,
}

/// Encodes the header of a file of the given length.
pub(crate) fn encode(sections: &[Section], file_len: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIXED + sections.len() * ENTRY);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&file_len.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    for section in sections {
        bytes.extend_from_slice(&section.kind.code().to_le_bytes());
        bytes.extend_from_slice(&section.target.to_le_bytes());
        bytes.extend_from_slice(&section.offset.to_le_bytes());
        bytes.extend_from_slice(&section.len.to_le_bytes());
        bytes.extend_from_slice(&section.checksum.to_le_bytes());
    }
    let checksum = checksum(&bytes);
    bytes[24..32].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Decodes and checks the header at the start of a file's bytes.
pub(crate) fn decode(file: &[u8]) -> Result<Vec<Section>, FormatError> {
    let Some(fixed) = file.get(..FIXED) else {
        // A prefix of the magic is a cut artifact; anything else is another file.
        return Err(match MAGIC.starts_with(&file[..file.len().min(8)]) && !file.is_empty() {
            true => FormatError::Length { expected: SECTION_ALIGNMENT, actual: file.len() as u64 },
            false => FormatError::NotAnArtifact("the file is too short"),
        });
    };
    if fixed[..8] != MAGIC {
        return Err(FormatError::NotAnArtifact("the file does not begin as one does"));
    }
    let version = u32_at(fixed, 8);
    if version != FORMAT_VERSION {
        return Err(FormatError::Version { found: version, supported: FORMAT_VERSION });
    }
    let count = u32_at(fixed, 12) as usize;
    let damaged = || FormatError::Checksum { part: "header" };
    if count > MAX_SECTIONS {
        return Err(damaged());
    }
    let expected = u64_at(fixed, 16);
    let actual = file.len() as u64;
    let Some(header) = file.get(..FIXED + count * ENTRY) else {
        return Err(FormatError::Length { expected, actual });
    };
    if checksum(header) != u64_at(fixed, 24) {
        return Err(damaged());
    }
    if expected != actual {
        return Err(FormatError::Length { expected, actual });
    }
    let mut sections = Vec::with_capacity(count);
    // The ranges of all sections, of known kinds or not.
    let mut ranges = vec![(0, header.len() as u64)];
    for entry in header[FIXED..].chunks_exact(ENTRY) {
        let kind = SectionKind::ALL.into_iter().find(|kind| kind.code() == u32_at(entry, 0));
        let bad =
            |problem| FormatError::Section { section: kind.map_or("unknown", SectionKind::name), problem };
        let (offset, len) = (u64_at(entry, 8), u64_at(entry, 16));
        if offset.checked_add(len).is_none_or(|end| end > actual) {
            return Err(bad("reaches beyond the end of the file"));
        }
        if offset % SECTION_ALIGNMENT != 0 {
            return Err(bad("is not aligned to a page"));
        }
        ranges.push((offset, len));
        // Sections of kinds that a later compiler added are not needed to run the rest.
        let Some(kind) = kind else { continue };
        sections.push(Section { kind, target: u32_at(entry, 4), offset, len, checksum: u64_at(entry, 24) });
    }
    check_padding(file, ranges)?;
    Ok(sections)
}

/// Checks that ranges `(offset, length)` do not overlap and that all bytes outside of them are zero. So no
/// byte of a file can change unnoticed.
fn check_padding(file: &[u8], mut ranges: Vec<(u64, u64)>) -> Result<(), FormatError> {
    ranges.sort_unstable();
    let mut end = 0;
    for (offset, len) in ranges.into_iter().chain([(file.len() as u64, 0)]) {
        if offset < end {
            return Err(FormatError::Overlap { offset });
        }
        let padding = &file[end as usize..offset as usize];
        if let Some(at) = padding.iter().position(|byte| *byte != 0) {
            return Err(FormatError::Padding { offset: end + at as u64 });
        }
        end = offset + len;
    }
    Ok(())
}

/// The header's checksum, computed without the field that holds it.
fn checksum(header: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&header[..24]);
    hasher.update(&header[FIXED..]);
    hasher.digest()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}
