//! A source file split into what is code and what is comment, line by line.
//!
//! Just enough of Rust's lexical structure for that: nested block comments, strings with escapes, raw
//! strings, characters against lifetimes. The contents of literals count as neither.

/// One line of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Line {
    /// The line without comments; literals are reduced to their quotes.
    pub(super) code: String,
    /// The text of its comments.
    pub(super) comment: String,
}

/// Splits a file into its lines.
pub(super) fn lines(source: &str) -> Vec<Line> {
    let mut lexer = Lexer { rest: source, lines: vec![Line::default()], last: ' ' };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.lines
}

struct Lexer<'a> {
    rest: &'a str,
    lines: Vec<Line>,
    /// The last character of code: a quote or an `r` after part of a name starts no literal.
    last: char,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let after_name = self.last.is_alphanumeric() || self.last == '_';
        if self.rest.starts_with("//") {
            let length = self.rest.find('\n').unwrap_or(self.rest.len());
            self.take(length, Kind::Comment);
        } else if self.rest.starts_with("/*") {
            self.take(block_comment(self.rest), Kind::Comment);
        } else if self.rest.starts_with('"') {
            self.take(string(self.rest), Kind::Literal);
        } else if let Some(length) = raw_string(self.rest).filter(|_| !after_name) {
            self.take(length, Kind::Literal);
        } else if let Some(length) = character(self.rest) {
            self.take(length, Kind::Literal);
        } else {
            let length = self.rest.chars().next().map_or(1, char::len_utf8);
            self.take(length, Kind::Code);
        }
    }

    /// Moves `length` bytes from the rest to the lines.
    fn take(&mut self, length: usize, kind: Kind) {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        if kind == Kind::Literal {
            self.line().code.push_str("\"\"");
            self.last = '"';
        }
        for character in taken.chars() {
            match (character, kind) {
                ('\n', _) => self.lines.push(Line::default()),
                (_, Kind::Code) => {
                    self.line().code.push(character);
                    self.last = character;
                }
                (_, Kind::Comment) => self.line().comment.push(character),
                (_, Kind::Literal) => {}
            }
        }
        if taken.ends_with('\n') {
            self.last = ' ';
        }
    }

    fn line(&mut self) -> &mut Line {
        if self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        let last = self.lines.len() - 1;
        &mut self.lines[last]
    }
}

/// The length of the block comment at the start; comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the string at the start.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw string at the start, if there is one: `r"..."`, `r#"..."#`, `br`, `cr`.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        let after = text.strip_prefix(prefix).unwrap_or_default();
        after.trim_start_matches('#').starts_with('"')
    })?;
    let hashes = text[prefix.len()..].bytes().take_while(|&byte| byte == b'#').count();
    let start = prefix.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[start..].find(&end).map_or(text.len(), |at| start + at + end.len()))
}

/// The length of the character literal at the start, if it is one and not a lifetime.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    if inside.starts_with('\\') {
        // The escaped character itself may be a quote.
        return inside.get(2..)?.find('\'').map(|at| at + 4);
    }
    let first = inside.chars().next()?;
    inside[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(source: &str) -> String {
        lines(source).into_iter().map(|line| line.code).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        assert_eq!(code("a // todo!()"), "a ");
        assert_eq!(code("a /* b /* c */ d */ e"), "a  e");
        assert_eq!(code(r#"f("x \" // y") + 1"#), r#"f("") + 1"#);
        assert_eq!(code(r###"f(r#"a " b"#, br"\", c)"###), r#"f("", "", c)"#);
        assert_eq!(code(r"['\'', '\\', '\u{41}', 'x'] z"), r#"["", "", "", ""] z"#);
    }

    #[test]
    fn lifetimes_and_names_are_code() {
        assert_eq!(code("fn f<'a>(x: &'a str, y: &'static T)"), "fn f<'a>(x: &'a str, y: &'static T)");
        assert_eq!(code("for r in b"), "for r in b");
        assert_eq!(code("r#type"), "r#type");
    }

    #[test]
    fn lines_stay_lines() {
        let found = lines("a // one\n\"x\n\" b /* two\nthree */ c\n");
        let parts: Vec<_> = found.iter().map(|line| (line.code.as_str(), line.comment.as_str())).collect();
        assert_eq!(parts, [("a ", "// one"), ("\"\"", ""), (" b ", "/* two"), (" c", "three */"), ("", "")]);
    }

    #[test]
    fn unfinished_input_ends() {
        for source in ["\"abc", "/* abc", "r#\"abc", "'", "'\\", "é'é'"] {
            assert_eq!(lines(source).len(), 1, "{source}");
        }
    }
}
