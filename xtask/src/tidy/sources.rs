//! Rules on a single source file.

use std::path::Path;

use crate::tidy::Finding;
use crate::tidy::lexer::{self, Line};

/// The most lines that a file may have; one concept fits.
const MAX_LINES: usize = 500;

/// Files that may be longer, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Macros that mark unfinished or leftover code.
const FORBIDDEN_MACROS: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// Applies every rule to a file.
pub(super) fn check(file: &Path, text: &str) -> Vec<Finding> {
    let lines = lexer::lines(text);
    let mut findings = Vec::new();
    let mut find = |line: usize, message: String| findings.push(Finding::new(file, line, message));
    if !has_module_docs(&lines) {
        find(1, "no module docs (`//!`) at the top".to_owned());
    }
    let length = text.lines().count();
    let may_be_long = LONG_FILES.iter().any(|(name, _)| Path::new(name) == file);
    if length > MAX_LINES && !may_be_long {
        find(0, format!("{length} lines, at most {MAX_LINES}: split it by concept"));
    }
    for (index, line) in lines.iter().enumerate() {
        for name in FORBIDDEN_MACROS.into_iter().filter(|name| has_word(&line.code, name)) {
            find(index + 1, format!("`{name}` has no place in a commit"));
        }
        if is_ignore_without_reason(&line.code) {
            find(index + 1, "`#[ignore]` without a reason: write `#[ignore = \"...\"]`".to_owned());
        }
        if is_unsafe(&lines, index) && !has_safety_comment(&lines, index) {
            find(index + 1, "`unsafe` without a `// SAFETY:` argument above it".to_owned());
        }
    }
    findings
}

/// Whether `//!` comes before any code but inner attributes.
fn has_module_docs(lines: &[Line]) -> bool {
    lines
        .iter()
        .take_while(|line| line.code.trim().is_empty() || line.code.trim_start().starts_with("#!"))
        .any(|line| line.comment.starts_with("//!"))
}

/// Whether `word` stands in the code, and not as the end of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| !is_name_end(&code[..at]))
}

fn is_name_end(text: &str) -> bool {
    text.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn is_ignore_without_reason(code: &str) -> bool {
    let compact: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    compact.contains("#[ignore]") || compact.contains(",ignore)]")
}

/// Whether an `unsafe` block or impl begins on the line (an `unsafe fn` states its contract in its docs).
fn is_unsafe(lines: &[Line], index: usize) -> bool {
    let code = &lines[index].code;
    code.match_indices("unsafe").any(|(at, word)| {
        if is_name_end(&code[..at]) {
            return false;
        }
        // What follows may stand on the next line.
        let rest = code[at + word.len()..].trim_start();
        let next = lines[index + 1..].iter().map(|line| line.code.trim()).find(|code| !code.is_empty());
        let rest = if rest.is_empty() { next.unwrap_or_default() } else { rest };
        rest.starts_with('{') || rest.strip_prefix("impl").is_some_and(|rest| rest.starts_with([' ', '<']))
    })
}

/// Whether a comment with `SAFETY:` stands on the line or above the statement that it is part of.
fn has_safety_comment(lines: &[Line], index: usize) -> bool {
    let argues = |line: &Line| line.comment.contains("SAFETY:");
    if argues(&lines[index]) {
        return true;
    }
    for line in lines[..index].iter().rev() {
        let code = line.code.trim();
        if argues(line) {
            return true;
        }
        // A comma ends a match arm, but within the arguments of a call the statement goes on.
        let ends_arm = code.ends_with(',') && (code.contains("=>") || code.ends_with("},"));
        let ends_statement = ends_arm || code.ends_with([';', '{', '}']);
        if ends_statement || (code.is_empty() && line.comment.is_empty()) {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings of a file that has its module docs, as `line: message`.
    fn findings(body: &str) -> Vec<String> {
        let found = check(Path::new("a.rs"), &format!("//! Docs.\n{body}"));
        found.into_iter().map(|one| format!("{}: {}", one.line, one.message)).collect()
    }

    fn is_clean(body: &str) -> bool {
        findings(body).is_empty()
    }

    #[test]
    fn module_docs_come_first() {
        let is_missing = |text| !check(Path::new("a.rs"), text).is_empty();
        assert!(is_missing(""));
        assert!(is_missing("// A comment.\nfn f() {}\n"));
        assert!(is_missing("fn f() {}\n//! Too late.\n"));
        assert!(!is_missing("#![no_std]\n\n//! Docs.\n"));
    }

    #[test]
    fn a_long_file_is_named_with_its_length() {
        assert!(is_clean(&"\n".repeat(MAX_LINES - 1)));
        assert_eq!(findings(&"\n".repeat(MAX_LINES)), ["0: 501 lines, at most 500: split it by concept"]);
    }

    #[test]
    fn unfinished_code_is_found_in_code_only() {
        for name in FORBIDDEN_MACROS {
            assert_eq!(findings(&format!("x;\n{name}()")), [format!("3: `{name}` has no place in a commit")]);
        }
        assert!(is_clean("// todo!()\nlet x = \"dbg!\"; my_todo!();"));
    }

    #[test]
    fn an_ignored_test_has_a_reason() {
        assert_eq!(findings("#[ignore]\nfn f() {}").len(), 1);
        assert_eq!(findings("#[cfg_attr(miri, ignore)]\nfn f() {}").len(), 1);
        assert!(is_clean("#[ignore = \"needs a GPU\"]\nfn f() {}"));
    }

    #[test]
    fn unsafe_has_an_argument() {
        let message = "`unsafe` without a `// SAFETY:` argument above it";
        assert_eq!(findings("unsafe { f() }"), [format!("2: {message}")]);
        assert_eq!(findings("let x =\n    unsafe\n    { f() };"), [format!("3: {message}")]);
        assert_eq!(findings("// SAFETY: a\nf();\nunsafe { g() }"), [format!("4: {message}")]);
        assert_eq!(findings("unsafe impl Send for A {}"), [format!("2: {message}")]);
        assert!(is_clean("// SAFETY: it is alive.\nunsafe { f() }"));
        assert!(is_clean("// SAFETY: a long\n// argument.\n#[inline]\nunsafe impl<T> Send for A<T> {}"));
        assert!(is_clean("// SAFETY: it is alive.\nlet x =\n    unsafe { f() };"));
        assert!(is_clean("unsafe { f() } // SAFETY: it is alive."));
        assert!(is_clean("// SAFETY: it is alive.\nlet x = f(\n    1,\n    unsafe { f() },\n);"));
        let arm =
            "match x {\n    // SAFETY: it is alive.\n    1 => unsafe { f() },\n    _ => unsafe { g() },\n}";
        assert_eq!(findings(arm), [format!("5: {message}")], "an argument holds for one arm");
    }

    #[test]
    fn other_uses_of_the_word_need_none() {
        assert!(is_clean("unsafe fn f() {}\nunsafe extern \"C\" {}\nlet not_unsafe = { 1 };\n// unsafe {}"));
    }
}
