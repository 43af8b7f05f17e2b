//! Upstream passes on the levels' text.

use mlcc_ir::diagnostic::Fault;
use mlcc_mlir::{MlirContext, weights::WeightStore};

const TWICE: &str = "func.func @g(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = graph.exp %x : (tensor<4xf32>) -> tensor<4xf32> loc(\"a\"(\"Exp\"))
  %b = graph.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %unused = graph.log %x : (tensor<4xf32>) -> tensor<4xf32>
  %c = graph.add %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  graph.return %c as [\"y\"] : tensor<4xf32>
}";

#[test]
fn equal_operators_are_merged_and_unused_ones_removed() {
    let context = MlirContext::new();
    let text = context.run_upstream_passes(TWICE, "cse,canonicalize").unwrap();
    let graph = context.parse_graph(&text, &WeightStore::new()).unwrap();
    let ops: Vec<&str> = graph.nodes.iter().map(|n| &*n.op).collect();
    assert_eq!(ops, ["exp", "add"]);
    assert_eq!(graph.nodes[1].operands[0], graph.nodes[1].operands[1]);
    assert_eq!(&*graph.nodes[0].location.op_type, "Exp");
}

#[test]
fn merging_instructions_keeps_index_expressions() {
    let kernel = "te.kernel @k nodes [] {
      %at = te.tensor \"at\" input : tensor<4xi64>
      %y = te.tensor \"y\" inout : tensor<4xi64>
      te.compute \"y\" (i to 4) into %y {
        %unused = te.read %at[0] : i64
        %a = te.read %at[\"%i\"] : i64
        %b = te.read %at[\"%i\"] : i64
        %c = te.read %at[\"$0 + $1\"] using (%a, %b : i64, i64) : i64
        te.yield %c : i64 at [\"$0\"] using (%b : i64)
      }
    }
    te.program @p {
      %0 = te.input 0 \"at\" : tensor<4xi64>
      te.call @k(%0) into (%0)
      te.return %0 as [\"y\"]
    }";
    let context = MlirContext::new();
    let text = context.run_upstream_passes(kernel, "canonicalize,cse").unwrap();
    let program = context.parse_program(&text, &WeightStore::new()).unwrap();
    let mlcc_ir::program::Step::Kernel { kernel, .. } = &program.steps[0] else { panic!("{text}") };
    let compute = &kernel.computes[0];
    assert_eq!(compute.body.insts.len(), 2, "{text}");
    assert_eq!(compute.write[0].to_string(), "$0");
    let (_, index) = compute.reads().nth(1).unwrap();
    assert_eq!(index[0].to_string(), "$0 * 2");
}

#[test]
fn passes_that_do_not_exist_are_named() {
    let error = MlirContext::new().run_upstream_passes(TWICE, "no-such-pass").unwrap_err();
    assert_eq!(error.fault, Fault::User);
    assert!(error.message.contains("no-such-pass"), "{error}");
}
