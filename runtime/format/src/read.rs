//! Maps an artifact and checks it.

use crate::header::{self, Section, SectionKind};
use crate::{FormatError, Limits, Manifest, Plan, checksum, verify};
use memmap2::{Mmap, MmapMut};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// A mapped artifact whose header, manifest, plan, code and padding were checked. Its weights are mapped
/// but untouched: [`Artifact::check_weights`] checks them, and so does a runtime that loads it.
#[derive(Debug)]
pub struct Artifact {
    map: Mmap,
    file: Option<File>,
    sections: Vec<Section>,
    code: Section,
    weights: Section,
    manifest: Manifest,
    plan: Plan,
}

impl Artifact {
    /// Maps a file and checks everything but its weights.
    ///
    /// # The file
    /// As long as the artifact lives, nobody may write to the file or cut it. Otherwise the checked bytes would
    /// differ from the used ones, and an access beyond the end of a cut file would end the process (`SIGBUS`).
    /// The same holds for a loaded shared library. It is fine to remove the file, or to replace it by renaming
    /// another one, because the mapping keeps the old contents; [`crate::ArtifactWriter`] replaces files only in
    /// this way. A caller that cannot promise this reads the file: `Artifact::from_bytes(&std::fs::read(path)?)`.
    ///
    /// # Errors
    /// Every way in which a file can fail to be an artifact, or a sound one.
    pub fn open(path: impl AsRef<Path>) -> Result<Artifact, FormatError> {
        let path = path.as_ref();
        let io = |source| FormatError::Io { action: "open", path: path.to_path_buf(), source };
        let file = File::open(path).map_err(io)?;
        if !file.metadata().map_err(io)?.is_file() {
            return Err(FormatError::NotAnArtifact("it is not a regular file"));
        }
        // SAFETY: the mapping is read-only and private to this value, which hands out no reference that
        // outlives it. That nobody alters the file is what this function demands. Safe code can break that, as
        // it can by a file that is an artifact and computes something else: an artifact is code, and to load one
        // is to trust it and whoever may write it. It is mapped all the same, so that processes share its memory.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Artifact::parse(map, Some(file))
    }

    /// An artifact that lies in memory, copied to a mapping of its own for alignment.
    ///
    /// # Errors
    /// As [`Artifact::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Artifact, FormatError> {
        let io = |source| FormatError::Io { action: "map", path: "<memory>".into(), source };
        let mut map = MmapMut::map_anon(bytes.len().max(1)).map_err(io)?;
        map[..bytes.len()].copy_from_slice(bytes);
        if bytes.is_empty() {
            return Err(FormatError::NotAnArtifact("the file is too short"));
        }
        Artifact::parse(map.make_read_only().map_err(io)?, None)
    }

    fn parse(map: Mmap, file: Option<File>) -> Result<Artifact, FormatError> {
        let sections = header::decode(&map)?;
        let find = |kind: SectionKind| {
            let mut found = sections.iter().filter(|section| section.kind == kind && section.target == 0);
            match (found.next(), found.next()) {
                (Some(section), None) => Ok(*section),
                (None, _) => Err(FormatError::Section { section: kind.name(), problem: "is missing" }),
                _ => Err(FormatError::Section { section: kind.name(), problem: "is there twice" }),
            }
        };
        let checked = |kind: SectionKind| -> Result<(Section, &[u8]), FormatError> {
            let section = find(kind)?;
            let bytes = slice(&map, section);
            match checksum::of(bytes) == section.checksum {
                true => Ok((section, bytes)),
                false => Err(FormatError::Checksum { part: kind.name() }),
            }
        };
        let (_, manifest) = checked(SectionKind::Manifest)?;
        let (_, plan) = checked(SectionKind::Plan)?;
        let (code, _) = checked(SectionKind::Code)?;
        let weights = find(SectionKind::Weights)?;
        let manifest: Manifest = serde_json::from_slice(manifest)
            .map_err(|e| FormatError::Decode { part: "manifest", problem: e.to_string() })?;
        let (plan, rest): (Plan, &[u8]) = postcard::take_from_bytes(plan)
            .map_err(|e| FormatError::Decode { part: "plan", problem: e.to_string() })?;
        if !rest.is_empty() {
            return Err(FormatError::Decode { part: "plan", problem: "bytes follow its end".into() });
        }
        verify(&plan, &manifest, Limits { weights: weights.len, code: Some(code.len) })?;
        Ok(Artifact { code, weights, manifest, plan, file, sections, map })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The plan, which was verified.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All sections that this version knows, in the order of the header.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The code section within the file.
    pub fn code_section(&self) -> Section {
        self.code
    }

    /// The bytes of the code section.
    pub fn code(&self) -> &[u8] {
        slice(&self.map, self.code)
    }

    /// The bytes of the weights section.
    pub fn weights(&self) -> &[u8] {
        slice(&self.map, self.weights)
    }

    /// The file from which the artifact was mapped, if there is one.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// The length of the file in bytes.
    pub fn file_len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Reads all weights and compares them with their checksum.
    ///
    /// # Errors
    /// If the weights were altered.
    pub fn verify_weights(&self) -> Result<(), FormatError> {
        let check = self.check_weights();
        check.read(0..check.pieces());
        check.finish()
    }

    /// Begins to compare the weights with their checksum, a piece at a time: any threads may
    /// [read](WeightsCheck::read) the pieces, in any order.
    pub fn check_weights(&self) -> WeightsCheck<'_> {
        let pieces = (0..checksum::pieces(self.weights())).map(|_| AtomicU64::new(0)).collect();
        WeightsCheck { artifact: self, pieces }
    }
}

/// The comparison of an artifact's weights with their checksum.
pub struct WeightsCheck<'a> {
    artifact: &'a Artifact,
    /// The checksum of each piece that was read.
    pieces: Box<[AtomicU64]>,
}

impl WeightsCheck<'_> {
    /// The number of pieces, of 1 MiB each.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Reads some of the pieces.
    pub fn read(&self, numbers: Range<usize>) {
        for number in numbers {
            // The thread that finishes waited for all readers; this orders their writes before its reads.
            self.pieces[number].store(checksum::piece(self.artifact.weights(), number), Ordering::Relaxed);
        }
    }

    /// The result after all pieces were read; a piece that was not read counts as altered.
    ///
    /// # Errors
    /// If the weights were altered.
    pub fn finish(self) -> Result<(), FormatError> {
        let pieces = self.pieces.iter().map(|piece| piece.load(Ordering::Relaxed));
        match checksum::root(pieces) == self.artifact.weights.checksum {
            true => Ok(()),
            false => Err(FormatError::Checksum { part: SectionKind::Weights.name() }),
        }
    }
}

/// A section's bytes; its bounds were checked when the header was decoded.
fn slice(map: &Mmap, section: Section) -> &[u8] {
    &map[section.offset as usize..(section.offset + section.len) as usize]
}
