//! Installation through apt: prints the commands, asks on a terminal, goes ahead where there is none.

use std::io::{IsTerminal, Write};
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::setup::{llvm, python};

/// Something that is not there, and the Debian package that brings it.
pub(super) struct Missing {
    pub(super) what: String,
    pub(super) package: &'static str,
}

/// Installs the packages of what is missing.
pub(super) fn install(missing: &[Missing]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    for one in missing {
        eprintln!("missing: {} ({})", one.what, one.package);
    }
    if !process::succeeds(Command::new("apt-get").arg("--version")) {
        bail!("there is no apt-get to install it with\n\nhint: {}\n{}", llvm::advice(), python::advice());
    }
    let packages: Vec<_> = missing.iter().map(|one| one.package).collect();
    let mut commands = commands(&packages, is_root());
    eprintln!("\nto install it:");
    for command in &commands {
        eprintln!("    {}", process::line(command));
    }
    if !agreed()? {
        bail!("nothing was installed\n\nhint: run the commands above, then this one again");
    }
    for command in &mut commands {
        if let Err(error) = process::run(command) {
            bail!(
                "{error:#}\n\nhint: if the packages do not exist on this release, add LLVM's own repository \
                 (https://apt.llvm.org), or {}",
                llvm::advice()
            );
        }
    }
    Ok(())
}

/// `apt-get update` and `apt-get install`, through sudo for anyone but root.
fn commands(packages: &[&str], root: bool) -> [Command; 2] {
    let apt = |arguments: &[&str]| {
        let mut words = if root { vec![] } else { vec!["sudo"] };
        words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(arguments);
        command
    };
    let mut install = apt(&["install", "--yes", "--no-install-recommends"]);
    install.args(packages);
    [apt(&["update"]), install]
}

fn is_root() -> bool {
    process::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Asks a person; a script has agreed by calling us.
fn agreed() -> Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(true);
    }
    loop {
        eprint!("install now? [y/n] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        if stdin.read_line(&mut answer)? == 0 {
            return Ok(false);
        }
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anyone_but_root_goes_through_sudo() {
        let lines = |root| commands(&["a", "b"], root).map(|command| process::line(&command));
        assert_eq!(
            lines(true),
            [
                "env DEBIAN_FRONTEND=noninteractive apt-get update",
                "env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends a b"
            ]
        );
        assert!(lines(false).iter().all(|line| line.starts_with("sudo env ")));
    }
}
