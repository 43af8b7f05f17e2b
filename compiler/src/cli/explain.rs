//! `--explain-rewrites`: which rules were applied, what each saves by estimate (what its block would cost more
//! without it), and where; which products Strassen's algorithm computes; by how much weights have grown for it.

use super::{Outcome, output};
use mlcc_ir::{diagnostic::Diagnostic, graph::Location};
use mlcc_passes::{
    graph::rewrite::Report,
    strassen::strassen_products::{self, Changed},
};
use std::process::ExitCode;

/// Prints what rules have done to a model (`None` if the graph level was not run), and which products are computed by
/// Strassen's algorithm, with the seconds that each saves.
pub(super) fn rewrites(report: Option<&Report>, products: &[(Changed, f64)]) -> Outcome {
    let report = report.filter(|r| !(r.blocks.is_empty() && r.dropped.is_empty() && r.declined.is_empty()));
    if report.is_none() && products.is_empty() {
        output::line!("no rewrites")?;
        return Ok(ExitCode::SUCCESS);
    }
    report.map_or(Ok(()), rules)?;
    strassen(products)?;
    let grown = report.map_or(0, |r| r.weight_growth) + products.iter().map(|(p, _)| p.growth).sum::<i64>();
    if grown != 0 {
        output::line!("weights have grown by {:.2} MB", grown as f64 / 1e6)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The products, each with its sizes (rows, terms, columns).
fn strassen(products: &[(Changed, f64)]) -> Result<(), Vec<Diagnostic>> {
    if products.is_empty() {
        return Ok(());
    }
    let seconds: f64 = products.iter().map(|(_, seconds)| seconds).sum();
    output::line!(
        "{}: {} product{} by seven multiplications of quarters instead of eight, {:.1} us less by estimate",
        strassen_products::SPEC.name,
        products.len(),
        if products.len() == 1 { "" } else { "s" },
        seconds * 1e6
    )?;
    for (product, seconds) in products {
        let [rows, columns, terms] = &product.sizes;
        let sizes = format!("{rows}x{terms}x{columns}");
        let nodes: Vec<&str> = product.nodes.iter().map(|n| &**n).collect();
        output::line!(
            "  {sizes:<32} {:>7.1} us, {:+.2} MB  at {}",
            seconds * 1e6,
            product.growth as f64 / 1e6,
            nodes.join(", ")
        )?;
    }
    Ok(())
}

fn rules(report: &Report) -> Result<(), Vec<Diagnostic>> {
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
    for declined in &report.declined {
        let times = if declined.blocks > 1 { format!(", {} times", declined.blocks) } else { String::new() };
        let why = match declined.costs * 1e6 {
            costs if costs.is_infinite() => {
                "would exceed a bound on weights or on work at compile time".into()
            }
            costs if costs > 0.0 => format!("would take {costs:.1} us more by estimate"),
            costs => format!("would save {:.1} us by estimate, too little to be sure of", -costs),
        };
        output::line!("not taken{times}: {} {why}, at {}", declined.rule, places(&declined.places))?;
    }
    for dropped in &report.dropped {
        output::line!("dropped: executed before and after, the results differ by {:.1e}", dropped.error)?;
        for applied in &dropped.applied {
            output::line!("  {:<32} at {}", applied.rule, places(&applied.places))?;
        }
    }
    Ok(())
}

/// The nodes, by name.
fn places(places: &[Location]) -> String {
    places.iter().map(Location::to_string).collect::<Vec<_>>().join(", ")
}
