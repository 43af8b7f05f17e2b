//! Reads the text form of an [`Expr`] back.
//!
//! Grammar: `sum := [-] product {(+|-) product}`, `product := atom {* atom}`,
//! `atom := integer | %axis | $value | symbol | function(sum, sum) | (sum)`.

use super::{Atom, Expr};
use std::str::FromStr;

/// Text that is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an integer expression: '{text}' ({reason} at byte {at})")]
pub struct ParseError {
    text: String,
    reason: &'static str,
    at: usize,
}

/// Deeper nesting is refused, so that hostile text cannot exhaust the stack.
const MAX_DEPTH: usize = 64;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl FromStr for Expr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Expr, ParseError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let expr = parser.sum()?;
        parser.skip_space();
        if parser.at == text.len() { Ok(expr) } else { Err(parser.error("unexpected text")) }
    }
}

impl Parser<'_> {
    fn error(&self, reason: &'static str) -> ParseError {
        ParseError { text: self.text.chars().take(200).collect(), reason, at: self.at }
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn sum(&mut self) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        let mut sum = if self.eat('-') { -self.product()? } else { self.product()? };
        loop {
            if self.eat('+') {
                sum = sum + self.product()?;
            } else if self.eat('-') {
                sum = sum - self.product()?;
            } else {
                self.depth -= 1;
                return Ok(sum);
            }
        }
    }

    fn product(&mut self) -> Result<Expr, ParseError> {
        let mut product = self.atom()?;
        while self.eat('*') {
            product = product * self.atom()?;
        }
        Ok(product)
    }

    fn word(&mut self) -> &str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "_.:".contains(c))).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn atom(&mut self) -> Result<Expr, ParseError> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.sum()?;
                if self.eat(')') { Ok(inner) } else { Err(self.error("expected ')'")) }
            }
            Some('%') => {
                self.at += 1;
                let name = self.word();
                if name.is_empty() { Err(self.error("expected an axis")) } else { Ok(Expr::axis(name)) }
            }
            Some('$') => {
                self.at += 1;
                let id = self.word().parse().map_err(|_| self.error("expected a value number"))?;
                Ok(Expr::value(id))
            }
            Some(c) if c.is_ascii_digit() => {
                let number = self.word().parse::<i64>();
                number.map(Expr::from).map_err(|_| self.error("number out of range"))
            }
            Some(c) if c.is_alphabetic() || c == '_' => {
                let word = self.word().to_owned();
                let function: fn(&Expr, &Expr) -> Expr = match word.as_str() {
                    "floordiv" => Expr::floor_div,
                    "mod" => Expr::modulo,
                    "min" => Expr::minimum,
                    "max" => Expr::maximum,
                    _ => return Ok(Atom::Symbol(word.into()).into()),
                };
                if !self.eat('(') {
                    return Ok(Atom::Symbol(word.into()).into());
                }
                let a = self.sum()?;
                if !self.eat(',') {
                    return Err(self.error("expected ','"));
                }
                let b = self.sum()?;
                if self.eat(')') { Ok(function(&a, &b)) } else { Err(self.error("expected ')'")) }
            }
            _ => Err(self.error("expected a term")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in [
            "0",
            "-3",
            "%i * 64 + %j",
            "batch * 2 - 1",
            "floordiv(height + 1, 2) + 1",
            "-%h.o * 7 + mod(%i + sequence * 3, 5)",
            "min(%i, n) * max(m, 4)",
            "$3 * 2 + %k",
        ] {
            let expr: Expr = text.parse().unwrap();
            assert_eq!(expr, expr.to_string().parse().unwrap(), "{text} printed as {expr}");
        }
    }

    #[test]
    fn bad_text_is_refused() {
        for text in ["", "1 +", "min(1 2)", "(1", "99999999999999999999", "%", "1 2", "\u{e9}\u{20ac}("] {
            assert!(text.parse::<Expr>().is_err(), "{text}");
        }
        assert!("(".repeat(100_000).parse::<Expr>().is_err());
    }
}
