//! The code map of ARCHITECTURE.md against the tree: a map that names what is gone misleads.
//!
//! In the section `## Code map`, whatever stands in backquotes and ends with `/`, or holds a `/` and
//! ends with a file's extension, is a path from the root.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::tidy::Finding;
use crate::workspace::Workspace;

const FILE: &str = "ARCHITECTURE.md";
const HEADING: &str = "## Code map";

/// Checks that every path of the map exists and that every crate is on it.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let path = workspace.root.join(FILE);
    if !path.exists() {
        return Ok(vec![Finding::new(FILE, 0, "there is none, but it holds the code map")]);
    }
    let text = std::fs::read_to_string(path)?;
    let folders: Vec<_> =
        workspace.packages.iter().map(|package| package.folder.to_string_lossy().into_owned()).collect();
    Ok(compare(&text, &folders, |path| workspace.root.join(path).exists()))
}

fn compare(text: &str, crates: &[String], exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let paths = paths(text);
    if paths.is_empty() {
        return vec![Finding::new(FILE, 0, format!("no section `{HEADING}` with folders in backquotes"))];
    }
    let gone = paths.iter().filter(|(_, path)| !exists(path)).map(|(line, path)| {
        Finding::new(FILE, *line, format!("the code map names {path}, which does not exist"))
    });
    let named: BTreeSet<_> = paths.iter().map(|(_, path)| path.trim_end_matches('/')).collect();
    let unnamed = crates
        .iter()
        .filter(|folder| !named.contains(folder.as_str()))
        .map(|folder| Finding::new(FILE, 0, format!("the code map does not name the crate {folder}/")));
    gone.chain(unnamed).collect()
}

/// The paths in backquotes of the code map, each with its line.
fn paths(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("## ") {
            inside = line.trim_end() == HEADING;
        }
        if inside {
            let quoted = line.split('`').skip(1).step_by(2);
            found.extend(quoted.filter(|word| is_path(word)).map(|word| (index + 1, word)));
        }
    }
    found
}

fn is_path(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    let last = word.rsplit('/').next().unwrap_or_default();
    plain && word.contains('/') && (last.is_empty() || last.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "# Title\n`gone/before/`\n## Code map\n`a/` and `b/c/`, `Type::f/g`, `x / y`\n\
                       see `a/src/lib.rs` and `and/or`\n## Next\n`gone/after/`\n";

    fn messages(crates: &[&str], missing: &str) -> Vec<String> {
        let crates: Vec<_> = crates.iter().map(|&one| one.to_owned()).collect();
        compare(MAP, &crates, |path| path != missing).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_the_map_is_read() {
        assert_eq!(paths(MAP), [(4, "a/"), (4, "b/c/"), (5, "a/src/lib.rs")]);
        assert!(messages(&["a", "b/c"], "").is_empty());
    }

    #[test]
    fn a_path_that_is_gone_is_named_with_its_line() {
        assert_eq!(
            messages(&[], "b/c/"),
            ["ARCHITECTURE.md:4: the code map names b/c/, which does not exist"]
        );
    }

    #[test]
    fn a_crate_that_is_not_on_the_map_is_named() {
        assert_eq!(messages(&["a", "d"], ""), ["ARCHITECTURE.md: the code map does not name the crate d/"]);
    }

    #[test]
    fn a_text_without_a_map_is_refused() {
        assert_eq!(compare("# Title\n", &[], |_| true).len(), 1);
    }
}
