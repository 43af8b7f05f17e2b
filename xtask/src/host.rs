//! Which machine the checks take for theirs: another CPU than the one there is, another number of threads.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// What `host` stands for, as `mlcc` reads it.
pub(crate) const CPU: &str = "MLCC_HOST_CPU";
/// The number of threads where none is given, as `mlcc` and its runtime read it.
pub(crate) const THREADS: &str = "MLCC_THREADS";

/// Arguments that choose the machine.
#[derive(Default, clap::Args)]
pub(crate) struct Host {
    /// Take the host for this CPU; code that the machine cannot execute is compiled only
    #[arg(long, value_name = "CPU")]
    host_cpu: Option<String>,
    /// How many threads there are where a test does not say it
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Host {
    /// Starts this program again with the choice in its environment, where it is not there yet; how that ended.
    pub(crate) fn restart(&self) -> Result<Option<ExitCode>> {
        let wanted = [(CPU, self.host_cpu.clone()), (THREADS, self.threads.map(|n| n.to_string()))];
        let chosen = wanted.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let missing: Vec<_> =
            chosen.filter(|(name, value)| std::env::var_os(name).is_none_or(|set| set != **value)).collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let program = std::env::current_exe().context("this program has no path")?;
        let status = Command::new(program).args(std::env::args_os().skip(1)).envs(missing).status()?;
        Ok(Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
    }
}

/// The number of threads that programs are told, where one is chosen.
pub(crate) fn chosen_threads() -> Option<String> {
    std::env::var(THREADS).ok().filter(|threads| !threads.is_empty())
}

/// What the checks say of the choice, where there is one.
pub(crate) fn choice() -> Option<String> {
    let set =
        [CPU, THREADS].into_iter().filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?)));
    let set: Vec<_> = set.collect();
    (!set.is_empty()).then(|| format!("host: {}", set.join(" ")))
}
