//! Dependencies that no source names: they cost build time and mislead about the layers.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tidy::Finding;
use crate::tidy::lexer;
use crate::workspace::Package;

/// Dependencies that are there for another reason than being called: crate, dependency, reason.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("mlcc-cpu", "libc", "its tests run machine code through mlcc-llvm's test runner, which uses it")];

/// Which dependencies the sources read so far name, as pairs of crate and identifier.
#[derive(Default)]
pub(super) struct Uses(BTreeSet<(String, String)>);

impl Uses {
    /// Takes in one source file.
    pub(super) fn read(&mut self, packages: &[Package], file: &Path, text: &str) {
        // Of nested crates, the innermost owns the file.
        let owners = packages.iter().filter(|package| file.starts_with(&package.folder));
        let Some(package) = owners.max_by_key(|package| package.folder.components().count()) else {
            return;
        };
        let lines = lexer::lines(text);
        for dependency in &package.dependencies {
            let is_named = |code: &str| {
                code.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .any(|word| word == dependency.identifier)
            };
            if lines.iter().any(|line| is_named(&line.code)) {
                self.0.insert((package.name.clone(), dependency.identifier.clone()));
            }
        }
    }

    /// The dependencies that no file has named.
    pub(super) fn unused(&self, packages: &[Package]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for package in packages {
            for dependency in &package.dependencies {
                let excepted = EXCEPTIONS
                    .iter()
                    .any(|(user, name, _)| *user == package.name && *name == dependency.name);
                if !excepted && !self.0.contains(&(package.name.clone(), dependency.identifier.clone())) {
                    let message = format!("{} does not use its dependency {}", package.name, dependency.name);
                    findings.push(Finding::new(package.folder.join("Cargo.toml"), 0, message));
                }
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace::Dependency;

    #[test]
    fn a_dependency_that_is_not_named_in_code_is_unused() {
        let dependency =
            |name: &str| Dependency { name: name.to_owned(), identifier: name.replace('-', "_"), dev: false };
        let package = |name: &str, folder| Package {
            name: name.to_owned(),
            folder: PathBuf::from(folder),
            dependencies: vec![dependency("a-b"), dependency("c")],
        };
        let packages = [package("outer", "x"), package("inner", "x/y")];
        let mut uses = Uses::default();
        uses.read(&packages, Path::new("x/src/lib.rs"), "use a_b::T; // c\nlet xc = \"c\";");
        uses.read(&packages, Path::new("x/y/build.rs"), "c::f(); a_bc::g()");
        let found: Vec<_> = uses.unused(&packages).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "x/Cargo.toml: outer does not use its dependency c",
                "x/y/Cargo.toml: inner does not use its dependency a-b"
            ]
        );
    }
}
