//! Stamps: whether something generated under build/ is still what its sources would give.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A file that records which sources something was made from.
pub(crate) struct Stamp {
    file: PathBuf,
    sources: String,
}

impl Stamp {
    /// The stamp in `file` of what is made from `sources` (files) and `facts` (anything else that decides).
    pub(crate) fn new(file: PathBuf, sources: &[&Path], facts: &str) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        facts.hash(&mut hasher);
        for source in sources {
            let bytes = std::fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
            bytes.hash(&mut hasher);
        }
        Ok(Self { file, sources: format!("{:016x}\n", hasher.finish()) })
    }

    /// Whether it was made from the same sources before.
    pub(crate) fn is_current(&self) -> bool {
        std::fs::read_to_string(&self.file).is_ok_and(|text| text == self.sources)
    }

    /// Records that it has been made. Called last, so that an interrupted attempt is repeated.
    pub(crate) fn write(&self) -> Result<()> {
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&self.file, &self.sources)
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_current_until_a_source_or_a_fact_changes() {
        let folder = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (source, file) = (folder.join("source"), folder.join("made/stamp"));
        let stamp = |facts| Stamp::new(file.clone(), &[&source], facts).unwrap();
        std::fs::write(&source, "one").unwrap();
        assert!(!stamp("").is_current());
        stamp("").write().unwrap();
        assert!(stamp("").is_current());
        assert!(!stamp("other").is_current());
        std::fs::write(&source, "two").unwrap();
        assert!(!stamp("").is_current());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
