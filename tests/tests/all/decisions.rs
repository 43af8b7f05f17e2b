//! `--dump-decisions` and `--decisions`: what was decided is written, replayed, replaced and refused.

use crate::{
    models::{self, Network},
    project::{CPU, Project},
};

const USER: i32 = 1;

/// A project whose `model.onnx` is compiled to `model.mlcc`, with its decisions in `decisions.txt`.
fn decided(network: &Network) -> Project {
    let project = Project::with(&network.model);
    let compile = ["compile", "model.onnx", "-o", "model.mlcc", "--dump-decisions", "decisions.txt"];
    project.succeed(&[&compile, CPU].concat());
    project
}

#[test]
fn decisions_that_are_replayed_give_the_same_artifact() {
    for network in models::all() {
        let project = decided(&network);
        let compile = ["compile", "model.onnx", "-o", "replayed.mlcc", "--decisions", "decisions.txt"];
        project.succeed(&[&compile, CPU].concat());
        let same = project.read("replayed.mlcc") == project.read("model.mlcc");
        assert!(same, "{}: another artifact", network.name);
    }
}

#[test]
fn decisions_of_a_gpu_are_replayed_and_replaced() {
    let project = Project::with(&models::mlp().model);
    let ptx = ["compile", "model.onnx", "--target", "cuda", "--emit", "ptx"];
    let text = project.succeed(&[&ptx[..], &["--dump-decisions", "decisions.txt"]].concat());
    let replay = [&ptx[..], &["--decisions", "decisions.txt"]].concat();
    assert_eq!(project.succeed(&replay), text);
    let decisions = project.read_text("decisions.txt");
    let (own, other) = ("points threads=256", "points threads=128");
    assert!(decisions.contains(own), "{decisions}");
    project.write("decisions.txt", decisions.replace(own, other).as_bytes());
    let replaced = project.succeed(&replay);
    assert!(replaced.contains(other) && !replaced.contains(own), "{replaced}");
    project.write("decisions.txt", decisions.replace(own, "points threads=48").as_bytes());
    project.failure(USER, &replay);
}

#[test]
fn a_decision_that_is_replaced_is_taken() {
    let network = models::mlp();
    let project = decided(&network);
    project.write_inputs(std::slice::from_ref(&network.input));
    let label = first_kernel(&project);
    project.write("plain.txt", format!("kernel {label}\nmine:\n").as_bytes());
    let compile = ["compile", "model.onnx", "-o", "plain.mlcc", "--decisions", "plain.txt"];
    project.succeed(&[&compile, CPU].concat());
    let listing = project.succeed(&["inspect", "plain.mlcc"]);
    assert!(listing.contains(&format!("{label}  [mine]")), "{listing}");
    let [output] = &project.run("plain.mlcc", 1)[..] else { panic!("one output") };
    assert!(output.relative_error(&network.output).expect("the same shape") < 1e-6);
}

#[test]
fn plain_loops_take_decisions_too() {
    let project = decided(&models::mlp());
    let label = first_kernel(&project);
    project.write("mine.txt", format!("kernel {label}\nmine:\n").as_bytes());
    let compile = ["compile", "model.onnx", "-O1", "-o", "plain.mlcc", "--decisions", "mine.txt"];
    project.succeed(&[&compile, CPU].concat());
    let listing = project.succeed(&["inspect", "plain.mlcc"]);
    assert!(listing.contains(&format!("{label}  [mine]")) && listing.contains("[naive]"), "{listing}");
}

#[test]
fn decisions_that_are_not_legal_are_refused() {
    let project = decided(&models::mlp());
    let label = first_kernel(&project);
    for (name, text) in [
        ("unknown_kernel", "kernel k99_nothing\nserial:\n".to_owned()),
        ("unknown_axis", format!("kernel {label}\nmine: split(nothing, 4)\n")),
        ("no_constant", format!("kernel {label}\nmine: pack(x, matmul.m, matmul.k)\n")),
        ("of_a_gpu", format!("kernel {label}\nmine: bind(matmul.i0, block.0)\n")),
        ("numbers", format!("kernel {label}\nmine tile=4\n")),
        ("no_step", format!("kernel {label}\nmine: divide(x, 4)\n")),
    ] {
        project.write("wrong.txt", text.as_bytes());
        let compile = ["compile", "model.onnx", "-o", "wrong.mlcc", "--decisions", "wrong.txt"];
        insta::assert_snapshot!(format!("decision_{name}"), project.failure(USER, &[&compile, CPU].concat()));
        assert!(!project.path("wrong.mlcc").exists());
    }
}

fn first_kernel(project: &Project) -> String {
    let text = project.read_text("decisions.txt");
    let line = text.lines().find_map(|line| line.strip_prefix("kernel "));
    line.expect("a kernel").to_owned()
}
