//! A machine's profile: the measurements of a machine, as a file that people can read and edit.
//!
//! `mlcc machine measure` writes a profile, `mlcc compile --machine FILE` takes decisions from it, and the
//! resulting machine is recorded in the artifact. A profile is an input like the model: the same profile
//! gives the same artifact, wherever it is compiled.

use crate::measure::{Rates, Roofline};
use mlcc_ir::diagnostic::{Diagnostic, Result};
use mlcc_machine::Machine;
use serde::{Deserialize, Serialize};
use std::{fmt::Debug, ops::RangeInclusive, path::Path};

/// The version of the format that is written and read.
pub const VERSION: u32 = 1;
/// Larger files are not profiles.
const MAX_BYTES: u64 = 1 << 20;

/// What is known about a machine. Stored as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// [`VERSION`].
    pub mlcc_machine_profile: u32,
    /// LLVM's name of the CPU.
    pub cpu: String,
    /// Processors that threads can run on.
    pub cores: u32,
    /// Width of vectors in bits.
    pub vector_bits: u32,
    /// Number of vector registers.
    pub vector_registers: u32,
    /// First-level data cache of a core in bytes.
    pub l1_bytes: u64,
    /// Lines of the first cache that share an index.
    pub l1_ways: u64,
    /// Second-level cache of a core in bytes.
    pub l2_bytes: u64,
    /// The last cache before memory in bytes.
    pub last_cache_bytes: u64,
    /// The rates of one core alone.
    pub one_core: Rates,
    /// The rates of all cores together.
    pub all_cores: Rates,
}

impl Profile {
    /// Reads a profile and checks it.
    ///
    /// # Errors
    /// If the file cannot be read, is no profile, is of another version, or has a value that no machine has.
    pub fn read(path: &Path) -> Result<Profile> {
        let fault = |what: String| Diagnostic::user(format!("machine profile '{}': {what}", path.display()));
        let measure = "`mlcc machine measure -o FILE` writes a profile";
        let bytes = std::fs::metadata(path)
            .and_then(|m| if m.len() > MAX_BYTES { Ok(None) } else { std::fs::read(path).map(Some) });
        let bytes = bytes.map_err(|e| fault(e.to_string()).hint(measure))?;
        let bytes = bytes.ok_or_else(|| fault(format!("more than {MAX_BYTES} bytes")).hint(measure))?;
        // The version is checked first, so that fields of another version are not reported as mistakes in
        // this one.
        let json: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|e| fault(format!("not JSON: {e}")).hint(measure))?;
        match json.get("mlcc_machine_profile").map(serde_json::Value::as_u64) {
            Some(Some(version)) if version == u64::from(VERSION) => {}
            Some(Some(version)) => {
                let message = format!("version {version}, but this mlcc reads version {VERSION}");
                return Err(fault(message).hint("measure it again with this mlcc"));
            }
            _ => {
                let message = "no field 'mlcc_machine_profile' with the format's version".into();
                return Err(fault(message).hint(measure));
            }
        }
        let profile: Profile =
            serde_json::from_slice(&bytes).map_err(|e| fault(e.to_string()).hint(measure))?;
        profile.check().map_err(|what| fault(what).hint("correct the field, or measure again"))?;
        Ok(profile)
    }

    /// The profile as it is written.
    ///
    /// # Errors
    /// If it does not serialise, which would be a bug.
    pub fn text(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|e| Diagnostic::internal(format!("the machine's profile does not serialise: {e}")))
    }

    /// The first problem of a value.
    fn check(&self) -> std::result::Result<(), String> {
        fn within<T: PartialOrd + Debug>(
            name: &str,
            value: T,
            range: RangeInclusive<T>,
        ) -> std::result::Result<(), String> {
            let (low, high) = (range.start(), range.end());
            let wrong = || format!("field '{name}' is {value:?}, expected {low:?} to {high:?}");
            if range.contains(&value) { Ok(()) } else { Err(wrong()) }
        }
        if self.cpu.is_empty() || self.cpu.chars().any(char::is_control) {
            return Err("field 'cpu' is no name".into());
        }
        if !matches!(self.vector_bits, 128 | 256 | 512) {
            return Err(format!("field 'vector_bits' is {}, expected 128, 256 or 512", self.vector_bits));
        }
        within("cores", self.cores, 1..=4096)?;
        within("vector_registers", self.vector_registers, 8..=32)?;
        within("l1_bytes", self.l1_bytes, 1 << 12..=1 << 24)?;
        within("l1_ways", self.l1_ways, 1..=64)?;
        within("l2_bytes", self.l2_bytes, self.l1_bytes..=1 << 32)?;
        within("last_cache_bytes", self.last_cache_bytes, self.l2_bytes..=1 << 40)?;
        for (of, rates) in [("one_core", &self.one_core), ("all_cores", &self.all_cores)] {
            within(&format!("{of}.gflops"), rates.gflops, 0.001..=1e6)?;
            within(&format!("{of}.read_gb_per_second"), rates.read_gb_per_second, 0.001..=1e6)?;
            within(&format!("{of}.copy_gb_per_second"), rates.copy_gb_per_second, 0.001..=1e6)?;
        }
        Ok(())
    }

    /// The machine as decisions see it, for code for the machine `target` of the table.
    ///
    /// # Errors
    /// If the profile has larger vectors or more registers than the code may use.
    pub fn machine_for(&self, target: &Machine) -> Result<Machine> {
        for (what, here, there) in [
            ("vectors of that many bits", self.vector_bits, target.vector_bits),
            ("that many vector registers", self.vector_registers, target.vector_registers),
        ] {
            if here > there {
                return Err(Diagnostic::user(format!(
                    "the machine profile of '{}' counts on {what}: {here}; code for '{}' has {there}",
                    self.cpu, target.name
                ))
                .hint("name the profile's CPU with --target-cpu, or leave --machine out"));
            }
        }
        let per_second = |billions: f64| (billions * 1e9) as u64;
        Ok(Machine {
            name: self.cpu.clone(),
            vector_bits: self.vector_bits,
            vector_registers: self.vector_registers,
            l1_bytes: self.l1_bytes,
            l1_ways: self.l1_ways,
            l2_bytes: self.l2_bytes,
            last_cache_bytes: self.last_cache_bytes,
            flops_per_second: per_second(self.one_core.gflops),
            memory_bytes_per_second: per_second(self.one_core.read_gb_per_second),
            cores: self.cores,
        })
    }

    /// The rates of that many threads: multiply-adds grow with the threads, memory grows up to all cores'
    /// share.
    #[must_use]
    pub fn roofline(&self, threads: usize) -> Roofline {
        let threads = threads.max(1);
        let cores = (self.cores as usize).max(1);
        let between = |one: f64, all: f64| {
            if threads >= cores { all } else { (one * threads as f64).min(all.max(one)) }
        };
        let (one, all) = (&self.one_core, &self.all_cores);
        Roofline {
            threads,
            flops_per_second: between(one.gflops, all.gflops) * 1e9,
            bytes_per_second: between(one.copy_gb_per_second, all.copy_gb_per_second) * 1e9,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let rates =
            |n: f64| Rates { gflops: 100.0 * n, read_gb_per_second: 20.0 + n, copy_gb_per_second: 16.0 + n };
        Profile {
            mlcc_machine_profile: VERSION,
            cpu: "znver4".into(),
            cores: 4,
            vector_bits: 512,
            vector_registers: 32,
            l1_bytes: 32 << 10,
            l1_ways: 8,
            l2_bytes: 1 << 20,
            last_cache_bytes: 32 << 20,
            one_core: rates(1.0),
            all_cores: rates(4.0),
        }
    }

    fn message(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.json");
        std::fs::write(&path, text).unwrap();
        Profile::read(&path).unwrap_err().message
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.json");
        std::fs::write(&path, profile().text().unwrap()).unwrap();
        assert_eq!(Profile::read(&path).unwrap(), profile());
    }

    #[test]
    fn values_that_no_machine_has_are_named() {
        let text = profile().text().unwrap();
        let with = |field: &str, value: &str| {
            let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
            json[field] = serde_json::from_str(value).unwrap();
            message(&json.to_string())
        };
        assert!(with("cores", "0").contains("field 'cores' is 0, expected 1 to 4096"));
        assert!(with("cores", "-1").contains("invalid value"), "{}", with("cores", "-1"));
        assert!(with("vector_bits", "384").contains("'vector_bits' is 384"));
        assert!(with("l2_bytes", "5").contains("'l2_bytes' is 5, expected 32768"));
        assert!(with("l1_ways", "0").contains("'l1_ways'"));
        assert!(with("colour", "1").contains("unknown field `colour`"));
        assert!(with("mlcc_machine_profile", "9").contains("version 9"));
        let rates = r#"{"gflops": 0, "read_gb_per_second": 1, "copy_gb_per_second": 1}"#;
        assert!(with("one_core", rates).contains("'one_core.gflops' is 0.0"));
        assert!(message("{").contains("not JSON"));
        assert!(message("[]").contains("no field 'mlcc_machine_profile'"));
        assert!(message(r#"{"mlcc_machine_profile": 1}"#).contains("missing field `cpu`"));
    }

    #[test]
    fn a_profile_counts_on_no_more_than_the_code_may_use() {
        let (zen, old) = (Machine::named("znver4").unwrap(), Machine::named("x86-64-v3").unwrap());
        let machine = profile().machine_for(&zen).unwrap();
        assert_eq!((machine.cores, machine.flops_per_second), (4, 100_000_000_000));
        assert!(
            profile().machine_for(&old).unwrap_err().message.contains("512; code for 'x86-64-v3' has 256")
        );
        let narrow = Profile { vector_bits: 256, vector_registers: 16, ..profile() };
        assert_eq!(narrow.machine_for(&old).unwrap().vector_bits, 256);
    }

    #[test]
    fn threads_share_the_memory() {
        let p = profile();
        assert_eq!(p.roofline(1).flops_per_second, 100e9);
        assert_eq!(p.roofline(2).bytes_per_second, 20e9);
        assert_eq!((p.roofline(64).flops_per_second, p.roofline(64).threads), (400e9, 64));
    }
}
