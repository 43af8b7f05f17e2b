//! Checks that refuse a text before MLIR's parser sees it.
//!
//! The parser recurses into brackets and into the terms of affine expressions, so that deep and long ones exhaust the
//! stack. No level needs affine expressions. The parser also accepts a use of a value before the value's definition,
//! and the definition may stand in a region further down. If the operation with that region is refused in the end, the
//! parser destroys the region, and then writes to the freed definition while it destroys the use. No level needs such a
//! use, either: values are defined above, or in a region around.
//!
//! ```text
//! graph.return %y as ["y"] : tensor<4xf32>        // refused: %y is defined below
//! %a = graph.if %c then {
//!   %y = graph.relu %x : (tensor<4xf32>) -> tensor<4xf32>
//!   graph.return %a as ["a"] : tensor<4xf32>      // refused: %a is defined where the operation ends
//! } else { ...
//! ```
//!
//! A name counts as defined from the end of its operation, or from its place in the arguments of a block or function,
//! to the end of the region around it. MLIR's parser knows the name for just as long, so a use that is accepted here is
//! resolved there.

mod tokens;

use mlcc_ir::diagnostic::{Diagnostic, Result};
use std::collections::HashMap;
use tokens::{Token, Tokens};

/// MLIR's parser recurses into brackets: deeper text than this could exhaust the stack.
const MAX_NESTING: usize = 256;

/// Refuses brackets that are nested too deeply, and uses of values that are not defined before the use.
pub(crate) fn check(text: &str, file: &str) -> Result<()> {
    let mut scan = Scan {
        tokens: Tokens::of(text),
        open: vec![Open::new(b'{', Names::Values)],
        defined: HashMap::new(),
        body: None,
    };
    scan.run().map_err(|(at, problem)| {
        let before = &text[..at];
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let column = at - before.rfind('\n').map_or(0, |end| end + 1) + 1;
        let error = |what: &str| Diagnostic::user(format!("{file}:{line}:{column}: {what}"));
        match problem {
            Problem::Nested => error(&format!("nested more than {MAX_NESTING} levels deep")),
            Problem::Affine => error("no level of the IR has affine maps or sets"),
            Problem::Undefined(name) => error(&format!("'%{name}' is not defined in front of this use"))
                .hint("define a value above its uses, in the same region or in one around it"),
        }
    })
}

enum Problem<'a> {
    Nested,
    Affine,
    Undefined(&'a str),
}

/// The meaning of the names behind an opening bracket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Values that operations define and use.
    Values,
    /// Arguments of a block, defined in its region.
    Block,
    /// Arguments of a function, defined in its body.
    Function,
}

/// A bracket that is open.
struct Open<'a> {
    bracket: u8,
    holds: Names,
    /// The names that are defined until it closes.
    names: Vec<&'a str>,
    /// The results of the operation that is being read.
    results: Vec<&'a str>,
    /// Whether that operation's name was read. If so, the next name belongs to another operation.
    named: bool,
}

impl Open<'_> {
    fn new(bracket: u8, holds: Names) -> Self {
        Open { bracket, holds, names: Vec::new(), results: Vec::new(), named: false }
    }
}

struct Scan<'a> {
    tokens: Tokens<'a>,
    /// The open brackets. The outermost stands for the whole text and is never closed.
    open: Vec<Open<'a>>,
    /// How often each name is defined by the open brackets.
    defined: HashMap<&'a str, usize>,
    /// Where the body of a function begins, and the function's arguments.
    body: Option<(usize, Vec<&'a str>)>,
}

impl<'a> Scan<'a> {
    fn run(&mut self) -> std::result::Result<(), (usize, Problem<'a>)> {
        while let Some((at, token)) = self.tokens.next() {
            match token {
                Token::Word("affine_map" | "affine_set")
                    if self.tokens.peek() == Some(Token::Other(b'<')) =>
                {
                    return Err((at, Problem::Affine));
                }
                Token::Value(name) => self.values(at, name)?,
                Token::Block if self.tokens.accept(Token::Other(b'(')) => self.block(),
                Token::Word(word)
                    if word.contains('.') && !word.starts_with(|c: char| c.is_ascii_digit()) =>
                {
                    self.operation(word);
                }
                // The generic form: `"te.copy"(%a, %b)`.
                Token::String if self.tokens.peek() == Some(Token::Other(b'(')) => self.operation(""),
                Token::Other(bracket @ (b'(' | b'[' | b'{' | b'<')) => self.begin(at, bracket),
                // Closing brackets other than those of the open ones are not MLIR, and its parser stops here.
                Token::Other(bracket @ (b')' | b']' | b'}')) if !self.end(bracket) => return Ok(()),
                Token::Other(b'>') if self.innermost().bracket == b'<' => drop(self.open.pop()),
                _ => {}
            }
            if self.open.len() > MAX_NESTING + 1 {
                return Err((at, Problem::Nested));
            }
        }
        Ok(())
    }

    fn innermost(&mut self) -> &mut Open<'a> {
        self.open.last_mut().expect("the text is never closed")
    }

    /// The innermost region. A dictionary looks the same and defines nothing.
    fn region(&mut self) -> &mut Open<'a> {
        self.open.iter_mut().rfind(|open| open.bracket == b'{').expect("the text is never closed")
    }

    fn define(&mut self, name: &'a str) {
        *self.defined.entry(name).or_default() += 1;
        self.region().names.push(name);
    }

    /// One value, or several between commas. If `=` follows, they are the results of an operation, else uses.
    fn values(&mut self, at: usize, first: &'a str) -> std::result::Result<(), (usize, Problem<'a>)> {
        if self.tokens.peek() == Some(Token::Other(b':')) {
            match self.innermost().holds {
                Names::Values => {}
                Names::Block => {
                    self.define(first);
                    return Ok(());
                }
                Names::Function => return Ok(()),
            }
        }
        let (mut names, mut tokens) = (vec![(at, first)], self.tokens);
        loop {
            self.tokens = tokens;
            // One of several results, `%x#1`, or several, `%x:2`.
            tokens.accept(Token::Symbol);
            if tokens.accept(Token::Other(b':')) {
                tokens.next();
            }
            if tokens.accept(Token::Other(b'=')) {
                self.tokens = tokens;
                self.end_operation();
                let region = self.region();
                region.results.extend(names.iter().map(|(_, name)| *name));
                region.named = false;
                return Ok(());
            }
            if !tokens.accept(Token::Other(b',')) {
                break;
            }
            let Some((at, Token::Value(name))) = tokens.next() else { break };
            names.push((at, name));
        }
        match names.into_iter().find(|(_, name)| !self.defined.contains_key(name)) {
            Some((at, name)) => Err((at, Problem::Undefined(name))),
            None => Ok(()),
        }
    }

    /// The arguments of a block, `^bb0(%x: type):`, or a successor with its operands. No colon stands behind a
    /// successor.
    fn block(&mut self) {
        let mut behind = self.tokens;
        behind.skip_group(b'(');
        let is_block = behind.peek() == Some(Token::Other(b':'));
        self.open.push(Open::new(b'(', if is_block { Names::Block } else { Names::Values }));
    }

    /// An operation's name, which ends the operation before.
    fn operation(&mut self, name: &str) {
        let innermost = self.innermost();
        // Within other brackets the name is something else, such as the name of an axis.
        if innermost.bracket != b'{' {
            return;
        }
        if std::mem::replace(&mut innermost.named, true) {
            self.end_operation();
        }
        if name == "func.func" {
            self.function();
        }
    }

    /// Defines the results of the operation that was read last.
    fn end_operation(&mut self) {
        let results = std::mem::take(&mut self.region().results);
        results.into_iter().for_each(|name| self.define(name));
    }

    /// Behind `func.func`: `private @f(%x: type) -> type attributes {...} {`. This begins the arguments.
    fn function(&mut self) {
        let mut tokens = self.tokens;
        if matches!(tokens.peek(), Some(Token::Word(_))) {
            tokens.next();
        }
        if !tokens.accept(Token::Symbol) || !tokens.accept(Token::Other(b'(')) {
            return;
        }
        self.tokens = tokens;
        self.open.push(Open::new(b'(', Names::Function));
        // The following tokens are read ahead, to know which brace begins the body.
        let begin = tokens;
        tokens.skip_group(b'(');
        let arguments =
            begin.take_while(|(at, _)| *at < tokens.place()).filter_map(|(_, token)| match token {
                Token::Value(name) => Some(name),
                _ => None,
            });
        let arguments = arguments.collect();
        if tokens.accept(Token::Arrow) && tokens.next().is_some_and(|(_, first)| first == Token::Other(b'('))
        {
            tokens.skip_group(b'(');
        } else if tokens.accept(Token::Other(b'<')) {
            tokens.skip_group(b'<');
        }
        if tokens.accept(Token::Word("attributes")) && tokens.accept(Token::Other(b'{')) {
            tokens.skip_group(b'{');
        }
        self.body =
            tokens.next().filter(|(_, token)| *token == Token::Other(b'{')).map(|(at, _)| (at, arguments));
    }

    fn begin(&mut self, at: usize, bracket: u8) {
        self.open.push(Open::new(bracket, Names::Values));
        if let Some((_, arguments)) = self.body.take_if(|(body, _)| *body == at) {
            arguments.into_iter().for_each(|name| self.define(name));
        }
    }

    /// Closes a bracket, if it is the innermost open one. Signs of comparison look like angle brackets that are never
    /// closed.
    fn end(&mut self, bracket: u8) -> bool {
        while self.innermost().bracket == b'<' {
            self.open.pop();
        }
        let opened = match bracket {
            b')' => b'(',
            b']' => b'[',
            _ => b'{',
        };
        if self.open.len() == 1 || self.innermost().bracket != opened {
            return false;
        }
        for name in self.open.pop().into_iter().flat_map(|open| open.names) {
            if let Some(count) = self.defined.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.defined.remove(name);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
