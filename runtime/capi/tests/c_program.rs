//! A C program, compiled against the header, runs an artifact.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use mlcc_format::{
    ArtifactWriter, Block, BufferDef, Counts, DType, Dim, Expr, Instruction, KernelEntry, KernelInfo, Launch,
    Manifest, Place, Plan, Signature, SymbolDef, Target, TargetKind, ValueInfo,
};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a C compiler makes of `y[4 * row + i] = x[4 * row + i] + w[i]` for the rows `begin..end`:
/// ```c
/// void add(char *const *buffers, const long long *sizes, char *scratch, long long begin, long long end) {
///     const float *x = (const float *)buffers[0], *w = (const float *)buffers[1];
///     float *y = (float *)buffers[2];
///     for (long long i = 4 * begin; i < 4 * end; i++) y[i] = x[i] + w[i & 3];
/// }
/// ```
const ADD_ROWS: &[u8] = &[
    0x48, 0x8b, 0x07, 0x48, 0x8b, 0x57, 0x08, 0x48, 0xc1, 0xe1, 0x02, 0x49, 0xc1, 0xe0, 0x02, 0x48, 0x8b,
    0x77, 0x10, 0x49, 0x39, 0xc8, 0x7e, 0x1a, 0x48, 0x89, 0xcf, 0x83, 0xe7, 0x03, 0xf3, 0x0f, 0x10, 0x04,
    0xba, 0xf3, 0x0f, 0x58, 0x04, 0x88, 0xf3, 0x0f, 0x11, 0x04, 0x8e, 0x48, 0xff, 0xc1, 0xeb, 0xe1, 0xc3,
];

fn write(path: &Path) {
    let mut writer = ArtifactWriter::create(path).expect("creates");
    let weight: Vec<u8> = [10f32, 20.0, 30.0, 40.0].iter().flat_map(|w| w.to_le_bytes()).collect();
    let blob = writer.add_weight(&weight).expect("writes");
    let symbols = vec!["n".to_string()];
    let dims = vec![Expr::Symbol(0), Expr::Const(4)];
    let value = |name: &str| ValueInfo {
        name: name.into(),
        dtype: DType::F32,
        dims: dims.iter().map(|expr| Dim::new(expr.clone(), &symbols)).collect(),
        default: None,
    };
    let buffer = |name: &str, dims: &[Expr], place: Place| BufferDef {
        name: name.into(),
        dtype: DType::F32,
        dims: dims.to_vec(),
        bytes: Expr::product(dims.to_vec()) * 4,
        place,
    };
    let launch = Launch {
        kernel: 0,
        buffers: vec![0, 1, 2],
        inputs: 2,
        sizes: vec![],
        tiles: Expr::Symbol(0),
        scratch_bytes: Expr::Const(0),
        flops: Expr::Const(1 << 30),
        bytes: Expr::Const(0),
    };
    let plan = Plan {
        symbols: vec![SymbolDef::InputDim { input: 0, dim: 0 }],
        checks: vec![],
        buffers: vec![
            buffer("x", &dims, Place::Input(0)),
            buffer("w", &dims[1..], Place::Constant { offset: blob.offset, len: blob.len }),
            buffer("y", &dims, Place::Output(0)),
        ],
        kernels: vec![KernelEntry { offset: 0 }],
        arena_bytes: 0,
        blocks: vec![Block { instructions: vec![Instruction::Region(vec![launch])] }],
    };
    let manifest = Manifest {
        compiler: "test".into(),
        model: "add".into(),
        target: Target {
            kind: TargetKind::Cpu,
            triple: "x86_64-unknown-linux-gnu".into(),
            cpu: "x86-64".into(),
            features: vec![],
        },
        signature: Signature { inputs: vec![value("x")], outputs: vec![value("y")] },
        symbols,
        kernels: vec![KernelInfo {
            name: "add".into(),
            nodes: vec![],
            decision: String::new(),
            refused: vec![],
        }],
        counts: Counts::default(),
        keep_denormals: false,
        flags: vec![],
        file_order_peak_bytes: None,
        machine: String::new(),
    };
    writer.finish(&manifest, &plan, ADD_ROWS).expect("finishes");
}

/// The folder where cargo puts the library that this test belongs to.
fn library_folder() -> PathBuf {
    let test = std::env::current_exe().expect("has a path");
    test.parent().expect("lies in a folder").to_path_buf()
}

#[test]
fn a_c_program_runs_an_artifact() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("folder");
    let (artifact, other) = (folder.path().join("add.mlcc"), folder.path().join("other"));
    write(&artifact);
    std::fs::write(&other, "no artifact, but long enough to be looked at").expect("writes");
    let damaged = folder.path().join("damaged.mlcc");
    let mut bytes = std::fs::read(&artifact).expect("reads");
    // The weights begin at the second page.
    bytes[4096 + 3] ^= 1;
    std::fs::write(&damaged, bytes).expect("writes");
    let program = folder.path().join("program");
    let library = library_folder();
    let compiled = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o"])
        .arg(&program)
        .arg(source.join("tests/program.c"))
        .arg("-I")
        .arg(source.join("include"))
        .arg("-L")
        .arg(&library)
        .arg("-lmlcc_capi")
        .arg(format!("-Wl,-rpath,{}", library.display()))
        .output()
        .expect("a C compiler is there, since cargo links with it");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    // Cargo's own search path names the folder of an older build first.
    let mut run = Command::new(&program);
    run.args([&artifact, &other, &damaged]).env("LD_LIBRARY_PATH", &library);
    let ran = run.output().expect("runs");
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && text.is_empty(), "{}: {text}", ran.status);
}
