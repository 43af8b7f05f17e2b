//! What inputs are made from: the texts and models that the repository has.

use std::error::Error;
use std::path::{Path, PathBuf};

use mlcc_ir::expr::Expr;
use mlcc_mlir::MlirContext;
use mlcc_mlir::weights::WeightStore;
use mlcc_passes::schedule::PRIMITIVES;

use crate::models;

/// Inputs of each kind; most are accepted.
#[derive(Default)]
pub(crate) struct Seeds {
    pub(crate) graphs: Vec<Vec<u8>>,
    pub(crate) programs: Vec<Vec<u8>>,
    pub(crate) nests: Vec<Vec<u8>>,
    pub(crate) expressions: Vec<Vec<u8>>,
    pub(crate) steps: Vec<Vec<u8>>,
    pub(crate) models: Vec<Vec<u8>>,
    pub(crate) tensors: Vec<Vec<u8>>,
    pub(crate) arrays: Vec<Vec<u8>>,
    pub(crate) options: Vec<Vec<u8>>,
    /// The constants that graphs name.
    pub(crate) weights: WeightStore,
}

/// Regions in regions, of which the importer makes none.
const CONTROL: &str = r#"func.func @control(%x: tensor<4xf32> loc("x"), %c: tensor<i1> loc("c"), %n: tensor<i64> loc("n")) -> tensor<4xf32> {
  %y = graph.if %c then {
    %a = graph.relu %x : (tensor<4xf32>) -> tensor<4xf32> loc("a"("Relu"))
    %z = graph.if %c then {
      %b = graph.neg %a : (tensor<4xf32>) -> tensor<4xf32> loc("b"("Neg"))
      graph.return %b as ["b"] of "inner" : tensor<4xf32>
    } else {
      graph.return %x as ["x"] of "other" : tensor<4xf32>
    } : (tensor<i1>) -> tensor<4xf32> loc("z"("If"))
    %m = graph.mul %z, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> loc("m"("Mul"))
    graph.return %m as ["m"] of "then" : tensor<4xf32>
  } else {
    graph.return %x as ["x"] of "else" : tensor<4xf32>
  } : (tensor<i1>) -> tensor<4xf32> loc("y"("If"))
  %r = graph.loop trip_count(%n) carried(%y) {
  ^bb0(%i: tensor<i64> loc("i"), %go: tensor<i1> loc("go"), %s: tensor<4xf32> loc("s")):
    %t = graph.exp %s : (tensor<4xf32>) -> tensor<4xf32> loc("t"("Exp"))
    %u = graph.if %go then {
      graph.return %t as ["t"] of "more" : tensor<4xf32>
    } else {
      graph.return %s as ["s"] of "less" : tensor<4xf32>
    } : (tensor<i1>) -> tensor<4xf32> loc("u"("If"))
    graph.return %go, %u as ["go", "u"] of "body" : tensor<i1>, tensor<4xf32>
  } : (tensor<i64>, tensor<4xf32>) -> tensor<4xf32> loc("r"("Loop"))
  graph.return %r as ["r"] : tensor<4xf32>
}
"#;

/// Steps of schedules, one of each primitive.
const STEPS: &str = "split(conv.m, 6)|tile(conv.h, conv.w, 4, 16)|reorder(conv.k, conv.m)|fuse(conv.h, conv.w)|\
    merge(conv.m, relu.m)|compute_at(relu, conv.h.o)|rfactor(sum.k.i)|parallel(conv.n)|vectorize(conv.w, 16)|\
    unroll(conv.kw)|bind(conv.m, block.0)|predicate(conv.m.i, 1)|remainder(conv.m.o, conv.m.i)|\
    cache_read(x, conv.h.o, conv.k, conv.w)|cache_write(y)|pack(w, conv.n.o, conv.k, conv.n.i)|alias(exp, scores)|\
    stream(y)|pipeline(x, exp.i0, 1, exp.i1)|place(acc, register)|tensorize(conv.m.i, conv.n.i, conv.k, 16)|skip(x)|\
    clip(conv.kh)|peel(conv.w.o, 1, 1)|partition(conv.w.o)|permute(acc, 1, 0)";

/// Expressions beyond those that the dumps hold.
const EXPRESSIONS: &str = "-3|batch * 2 - 1|floordiv(height + 1, 2) + 1|-%h.o * 7 + mod(%i + sequence * 3, 5)|\
    min(%i, n) * max(m, 4)|$3 * 2 + %k|(a + b) * (c + d)|floordiv(a * b * 4, b * 2)|\
    mod(mod(%i, 12), 4) + floordiv(floordiv(%i, 3), 4)|floordiv(%o * 6 - 1, 4)|max(n - m, min(%i, %j))|\
    floordiv(n + 6 - floordiv(n, 2), m)|(a + b) * (c + d) * (e + f) * (g + h) * (i + j) * (k + l) * (m + n) * (o + p)|\
    min(%i + %j, 99) * min(%k + %l, 99) * min(%m + %n, 99) * min(%o + %p, 99)";

/// Options and values of the command line.
const OPTIONS: &str = "x=n,3,224,224|n=1..64:8|batch=4|x=?,16|4xf32=1,2,3,4|x=2x3xi64=1,2,3,4,5,6|f32=1.5|\
    bij,bjk->bik|...ij,...jk|ii->i|16..64:16|1..|m=3..3";

impl Seeds {
    pub(crate) fn read() -> Result<Seeds, Box<dyn Error>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut seeds = Seeds::default();
        for model in models::encoded() {
            seeds.add_model(model)?;
        }
        // Those of the repository lie without their weights, so that they are refused in the end.
        for folder in ["testdata/cuda", "testdata/zoo/algebra"] {
            for path in files(&root.join(folder), "onnx")? {
                seeds.models.push(std::fs::read(path)?);
            }
        }
        for path in files(&root.join("dialects/mlir/tests"), "mlir")? {
            for part in std::fs::read_to_string(path)?.split("// -----") {
                seeds.add_dump(part);
            }
        }
        for path in files(&root.join("tests/tests/all/snapshots"), "snap")? {
            if path.to_string_lossy().contains("dumps__")
                && let Some((_, dump)) = std::fs::read_to_string(path)?.split_once("expression: text\n---\n")
            {
                seeds.add_dump(dump);
            }
        }
        seeds.add_dump(CONTROL);
        // Mutations of what is refused anyway, such as for want of its weights, would test little.
        let context = MlirContext::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        seeds.graphs.retain(|one| context.parse_graph(&text(one), &seeds.weights).is_ok());
        seeds.programs.retain(|one| context.parse_program(&text(one), &seeds.weights).is_ok());
        seeds.nests.retain(|one| context.parse_nests(&text(one)).is_ok());
        let split = |list: &str| list.split('|').map(|one| one.as_bytes().to_vec()).collect::<Vec<_>>();
        seeds.steps = split(STEPS);
        seeds.expressions.extend(split(EXPRESSIONS));
        seeds.options = split(OPTIONS);
        seeds.arrays = [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
            "{'descr': '|u1', 'fortran_order': True, 'shape': (24,), }",
            "{'descr': '<i8', 'fortran_order': False, 'shape': (), }",
        ]
        .map(|header| {
            let header = format!("{header:<117}\n");
            [
                b"\x93NUMPY\x01\x00".as_slice(),
                &(header.len() as u16).to_le_bytes(),
                header.as_bytes(),
                &[0x41; 24],
            ]
            .concat()
        })
        .into();
        // Fields of TensorProto: dims 2, 3; float; a name; raw data, packed floats, or packed integers.
        let head = |dtype| vec![8, 2, 8, 3, 16, dtype, 0x42, 1, b'w'];
        seeds.tensors = vec![
            [head(1).as_slice(), &[0x4a, 24], &[0x41; 24]].concat(),
            [head(1).as_slice(), &[0x22, 24], &[0x41; 24]].concat(),
            [head(7).as_slice(), &[0x3a, 6], &[1, 2, 3, 4, 5, 6]].concat(),
            [head(10).as_slice(), &[0x2a, 6], &[1, 2, 3, 4, 5, 6]].concat(),
        ];
        let begins = |step: &[u8], name: &str| step.starts_with(format!("{name}(").as_bytes());
        if let Some(name) = PRIMITIVES.iter().find(|name| !seeds.steps.iter().any(|step| begins(step, name)))
        {
            return Err(format!("STEPS in compiler/examples/fuzz/seeds.rs has no step '{name}'").into());
        }
        for kind in seeds.all() {
            if kind.is_empty() {
                return Err("the repository has no inputs of one kind".into());
            }
        }
        Ok(seeds)
    }

    fn all(&self) -> [&Vec<Vec<u8>>; 9] {
        [
            &self.graphs,
            &self.programs,
            &self.nests,
            &self.expressions,
            &self.steps,
            &self.models,
            &self.tensors,
            &self.arrays,
            &self.options,
        ]
    }

    /// A model, the text of its graph, and its weights.
    fn add_model(&mut self, model: Vec<u8>) -> Result<(), Box<dyn Error>> {
        let options = mlcc_onnx::ImportOptions::default();
        let imported = mlcc_onnx::import_bytes(model.clone().into(), None, &options)
            .map_err(|problems| problems[0].to_string())?;
        self.models.push(model);
        self.weights.add_graph(&imported.graph);
        self.add_dump(&MlirContext::new().print_graph(&imported.graph)?);
        Ok(())
    }

    /// A dump of any level, and the expressions in it.
    fn add_dump(&mut self, text: &str) {
        let kinds = [
            ("graph.", &mut self.graphs),
            ("te.program", &mut self.programs),
            ("loop.nest", &mut self.nests),
        ];
        for (name, list) in kinds {
            if text.contains(name) {
                list.push(text.as_bytes().to_vec());
            }
        }
        for string in text.split('"').skip(1).step_by(2) {
            if string.parse::<Expr>().is_ok() && !self.expressions.iter().any(|e| e == string.as_bytes()) {
                self.expressions.push(string.as_bytes().to_vec());
            }
        }
    }
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|one| one == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
