//! The analysis of a plan when it is loaded: the sizes that wait for data, the views that follow
//! each buffer, the place of each launch's arguments.

use crate::dependences;
use mlcc_format::{BufferId, Expr, Instruction, Place, Plan};

/// The analysis of a plan.
pub(crate) struct Program {
    /// For each symbol whether its value is known only during the run.
    pub(crate) dependent: Vec<bool>,
    /// For each buffer, whether its size or offset waits for data, or that of a buffer that it
    /// views. Such buffers are resolved at each use, all others once for each new set of shapes.
    pub(crate) late: Vec<bool>,
    /// For each buffer, the views that are not late and whose chain ends there, bases first.
    pub(crate) views: Vec<Vec<BufferId>>,
    /// The launches, numbered through all blocks.
    pub(crate) launches: Vec<LaunchInfo>,
    /// For each block and instruction the number of its first launch.
    pub(crate) first_launch: Vec<Vec<u32>>,
    /// How many buffer arguments all launches have together.
    pub(crate) arguments: usize,
    /// How many sizes all launches have together.
    pub(crate) sizes: usize,
    /// For each buffer its dimensions, if they are numbers.
    pub(crate) constant_dims: Vec<Vec<i64>>,
}

/// The place of a kernel's arguments.
pub(crate) struct LaunchInfo {
    /// Its first entry among all launches' buffer arguments.
    pub(crate) arguments: usize,
    /// Its first entry among all launches' sizes.
    pub(crate) sizes: usize,
    /// Whether a size waits for data.
    pub(crate) late: bool,
    /// Whether all launches of its region before it must have ended.
    pub(crate) waits: bool,
}

impl Program {
    /// Analyses a verified plan.
    pub(crate) fn new(plan: &Plan) -> Program {
        let dependent = plan.data_dependent_symbols();
        let waits = |expr: &Expr| expr.any_symbol(|id| dependent[id as usize]);
        let mut late: Vec<bool> = Vec::with_capacity(plan.buffers.len());
        let mut roots = Vec::with_capacity(plan.buffers.len());
        let mut views = vec![Vec::new(); plan.buffers.len()];
        for (id, buffer) in plan.buffers.iter().enumerate() {
            let mut is_late = buffer.dims.iter().chain([&buffer.bytes]).any(waits);
            let mut root = id;
            if let Place::View { of, byte_offset } = &buffer.place {
                is_late |= waits(byte_offset) || late[*of as usize];
                root = roots[*of as usize];
                if !is_late {
                    views[root].push(id as BufferId);
                }
            }
            late.push(is_late);
            roots.push(root);
        }
        let (mut arguments, mut sizes) = (0, 0);
        let mut launches = Vec::new();
        let mut first_launch = Vec::with_capacity(plan.blocks.len());
        for block in &plan.blocks {
            let mut firsts = Vec::with_capacity(block.instructions.len());
            for instruction in &block.instructions {
                firsts.push(launches.len() as u32);
                let Instruction::Region(region) = instruction else { continue };
                for (launch, waits_for) in region.iter().zip(dependences::waits(plan, region)) {
                    let own = [&launch.tiles, &launch.scratch_bytes, &launch.flops, &launch.bytes];
                    let late = launch.sizes.iter().chain(own).any(waits);
                    launches.push(LaunchInfo { arguments, sizes, late, waits: waits_for });
                    arguments += launch.buffers.len();
                    sizes += launch.sizes.len();
                }
            }
            first_launch.push(firsts);
        }
        let constant_dims = plan.buffers.iter().map(|buffer| {
            buffer.dims.iter().map(Expr::as_const).collect::<Option<Vec<i64>>>().unwrap_or_default()
        });
        let constant_dims = constant_dims.collect();
        Program { constant_dims, dependent, late, views, launches, first_launch, arguments, sizes }
    }
}
