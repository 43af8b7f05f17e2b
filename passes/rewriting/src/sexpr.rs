//! The notation of the rule file: symbolic expressions with two kinds of brackets.
//!
//! `(op [attribute value ..] operand ..)`; `;` starts a comment that ends with its line.

use mlcc_ir::diagnostic::{Diagnostic, Result};

/// A parsed expression and the line that it starts in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sexpr {
    pub(super) line: usize,
    pub(super) form: Form,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// A word: a name, a number, a variable.
    Word(String),
    /// `( .. )`
    Round(Vec<Sexpr>),
    /// `[ .. ]`
    Square(Vec<Sexpr>),
}

impl Sexpr {
    pub(super) fn word(&self) -> Option<&str> {
        match &self.form {
            Form::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn round(&self) -> Option<&[Sexpr]> {
        match &self.form {
            Form::Round(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn error(&self, what: impl std::fmt::Display) -> Diagnostic {
        Diagnostic::internal(format!("rule file, line {}: {what}", self.line))
    }
}

/// All expressions of a text.
///
/// # Errors
/// Where brackets do not match.
pub(super) fn parse(text: &str) -> Result<Vec<Sexpr>> {
    // The innermost open bracket is last; the first entry holds everything outside of brackets.
    let mut open: Vec<(usize, char, Vec<Sexpr>)> = vec![(1, ' ', Vec::new())];
    for (number, line) in text.lines().enumerate() {
        let line_number = number + 1;
        let code = line.split(';').next().unwrap_or_default();
        let spaced: String = code
            .chars()
            .flat_map(|c| {
                let bracket = matches!(c, '(' | ')' | '[' | ']');
                [bracket.then_some(' '), Some(c), bracket.then_some(' ')].into_iter().flatten()
            })
            .collect();
        for token in spaced.split_whitespace() {
            match token {
                "(" | "[" => open.push((line_number, if token == "(" { ')' } else { ']' }, Vec::new())),
                ")" | "]" => {
                    let unmatched = || {
                        Diagnostic::internal(format!("rule file, line {line_number}: unmatched '{token}'"))
                    };
                    let (line, wanted, items) = open.pop().ok_or_else(unmatched)?;
                    if !token.starts_with(wanted) {
                        return Err(unmatched());
                    }
                    let form = if token == ")" { Form::Round(items) } else { Form::Square(items) };
                    open.last_mut().ok_or_else(unmatched)?.2.push(Sexpr { line, form });
                }
                word => {
                    let word = Sexpr { line: line_number, form: Form::Word(word.into()) };
                    if let Some(last) = open.last_mut() {
                        last.2.push(word);
                    }
                }
            }
        }
    }
    match open.pop() {
        Some((_, ' ', items)) => Ok(items),
        Some((line, ..)) => Err(Diagnostic::internal(format!("rule file, line {line}: never closed"))),
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_nest_and_comments_end_with_the_line() {
        let parsed = parse("(a [b 1] ; (not this\n (c ?x))").expect("parses");
        assert_eq!(parsed.len(), 1);
        let items = parsed[0].round().expect("round");
        assert_eq!(items[0].word(), Some("a"));
        assert!(matches!(&items[1].form, Form::Square(s) if s.len() == 2));
        assert_eq!((items[2].line, items[2].round().map(<[_]>::len)), (2, Some(2)));
    }

    #[test]
    fn brackets_that_do_not_match_are_refused() {
        for (text, line) in [("(a", 1), ("a)", 1), ("(a\n]", 2), ("\n[(]", 2)] {
            let message = parse(text).expect_err(text).to_string();
            assert!(message.contains(&format!("line {line}")), "{text}: {message}");
        }
    }
}
