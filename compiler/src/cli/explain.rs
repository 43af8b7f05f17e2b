//! `--explain-rewrites`: which rules were applied, where, and what that saves by estimate.

use super::{Outcome, output};
use mlcc_passes::graph::rewrite::Report;
use std::process::ExitCode;

/// Prints what rules have done to a model; `None` if the graph level was not run.
pub(super) fn rewrites(report: Option<&Report>) -> Outcome {
    let Some(report) = report.filter(|r| !r.blocks.is_empty() || !r.dropped.is_empty()) else {
        output::line!("no rewrites")?;
        return Ok(ExitCode::SUCCESS);
    };
    for block in &report.blocks {
        let times = if block.blocks > 1 { format!(", {} times", block.blocks) } else { String::new() };
        output::line!(
            "rewritten{times}: {:.1} to {:.1} us by estimate, {:.2} times faster",
            block.before * 1e6,
            block.after * 1e6,
            block.before / block.after
        )?;
        for (rule, location) in &block.applied {
            output::line!("  {rule:<32} at {location}")?;
        }
        if let Some(reason) = block.unchecked {
            output::line!("  not compared by executing both: {reason}")?;
        }
    }
    for dropped in &report.dropped {
        output::line!("dropped: executed before and after, the results differ by {:.1e}", dropped.error)?;
        for (rule, location) in &dropped.applied {
            output::line!("  {rule:<32} at {location}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
