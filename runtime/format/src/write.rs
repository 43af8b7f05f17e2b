//! Writes an artifact as a stream.
//!
//! Weights come first in the file because they come first in time. The plan names their offsets, so
//! it is known only after they are written, and they are too large to be kept in memory or copied
//! once more. The header at the start is filled in at the end.

use crate::header::{self, SECTION_ALIGNMENT, Section, SectionKind, WEIGHT_ALIGNMENT};
use crate::{FormatError, Manifest, Plan, checksum};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// A piece of the weights section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its first byte within the section, a multiple of [`WEIGHT_ALIGNMENT`].
    pub offset: u64,
    /// Its size in bytes.
    pub len: u64,
}

/// Writes an artifact: first the weights, one by one, then everything else at once. Until it is
/// complete, the file has a temporary name beside its final one.
pub struct ArtifactWriter {
    path: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    /// Bytes of the weights section so far.
    len: u64,
    checksum: checksum::Stream,
    /// Blobs by hash of content. A hash has more than one blob only if hashes collide.
    known: BTreeMap<u128, Vec<Blob>>,
    finished: bool,
}

impl ArtifactWriter {
    /// Begins an artifact that will get the name `path`.
    ///
    /// # Errors
    /// If no file can be created beside `path`.
    pub fn create(path: impl AsRef<Path>) -> Result<ArtifactWriter, FormatError> {
        let path = path.as_ref().to_path_buf();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Several writers of one process may work at the same time, so their names have a counter.
        static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let temporary = path.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id()));
        let create = || -> std::io::Result<BufWriter<File>> {
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&temporary)?;
            let mut file = BufWriter::with_capacity(1 << 18, file);
            file.write_all(&[0; SECTION_ALIGNMENT as usize])?;
            Ok(file)
        };
        let file =
            create().map_err(|source| FormatError::Io { action: "create", path: path.clone(), source })?;
        Ok(ArtifactWriter {
            path,
            temporary,
            file,
            len: 0,
            checksum: checksum::Stream::new(),
            known: BTreeMap::new(),
            finished: false,
        })
    }

    /// Appends a weight, unless the file has one with the same content already; returns its place.
    ///
    /// # Errors
    /// If writing fails.
    pub fn add_weight(&mut self, bytes: &[u8]) -> Result<Blob, FormatError> {
        self.append(bytes).map_err(|source| self.io("write", source))
    }

    /// Completes the artifact with everything else and gives the file its name; returns its length.
    ///
    /// # Errors
    /// If writing or encoding fails.
    pub fn finish(mut self, manifest: &Manifest, plan: &Plan, code: &[u8]) -> Result<u64, FormatError> {
        let plan = postcard::to_stdvec(plan)
            .map_err(|e| FormatError::Decode { part: "plan", problem: e.to_string() })?;
        let manifest = serde_json::to_vec_pretty(manifest)
            .map_err(|e| FormatError::Decode { part: "manifest", problem: e.to_string() })?;
        let weights = std::mem::replace(&mut self.checksum, checksum::Stream::new()).finish();
        let len =
            self.complete(weights, &manifest, &plan, code).map_err(|source| self.io("write", source))?;
        std::fs::rename(&self.temporary, &self.path).map_err(|source| self.io("create", source))?;
        self.finished = true;
        Ok(len)
    }

    fn io(&self, action: &'static str, source: std::io::Error) -> FormatError {
        FormatError::Io { action, path: self.path.clone(), source }
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<Blob> {
        let hash = xxh3_128(bytes);
        for blob in self.known.get(&hash).cloned().unwrap_or_default() {
            if blob.len == bytes.len() as u64 && self.is_written(blob, bytes)? {
                return Ok(blob);
            }
        }
        let padding = (self.len.next_multiple_of(WEIGHT_ALIGNMENT) - self.len) as usize;
        let padding = &[0; WEIGHT_ALIGNMENT as usize][..padding];
        self.file.write_all(padding)?;
        self.file.write_all(bytes)?;
        self.checksum.update(padding);
        self.checksum.update(bytes);
        let blob = Blob { offset: self.len + padding.len() as u64, len: bytes.len() as u64 };
        self.len = blob.offset + blob.len;
        self.known.entry(hash).or_default().push(blob);
        Ok(blob)
    }

    /// Whether the file holds these bytes at this place: equal hashes alone do not prove equal
    /// content.
    fn is_written(&mut self, blob: Blob, bytes: &[u8]) -> std::io::Result<bool> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(SECTION_ALIGNMENT + blob.offset))?;
        let mut equal = true;
        let mut chunk = vec![0; bytes.len().min(1 << 18)];
        for expected in bytes.chunks(1 << 18) {
            let chunk = &mut chunk[..expected.len()];
            file.read_exact(chunk)?;
            if chunk != expected {
                equal = false;
                break;
            }
        }
        file.seek(SeekFrom::Start(SECTION_ALIGNMENT + self.len))?;
        Ok(equal)
    }

    fn complete(&mut self, weights: u64, manifest: &[u8], plan: &[u8], code: &[u8]) -> std::io::Result<u64> {
        let mut end = SECTION_ALIGNMENT + self.len;
        let mut sections = vec![Section {
            kind: SectionKind::Weights,
            target: 0,
            offset: SECTION_ALIGNMENT,
            len: self.len,
            checksum: weights,
        }];
        for (kind, bytes) in
            [(SectionKind::Code, code), (SectionKind::Plan, plan), (SectionKind::Manifest, manifest)]
        {
            let offset = end.next_multiple_of(SECTION_ALIGNMENT);
            self.file.write_all(&[0; SECTION_ALIGNMENT as usize][..(offset - end) as usize])?;
            self.file.write_all(bytes)?;
            end = offset + bytes.len() as u64;
            let checksum = checksum::of(bytes);
            sections.push(Section { kind, target: 0, offset, len: bytes.len() as u64, checksum });
        }
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header::encode(&sections, end))?;
        self.file.flush()?;
        Ok(end)
    }
}

impl Drop for ArtifactWriter {
    fn drop(&mut self) {
        if !self.finished {
            // A failure needs no action: nobody reads a file with this name.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}
