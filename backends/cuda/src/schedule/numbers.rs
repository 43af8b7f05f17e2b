//! The numbers of a decision for a GPU.

use mlcc_ir::diagnostic::{Diagnostic, Result};
use mlcc_passes::schedule::Decision;

/// Numbers of a mapping given by the caller. The mapping chooses the others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    /// Threads of a block.
    pub(super) threads: Option<i64>,
    /// Elements of a thread.
    pub(super) elements: Option<i64>,
    /// Rows, and columns, of a block of a matrix product.
    pub(super) side: Option<i64>,
}

impl Numbers {
    /// The numbers of a decision.
    ///
    /// # Errors
    /// If a number is not possible on any GPU, or has another name.
    pub(super) fn of(decision: &Decision) -> Result<Numbers> {
        let mut numbers = Numbers::default();
        for (name, value) in &decision.numbers {
            let refused = |possible: &str| {
                let what = format!("'{decision}' cannot be taken: {name}={value} is not possible");
                Err(Diagnostic::user(what).hint(format!("{name} may be {possible}")))
            };
            let number = value.split('x').next().and_then(|first| first.parse::<i64>().ok()).unwrap_or(0);
            match &**name {
                // A reduction halves the threads until one is left.
                "threads" if (32..=1024).contains(&number) && number.count_ones() == 1 => {
                    numbers.threads = Some(number);
                }
                "threads" => return refused("32, 64, 128, 256, 512 or 1024"),
                "elements" if (1..=16).contains(&number) => numbers.elements = Some(number),
                "elements" => return refused("1 to 16"),
                "tile" if matches!(number, 64 | 128) => numbers.side = Some(number),
                "tile" => return refused("64x64x16 or 128x128x16"),
                // It follows from the tile, and is compared with the tile afterwards.
                "thread" => {}
                _ => {
                    let what = format!("'{decision}' cannot be taken: GPUs have no number '{name}'");
                    return Err(Diagnostic::user(what).hint("they have threads, elements, tile and thread"));
                }
            }
        }
        Ok(numbers)
    }
}
