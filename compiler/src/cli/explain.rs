//! `--explain-rewrites`: which rules were applied, what each saves by estimate (what its block would cost more
//! without it), and where.

use super::{Outcome, output};
use mlcc_ir::graph::Location;
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
        for applied in &block.applied {
            let saved = match applied.saved {
                Some(seconds) => format!("{:.1} us", seconds * 1e6),
                None => String::new(),
            };
            output::line!("  {:<32} {saved:>10}  at {}", applied.rule, places(&applied.places))?;
        }
        if let Some(reason) = block.unchecked {
            output::line!("  not compared by executing both: {reason}")?;
        }
    }
    for dropped in &report.dropped {
        output::line!("dropped: executed before and after, the results differ by {:.1e}", dropped.error)?;
        for applied in &dropped.applied {
            output::line!("  {:<32} at {}", applied.rule, places(&applied.places))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The nodes, by name.
fn places(places: &[Location]) -> String {
    places.iter().map(Location::to_string).collect::<Vec<_>>().join(", ")
}
