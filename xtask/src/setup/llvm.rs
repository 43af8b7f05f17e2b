//! LLVM 22, MLIR and the system libraries that they link: what is needed and whether it is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::setup::apt::Missing;

/// Where Debian's packages put LLVM 22; `.cargo/config.toml` says the same to the build.
const DEFAULT_PREFIX: &str = "/usr/lib/llvm-22";

/// The variables by which one says that LLVM lies elsewhere.
const PREFIX_VARIABLES: [&str; 3] = ["MLIR_SYS_220_PREFIX", "LLVM_SYS_221_PREFIX", "TABLEGEN_220_PREFIX"];

/// How to find out whether something is there.
enum Probe {
    /// A file under LLVM's prefix.
    File(&'static str),
    /// A library that the linker finds, and a header that the compiler finds.
    Library { link: &'static str, header: &'static str, include: Option<&'static str> },
}

/// Something needed, and the Debian package that brings it.
struct Requirement {
    what: &'static str,
    package: &'static str,
    probe: Probe,
}

const REQUIREMENTS: &[Requirement] = &[
    Requirement { what: "LLVM 22", package: "llvm-22-dev", probe: Probe::File("bin/llvm-config") },
    Requirement {
        what: "MLIR's libraries",
        package: "libmlir-22-dev",
        probe: Probe::File("lib/libMLIRIR.a"),
    },
    Requirement { what: "mlir-tblgen", package: "mlir-22-tools", probe: Probe::File("bin/mlir-tblgen") },
    Requirement { what: "Polly's library", package: "libpolly-22-dev", probe: Probe::File("lib/libPolly.a") },
    Requirement { what: "clang", package: "clang-22", probe: Probe::File("bin/clang") },
    Requirement { what: "libclang", package: "libclang-22-dev", probe: Probe::File("lib/libclang.so") },
    Requirement { what: "lld", package: "lld-22", probe: Probe::File("bin/ld.lld") },
    Requirement {
        what: "zstd",
        package: "libzstd-dev",
        probe: Probe::Library { link: "-lzstd", header: "zstd.h", include: None },
    },
    Requirement {
        what: "zlib",
        package: "zlib1g-dev",
        probe: Probe::Library { link: "-lz", header: "zlib.h", include: None },
    },
    Requirement {
        what: "libxml2",
        package: "libxml2-dev",
        probe: Probe::Library {
            link: "-lxml2",
            header: "libxml/parser.h",
            include: Some("/usr/include/libxml2"),
        },
    },
];

/// What is not there, with the packages that bring it.
pub(super) fn missing() -> Vec<Missing> {
    let prefix = prefix();
    REQUIREMENTS
        .iter()
        .filter(|one| !one.probe.holds(&prefix))
        .map(|one| Missing { what: one.what.to_owned(), package: one.package })
        .collect()
}

/// Checks once more, after the installation: the version, and that nothing is missing any longer.
pub(super) fn verify() -> Result<()> {
    let prefix = prefix();
    let still: Vec<_> = missing().into_iter().map(|one| one.what).collect();
    if !still.is_empty() {
        bail!(
            "still missing after the installation: {}\n\nhint: LLVM is looked for in {}; set {} to where it lies",
            still.join(", "),
            prefix.display(),
            PREFIX_VARIABLES.join(", ")
        );
    }
    let version = process::output(Command::new(prefix.join("bin/llvm-config")).arg("--version"))?;
    if !version.starts_with("22.") {
        bail!(
            "{} is LLVM {}, but LLVM 22 is needed\n\nhint: set {} to where LLVM 22 lies",
            prefix.display(),
            version.trim(),
            PREFIX_VARIABLES.join(", ")
        );
    }
    Ok(())
}

/// What to do where there is no apt.
pub(super) fn advice() -> String {
    format!(
        "install LLVM and MLIR 22 (with static libraries, clang, libclang, lld and mlir-tblgen), zstd, zlib \
         and libxml2 with their headers, and set\n{}",
        PREFIX_VARIABLES
            .map(|name| format!("    export {name}=/path/to/llvm-22    # holds bin/llvm-config"))
            .join("\n")
    )
}

fn prefix() -> PathBuf {
    std::env::var_os(PREFIX_VARIABLES[0]).map_or_else(|| DEFAULT_PREFIX.into(), PathBuf::from)
}

impl Probe {
    fn holds(&self, prefix: &Path) -> bool {
        match self {
            Self::File(file) => prefix.join(file).exists(),
            Self::Library { link, header, include } => links(link, header, *include),
        }
    }
}

/// Whether a program that includes `header` compiles and links: the only question that matters, and one
/// with the same answer on every distribution.
fn links(link: &str, header: &str, include: Option<&str>) -> bool {
    let source = format!(
        "#include <stddef.h>\n#include <stdio.h>\n#include <{header}>\nint main(void){{return 0;}}\n"
    );
    let file = std::env::temp_dir().join(format!("mlcc-setup-{}.c", std::process::id()));
    if std::fs::write(&file, source).is_err() {
        return false;
    }
    let mut command = Command::new("cc");
    command.args(include.map(|folder| format!("-I{folder}"))).arg(&file).args([link, "-o", "/dev/null"]);
    let found = process::succeeds(&mut command);
    // A file left in the temporary folder is no reason to fail.
    let _ = std::fs::remove_file(&file);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_does_not_exist_is_missing() {
        assert!(links("-lm", "math.h", None));
        assert!(!links("-lno-such-library", "math.h", None));
        assert!(!links("-lm", "no/such/header.h", None));
    }

    #[test]
    fn the_advice_names_every_variable() {
        let advice = advice();
        assert!(PREFIX_VARIABLES.iter().all(|name| advice.contains(name)), "{advice}");
    }
}
