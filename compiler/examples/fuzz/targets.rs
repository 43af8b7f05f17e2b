//! What is fuzzed: one parser each, and what must hold of that which it accepts.
//!
//! A target says whether it accepted an input, or what is wrong. What was accepted keeps its value when it
//! is printed and read again.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use fastrand::Rng;
use mlcc::{decisions::Decisions, import, inputs, npy, options::Options};
use mlcc_ir::contract::Contract;
use mlcc_ir::diagnostic::{Diagnostic, Fault};
use mlcc_ir::expr::{Expr, Interval};
use mlcc_ir::ops::Einsum;
use mlcc_ir::size_range::SizeRange;
use mlcc_mlir::MlirContext;
use mlcc_onnx::DimSpec;
use mlcc_passes::schedule::Step;

use crate::mutate;
use crate::seeds::Seeds;

/// What one thread has.
pub(crate) struct Tools<'a> {
    pub(crate) seeds: &'a Seeds,
    pub(crate) context: MlirContext,
    /// A file for parsers that read files.
    pub(crate) file: PathBuf,
}

/// One parser.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// What its inputs are made from.
    seeds: fn(&Seeds) -> &[Vec<u8>],
    format: Format,
    /// Of a thousand cases, how many are its.
    pub(crate) share: u64,
    run: fn(&Tools, &[u8]) -> Result<bool, String>,
}

/// How inputs are mutated.
#[derive(Clone, Copy)]
enum Format {
    Text,
    Bytes,
    Message,
}

/// All parsers of what a user hands to the compiler; `cargo xtask damage` is for artifacts.
pub(crate) const TARGETS: &[Target] = &[
    Target { name: "graph", seeds: |all| &all.graphs, format: Format::Text, share: 80, run: graph },
    Target { name: "program", seeds: |all| &all.programs, format: Format::Text, share: 80, run: program },
    Target { name: "nests", seeds: |all| &all.nests, format: Format::Text, share: 80, run: nests },
    Target {
        name: "expression",
        seeds: |all| &all.expressions,
        format: Format::Text,
        share: 350,
        run: expression,
    },
    Target { name: "step", seeds: |all| &all.steps, format: Format::Text, share: 100, run: step },
    Target { name: "option", seeds: |all| &all.options, format: Format::Text, share: 100, run: option },
    Target { name: "model", seeds: |all| &all.models, format: Format::Message, share: 110, run: model },
    Target { name: "tensor", seeds: |all| &all.tensors, format: Format::Message, share: 50, run: tensor },
    Target { name: "array", seeds: |all| &all.arrays, format: Format::Bytes, share: 50, run: array },
];

impl Target {
    /// The target of a case.
    pub(crate) fn of(case: u64) -> &'static Target {
        let mut rest = case % 1000;
        TARGETS
            .iter()
            .find(|target| {
                let found = rest < target.share;
                rest = rest.wrapping_sub(target.share);
                found
            })
            .unwrap_or(&TARGETS[0])
    }

    /// A mutated input.
    pub(crate) fn input(&self, seeds: &Seeds, rng: &mut Rng) -> Vec<u8> {
        let seeds = (self.seeds)(seeds);
        let (seed, other) = (&seeds[rng.usize(..seeds.len())], &seeds[rng.usize(..seeds.len())]);
        match self.format {
            Format::Text => {
                let text = |bytes| String::from_utf8_lossy(bytes);
                mutate::text(&text(seed), &text(other), rng).into_bytes()
            }
            Format::Bytes => {
                let mut bytes = seed.clone();
                (0..=rng.usize(..3)).for_each(|_| mutate::bytes(&mut bytes, rng));
                bytes
            }
            Format::Message => mutate::message(seed, other, rng),
        }
    }

    /// How many of its seeds the parser accepts, and of how many.
    pub(crate) fn check_seeds(&self, tools: &Tools) -> Result<(usize, usize), String> {
        let seeds = (self.seeds)(tools.seeds);
        let accepted: Result<Vec<bool>, String> = seeds.iter().map(|seed| self.run(tools, seed)).collect();
        let accepted = accepted?.into_iter().filter(|accepted| *accepted).count();
        match accepted * 4 >= seeds.len() {
            true => Ok((accepted, seeds.len())),
            false => Err(format!("{}: only {accepted} of {} seeds are accepted", self.name, seeds.len())),
        }
    }

    /// Whether the parser accepts an input.
    pub(crate) fn run(&self, tools: &Tools, input: &[u8]) -> Result<bool, String> {
        (self.run)(tools, input)
    }
}

/// An error has a message; an internal one is the compiler's own mistake.
fn refused(problem: &Diagnostic) -> Result<bool, String> {
    match problem.fault {
        _ if problem.message.trim().is_empty() => Err("an error without a message".to_owned()),
        Fault::Internal => Err(format!("an error of the compiler's own: {}", problem.message)),
        Fault::User | Fault::Unsupported => Ok(false),
    }
}

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// What is printed reads back as the same value.
fn same<T: PartialEq>(
    value: &T,
    print: impl Fn(&T) -> Result<String, Diagnostic>,
    parse: impl Fn(&str) -> Result<T, Diagnostic>,
) -> Result<bool, String> {
    // A value that has no text form, such as a kernel that names no axis, is an error that says so.
    let Ok(printed) = print(value) else { return Ok(true) };
    match parse(&printed) {
        Ok(again) if again == *value => Ok(true),
        // NaN differs from itself: what is printed again must be the same.
        Ok(again) if print(&again).as_ref() == Ok(&printed) => Ok(true),
        Ok(_) => Err(format!("it reads back as another value from\n{printed}")),
        Err(problem) => Err(format!("its text is not read back ({}):\n{printed}", problem.message)),
    }
}

fn graph(tools: &Tools, input: &[u8]) -> Result<bool, String> {
    let parse = |text: &str| tools.context.parse_graph(text, &tools.seeds.weights);
    match parse(&text(input)) {
        Ok(graph) => {
            // Whether it keeps the level's contract is for the check to say, without a panic.
            let _ = graph.check("parse");
            same(&graph, |graph| tools.context.print_graph(graph), parse)
        }
        Err(problem) => refused(&problem),
    }
}

fn program(tools: &Tools, input: &[u8]) -> Result<bool, String> {
    let parse = |text: &str| tools.context.parse_program(text, &tools.seeds.weights);
    match parse(&text(input)) {
        Ok(program) => {
            let _ = program.check("parse");
            same(&program, |program| tools.context.print_program(program), parse)
        }
        Err(problem) => refused(&problem),
    }
}

fn nests(tools: &Tools, input: &[u8]) -> Result<bool, String> {
    let parse = |text: &str| tools.context.parse_nests(text);
    match parse(&text(input)) {
        Ok(nests) => {
            let _ = nests.iter().try_for_each(|nest| nest.check("parse"));
            same(&nests, |nests| tools.context.print_nests(nests), parse)
        }
        Err(problem) => refused(&problem),
    }
}

/// As [`same`], of what `Display` and `FromStr` print and read.
fn printed_again<T: FromStr + Display + PartialEq>(value: &T) -> Result<bool, String>
where
    T::Err: Display,
{
    let printed = value.to_string();
    match printed.parse::<T>() {
        Ok(again) if again == *value => Ok(true),
        Ok(again) => Err(format!("{printed} reads back as {again}")),
        Err(error) => Err(format!("{printed} is not read back: {error}")),
    }
}

fn expression(_: &Tools, input: &[u8]) -> Result<bool, String> {
    let Ok(expr) = text(input).parse::<Expr>() else { return Ok(false) };
    let axis = |name: &str| if name == "i" { Interval::new(0, 63) } else { Interval::new(0, i64::MAX) };
    let simple = expr.simplify(&axis);
    let _ = (expr.interval(&axis), simple.interval(&axis));
    // Simplified it can be longer than what is read.
    if simple.to_string().len() < 1 << 14 {
        printed_again(&simple)?;
    }
    printed_again(&expr)
}

fn step(_: &Tools, input: &[u8]) -> Result<bool, String> {
    match text(input).parse::<Step>() {
        Ok(step) => printed_again(&step),
        Err(problem) => refused(&problem),
    }
}

/// Shapes, ranges, literals, equations.
fn option(_: &Tools, input: &[u8]) -> Result<bool, String> {
    let text = text(input);
    // Names of files are read as files, which is for other targets.
    let literal = if text.contains(".npy") || text.contains(".pb") { "f32=1" } else { &text };
    let accepted = [
        DimSpec::parse_shape(&text).is_ok(),
        Decisions::parse(&format!("kernel k0\n{text}")).is_ok(),
        inputs::parse(literal, &["x"]).is_ok(),
        Einsum::parse(&text, &[2, 3]).is_ok(),
    ];
    match text.parse::<SizeRange>() {
        Ok(range) => printed_again(&range),
        Err(_) => Ok(accepted.contains(&true)),
    }
}

/// With constants folded, as the compiler does.
fn model(tools: &Tools, input: &[u8]) -> Result<bool, String> {
    std::fs::write(&tools.file, input).map_err(|error| error.to_string())?;
    match import::import(&tools.file, &Options::default()) {
        Ok(graph) => {
            // Its text is its own only with its own weights.
            tools.context.print_graph(&graph).map(|_| true).map_err(|problem| problem.message)
        }
        Err(problems) => problems.iter().try_fold(false, |_, problem| refused(problem)),
    }
}

fn tensor(_: &Tools, input: &[u8]) -> Result<bool, String> {
    mlcc_onnx::parse_tensor_proto(input.to_vec().into())
        .map_or_else(|problem| refused(&problem), |_| Ok(true))
}

fn array(tools: &Tools, input: &[u8]) -> Result<bool, String> {
    std::fs::write(&tools.file, input).map_err(|error| error.to_string())?;
    npy::read(&tools.file).map_or_else(|problem| refused(&problem), |_| Ok(true))
}
