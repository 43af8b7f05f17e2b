//! `cargo xtask docs`: the reference pages of passes and operations, written by the built mlcc itself, and the page of
//! rewrites, by the laboratory of rules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::rules;
use crate::workspace::Workspace;

/// Where the pages lie, relative to the root.
const FOLDER: &str = "docs/reference";
/// The page for users of rewrites, which lies beside that folder.
const REWRITES: &str = "rewrites.md";

/// Arguments of `cargo xtask docs`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing, but fail where a page differs from what would be written
    #[arg(long)]
    check: bool,
}

/// Runs `cargo xtask docs`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.check { check(workspace) } else { write(workspace) }
}

/// Regenerates the pages.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    generate(workspace, &workspace.root.join(FOLDER))
}

/// Compares the pages with freshly generated ones.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let fresh = workspace.build().join("docs-check/reference");
    generate(workspace, &fresh)?;
    let mut differing = differences(&pages(&workspace.root.join(FOLDER))?, &pages(&fresh)?);
    let beside = |folder: &Path| std::fs::read(folder.with_file_name(REWRITES)).unwrap_or_default();
    if beside(&workspace.root.join(FOLDER)) != beside(&fresh) {
        differing.push(format!("../{REWRITES} differs"));
    }
    if !differing.is_empty() {
        bail!(
            "{FOLDER} is not up to date: {}\n\nhint: run `cargo xtask docs` and commit the result",
            differing.join(", ")
        );
    }
    Ok(())
}

/// Has mlcc and the laboratory write their pages, into an empty folder and beside it.
fn generate(workspace: &Workspace, folder: &Path) -> Result<()> {
    let mlcc = workspace.build_mlcc()?;
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder)?;
    process::run(Command::new(mlcc).args(["docs", "--output"]).arg(folder))?;
    if pages(folder)?.is_empty() {
        bail!("`mlcc docs` wrote nothing into {}", folder.display());
    }
    let rewrites = folder.with_file_name(REWRITES);
    rules::example(workspace, &["rewrites_page", "--", &rewrites.to_string_lossy()])
}

type Pages = BTreeMap<PathBuf, Vec<u8>>;

/// All files beneath a folder by their relative paths; none where there is no folder.
fn pages(folder: &Path) -> Result<Pages> {
    let mut found = Pages::new();
    let mut folders = if folder.exists() { vec![folder.to_path_buf()] } else { vec![] };
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder)?.to_path_buf(), std::fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

/// The pages that are missing, left over or different, each with which of these it is.
fn differences(have: &Pages, want: &Pages) -> Vec<String> {
    let mut found = Vec::new();
    for (path, bytes) in want {
        match have.get(path) {
            None => found.push(format!("{} is missing", path.display())),
            Some(other) if other != bytes => found.push(format!("{} differs", path.display())),
            Some(_) => {}
        }
    }
    let left_over = have.keys().filter(|path| !want.contains_key(*path));
    found.extend(left_over.map(|path| format!("{} is left over", path.display())));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_missing_different_or_left_over() {
        let pages = |list: &[(&str, &str)]| -> Pages {
            list.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect()
        };
        let have = pages(&[("a.md", "1"), ("b.md", "1"), ("d.md", "1")]);
        let want = pages(&[("a.md", "1"), ("b.md", "2"), ("c.md", "1")]);
        assert_eq!(differences(&have, &want), ["b.md differs", "c.md is missing", "d.md is left over"]);
        assert!(differences(&have, &have).is_empty());
    }
}
