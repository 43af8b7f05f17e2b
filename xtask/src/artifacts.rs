//! `cargo xtask artifacts`: hashes what networks compile to, so that a change which should leave the code as it is can
//! show that it does.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{process, zoo};

/// Arguments of `cargo xtask artifacts`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the hashes to this file, to compare with later
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Fail where a hash differs from the one in this file
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// A compiler that is built already, instead of this tree's
    #[arg(long)]
    mlcc: Option<PathBuf>,
    /// CPUs to compile for
    #[arg(long, value_delimiter = ',', default_value = "x86-64-v3,znver4,sapphirerapids,neoverse-v1")]
    cpus: Vec<String>,
    /// Names of networks; by default those of the zoo, the symbolic ones and the graphs of the algebra
    names: Vec<String>,
}

/// Hash of the artifact by network and CPU.
type Hashes = BTreeMap<String, String>;

/// Runs `cargo xtask artifacts`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let expected = args.against.as_deref().map(read).transpose()?;
    let mlcc = match &args.mlcc {
        Some(binary) => binary.clone(),
        None => workspace.build_mlcc()?,
    };
    let out = workspace.build().join("artifact-to-hash.mlcc");
    let (mut hashes, mut differ) = (Hashes::new(), Vec::new());
    for set in zoo::EACH_ONCE {
        let mut names = set.names(workspace)?;
        names.retain(|name| args.names.is_empty() || args.names.contains(name));
        let models = zoo::cached(workspace, set, &names)?;
        for name in &names {
            for cpu in &args.cpus {
                let mut command = Command::new(&mlcc);
                command.arg("compile").arg(models.join(format!("{name}.onnx")));
                command.args(["--target-cpu", cpu]).arg("-o").arg(&out);
                process::quietly(&mut command)?;
                let (key, hash) = (format!("{name} {cpu}"), hash(&out)?);
                let same = expected.as_ref().is_none_or(|e| e.get(&key).is_none_or(|e| *e == hash));
                println!("{key} {hash}{}", if same { "" } else { " DIFFERS" });
                if !same {
                    differ.push(key.clone());
                }
                hashes.insert(key, hash);
            }
        }
    }
    // Only what was compiled last would be left.
    let _ = std::fs::remove_file(&out);
    if let Some(file) = &args.save {
        let text: String = hashes.iter().map(|(key, hash)| format!("{key} {hash}\n")).collect();
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if hashes.is_empty() {
        bail!("no network is called {}", args.names.join(" or "));
    }
    if !differ.is_empty() {
        bail!("{} of {} artifacts differ: {}", differ.len(), hashes.len(), differ.join(", "));
    }
    Ok(())
}

fn read(file: &Path) -> Result<Hashes> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let line = |line: &str| {
        let (key, hash) = line.rsplit_once(' ').with_context(|| format!("no hash in '{line}'"))?;
        Ok((key.to_owned(), hash.to_owned()))
    };
    text.lines().map(line).collect()
}

/// A hash of a file's bytes. Files of hashes are compared on one machine, with one toolchain.
fn hash(file: &Path) -> Result<String> {
    let mut hasher = std::hash::DefaultHasher::new();
    let mut opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut bytes = vec![0u8; 1 << 20];
    loop {
        let read = opened.read(&mut bytes)?;
        if read == 0 {
            return Ok(format!("{:016x}", hasher.finish()));
        }
        hasher.write(&bytes[..read]);
    }
}
