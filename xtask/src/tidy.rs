//! `cargo xtask tidy`: the project's rules that no compiler checks. It also runs as a test.
//!
//! | Rules | Where |
//! |---|---|
//! | module docs, length, `todo!` and its kind, `#[ignore]`, `SAFETY:` | `sources` |
//! | who may import whom | `layers` |
//! | ARCHITECTURE.md's code map matches the tree | `map` |
//! | no dependency without a use | `dependencies` |
//! | a pass has a test of its name | `passes` |
//! | licences of dependencies, where cargo-deny is not installed | `licences` |

mod dependencies;
mod layers;
mod lexer;
mod licences;
mod map;
mod passes;
mod sources;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

pub(crate) use licences::check as check_licences;

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Relative to the root.
    file: PathBuf,
    /// From 1; 0 where the whole file is meant.
    line: usize,
    message: String,
}

impl Finding {
    fn new(file: impl Into<PathBuf>, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, message: message.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Runs `cargo xtask tidy`.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let findings = check(workspace)?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("1 rule broken, named above"),
        count => bail!("{count} rules broken, named above"),
    }
}

/// Applies all rules; the findings are sorted by file and line.
fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let files = files(workspace)?;
    let mut used = dependencies::Uses::default();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|one| one == "rs")) {
        let path = workspace.root.join(file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        findings.extend(sources::check(file, &text));
        findings.extend(passes::check(file, &text, &files));
        used.read(&workspace.packages, file, &text);
    }
    findings.extend(layers::check(&workspace.packages));
    findings.extend(used.unused(&workspace.packages));
    findings.extend(layers::check_languages(&files));
    findings.extend(map::check(workspace)?);
    findings.sort();
    Ok(findings)
}

/// All files of the project, relative to the root and sorted; without what is built or hidden.
fn files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = workspace.root.join(&folder);
        let entries = std::fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let relative = folder.join(&name);
            let hidden = name.to_string_lossy().starts_with('.');
            let path = entry.path();
            let built = path == workspace.target || path == workspace.build();
            // Cargo's own mark, for target folders other than the one in use.
            let built = built || path.join("CACHEDIR.TAG").exists();
            if hidden || built {
                continue;
            }
            // Links are not followed: what they lead to is found where it lies.
            if entry.file_type()?.is_dir() {
                folders.push(relative);
            } else {
                found.push(relative);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let findings = check(&Workspace::load().unwrap()).unwrap();
        let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }

    #[test]
    fn a_finding_names_its_line_if_it_has_one() {
        assert_eq!(Finding::new("a.rs", 3, "bad").to_string(), "a.rs:3: bad");
        assert_eq!(Finding::new("a.rs", 0, "bad").to_string(), "a.rs: bad");
    }
}
