//! The licences of all dependencies against the list in deny.toml, for machines without cargo-deny.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;
use crate::workspace::Workspace;

/// Checks that each package of the dependency graph can be used under allowed licences alone.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let text = std::fs::read_to_string(workspace.root.join("deny.toml")).context("cannot read deny.toml")?;
    let allowed = allowed(&text).context("deny.toml holds no `allow = [...]` under [licenses]")?;
    let clarified = clarified(&text);
    // One platform's dependencies: those of others are not even downloaded.
    let platform = format!("--filter-platform={}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = process::output(workspace.cargo().args(["metadata", "--format-version=1", &platform]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages =
        metadata.get("packages").and_then(Value::as_array).context("cargo metadata: no packages")?;
    let mut refused = Vec::new();
    for package in packages {
        let field = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default();
        let licence = clarified.get(field("name")).copied().unwrap_or(field("license"));
        if !permits(licence, &allowed) {
            refused.push(format!("{} {}: {licence:?}", field("name"), field("version")));
        }
    }
    if !refused.is_empty() {
        bail!("licences that deny.toml does not allow: {}", refused.join(", "));
    }
    Ok(())
}

/// The list `allow` of the section [licenses].
fn allowed(text: &str) -> Option<BTreeSet<&str>> {
    let section = text.split("[licenses]").nth(1)?;
    let list = section.split("allow = [").nth(1)?.split(']').next()?;
    Some(list.split('"').skip(1).step_by(2).collect())
}

/// The licences of crates whose manifests do not name them, by the sections [[licenses.clarify]].
fn clarified(text: &str) -> BTreeMap<&str, &str> {
    let sections = text.split("[[licenses.clarify]]").skip(1);
    sections.filter_map(|section| Some((value(section, "crate")?, value(section, "expression")?))).collect()
}

/// The text of the first `key = "text"`.
fn value<'a>(section: &'a str, key: &str) -> Option<&'a str> {
    let start = section.find(&format!("{key} = \""))? + key.len() + 4;
    section[start..].split('"').next()
}

/// Whether an SPDX expression can be satisfied by the allowed licences: AND binds tighter than OR, and
/// the old way to write OR is a slash.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any_of(&mut words, allowed) == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words, allowed: &BTreeSet<&str>) -> Option<bool> {
    let mut holds = all_of(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        holds |= all_of(words, allowed)?;
    }
    Some(holds)
}

fn all_of(words: &mut Words, allowed: &BTreeSet<&str>) -> Option<bool> {
    let mut holds = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        holds &= one(words, allowed)?;
    }
    Some(holds)
}

fn one(words: &mut Words, allowed: &BTreeSet<&str>) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let holds = any_of(words, allowed)?;
        return (words.next()? == ")").then_some(holds);
    }
    let mut name = word.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        name = format!("{word} WITH {}", words.next()?);
    }
    Some(allowed.contains(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_follow_their_operators() {
        let allowed = BTreeSet::from(["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"]);
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(permits(good, &allowed), "{good}");
        }
        for bad in
            ["", "GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT", "MIT MIT", "GPL-3.0 OR MIT AND GPL-2.0"]
        {
            assert!(!permits(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn the_list_is_read_from_deny_toml() {
        let text = "[bans]\nallow = [\"x\"]\n[licenses]\nversion = 2\nallow = [\n  \"MIT\", # short\n  \"ISC\",\n]\n";
        assert_eq!(allowed(text), Some(BTreeSet::from(["MIT", "ISC"])));
        assert_eq!(allowed("[licenses]\n"), None);
        let text = "x\n[[licenses.clarify]]\ncrate = \"a\"\nexpression = \"MIT\"\n[bans]\n";
        assert_eq!(clarified(text), BTreeMap::from([("a", "MIT")]));
    }
}
