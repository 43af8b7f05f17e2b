//! External data: tensors whose elements are in files beside the model.
//!
//! A model is not trusted. Its external files are opened only beneath the model's folder, component
//! by component and without following links. So no path and no link leads out of the folder.

use crate::{mapped, proto::StringStringEntryProto};
use bytes::Bytes;
use mlcc_ir::diagnostic::{Diagnostic, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::File,
    path::{Component, Path, PathBuf},
};

/// The files beneath a model's folder, each mapped once.
#[derive(Debug)]
pub(crate) struct ExternalData {
    folder: Option<PathBuf>,
    files: RefCell<BTreeMap<String, Bytes>>,
}

impl ExternalData {
    /// The files beneath `folder`. Without a folder, external data is refused.
    pub(crate) fn new(folder: Option<&Path>) -> ExternalData {
        let folder = folder.map(|f| if f.as_os_str().is_empty() { PathBuf::from(".") } else { f.to_owned() });
        ExternalData { folder, files: RefCell::default() }
    }

    /// The `size` bytes that a tensor's `external_data` entries describe.
    ///
    /// # Errors
    /// If entries are malformed, the path leaves the folder, or the file is missing or too short.
    pub(crate) fn read(
        &self,
        entries: &[StringStringEntryProto],
        tensor: &str,
        size: usize,
    ) -> Result<Bytes> {
        let entry = |key: &str| entries.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &str| -> Result<Option<usize>> {
            entry(key)
                .map(|text| {
                    text.trim().parse::<usize>().map_err(|_| {
                        Diagnostic::user(format!(
                            "tensor '{tensor}': external data's {key} '{text}' is not a size"
                        ))
                    })
                })
                .transpose()
        };
        let location = entry("location").ok_or_else(|| {
            Diagnostic::user(format!("tensor '{tensor}': external data without the key 'location'"))
        })?;
        let offset = number("offset")?.unwrap_or(0);
        if let Some(length) = number("length")?
            && length != size
        {
            return Err(Diagnostic::user(format!(
                "tensor '{tensor}' needs {size} bytes but its external data's length is {length}"
            )));
        }
        let file = self.file(location).map_err(|mut d| {
            d.message = format!("tensor '{tensor}': {}", d.message);
            d
        })?;
        let end = offset.checked_add(size).filter(|&end| end <= file.len()).ok_or_else(|| {
            Diagnostic::user(format!(
                "tensor '{tensor}': external data at offset {offset}, {size} bytes long, is beyond the end of \
                 '{location}' ({} bytes)",
                file.len()
            ))
            .hint("the file is truncated or belongs to another model")
        })?;
        Ok(file.slice(offset..end))
    }

    fn file(&self, location: &str) -> Result<Bytes> {
        if let Some(bytes) = self.files.borrow().get(location) {
            return Ok(bytes.clone());
        }
        let folder = self.folder.as_deref().ok_or_else(|| {
            Diagnostic::user(format!("external data '{location}' of a model without a folder"))
                .hint("import the model from a file, or give the folder of its external data")
        })?;
        let file = open_beneath(folder, location)?;
        let bytes = mapped::map(&file)
            .map_err(|e| Diagnostic::user(format!("cannot map external data '{location}': {e}")))?;
        self.files.borrow_mut().insert(location.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

/// Opens the regular file `location` beneath `folder`, following no link.
fn open_beneath(folder: &Path, location: &str) -> Result<File> {
    let refused = |why: &str| {
        Diagnostic::user(format!("external data '{location}' {why}"))
            .hint("external data must be a regular file beneath the model's folder, without links on the way")
    };
    let mut names = Vec::new();
    for component in Path::new(location).components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err(refused("leads out of the model's folder")),
            Component::RootDir | Component::Prefix(_) => return Err(refused("has an absolute path")),
        }
    }
    let Some((last, parents)) = names.split_last() else { return Err(refused("names no file")) };
    let failed = |e: rustix::io::Errno| match e {
        rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => {
            refused("is behind a symbolic link or not a file")
        }
        rustix::io::Errno::NOENT => {
            Diagnostic::user(format!("external data '{location}' is missing in '{}'", folder.display()))
                .hint("copy the model's data files to the folder of the model")
        }
        e => {
            Diagnostic::user(format!("cannot open external data '{location}' in '{}': {e}", folder.display()))
        }
    };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut current = openat(CWD, folder, flags | OFlags::DIRECTORY, Mode::empty()).map_err(failed)?;
    for parent in parents {
        current = openat(&current, *parent, flags | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
            .map_err(failed)?;
    }
    // The open does not block, so that a pipe in the place of the file cannot hang the compiler.
    let file = openat(&current, *last, flags | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty())
        .map_err(failed)?;
    let file = File::from(file);
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(refused("is not a regular file")),
        Err(e) => Err(Diagnostic::user(format!("cannot read external data '{location}': {e}"))),
    }
}
