//! Tokens of MLIR's text, as far as brackets, values and blocks need them.

/// A token. Whitespace and comments are not tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `%x`.
    Value(&'a str),
    /// `^bb0`.
    Block,
    /// `@f`, `#graph.dims`, `#1` of a result, `!te.tensor`.
    Symbol,
    /// A keyword, the name of an operation, a type or a number.
    Word(&'a str),
    /// `"..."`.
    String,
    /// `->`.
    Arrow,
    /// Any other character, by its first byte.
    Other(u8),
}

/// The tokens of a text, each with the place where it begins.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Tokens<'a> {
        Tokens { text, at: 0 }
    }

    /// The next token, which is not taken.
    pub(super) fn peek(mut self) -> Option<Token<'a>> {
        self.next().map(|(_, token)| token)
    }

    /// Takes the next token if it is this one.
    pub(super) fn accept(&mut self, token: Token<'_>) -> bool {
        let mut behind = *self;
        let found = behind.next().is_some_and(|(_, next)| next == token);
        if found {
            *self = behind;
        }
        found
    }

    /// Where the next token begins, or whitespace in front of it.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Skips the contents of an opening bracket, and the bracket that closes it. Angle brackets count only within angle
    /// brackets: elsewhere they may be signs of comparison.
    pub(super) fn skip_group(&mut self, opened: u8) {
        let mut depth = 1;
        for (_, token) in self.by_ref() {
            match token {
                Token::Other(b'(' | b'[' | b'{') => depth += 1,
                Token::Other(b')' | b']' | b'}') => depth -= 1,
                Token::Other(b'<') if opened == b'<' => depth += 1,
                Token::Other(b'>') if opened == b'<' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Goes on to the first byte for which `ends` holds, and returns the text before it.
    fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a str {
        let rest = &self.bytes()[self.at..];
        let from = self.at;
        self.at += rest.iter().position(|&byte| ends(byte)).unwrap_or(rest.len());
        // A token begins between characters. The byte that ends it is ASCII, or the text ends.
        &self.text[from..self.at]
    }

    /// The rest of a string behind its first quote. A string that is not closed ends with its line; MLIR reports it.
    fn string(&mut self) {
        while let Some(&byte) = self.bytes().get(self.at) {
            self.at += 1;
            match byte {
                b'"' | b'\n' => return,
                b'\\' if self.bytes().get(self.at).is_some_and(|&next| next != b'\n') => self.at += 1,
                _ => {}
            }
        }
    }

    /// A name behind `%`, `^`, `#`, `!` or `@`: digits alone, or letters, digits and `$._-`.
    fn name(&mut self) -> &'a str {
        match self.bytes().get(self.at) {
            Some(b'0'..=b'9') => self.until(|byte| !byte.is_ascii_digit()),
            _ => self.until(|byte| !(byte.is_ascii_alphanumeric() || b"$._-".contains(&byte))),
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (usize, Token<'a>);

    fn next(&mut self) -> Option<(usize, Token<'a>)> {
        loop {
            // MLIR skips zero bytes, too.
            self.until(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0));
            let Some(rest) = self.bytes().get(self.at..).filter(|rest| rest.starts_with(b"//")) else {
                break;
            };
            self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        }
        let at = self.at;
        let first = *self.bytes().get(at)?;
        self.at += 1;
        let token = match first {
            b'%' => Token::Value(self.name()),
            b'^' => {
                self.name();
                Token::Block
            }
            b'#' | b'!' | b'@' => {
                if first == b'@' && self.bytes().get(self.at) == Some(&b'"') {
                    self.at += 1;
                    self.string();
                }
                self.name();
                Token::Symbol
            }
            b'"' => {
                self.string();
                Token::String
            }
            b'-' if self.bytes().get(self.at) == Some(&b'>') => {
                self.at += 1;
                Token::Arrow
            }
            _ if first.is_ascii_alphanumeric() || first == b'_' => {
                self.at = at;
                Token::Word(self.until(|byte| !(byte.is_ascii_alphanumeric() || b"$._".contains(&byte))))
            }
            _ => {
                while !self.text.is_char_boundary(self.at) {
                    self.at += 1;
                }
                Token::Other(first)
            }
        };
        Some((at, token))
    }
}

#[cfg(test)]
mod tests {
    use super::{Token, Tokens};

    fn tokens(text: &str) -> Vec<Token<'_>> {
        Tokens::of(text).map(|(_, token)| token).collect()
    }

    #[test]
    fn names_end_where_they_end_for_mlir() {
        use Token::{Other, Symbol, Value, Word};
        assert_eq!(tokens("%0a"), [Value("0"), Word("a")]);
        assert_eq!(tokens("%a-b.c#1,"), [Value("a-b.c"), Symbol, Other(b',')]);
        assert_eq!(
            tokens("%x:2 = te.read"),
            [Value("x"), Other(b':'), Word("2"), Other(b'='), Word("te.read")]
        );
    }

    #[test]
    fn strings_and_comments_hold_no_tokens() {
        assert_eq!(tokens("\"%a \\\" // {\" // %b\n%c"), [Token::String, Token::Value("c")]);
        assert_eq!(tokens("\"open %a\n%b"), [Token::String, Token::Value("b")]);
        assert_eq!(tokens("@\"a b\" \u{e9}%c").last(), Some(&Token::Value("c")));
        assert_eq!(tokens("// no end %a"), []);
        assert_eq!(tokens("\"\\"), [Token::String]);
    }
}
