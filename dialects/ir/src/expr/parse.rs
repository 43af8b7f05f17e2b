//! Reads the text form of an [`Expr`] back.
//!
//! Grammar: `sum := [-] product {(+|-) product}`, `product := atom {* atom}`,
//! `atom := integer | %axis | $value | symbol | function(sum, sum) | (sum)`.

use super::{Atom, Expr};
use std::str::FromStr;

/// Text that does not spell an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an integer expression: '{text}' ({reason} at byte {at})")]
pub struct ParseError {
    text: String,
    reason: &'static str,
    at: usize,
}

/// Deeper nesting is refused, so that hostile text cannot exhaust the stack.
const MAX_DEPTH: usize = 64;
/// Longer text is refused, because the time to read it is quadratic in the number of terms.
const MAX_TEXT: usize = 1 << 14;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl FromStr for Expr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Expr, ParseError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        if text.len() > MAX_TEXT {
            return Err(parser.error("too long"));
        }
        let expr = parser.sum()?;
        parser.skip_space();
        if parser.at != text.len() {
            return Err(parser.error("unexpected text"));
        }
        // The printed expression must be readable again. Products of sums make it longer than the text was.
        if expr.to_string().len() > MAX_TEXT { Err(parser.error("too many terms")) } else { Ok(expr) }
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
        let negative = self.eat('-');
        let mut sum = self.product(negative)?;
        loop {
            if self.eat('+') {
                sum = sum + self.product(false)?;
            } else if self.eat('-') {
                sum = sum + self.product(true)?;
            } else {
                self.depth -= 1;
                return Ok(sum);
            }
        }
    }

    /// A product, or the negated product.
    fn product(&mut self, mut negative: bool) -> Result<Expr, ParseError> {
        let mut product = self.factor(&mut negative)?;
        while self.eat('*') {
            let factor = self.factor(&mut negative)?;
            // Products of sums double with each factor.
            product = product.bounded_product(&factor).ok_or_else(|| self.error("too many terms"))?;
        }
        Ok(if negative { -product } else { product })
    }

    /// An atom. The least integer takes the sign into its own number: its magnitude alone would not fit.
    fn factor(&mut self, negative: &mut bool) -> Result<Expr, ParseError> {
        const LEAST: &str = "9223372036854775808";
        self.skip_space();
        if *negative && self.text[self.at..].starts_with(LEAST) {
            let start = self.at;
            if self.word() == LEAST {
                *negative = false;
                return Ok(Expr::from(i64::MIN));
            }
            self.at = start;
        }
        self.atom()
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
            "-9223372036854775808",
            "%i - 9223372036854775808",
            "-%i * 9223372036854775808 + 9223372036854775807",
            "max(0, floordiv(n, 6) - 9223372036854775808)",
        ] {
            let expr: Expr = text.parse().unwrap();
            assert_eq!(expr, expr.to_string().parse().unwrap(), "{text} printed as {expr}");
        }
    }

    #[test]
    fn bad_text_is_refused() {
        for text in [
            "",
            "1 +",
            "min(1 2)",
            "(1",
            "99999999999999999999",
            "%",
            "1 2",
            "\u{e9}\u{20ac}(",
            "9223372036854775808",
        ] {
            assert!(text.parse::<Expr>().is_err(), "{text}");
        }
        assert!("(".repeat(100_000).parse::<Expr>().is_err());
    }

    #[test]
    fn text_that_would_grow_is_refused() {
        let sums: Vec<String> = (0..40).map(|i| format!("(a{i} + b{i})")).collect();
        let error = sums.join(" * ").parse::<Expr>().unwrap_err().to_string();
        assert!(error.contains("too many terms"), "{error}");
        assert_eq!(sums[..8].join(" * ").parse::<Expr>().unwrap().terms().len(), 256);
        let powers = format!("{}{}", "long_name * ".repeat(20), sums[..8].join(" * "));
        let error = powers.parse::<Expr>().unwrap_err().to_string();
        assert!(error.contains("too many terms"), "{error}");
        let error = "a + ".repeat(5000).parse::<Expr>().unwrap_err().to_string();
        assert!(error.contains("too long"), "{error}");
    }
}
