//! The table of `mlcc bench --profile`: what each kernel costs, and how near it comes to what the machine
//! can do.

use super::{super::output, variant};
use crate::measure::Roofline;
use mlcc_ir::diagnostic::Diagnostic;
use mlcc_runtime::{Context, Model};
use std::time::Duration;

/// Nodes that are named; the others are counted.
const NODES: usize = 3;

/// All launches of a kernel.
struct Row {
    kernel: u32,
    seconds: f64,
    busy: f64,
    launches: u64,
    flops: f64,
    bytes: f64,
}

/// Per kernel: time, share, rates, share of the roofline, nodes; the slowest first. Then what the threads
/// did besides. `runs` are the times of the profiled runs, the last one last.
pub(super) fn print(
    model: &Model,
    context: &Context,
    roofline: &Roofline,
    runs: &[Duration],
) -> Result<(), Vec<Diagnostic>> {
    let rows = rows(model, context);
    let threads = model.pool().threads() as f64;
    let total: f64 = rows.iter().map(|r| r.seconds).sum();
    output::line!(
        "{:>9} {:>6} {:>5} {:>8} {:>7} {:>6} {:>5}  kernel",
        "ms",
        "share",
        "runs",
        "GFLOP/s",
        "GB/s",
        "roof",
        "busy"
    )?;
    for row in &rows {
        let info = &model.manifest().kernels[row.kernel as usize];
        let named = info.nodes.iter().take(NODES).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = info.nodes.len().saturating_sub(NODES);
        output::line!(
            "{:9.3} {:5.1}% {:5} {:8.1} {:7.1} {:5.0}% {:4.0}%  {}  [{}]  {named}{}",
            row.seconds * 1e3,
            row.seconds / total * 100.0,
            row.launches,
            row.flops / row.seconds / 1e9,
            row.bytes / row.seconds / 1e9,
            roofline.share(row.flops, row.bytes, row.seconds) * 100.0,
            row.busy / row.seconds / threads * 100.0,
            info.name,
            variant(&info.decision),
            if more > 0 { format!(" and {more} more") } else { String::new() },
        )?;
    }
    output::line!("roof: of what is attainable at {roofline}; more where data stay in caches")?;
    let last = runs.last().map_or(0.0, Duration::as_secs_f64);
    let (inside, busy) = last_run(context);
    output::line!(
        "last run {:.3} ms: {:.3} outside kernels, threads busy {:.1}%",
        last * 1e3,
        (last - inside) * 1e3,
        busy / last / threads * 100.0
    )
}

fn rows(model: &Model, context: &Context) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let known = |e: &mlcc_format::Expr| e.as_const().unwrap_or(0) as f64;
    for (profile, launch) in context.profile().iter().zip(model.plan().launches()) {
        let per_call = |nanoseconds: u64| nanoseconds as f64 / 1e9 / profile.calls.max(1) as f64;
        let at = rows.iter().position(|r| r.kernel == launch.kernel).unwrap_or_else(|| {
            let kernel = launch.kernel;
            rows.push(Row { kernel, seconds: 0.0, busy: 0.0, launches: 0, flops: 0.0, bytes: 0.0 });
            rows.len() - 1
        });
        let row = &mut rows[at];
        row.seconds += per_call(profile.nanoseconds);
        row.busy += per_call(profile.busy_nanoseconds);
        row.launches += 1;
        row.flops += known(&launch.flops);
        row.bytes += known(&launch.bytes);
    }
    rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    rows
}

/// Seconds of the last run in which some thread was in a kernel, and of all threads together.
fn last_run(context: &Context) -> (f64, f64) {
    let (mut inside, mut busy, mut until) = (0, 0, 0);
    for span in context.spans() {
        busy += span.end - span.begin;
        inside += span.end.saturating_sub(span.begin.max(until));
        until = until.max(span.end);
    }
    (inside as f64 / 1e9, busy as f64 / 1e9)
}
