//! The capabilities of this machine's CPU.

use crate::Error;
use mlcc_format::Target;

/// Checks that this machine can execute code for `target`. Loading an artifact makes the same check.
///
/// # Errors
/// With what the machine lacks.
pub fn check_target(target: &Target) -> Result<(), Error> {
    let host = std::env::consts::ARCH;
    if target.triple.split('-').next() != Some(host) {
        return Err(Error::Architecture { triple: target.triple.clone(), host });
    }
    let missing: Vec<String> = target.features.iter().filter(|f| !has(f)).cloned().collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Error::CpuFeatures { cpu: target.cpu.clone(), missing }),
    }
}

/// Whether the runtime can look for this feature on machines of a triple's architecture. Only such
/// features belong in a manifest, because the runtime refuses every other one.
pub fn is_known_feature(triple: &str, name: &str) -> bool {
    let known = match triple.split('-').next() {
        Some("x86_64") => X86_64,
        Some("aarch64") => AARCH64,
        _ => &[],
    };
    known.contains(&name)
}

/// The features of this machine's CPU, by LLVM's names, in a fixed order.
pub fn detected_features() -> Vec<&'static str> {
    features().into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

fn has(name: &str) -> bool {
    features().into_iter().any(|(known, has)| has && known == name)
}

/// Lists an architecture's features as `LLVM's name => Rust's name`. The names are defined on every
/// machine; the features that are present are found only if this machine has that architecture.
macro_rules! features {
    ($list:ident, $architecture:literal, $detected:ident: $($llvm:literal => $rust:tt),* $(,)?) => {
        const $list: &[&str] = &[$($llvm),*];

        #[cfg(target_arch = $architecture)]
        fn features() -> Vec<(&'static str, bool)> {
            vec![$(($llvm, std::arch::$detected!($rust))),*]
        }
    };
}

features! { X86_64, "x86_64", is_x86_feature_detected:
    "sse" => "sse", "sse2" => "sse2", "sse3" => "sse3", "ssse3" => "ssse3",
    "sse4.1" => "sse4.1", "sse4.2" => "sse4.2", "popcnt" => "popcnt",
    "cx16" => "cmpxchg16b", "fxsr" => "fxsr", "aes" => "aes", "pclmul" => "pclmulqdq",
    "xsave" => "xsave", "xsavec" => "xsavec", "xsaveopt" => "xsaveopt", "xsaves" => "xsaves",
    "avx" => "avx", "f16c" => "f16c", "fma" => "fma", "avx2" => "avx2",
    "bmi" => "bmi1", "bmi2" => "bmi2", "lzcnt" => "lzcnt", "movbe" => "movbe",
    "rdrnd" => "rdrand", "rdseed" => "rdseed", "adx" => "adx", "sha" => "sha",
    "gfni" => "gfni", "vaes" => "vaes", "vpclmulqdq" => "vpclmulqdq",
    "avx512f" => "avx512f", "avx512cd" => "avx512cd", "avx512bw" => "avx512bw",
    "avx512dq" => "avx512dq", "avx512vl" => "avx512vl", "avx512ifma" => "avx512ifma",
    "avx512vbmi" => "avx512vbmi", "avx512vbmi2" => "avx512vbmi2",
    "avx512vnni" => "avx512vnni", "avx512bitalg" => "avx512bitalg",
    "avx512vpopcntdq" => "avx512vpopcntdq", "avx512bf16" => "avx512bf16",
    "avx512fp16" => "avx512fp16", "avx512vp2intersect" => "avx512vp2intersect",
    "avxvnni" => "avxvnni", "avxifma" => "avxifma", "avxneconvert" => "avxneconvert",
    "avxvnniint8" => "avxvnniint8", "avxvnniint16" => "avxvnniint16",
}

features! { AARCH64, "aarch64", is_aarch64_feature_detected:
    "neon" => "neon", "dotprod" => "dotprod", "fullfp16" => "fp16", "bf16" => "bf16", "i8mm" => "i8mm",
    "sve" => "sve", "sve2" => "sve2",
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlcc_format::TargetKind;

    fn target(triple: &str, features: &[&str]) -> Target {
        let features = features.iter().map(ToString::to_string).collect();
        Target { kind: TargetKind::Cpu, triple: triple.into(), cpu: "znver9".into(), features }
    }

    #[test]
    fn another_machine_is_refused() {
        let own = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        check_target(&target(&own, &detected_features())).expect("this machine");
        let error =
            check_target(&target("riscv32-unknown-linux-gnu", &[])).expect_err("another architecture");
        assert!(error.to_string().contains("riscv32"), "{error}");
        let error = check_target(&target(&own, &["teleport", "neuralink"])).expect_err("missing features");
        let text = error.to_string();
        assert!(text.contains("'znver9'") && text.contains("teleport, neuralink"), "{text}");
        assert!(!is_known_feature(&own, "teleport"));
    }

    #[test]
    fn the_baseline_is_detected() {
        let baseline = if cfg!(target_arch = "x86_64") { "sse2" } else { "neon" };
        assert!(detected_features().contains(&baseline));
    }

    #[test]
    fn features_are_known_by_architecture() {
        for (triple, own, other) in
            [("x86_64-unknown-linux-gnu", "avx512f", "neon"), ("aarch64-unknown-linux-gnu", "neon", "avx2")]
        {
            assert!(is_known_feature(triple, own) && !is_known_feature(triple, other), "{triple}");
        }
    }
}
