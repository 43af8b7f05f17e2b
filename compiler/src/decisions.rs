//! Decisions as a file: `--dump-decisions FILE` writes it, `--decisions FILE` takes decisions from it.
//!
//! ```text
//! kernel k3_matmul_add
//! # node_MatMul_11, node_linear
//! not windows: it has no window
//! packed: split(matmul.m, 6)
//! reorder(matmul.m.o, matmul.n, matmul.k, matmul.m.i)
//! ```
//!
//! Lines that begin with `#` are comments. Lines that begin with `not` name the templates that were tried before, and
//! the reasons why they did not take the kernel. A kernel that is not in the file is decided as usual.

use crate::codegen::ScheduledKernel;
use mlcc_ir::diagnostic::{Diagnostic, Result};
use mlcc_passes::schedule::Decision;
use std::{collections::BTreeMap, fmt::Write, path::Path};

/// Decisions by the kernel's label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions(BTreeMap<String, Decision>);

/// The name of a kernel in a file, as in artifacts: its number and its name.
#[must_use]
pub fn label(number: usize, name: &str) -> String {
    format!("k{number}_{name}")
}

/// The lines of a kernel.
#[derive(Default)]
struct Entry<'a> {
    label: String,
    /// The line with the label.
    line: usize,
    decision: Vec<&'a str>,
    refused: Vec<&'a str>,
}

impl Decisions {
    /// Reads a file.
    ///
    /// # Errors
    /// If the file cannot be read, or is not such a file; the error names the line.
    pub fn read(path: &Path) -> Result<Decisions> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Diagnostic::user(format!("cannot read '{}': {e}", path.display())))?;
        Decisions::parse(&text).map_err(|mut d| {
            d.message = format!("'{}': {}", path.display(), d.message);
            d
        })
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// If the text is not from such a file; the error names the line.
    pub fn parse(text: &str) -> Result<Decisions> {
        let mut found = Decisions::default();
        let mut open: Option<Entry> = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(label) = line.strip_prefix("kernel ") {
                open.take().map_or(Ok(()), |entry| found.add(&entry))?;
                open = Some(Entry { label: label.trim().to_owned(), line: number + 1, ..Entry::default() });
            } else if let Some(entry) = &mut open {
                let part = if line.starts_with("not ") { &mut entry.refused } else { &mut entry.decision };
                part.push(line);
            } else {
                let message = format!("line {}: '{line}' stands before the first kernel", number + 1);
                return Err(Diagnostic::user(message).hint("begin with `kernel NAME`; see --dump-decisions"));
            }
        }
        open.map_or(Ok(()), |entry| found.add(&entry))?;
        Ok(found)
    }

    fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        let at = |mut d: Diagnostic| {
            d.message = format!("line {}, kernel '{}': {}", entry.line, entry.label, d.message);
            d
        };
        let mut decision: Decision = entry.decision.join("\n").parse().map_err(at)?;
        let refused = entry.refused.iter().map(|line| line.parse());
        decision.refused = refused.collect::<Result<_>>().map_err(at)?;
        match self.0.insert(entry.label.clone(), decision) {
            None => Ok(()),
            Some(_) => Err(at(Diagnostic::user("it has two decisions"))),
        }
    }

    /// The decision for a kernel.
    #[must_use]
    pub fn of(&self, label: &str) -> Option<&Decision> {
        self.0.get(label)
    }

    /// Demands that all named kernels exist.
    ///
    /// # Errors
    /// With the first kernel that does not exist.
    pub fn check(&self, labels: &[String]) -> Result<()> {
        match self.0.keys().find(|label| !labels.contains(label)) {
            None => Ok(()),
            Some(label) => {
                let message = format!("decisions are given for a kernel '{label}', which the model has not");
                Err(Diagnostic::user(message)
                    .hint("--dump-decisions with the same options writes the kernels that it has"))
            }
        }
    }
}

/// The text of a file with the decisions of all kernels.
#[must_use]
pub fn text(kernels: &[ScheduledKernel]) -> String {
    let mut text = String::new();
    for (number, scheduled) in kernels.iter().enumerate() {
        let nodes: Vec<&str> = scheduled.nodes.iter().map(|n| &**n).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "kernel {}", label(number, &scheduled.kernel.name));
        let _ = writeln!(text, "# {}", nodes.join(", ").replace('\n', " "));
        for refusal in &scheduled.decision.refused {
            let _ = writeln!(text, "{}", refusal.to_string().replace('\n', " "));
        }
        let _ = writeln!(text, "{}\n", scheduled.decision.to_string().trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        let text = "# a comment\nkernel k0_add\n# x\nserial\n\nkernel k1_matmul\npacked: split(m, 6)\n unroll(m.i)\n";
        let found = Decisions::parse(text).expect("well formed");
        assert_eq!(found.of("k0_add").map(ToString::to_string).as_deref(), Some("serial: "));
        assert_eq!(found.of("k1_matmul").map(|d| d.schedule.steps.len()), Some(2));
        assert!(found.check(&["k0_add".into(), "k1_matmul".into()]).is_ok());
        assert!(found.check(&["k0_add".into()]).unwrap_err().message.contains("k1_matmul"));
    }

    #[test]
    fn problems_name_the_line() {
        for (text, what) in [
            ("serial\n", "line 1"),
            ("kernel a\n\nkernel b\nserial\n", "line 1, kernel 'a'"),
            ("kernel a\nserial\nkernel b\npacked: split(m)\n", "line 3, kernel 'b'"),
            ("kernel a\nserial\nkernel a\nserial\n", "two decisions"),
        ] {
            let message = Decisions::parse(text).expect_err(text).message;
            assert!(message.contains(what), "{message}");
        }
    }
}
