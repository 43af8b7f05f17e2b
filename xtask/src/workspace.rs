//! The workspace as cargo describes it: its folders, its crates and who depends on whom.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::process;

/// The workspace's folders and crates.
pub(crate) struct Workspace {
    /// The repository's root.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// The crates, in cargo's order.
    pub(crate) packages: Vec<Package>,
}

/// One crate of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its folder, relative to the root.
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// What a crate depends on.
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// What the sources call it.
    pub(crate) identifier: String,
    /// Whether only its tests need it.
    pub(crate) dev: bool,
}

impl Workspace {
    /// Asks cargo for the workspace that this program belongs to.
    pub(crate) fn load() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
        let mut command = cargo();
        command.args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"]).arg(manifest);
        let text = process::output(&mut command)?;
        Self::parse(&serde_json::from_str(&text)?).context("cannot read the output of `cargo metadata`")
    }

    fn parse(metadata: &Value) -> Result<Self> {
        let root = PathBuf::from(string(metadata, "workspace_root")?);
        let target = PathBuf::from(string(metadata, "target_directory")?);
        let packages = array(metadata, "packages")?;
        let packages = packages.iter().map(|one| Package::parse(one, &root)).collect::<Result<_>>()?;
        Ok(Self { root, target, packages })
    }

    /// The ignored folder for whatever is generated or fetched.
    pub(crate) fn build(&self) -> PathBuf {
        self.root.join("build")
    }

    /// Where the release build of the compiler lies.
    pub(crate) fn mlcc(&self) -> PathBuf {
        self.target.join("release/mlcc")
    }

    /// Builds the compiler for release and returns its path.
    pub(crate) fn build_mlcc(&self) -> Result<PathBuf> {
        process::run(self.cargo().args(["build", "--release", "--package", "mlcc"]))?;
        let binary = self.mlcc();
        if !binary.is_file() {
            return Err(anyhow!("cargo built no {}", binary.display()));
        }
        Ok(binary)
    }

    /// A call of cargo in the root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }
}

impl Package {
    fn parse(package: &Value, root: &Path) -> Result<Self> {
        let manifest = Path::new(string(package, "manifest_path")?);
        let folder = manifest.parent().unwrap_or(manifest);
        let folder = folder.strip_prefix(root)?.to_path_buf();
        let dependencies = array(package, "dependencies")?
            .iter()
            .map(|one| {
                Ok(Dependency {
                    name: string(one, "name")?.to_owned(),
                    identifier: string(one, "rename").or(string(one, "name"))?.replace('-', "_"),
                    dev: one.get("kind").and_then(Value::as_str) == Some("dev"),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { name: string(package, "name")?.to_owned(), folder, dependencies })
    }
}

/// The cargo that runs us, so that a chosen toolchain stays chosen.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value.get(key).and_then(Value::as_str).with_context(|| format!("no text {key:?}"))
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value.get(key).and_then(Value::as_array).with_context(|| format!("no list {key:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_gives_folders_and_kinds_of_dependencies() {
        let metadata = serde_json::json!({
            "workspace_root": "/w", "target_directory": "/t",
            "packages": [{"name": "a", "manifest_path": "/w/x/a/Cargo.toml", "dependencies": [
                {"name": "b", "kind": null}, {"name": "c", "kind": "dev"}, {"name": "d", "kind": "build"}]}],
        });
        let workspace = Workspace::parse(&metadata).unwrap();
        assert_eq!(workspace.mlcc(), Path::new("/t/release/mlcc"));
        let [a] = &workspace.packages[..] else { panic!("one package expected") };
        assert_eq!(a.folder, Path::new("x/a"));
        let kinds: Vec<_> = a.dependencies.iter().map(|one| (one.name.as_str(), one.dev)).collect();
        assert_eq!(kinds, [("b", false), ("c", true), ("d", false)]);
    }

    #[test]
    fn this_workspace_loads() {
        let workspace = Workspace::load().unwrap();
        assert!(workspace.packages.iter().any(|one| one.name == "xtask" && one.folder == Path::new("xtask")));
    }
}
