//! `--emit`, `--to` and `opt`: one level as text, and passes on it.

use mlcc_tests::{Attribute, DType, Model, Node, Tensor};

use crate::{
    models,
    project::{CPU, Project},
};

fn mlp() -> Project {
    Project::with(&models::mlp().model)
}

fn emit(project: &Project, kind: &str) -> String {
    project.succeed(&[&["compile", "model.onnx", "--emit", kind], CPU].concat())
}

#[test]
fn loops_of_a_gpu_are_mapped_to_its_threads() {
    let project = Project::with(&models::mlp().model);
    let loops = project.succeed(&["compile", "model.onnx", "--target", "cuda", "--emit", "loop"]);
    assert!(loops.contains("block") && loops.contains("thread"), "{loops}");
}

#[test]
fn each_level_is_in_its_own_terms() {
    let project = mlp();
    for (kind, terms) in [
        ("graph", ["graph.matmul", "graph.softmax"]),
        ("tensor", ["te.program", "te.kernel"]),
        ("loop", ["loop.nest", "loop."]),
        ("llvm", ["define", "fmul"]),
        ("asm", ["vfmadd", "ret"]),
    ] {
        let text = emit(&project, kind);
        for term in terms {
            assert!(text.contains(term), "{kind} without {term}:\n{text}");
        }
        // The same into a file.
        let file = ["compile", "model.onnx", "--emit", kind, "-o", "level.txt"];
        assert_eq!(project.succeed(&[&file, CPU].concat()), "");
        assert_eq!(project.read_text("level.txt"), text, "{kind}");
    }
    assert!(!project.path("model.mlcc").exists(), "an artifact that nobody asked for");
}

#[test]
fn objects_are_elf_files_one_for_each_kernel() {
    let project = mlp();
    let kernels = emit(&project, "loop").matches("loop.nest").count();
    project.succeed(&[&["compile", "model.onnx", "--emit", "obj", "-o", "objects"], CPU].concat());
    let objects: Vec<_> = std::fs::read_dir(project.path("objects")).unwrap().map(Result::unwrap).collect();
    assert_eq!(objects.len(), kernels);
    for object in objects {
        assert!(std::fs::read(object.path()).unwrap().starts_with(b"\x7fELF"), "{:?}", object.path());
    }
}

#[test]
fn ptx_is_for_the_architecture_that_is_named() {
    let model = Model::new(18)
        .input("x", DType::F32, &[5.into(), 300.into()])
        .node(Node::new("Relu", &["x"], &["y"]))
        .output("y", DType::F32, &[5.into(), 300.into()]);
    let project = Project::with(&model);
    for arch in ["sm_80", "sm_90"] {
        let arguments = ["compile", "model.onnx", "--target", "cuda", "--arch", arch, "--emit", "ptx"];
        let text = project.succeed(&arguments);
        assert!(text.contains(&format!(".target {arch}")) && text.contains(".entry"), "{text}");
    }
}

#[test]
fn ptx_has_no_variants_of_the_cpu() {
    let sizes = |dims: &[usize]| dims.iter().map(|&n| n.into()).collect::<Vec<_>>();
    // Winograd's algorithm on a CPU; groups of filters; a reduction that threads would share.
    let model = Model::new(18)
        .input("x", DType::F32, &sizes(&[1, 64, 28, 28]))
        .weight("w", Tensor::random(DType::F32, &[64, 64, 3, 3], 1))
        .weight("g", Tensor::random(DType::F32, &[64, 8, 3, 3], 2))
        .weight("m", Tensor::random(DType::F32, &[50_000, 8], 3))
        .input("r", DType::F32, &sizes(&[2, 50_000]))
        .node(Node::new("Conv", &["x", "w"], &["h"]).attribute("pads", Attribute::Ints(vec![1; 4])))
        .node(
            Node::new("Conv", &["h", "g"], &["y"])
                .attribute("group", Attribute::Int(8))
                .attribute("strides", Attribute::Ints(vec![2, 2])),
        )
        .node(Node::new("MatMul", &["r", "m"], &["z"]))
        .output("y", DType::F32, &sizes(&[1, 64, 13, 13]))
        .output("z", DType::F32, &sizes(&[2, 8]));
    let project = Project::with(&model);
    let kernels = |target: &str| {
        let arguments = ["compile", "model.onnx", "--exact-conv", "--target", target, "--emit", "tensor"];
        let default = ["compile", "model.onnx", "--target", target, "--emit", "tensor"];
        let text = |arguments: &[&str]| project.succeed(&[arguments, CPU].concat());
        (text(&default), text(&arguments))
    };
    let (cpu, exact) = kernels("cpu");
    assert!(cpu != exact && cpu.matches("te.kernel").count() > 3, "variants of the CPU: {cpu}");
    let (gpu, exact) = kernels("cuda");
    assert_eq!(gpu, exact);
    assert_eq!(gpu.matches("te.kernel").count(), 3, "{gpu}");
    let ptx = project.succeed(&["compile", "model.onnx", "--target", "cuda", "--emit", "ptx"]);
    assert_eq!(ptx.matches(".entry").count(), 3, "{ptx}");
}

#[test]
fn a_phase_stops_where_its_level_is_emitted() {
    let project = Project::with(&models::conv_net().model);
    for phase in ["graph", "tensor", "loop"] {
        let stopped = project.succeed(&[&["compile", "model.onnx", "--to", phase], CPU].concat());
        assert_eq!(stopped, emit(&project, phase), "{phase}");
    }
    let imported = project.succeed(&["compile", "model.onnx", "--to", "import"]);
    assert!(imported.contains("graph.") && imported != emit(&project, "graph"), "{imported}");
}

#[test]
fn all_passes_are_listed() {
    insta::assert_snapshot!(Project::new().succeed(&["opt", "--list-passes"]));
}

/// The names and levels of the passes, in the order in which they run.
fn passes(project: &Project, level: &str) -> Vec<String> {
    let listing = project.succeed(&["opt", "--list-passes"]);
    let rows = listing.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1] == level).map(|row| row[0].to_owned()).collect()
}

#[test]
fn the_passes_of_a_level_one_after_the_other_are_the_level() {
    let network = models::conv_net();
    let project = Project::with(&network.model);
    let weights = ["--weights", "model.onnx"];
    let level = |from: &str, level: &str| {
        let passes = passes(&project, level).join(",");
        project.succeed(&[&["opt", from, "--passes", &passes], &weights[..]].concat())
    };
    project.write("import.mlir", project.succeed(&["compile", "model.onnx", "--to", "import"]).as_bytes());
    assert_eq!(level("import.mlir", "graph"), emit(&project, "graph"));

    project.succeed(&["compile", "model.onnx", "--dump-ir", "ir"]);
    let first = std::fs::read_dir(project.path("ir")).unwrap();
    let first = first.map(|entry| entry.unwrap().path());
    let first = first.filter(|path| path.to_string_lossy().ends_with("-tensor-graph-to-tensor.mlir"));
    let first = first.map(|path| path.to_str().unwrap().to_owned()).next().expect("a dump");
    assert_eq!(level(&first, "tensor"), emit(&project, "tensor"));
}

#[test]
fn a_pass_does_what_it_is_named_after() {
    let model = Model::new(18)
        .input("x", DType::F32, &[2.into(), 3.into()])
        .node(Node::new("Sigmoid", &["x"], &["unused"]))
        .node(Node::new("Relu", &["x"], &["y"]))
        .output("y", DType::F32, &[2.into(), 3.into()]);
    let project = Project::with(&model);
    let before = project.succeed(&["compile", "model.onnx", "--to", "import"]);
    assert!(before.contains("sigmoid"), "{before}");
    project.write("before.mlir", before.as_bytes());
    let after = project.succeed(&["opt", "before.mlir", "--passes", "eliminate-dead"]);
    assert!(!after.contains("sigmoid") && after.contains("relu"), "{after}");
    // Left out of a compilation, it leaves the operator where it is.
    let arguments = ["compile", "model.onnx", "--to", "graph", "--disable-pass", "eliminate-dead"];
    let without_rewrites = [&arguments[..], &["--rewrites", "off"]].concat();
    assert!(project.succeed(&without_rewrites).contains("sigmoid"));
    // Upstream's passes work on the same text.
    let pipeline = ["opt", "before.mlir", "--mlir-pipeline", "builtin.module(canonicalize)"];
    assert!(project.succeed(&pipeline).contains("graph.relu"));
}
