//! The trace of a run in Chrome's format, which Perfetto shows: a row for each thread, a block for the
//! tiles of a kernel that it executed at a stretch.

use crate::measure::Roofline;
use mlcc_ir::diagnostic::Diagnostic;
use mlcc_runtime::{Context, Model};
use serde_json::{Value, json};
use std::path::Path;

/// Writes what the threads did in the context's last run to `path`.
pub(super) fn write(
    path: &Path,
    model: &Model,
    context: &Context,
    roofline: &Roofline,
) -> Result<(), Vec<Diagnostic>> {
    let manifest = model.manifest();
    let launches: Vec<_> = model.plan().launches().collect();
    let origin = context.spans().first().map_or(0, |span| span.begin);
    let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1e3;
    let threads = (0..model.pool().threads()).map(|thread| {
        let name = if thread == 0 { "caller".to_owned() } else { format!("mlcc-{thread}") };
        json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": thread, "args": {"name": name}})
    });
    let spans = context.spans().iter().map(|span| {
        let launch = launches[span.launch as usize];
        let info = &manifest.kernels[launch.kernel as usize];
        let tiles = launch.tiles.as_const().map_or("?".into(), |tiles| tiles.to_string());
        json!({
            "ph": "X", "pid": 1, "tid": span.thread, "cat": "kernel", "name": info.name,
            "ts": microseconds(span.begin - origin), "dur": microseconds(span.end - span.begin),
            "args": {
                "launch": span.launch,
                "variant": super::variant(&info.decision),
                "tiles": format!("{} to {} of {tiles}", span.first, span.first + span.tiles),
                "flops": launch.flops.as_const(), "bytes": launch.bytes.as_const(),
                "nodes": info.nodes,
            },
        })
    });
    let process = json!({"ph": "M", "name": "process_name", "pid": 1, "args": {"name": manifest.model}});
    let events: Vec<Value> = std::iter::once(process).chain(threads).chain(spans).collect();
    let trace = json!({
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "target": format!("{} {}", manifest.target.triple, manifest.target.cpu),
            "machine": roofline.to_string(),
        },
    });
    std::fs::write(path, trace.to_string()).map_err(|e| crate::cli::write_error(path, &e))
}
