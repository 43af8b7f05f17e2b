//! `--dump-ir`: the IR after each pass that changed something, as text that compiles on.
//!
//! After a change that is meant, `INSTA_UPDATE=always cargo nextest run --release -p mlcc-tests` writes the
//! snapshots anew; the difference in git then shows what the change does to each level.

use crate::{
    models::{self, Network},
    project::{CPU, Project},
};

/// Compiles the model with dumps; their names without `.mlir`, in order.
fn dump(project: &Project) -> Vec<String> {
    project.succeed(&[&["compile", "model.onnx", "--dump-ir", "ir"], CPU].concat());
    names(project)
}

fn names(project: &Project) -> Vec<String> {
    let entries = std::fs::read_dir(project.path("ir")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_suffix(".mlir").expect("a dump is .mlir").to_owned())
        .collect();
    names.sort();
    names
}

/// The phase of a dump called `NN-phase-pass`.
fn phase(name: &str) -> &str {
    name.split('-').nth(1).expect("a name has three parts")
}

fn snapshot(network: &Network) {
    let project = Project::with(&network.model);
    let names = dump(&project);
    insta::assert_snapshot!(format!("{}_passes", network.name), names.join("\n"));
    for (i, name) in names.iter().enumerate() {
        let (number, pass) = name.split_once('-').unwrap();
        assert_eq!(number, format!("{i:02}"), "dumps are numbered in order");
        let text = project.read_text(&format!("ir/{name}.mlir"));
        // Without the number, so that a new pass leaves the other snapshots in their place.
        insta::assert_snapshot!(format!("{}_{}", network.name, pass.replace('-', "_")), text);
    }
}

#[test]
fn mlp_after_each_pass() {
    snapshot(&models::mlp());
}

#[test]
fn norm_gelu_after_each_pass() {
    snapshot(&models::norm_gelu());
}

#[test]
fn dynamic_after_each_pass() {
    snapshot(&models::dynamic(1));
}

#[test]
fn a_dump_parses_back_to_the_same_text() {
    for Network { name, model, .. } in models::all() {
        let project = Project::with(&model);
        let dumps = dump(&project);
        let phases = dumps.iter().map(|dump| phase(dump));
        let readable: Vec<_> = dumps.iter().zip(phases).filter(|(_, phase)| *phase != "loop").collect();
        assert!(readable.len() >= 3, "{dumps:?}");
        for (dump, _) in readable {
            let file = format!("ir/{dump}.mlir");
            let text = project.succeed(&["opt", &file, "--weights", "model.onnx"]);
            assert_eq!(text, project.read_text(&file), "{name}: {dump}");
        }
    }
}

#[test]
fn a_dump_compiles_on_to_the_same_artifact() {
    for Network { name, model, .. } in models::all() {
        let project = Project::with(&model);
        project.succeed(&[&["compile", "model.onnx", "-o", "direct.mlcc"], CPU].concat());
        let direct = project.read("direct.mlcc");
        let mut resumed = 0;
        for dump in dump(&project) {
            if !["import", "graph", "tensor"].contains(&phase(&dump)) {
                continue;
            }
            let file = format!("ir/{dump}.mlir");
            let from = ["--from", phase(&dump), "--weights", "model.onnx", "-o", "resumed.mlcc"];
            project.succeed(&[&["compile", &file], &from[..], CPU].concat());
            assert!(project.read("resumed.mlcc") == direct, "{name} from {dump}: another artifact");
            std::fs::remove_file(project.path("resumed.mlcc")).unwrap();
            resumed += 1;
        }
        assert!(resumed >= 3, "{name}: only {resumed} dumps");
    }
}

#[test]
fn compiling_on_from_the_graph_level_gives_the_same_code() {
    let project = Project::with(&models::conv_net().model);
    let direct = project.succeed(&[&["compile", "model.onnx", "--emit", "loop"], CPU].concat());
    let last = dump(&project).into_iter().rfind(|dump| phase(dump) == "graph").expect("a graph pass");
    let file = format!("ir/{last}.mlir");
    let from = ["--from", "graph", "--weights", "model.onnx", "--emit", "loop"];
    assert_eq!(project.succeed(&[&["compile", &file], &from[..], CPU].concat()), direct);
}

#[test]
fn dumps_of_an_earlier_call_are_removed_and_other_files_stay() {
    let project = Project::with(&models::mlp().model);
    std::fs::create_dir(project.path("ir")).unwrap();
    project.write("ir/99-tensor-old.mlir", b"");
    project.write("ir/notes.mlir", b"");
    let names = dump(&project);
    assert!(!names.contains(&"99-tensor-old".to_owned()), "{names:?}");
    assert!(names.contains(&"notes".to_owned()), "{names:?}");
}

#[test]
fn a_schedule_is_shown_primitive_by_primitive() {
    let network = models::mlp();
    let project = Project::with(&network.model);
    let arguments = ["compile", "model.onnx", "--dump-ir", "ir", "--dump-schedule", "no such kernel"];
    let error = project.failure(1, &arguments);
    let kernels = error.split("the kernels are ").nth(1).expect("the hint lists the kernels");
    let kernel = kernels.split([',', '\n']).next().unwrap().trim();
    project.succeed(&["compile", "model.onnx", "--dump-ir", "ir", "--dump-schedule", kernel]);
    let steps: Vec<String> =
        names(&project).into_iter().filter(|n| n.contains(&format!("loop-{kernel}-"))).collect();
    assert!(!steps.is_empty(), "a schedule has steps");
    for step in steps {
        let text = project.read_text(&format!("ir/{step}.mlir"));
        let primitive = step.rsplit('-').next().unwrap();
        assert!(
            text.starts_with(&format!("// {primitive}(")),
            "{step} begins with {:?}",
            text.lines().next()
        );
        assert!(text.contains("loop.nest"));
    }
}
