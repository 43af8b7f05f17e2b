//! A small, sound artifact for the tests to damage.

use mlcc_format::{
    Artifact, ArtifactWriter, Blob, Block, BufferDef, Counts, DType, Dim, Expr, Instruction, KernelEntry,
    KernelInfo, Launch, Manifest, Place, Plan, Signature, SymbolDef, Target, TargetKind, ValueInfo,
};
use std::path::Path;

/// `y = x + w` over `[N, 4]` through a temporary in the arena and a view of it.
pub(crate) fn plan(weight: Blob) -> (Manifest, Plan) {
    let dims = || vec![Expr::Symbol(0), Expr::Const(4)];
    let symbols = vec!["N".to_string()];
    let value = |name: &str| ValueInfo {
        name: name.into(),
        dtype: DType::F32,
        dims: dims().into_iter().map(|expr| Dim::new(expr, &symbols)).collect(),
        default: None,
    };
    let buffer = |name: &str, dims: Vec<Expr>, place: Place| {
        let bytes = Expr::product(dims.clone()) * 4;
        BufferDef { name: name.into(), dtype: DType::F32, dims, bytes, place }
    };
    let fixed = |size: i64| vec![Expr::Const(size)];
    let launch = |buffers: Vec<u32>, inputs: u32| Launch {
        kernel: 0,
        buffers,
        inputs,
        sizes: dims(),
        tiles: Expr::Symbol(0).ceil_div(2),
        scratch_bytes: Expr::Const(0),
        flops: Expr::Symbol(0) * 4,
        bytes: Expr::Symbol(0) * 48,
    };
    let plan = Plan {
        symbols: vec![SymbolDef::InputDim { input: 0, dim: 0 }],
        checks: vec![],
        buffers: vec![
            buffer("x", dims(), Place::Input(0)),
            buffer("w", fixed(4), Place::Constant { offset: weight.offset, len: weight.len }),
            buffer("t", fixed(32), Place::Arena { offset: 64, reserved: 128 }),
            buffer("v", fixed(16), Place::View { of: 2, byte_offset: Expr::Const(64) }),
            buffer("y", dims(), Place::Output(0)),
            buffer("h", dims(), Place::Heap),
        ],
        kernels: vec![KernelEntry { offset: 0 }],
        arena_bytes: 192,
        blocks: vec![Block {
            instructions: vec![
                Instruction::Alloc(5),
                Instruction::Region(vec![launch(vec![0, 1, 3], 2), launch(vec![3, 5], 1)]),
                Instruction::Region(vec![launch(vec![5, 1, 4], 2)]),
                Instruction::Free(5),
            ],
        }],
    };
    let manifest = Manifest {
        compiler: "mlcc 0".into(),
        model: "small".into(),
        target: Target {
            kind: TargetKind::Cpu,
            triple: format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
            cpu: "generic".into(),
            features: vec![],
        },
        signature: Signature { inputs: vec![value("x")], outputs: vec![value("y")] },
        symbols: symbols.clone(),
        kernels: vec![KernelInfo {
            name: "add".into(),
            nodes: vec!["Add_0".into()],
            decision: "direct".into(),
            refused: vec![],
        }],
        counts: Counts { kernels: 3, views: 1, runtime_calls: 0 },
        keep_denormals: false,
        flags: vec!["-O2".into()],
        file_order_peak_bytes: None,
        machine: "0".into(),
    };
    (manifest, plan)
}

/// Writes the artifact of [`plan`] and returns its bytes.
pub(crate) fn write(path: &Path) -> Vec<u8> {
    let mut writer = ArtifactWriter::create(path).expect("creates");
    let weight: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|w| w.to_le_bytes()).collect();
    let blob = writer.add_weight(&weight).expect("writes");
    let (manifest, plan) = plan(blob);
    writer.finish(&manifest, &plan, &[0xc3; 100]).expect("finishes");
    let bytes = std::fs::read(path).expect("reads");
    Artifact::from_bytes(&bytes).expect("the artifact is sound before it is damaged");
    bytes
}
