//! Who may import whom: the layers of the workspace, as one table.

use std::path::{Path, PathBuf};

use crate::tidy::Finding;
use crate::workspace::Package;

/// A crate and the crates of the workspace that it may depend on.
struct Layer {
    name: &'static str,
    imports: &'static [&'static str],
    /// What its tests may depend on beyond that.
    test_imports: &'static [&'static str],
}

/// Everything: the compiler alone joins frontends, passes, backends and runtime.
const ANYTHING: &[&str] = &[
    "mlcc-ir",
    "mlcc-interpreter",
    "mlcc-mlir",
    "mlcc-onnx",
    "mlcc-passes",
    "mlcc-llvm",
    "mlcc-machine",
    "mlcc-cpu",
    "mlcc-cuda",
    "mlcc-format",
    "mlcc-runtime",
];

/// What tests need that run compiled code: what is right, and whether the runtime would run it here.
const RUNNING: &[&str] = &["mlcc-format", "mlcc-interpreter", "mlcc-runtime"];

/// From the bottom to the top.
const LAYERS: &[Layer] = &[
    Layer { name: "mlcc-ir", imports: &[], test_imports: &[] },
    Layer { name: "mlcc-interpreter", imports: &["mlcc-ir"], test_imports: &[] },
    Layer { name: "mlcc-mlir", imports: &["mlcc-ir"], test_imports: &[] },
    Layer { name: "mlcc-onnx", imports: &["mlcc-ir"], test_imports: &["mlcc-interpreter"] },
    Layer { name: "mlcc-machine", imports: &[], test_imports: &[] },
    Layer {
        name: "mlcc-rewriting",
        imports: &["mlcc-ir", "mlcc-interpreter", "mlcc-machine"],
        test_imports: &[],
    },
    Layer {
        name: "mlcc-passes",
        imports: &["mlcc-ir", "mlcc-interpreter", "mlcc-machine", "mlcc-rewriting"],
        test_imports: &[],
    },
    // Nothing imports it: rules are found and checked outside every compilation.
    Layer {
        name: "mlcc-laboratory",
        imports: &["mlcc-ir", "mlcc-interpreter", "mlcc-rewriting", "mlcc-passes"],
        test_imports: &[],
    },
    Layer { name: "mlcc-llvm", imports: &["mlcc-ir", "mlcc-mlir"], test_imports: RUNNING },
    Layer {
        name: "mlcc-cpu",
        imports: &["mlcc-llvm", "mlcc-passes", "mlcc-ir", "mlcc-mlir", "mlcc-machine"],
        test_imports: RUNNING,
    },
    Layer {
        name: "mlcc-cuda",
        imports: &["mlcc-llvm", "mlcc-passes", "mlcc-ir", "mlcc-mlir"],
        test_imports: &["mlcc-interpreter", "mlcc-machine"],
    },
    Layer { name: "mlcc-format", imports: &[], test_imports: &[] },
    Layer { name: "mlcc-runtime", imports: &["mlcc-format"], test_imports: &[] },
    Layer { name: "mlcc-capi", imports: &["mlcc-runtime", "mlcc-format"], test_imports: &[] },
    Layer { name: "mlcc", imports: ANYTHING, test_imports: &["mlcc-tests"] },
    // It runs the binary and sees what a user sees; its example `damage` loads artifacts, as a user may.
    Layer { name: "mlcc-tests", imports: &[], test_imports: &["mlcc-format", "mlcc-runtime"] },
    Layer { name: "xtask", imports: &[], test_imports: &[] },
];

/// Crates from outside that belong to a few of ours.
const RESERVED: &[(&str, &[&str])] = &[
    ("mlir-sys", &["mlcc-mlir"]),
    ("melior", &["mlcc-mlir", "mlcc-llvm", "mlcc-cuda"]),
    ("inkwell", &["mlcc-llvm", "mlcc-cuda"]),
    ("llvm-sys", &["mlcc-llvm"]),
    ("cudarc", &["mlcc-runtime"]),
];

/// The one folder with C++ in it.
const CPP_FOLDER: &str = "dialects/mlir";
const CPP_EXTENSIONS: [&str; 6] = ["cpp", "cc", "cxx", "hpp", "td", "inc"];

/// Checks every crate's dependencies.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let manifest = package.folder.join("Cargo.toml");
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == package.name) else {
            let message = format!("{} is in no layer: add it to the table of xtask tidy", package.name);
            findings.push(Finding::new(manifest, 0, message));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let internal = packages.iter().any(|other| other.name == name);
            let allowed =
                layer.imports.contains(&name) || (dependency.dev && layer.test_imports.contains(&name));
            if internal && !allowed {
                let message = format!("{} may not import {name}: {}", package.name, permitted(layer));
                findings.push(Finding::new(&manifest, 0, message));
            }
            let reserved = RESERVED.iter().find(|(reserved, _)| *reserved == name);
            if let Some((_, owners)) = reserved
                && !owners.contains(&package.name.as_str())
            {
                let message =
                    format!("{} may not import {name}: only {} may", package.name, owners.join(", "));
                findings.push(Finding::new(&manifest, 0, message));
            }
        }
    }
    findings
}

/// Checks that C++ and TableGen stay in their folder; the C headers of the runtime are `.h`.
pub(super) fn check_languages(files: &[PathBuf]) -> Vec<Finding> {
    let is_cpp = |file: &Path| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| CPP_EXTENSIONS.contains(&extension))
    };
    files
        .iter()
        .filter(|file| is_cpp(file) && !file.starts_with(CPP_FOLDER))
        .map(|file| Finding::new(file, 0, format!("C++ and TableGen belong in {CPP_FOLDER}")))
        .collect()
}

fn permitted(layer: &Layer) -> String {
    match layer.imports {
        [] => "it imports nothing of the workspace".to_owned(),
        imports => format!("it imports only {}", imports.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    /// A workspace of crates that depend on each other by the given list.
    fn messages(list: &[(&str, &[&str])]) -> Vec<String> {
        let dependency = |name: &str| match name.strip_prefix("dev:") {
            Some(name) => Dependency { name: name.to_owned(), identifier: name.to_owned(), dev: true },
            None => Dependency { name: name.to_owned(), identifier: name.to_owned(), dev: false },
        };
        let package = |&(name, dependencies): &(&str, &[&str])| Package {
            name: name.to_owned(),
            folder: PathBuf::from(name),
            dependencies: dependencies.iter().map(|name| dependency(name)).collect(),
        };
        let packages: Vec<_> = list.iter().map(package).collect();
        check(&packages).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn what_the_table_allows_is_allowed() {
        let list: &[(&str, &[&str])] = &[
            ("mlcc-ir", &["thiserror"]),
            ("mlcc-mlir", &["mlcc-ir", "mlir-sys", "melior"]),
            ("mlcc-interpreter", &["mlcc-ir"]),
            ("mlcc-onnx", &["mlcc-ir", "dev:mlcc-interpreter"]),
        ];
        assert_eq!(messages(list), [""; 0]);
    }

    #[test]
    fn what_it_does_not_allow_is_named() {
        let list: &[(&str, &[&str])] = &[("mlcc-cpu", &["mlcc-cuda"]), ("mlcc-cuda", &[])];
        assert_eq!(
            messages(list),
            ["mlcc-cpu/Cargo.toml: mlcc-cpu may not import mlcc-cuda: \
              it imports only mlcc-llvm, mlcc-passes, mlcc-ir, mlcc-mlir, mlcc-machine"]
        );
        let list: &[(&str, &[&str])] = &[("mlcc-onnx", &["mlcc-interpreter"]), ("mlcc-interpreter", &[])];
        assert_eq!(messages(list).len(), 1, "a test's import is no import of the crate");
        let list: &[(&str, &[&str])] = &[("mlcc-format", &["dev:mlcc-ir"]), ("mlcc-ir", &[])];
        assert_eq!(
            messages(list),
            [
                "mlcc-format/Cargo.toml: mlcc-format may not import mlcc-ir: it imports nothing of the workspace"
            ]
        );
    }

    #[test]
    fn reserved_crates_have_their_owners() {
        assert_eq!(
            messages(&[("mlcc-runtime", &["mlir-sys"])]),
            ["mlcc-runtime/Cargo.toml: mlcc-runtime may not import mlir-sys: only mlcc-mlir may"]
        );
    }

    #[test]
    fn an_unknown_crate_needs_a_layer() {
        assert_eq!(
            messages(&[("mlcc-new", &[])]),
            ["mlcc-new/Cargo.toml: mlcc-new is in no layer: add it to the table of xtask tidy"]
        );
    }

    #[test]
    fn layers_are_listed_from_the_bottom_and_so_have_no_cycle() {
        for (index, layer) in LAYERS.iter().enumerate() {
            for import in layer.imports {
                let below = LAYERS[..index].iter().any(|other| other.name == *import);
                assert!(below, "{} imports {import}, which does not stand above it", layer.name);
            }
        }
    }

    #[test]
    fn cpp_stays_in_its_folder() {
        let files =
            ["dialects/mlir/src/graph.cpp", "passes/src/fast.cpp", "runtime/capi/mlcc.h"].map(PathBuf::from);
        let found: Vec<_> = check_languages(&files).into_iter().map(|one| one.file).collect();
        assert_eq!(found, [Path::new("passes/src/fast.cpp")]);
    }
}
