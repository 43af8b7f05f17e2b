//! Calls of other programs: echoed, checked, and with an error that says which call failed.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The command as one would type it, for messages.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// A word as a shell would want it: in single quotes where it holds anything special.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs a command with our own input and outputs; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", line(command));
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs a command and returns its standard output; its standard error stays ours.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done = command.stderr(Stdio::inherit()).output().with_context(|| cannot_start(command))?;
    if !done.status.success() {
        bail!("`{}` failed: {}", line(command), done.status);
    }
    String::from_utf8(done.stdout).with_context(|| format!("`{}` printed no UTF-8", line(command)))
}

/// Runs a command that is heard only where it fails.
pub(crate) fn quietly(command: &mut Command) -> Result<()> {
    let done = command.output().with_context(|| cannot_start(command))?;
    if !done.status.success() {
        bail!(
            "`{}` failed: {}\n{}",
            line(command),
            done.status,
            String::from_utf8_lossy(&done.stderr).trim_end()
        );
    }
    Ok(())
}

/// Whether a command starts and succeeds; it prints nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Waits for a child for at most `limit`, then kills it: a program that hangs is an error like another.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<std::process::ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("it still ran after {} s and was stopped", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An error with all its causes in one sentence, and then the hints that they carry.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let (mut message, mut hints) = (Vec::new(), String::new());
    for cause in error.chain().map(ToString::to_string) {
        let (what, hint) = cause.split_once("\n\nhint: ").unwrap_or((&cause, ""));
        message.push(what.to_owned());
        if !hint.is_empty() {
            hints.push_str("\n\nhint: ");
            hints.push_str(hint);
        }
    }
    message.join(": ") + &hints
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_prints_as_it_would_be_typed() {
        let mut command = Command::new("mlcc");
        command.args(["run", "a file", "it's", "--threads=2", ""]);
        assert_eq!(line(&command), r"mlcc run 'a file' 'it'\''s' --threads=2 ''");
    }

    #[test]
    fn a_failure_names_the_command_and_its_status() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert_eq!(error, "`sh -c 'exit 3'` failed: exit status: 3");
        let error = run(&mut Command::new("/nonexistent/program")).unwrap_err().to_string();
        assert_eq!(error, "cannot start `/nonexistent/program`");
    }

    #[test]
    fn a_hint_comes_after_all_causes() {
        let error = anyhow::anyhow!("no file").context("cannot build\n\nhint: do it");
        assert_eq!(describe(&error.context("step")), "step: cannot build: no file\n\nhint: do it");
    }

    #[test]
    fn a_child_that_hangs_is_stopped() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let error = wait(&mut child, Duration::from_millis(10)).unwrap_err().to_string();
        assert_eq!(error, "it still ran after 0 s and was stopped");
    }
}
