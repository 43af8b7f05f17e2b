//! How a model is compiled: the options that `compile` has in common with what compiles on the fly.

use super::one;
use crate::{machine_profile::Profile, options::Options};
use clap::ValueEnum;
use mlcc_ir::diagnostic::Diagnostic;
use mlcc_passes::{graph::rewrite, winograd::winograd_convolution};
use std::path::PathBuf;

/// Options that the code depends on, and how many threads make it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "How a model is compiled")]
pub(super) struct Compiling {
    /// CPU to generate code for: `host`, or a name that LLVM knows, such as x86-64-v3 or neoverse-n1.
    #[arg(long, default_value = "host")]
    pub(super) target_cpu: String,
    /// Dimensions of an input, each fixed or a range: `x=1..8x3x224x224`. Ranges are `1..8`, `64..` and, for multiples of
    /// 16, `64..512:16`. Or one dimension by its name, wherever the model has it: `batch=4`, `batch=1..8`. Repeatable.
    #[arg(long, value_name = "NAME=DIMS")]
    shape: Vec<String>,
    /// The profile of a machine, as `mlcc machine measure` writes it. Decisions are taken from it instead of from the table
    /// of known CPUs.
    #[arg(long, value_name = "FILE")]
    pub(super) machine: Option<PathBuf>,
    /// How much is optimised. 0: one plain kernel for each operator, to find a wrong pass. 1: graph passes and fusion, with
    /// plain loops. 2 and 3: everything.
    #[arg(short = 'O', value_name = "LEVEL", default_value_t = 2,
          value_parser = clap::value_parser!(u8).range(0..=3))]
    optimisation: u8,
    /// Leave a pass out. Repeatable; `mlcc opt --list-passes` lists them.
    #[arg(long, value_name = "PASS")]
    disable_pass: Vec<String>,
    /// Compute convolutions as sums of products only. Winograd's algorithm needs fewer multiplications and rounds
    /// differently, by about 1e-6 of the result's norm.
    #[arg(long)]
    exact_conv: bool,
    /// Compute with denormal numbers (f32 below 1.2e-38) as IEEE 754 says. Otherwise kernels take them for zeros,
    /// since Intel's processors are slow with them.
    #[arg(long)]
    keep_denormals: bool,
    /// Which algebraic rewrites are applied.
    #[arg(long, value_enum, default_value_t = Rewrites::All)]
    rewrites: Rewrites,
    /// Leave a rewrite rule out. Repeatable; docs/rewrites.md lists the rules.
    #[arg(long, value_name = "RULE")]
    disable_rewrite: Vec<String>,
    /// By what factor the weights may grow in all, beyond a megabyte, where that saves work. Algebraic rules and Strassen's
    /// algorithm share it; the latter needs 1.75 for each matrix. 1 allows no growth at all.
    #[arg(long, value_name = "FACTOR", default_value_t = Options::default().rewrites.max_weight_growth, value_parser = weight_growth)]
    max_weight_growth: f64,
    /// Threads that compile; 0 means one for each CPU. The result does not depend on it.
    #[arg(long, default_value_t = 0)]
    pub(super) jobs: usize,
}

/// Algebraic rewrites that are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rewrites {
    /// All that make the model faster by estimate
    All,
    /// Only those that leave every bit of every value as it is
    Exact,
    /// None: equal operators are computed twice, and only constants are folded
    Off,
}

impl Compiling {
    /// The pipeline's options.
    ///
    /// # Errors
    /// If a pass, a rule or a profile that is named does not exist.
    pub(super) fn options(&self) -> Result<Options, Vec<Diagnostic>> {
        for pass in &self.disable_pass {
            if mlcc_passes::registry::find(pass).is_none() {
                let message = format!("no pass is called '{pass}'");
                return Err(one(Diagnostic::user(message).hint("`mlcc opt --list-passes` lists the passes")));
            }
        }
        for rule in &self.disable_rewrite {
            if !rewrite::is_known(rule).map_err(one)? {
                let message = format!("no rewrite rule is called '{rule}'");
                return Err(one(Diagnostic::user(message).hint("docs/rewrites.md lists the rules")));
            }
        }
        let mut flags = Vec::new();
        self.shape.iter().for_each(|s| flags.push(format!("--shape {s}")));
        self.disable_pass.iter().for_each(|p| flags.push(format!("--disable-pass {p}")));
        if self.exact_conv {
            flags.push("--exact-conv".into());
        }
        if self.keep_denormals {
            flags.push("--keep-denormals".into());
        }
        if self.rewrites != Rewrites::All {
            flags
                .push(format!("--rewrites {}", if self.rewrites == Rewrites::Off { "off" } else { "exact" }));
        }
        self.disable_rewrite.iter().for_each(|r| flags.push(format!("--disable-rewrite {r}")));
        if self.max_weight_growth != Options::default().rewrites.max_weight_growth {
            flags.push(format!("--max-weight-growth {}", self.max_weight_growth));
        }
        if self.optimisation != 2 {
            flags.push(format!("-O{}", self.optimisation));
        }
        if self.target_cpu != "host" {
            flags.push(format!("--target-cpu {}", self.target_cpu));
        }
        let machine = self.machine.as_deref().map(Profile::read).transpose().map_err(one)?;
        if let Some(path) = &self.machine {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            flags.push(format!("--machine {name}"));
        }
        let mut disabled_passes = self.disable_pass.clone();
        if self.exact_conv {
            disabled_passes.push(winograd_convolution::SPEC.name.into());
        }
        let mut options = Options {
            machine,
            shapes: self.shape.clone(),
            target_cpu: self.target_cpu.clone(),
            optimisation: self.optimisation,
            disabled_passes,
            keep_denormals: self.keep_denormals,
            rewrites: rewrite::Settings {
                mode: match self.rewrites {
                    Rewrites::All => rewrite::Mode::All,
                    Rewrites::Exact => rewrite::Mode::Exact,
                    Rewrites::Off => rewrite::Mode::Off,
                },
                disabled: self.disable_rewrite.clone(),
                max_weight_growth: self.max_weight_growth,
                ..rewrite::Settings::default()
            },
            flags,
            ..Options::default()
        };
        if self.jobs > 0 {
            options.threads = self.jobs;
        }
        Ok(options)
    }
}

/// See `--max-weight-growth`.
fn weight_growth(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor >= 1.0 && factor.is_finite() => Ok(factor),
        _ => Err(format!("'{text}' is no number from 1 on")),
    }
}
