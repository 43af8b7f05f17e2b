//! A plan that reaches beyond its own resources is refused in each way, with a message that names
//! the problem.

use mlcc_format::{
    Blob, Block, Call, Check, Condition, DType, Expr, FormatError, Instruction, Limits, Loop, Manifest,
    Place, Plan, RuntimeFunction, SymbolDef, verify,
};

fn check(alter: impl FnOnce(&mut Plan, &mut Manifest)) -> Result<(), FormatError> {
    let (mut manifest, mut plan) = crate::common::plan(Blob { offset: 0, len: 16 });
    alter(&mut plan, &mut manifest);
    verify(&plan, &manifest, Limits { weights: 16, code: Some(100) })
}

fn refused(alter: impl FnOnce(&mut Plan, &mut Manifest), message: &str) {
    let Err(FormatError::Plan { problems }) = check(alter) else { panic!("accepted; expected: {message}") };
    assert!(problems.iter().any(|problem| problem.contains(message)), "expected '{message}' in {problems:?}");
}

fn push(plan: &mut Plan, instruction: Instruction) {
    plan.blocks[0].instructions.push(instruction);
}

fn first_launch(plan: &mut Plan) -> &mut mlcc_format::Launch {
    match &mut plan.blocks[0].instructions[1] {
        Instruction::Region(launches) => &mut launches[0],
        other => panic!("not a region: {other:?}"),
    }
}

#[test]
fn the_unaltered_plan_is_sound() {
    check(|_, _| {}).expect("sound");
}

#[test]
fn indices_are_bounded() {
    refused(|p, _| first_launch(p).kernel = 1, "kernel 1");
    refused(|p, _| first_launch(p).buffers[0] = 6, "buffer 6, which does not exist");
    refused(|p, _| first_launch(p).inputs = 9, "lacks buffers");
    refused(|p, _| first_launch(p).tiles = Expr::Symbol(1), "names a symbol");
    refused(|p, _| p.symbols[0] = SymbolDef::InputDim { input: 0, dim: 2 }, "dimension 2");
    refused(|p, _| p.symbols[0] = SymbolDef::Computed(Expr::Symbol(0)), "symbol 0 names a symbol");
    refused(|p, _| p.kernels[0].offset = 100, "beyond the code");
    refused(|_, m| m.symbols.clear(), "names 0 symbols");
    refused(|p, _| p.blocks.clear(), "no block 0");
}

#[test]
fn places_are_bounded() {
    refused(|p, _| p.buffers[1].place = Place::Constant { offset: 64, len: 16 }, "beyond the weights");
    refused(|p, _| p.buffers[1].place = Place::Constant { offset: 8, len: 8 }, "is not aligned");
    refused(|p, _| p.buffers[1].place = Place::Constant { offset: 0, len: 15 }, "larger than its weight");
    refused(|p, _| p.buffers[2].place = Place::Arena { offset: 128, reserved: 128 }, "beyond the arena");
    refused(
        |p, _| p.buffers[2].place = Place::Arena { offset: u64::MAX - 63, reserved: 128 },
        "beyond the arena",
    );
    refused(|p, _| p.buffers[2].place = Place::Arena { offset: 64, reserved: 64 }, "larger than its place");
    refused(|p, _| p.arena_bytes = u64::MAX, "does not exist");
    refused(
        |p, _| p.buffers[3].place = Place::View { of: 3, byte_offset: 0.into() },
        "does not come earlier",
    );
    refused(
        |p, _| p.buffers[3].place = Place::View { of: 2, byte_offset: 65.into() },
        "beyond what it views",
    );
    refused(
        |p, _| p.buffers[3].place = Place::View { of: 2, byte_offset: (-1).into() },
        "beyond what it views",
    );
    refused(|p, _| p.buffers[0].dtype = DType::F64, "no input or output of its type");
    refused(|p, _| p.buffers[4].place = Place::Heap, "output 'y' has 0 buffers");
}

#[test]
fn only_writable_memory_is_written() {
    refused(|p, _| first_launch(p).inputs = 1, "buffer 1, which is read-only");
    refused(|p, _| push(p, Instruction::Copy { dst: 0, src: 4 }), "buffer 0, which is read-only");
}

#[test]
fn heap_buffers_are_used_while_they_live() {
    refused(|p, _| drop(p.blocks[0].instructions.remove(0)), "not alive");
    refused(|p, _| push(p, Instruction::Free(5)), "frees buffer 5");
    refused(|p, _| push(p, Instruction::Free(2)), "frees buffer 2");
    refused(|p, _| p.blocks[0].instructions.insert(1, Instruction::Alloc(5)), "allocates buffer 5");
    refused(|p, _| push(p, Instruction::Copy { dst: 5, src: 0 }), "not alive");
}

#[test]
fn control_flow_only_nests_forwards() {
    let branch = |then, otherwise| Instruction::If { condition: 2, then, otherwise };
    let with_bool = |p: &mut Plan| p.buffers[2].dtype = DType::Bool;
    refused(|p, _| push(p, branch(0, 0)), "takes buffer 2 for a scalar");
    refused(
        |p, _| {
            with_bool(p);
            push(p, branch(0, 0));
        },
        "does not come later",
    );
    refused(
        |p, _| {
            with_bool(p);
            p.blocks.push(Block::default());
            push(p, branch(1, 1));
        },
        "used twice",
    );
    refused(
        |p, _| {
            with_bool(p);
            p.blocks.push(Block { instructions: vec![Instruction::Alloc(5)] });
            p.blocks.push(Block::default());
            push(p, branch(1, 2));
        },
        "leaves other buffers alive",
    );
    refused(
        |p, _| {
            p.blocks.push(Block { instructions: vec![Instruction::Alloc(5)] });
            push(p, Instruction::Loop(Loop { trip_count: None, condition: None, iteration: None, body: 1 }));
        },
        "ends its body",
    );
    refused(
        |p, _| {
            p.blocks.push(Block::default());
            push(p, Instruction::Loop(Loop { trip_count: None, condition: None, iteration: None, body: 1 }));
        },
        "loops without end",
    );
    refused(
        |p, _| {
            p.buffers[2].dtype = DType::I64;
            for body in 1..50 {
                p.blocks.push(Block::default());
                let nested = Loop { trip_count: Some(2), condition: None, iteration: None, body };
                p.blocks[body as usize - 1].instructions.push(Instruction::Loop(nested));
            }
        },
        "nested too deeply",
    );
}

#[test]
fn data_dependent_sizes_are_read_before_use() {
    // Symbol 1 is the number of rows that a kernel found, buffer 6 has that many.
    let with_data = |p: &mut Plan, m: &mut Manifest| {
        p.symbols.push(SymbolDef::Data);
        m.symbols.push("rows".into());
        p.buffers[2].dtype = DType::I64;
        let mut found = p.buffers[5].clone();
        found.bytes = Expr::Symbol(1) * 16;
        p.buffers.push(found);
    };
    let read = Instruction::ReadSymbol { symbol: 1, buffer: 2, element: 0 };
    check(|p, m| {
        with_data(p, m);
        push(p, read.clone());
        push(p, Instruction::Alloc(6));
    })
    .expect("sound");
    refused(
        |p, m| {
            with_data(p, m);
            push(p, Instruction::Alloc(6));
            push(p, read.clone());
        },
        "before it has a value",
    );
    refused(|p, _| push(p, Instruction::ReadSymbol { symbol: 0, buffer: 2, element: 0 }), "takes buffer 2");
    refused(
        |p, m| {
            with_data(p, m);
            let condition = Condition::Equal(Expr::Symbol(1), Expr::Const(1));
            p.checks.push(Check { condition, message: "rows".into() });
        },
        "check 0 depends on data",
    );
}

#[test]
fn calls_have_the_buffers_of_their_function() {
    let call = Call { function: RuntimeFunction::CountNonZero, buffers: vec![0], attributes: vec![] };
    refused(|p, _| push(p, Instruction::Call(call)), "with 1 buffers");
}

#[test]
fn damaged_encodings_never_panic() {
    // In a file a checksum comes before this check, but it does not stop a faulty compiler or a
    // forger.
    let (manifest, plan) = crate::common::plan(Blob { offset: 0, len: 16 });
    let plan = postcard::to_stdvec(&plan).expect("encodes");
    let mut decoded = 0;
    for i in 0..plan.len() {
        for flip in 0..8 {
            let mut bytes = plan.clone();
            bytes[i] ^= 1 << flip;
            if let Ok(plan) = postcard::from_bytes::<Plan>(&bytes) {
                decoded += 1;
                // Either verdict is right, as long as there is one.
                let _ = verify(&plan, &manifest, Limits { weights: 16, code: Some(100) });
            }
        }
        assert!(postcard::from_bytes::<Plan>(&plan[..i]).is_err());
    }
    assert!(decoded > plan.len(), "hardly any damage reached the verifier");
}
