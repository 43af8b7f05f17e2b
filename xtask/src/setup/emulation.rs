//! What runs programs of other processors: QEMU's user-mode emulators, a C toolchain for AArch64 (its
//! linker and C library), and Rust's standard library for it.
//!
//! The library is the toolchain's own where that has the target. Elsewhere a compiler with it comes from
//! Debian's packages, unpacked under build/ and not installed: `rustc-web`, the recent one that the
//! distribution keeps for browsers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::apt::{self, Missing};
use crate::stamp::Stamp;
use crate::workspace::Workspace;

/// Rust's name of the other machine.
pub(crate) const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Where the C library for it lies.
pub(crate) const C_LIBRARY: &str = "/usr/aarch64-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";

/// A compiler with the standard library for both machines.
const COMPILER: [&str; 4] =
    ["rustc-web:amd64", "libstd-rust-web-dev:amd64", "libstd-rust-web-dev:arm64", RUNTIME_LIBRARY];
/// The compiler's own shared library; its version is part of its name, which is asked for.
const RUNTIME_LIBRARY: &str = "libstd-rust-web";

/// Installs what is missing.
pub(crate) fn ensure() -> Result<()> {
    apt::install(&missing())?;
    let still: Vec<_> = missing().into_iter().map(|one| one.what).collect();
    if !still.is_empty() {
        bail!("still missing after the installation: {}", still.join(", "));
    }
    Ok(())
}

fn missing() -> Vec<Missing> {
    let runs = |program: &str| process::succeeds(Command::new(program).arg("--version"));
    let found = [
        (runs("qemu-aarch64") && runs("qemu-x86_64"), "QEMU's user-mode emulators", "qemu-user"),
        (runs(LINKER), "a C compiler for AArch64", "gcc-aarch64-linux-gnu"),
        (
            Path::new(C_LIBRARY).join("lib/libc.so").exists(),
            "the C library for AArch64",
            "libc6-dev-arm64-cross",
        ),
    ];
    let absent = found.into_iter().filter(|(there, ..)| !there);
    absent.map(|(_, what, package)| Missing { what: what.to_owned(), package }).collect()
}

/// A call of cargo that can build for [`TARGET`], in a target folder of its own.
pub(crate) fn cargo(workspace: &Workspace) -> Result<(Command, PathBuf)> {
    let target = workspace.build().join("target-aarch64");
    let mut cargo = workspace.cargo();
    cargo.env("CARGO_TARGET_DIR", &target).env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER);
    if !has_library(Command::new("rustc").current_dir(&workspace.root)) {
        let root = fetch(workspace)?;
        cargo.env("RUSTC", root.join("usr/bin/rustc"));
        cargo.env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"));
    }
    Ok((cargo, target))
}

/// Whether a compiler has the standard library for the other machine.
fn has_library(rustc: &mut Command) -> bool {
    let folder = process::output(rustc.args(["--print", "target-libdir", "--target", TARGET]));
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// The root below which Debian's compiler is unpacked; fetched the first time.
fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.build().join("rust-aarch64");
    let root = folder.join("root");
    let stamp = Stamp::new(folder.join("stamp"), &[], &COMPILER.join(" "))?;
    if !stamp.is_current() {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        unpack(&folder, &root).with_context(|| {
            format!("there is no standard library of Rust for {TARGET}\n\nhint: `rustup target add {TARGET}`")
        })?;
        stamp.write()?;
    }
    Ok(root)
}

/// Downloads and unpacks [`COMPILER`], with lists of packages of our own: the system's do not have those
/// of another architecture.
fn unpack(folder: &Path, root: &Path) -> Result<()> {
    let state = folder.join("apt");
    for part in ["lists/partial", "cache/archives/partial", "packages"] {
        std::fs::create_dir_all(state.join(part))?;
    }
    let apt = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(state.join("packages"));
        command.args(["-o", "APT::Architectures::=amd64", "-o", "APT::Architectures::=arm64"]);
        command.args(["-o", "APT::Sandbox::User=root"]);
        command.arg("-o").arg(format!("Dir::State::Lists={}", state.join("lists").display()));
        command.arg("-o").arg(format!("Dir::Cache={}", state.join("cache").display()));
        command
    };
    process::run(apt("apt-get").args(["--quiet", "update"]))?;
    let depends = process::output(apt("apt-cache").args(["depends", "libstd-rust-web-dev:amd64"]))?;
    let library = depends
        .split_whitespace()
        .find(|word| word.starts_with(RUNTIME_LIBRARY) && !word.starts_with("libstd-rust-web-dev"))
        .context("libstd-rust-web-dev names no shared library")?;
    let library = format!("{}:amd64", library.trim_end_matches(":amd64"));
    let packages = COMPILER.map(|one| if one == RUNTIME_LIBRARY { library.as_str() } else { one });
    process::run(apt("apt-get").args(["--quiet", "download"]).args(packages))?;
    for entry in std::fs::read_dir(state.join("packages"))? {
        process::run(Command::new("dpkg-deb").arg("--extract").arg(entry?.path()).arg(root))?;
    }
    std::fs::remove_dir_all(&state).with_context(|| format!("cannot remove {}", state.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_without_the_library_is_told_from_one_with_it() {
        assert!(!has_library(&mut Command::new("/nonexistent/rustc")));
        // Compilers that name a folder which does not exist, and one that does.
        assert!(!has_library(Command::new("sh").args(["-c", "echo /nonexistent"])));
        assert!(has_library(Command::new("sh").args(["-c", "echo /"])));
    }
}
