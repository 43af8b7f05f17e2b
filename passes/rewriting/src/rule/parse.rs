//! Reading a rule file.

use super::{Difference, Exactness, Pattern, Proof, Rule};
use crate::{
    expression::Expression,
    sexpr::{self, Form, Sexpr},
    term::special,
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    ops,
};
use std::collections::{BTreeMap, BTreeSet};

/// The error of a function that an approximate rule may make if it states none.
const DEFAULT_ERROR: f64 = 1e-6;

/// All rules of a text, in order; one that is stated as an equation counts as two.
///
/// # Errors
/// Where the text is not a list of rules.
pub fn parse(text: &str) -> Result<Vec<Rule>> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut names = BTreeSet::new();
    let mut expansion = Expansion::default();
    for item in sexpr::parse(text)? {
        expansion.expand(item, None)?;
    }
    for (item, schema) in expansion.items {
        for rule in parse_rule(&item, schema)? {
            if !names.insert(rule.name.clone()) {
                return Err(item.error(format!("there are two rules '{}'", rule.name)));
            }
            rules.push(rule);
        }
    }
    Ok(rules)
}

/// The rules of a text, with repeated forms written out.
#[derive(Default)]
struct Expansion {
    /// Rules, each with the name of the schema that it is an instance of.
    items: Vec<(Sexpr, Option<Name>)>,
    /// Words by the name of a family.
    families: BTreeMap<String, Vec<String>>,
}

impl Expansion {
    /// `(for $f (a b ..) RULE ..)` states the rules once for each of the words, which replace `$f`. `(for $f
    /// FAMILY RULE ..)` does so for each operator of a family that `(family FAMILY (a b ..))` has named. Such
    /// a rule is a schema, and the operator is appended to its name.
    fn expand(&mut self, item: Sexpr, schema: Option<Name>) -> Result<()> {
        let fields = item.round().unwrap_or_default();
        match fields.first().and_then(Sexpr::word) {
            Some("family") => {
                let [_, name, words] = fields else {
                    return Err(item.error("expected (family NAME (WORD ..))"));
                };
                let name = name.word().ok_or_else(|| name.error("expected a name"))?;
                let words = self.words(words)?;
                self.families.insert(name.into(), words);
                Ok(())
            }
            Some("for") => {
                let [_, variable, words, rules @ ..] = fields else {
                    return Err(item.error("expected (for $VARIABLE (WORD ..) RULE ..)"));
                };
                let variable = variable.word().ok_or_else(|| variable.error("expected $VARIABLE"))?;
                let is_family = words.word().is_some();
                for word in self.words(words)? {
                    for rule in rules {
                        let mut stated = substitute(rule, variable, &word);
                        let mut schema = schema.clone();
                        if is_family
                            && let Form::Round(fields) = &mut stated.form
                            && let Some(Form::Word(name)) = fields.get_mut(1).map(|f| &mut f.form)
                        {
                            schema = schema.or_else(|| Some(name.as_str().into()));
                            *name = format!("{name}:{word}");
                        }
                        self.expand(stated, schema)?;
                    }
                }
                Ok(())
            }
            _ => {
                self.items.push((item, schema));
                Ok(())
            }
        }
    }

    /// A list of words, or the operators of a family.
    fn words(&self, item: &Sexpr) -> Result<Vec<String>> {
        match &item.form {
            Form::Word(family) => self
                .families
                .get(family)
                .cloned()
                .ok_or_else(|| item.error(format!("there is no family '{family}'"))),
            Form::Round(words) => words
                .iter()
                .map(|w| w.word().map(str::to_owned).ok_or_else(|| w.error("expected a word")))
                .collect(),
            Form::Square(_) => Err(item.error("expected (WORD ..) or a family")),
        }
    }
}

fn substitute(item: &Sexpr, variable: &str, word: &str) -> Sexpr {
    let all = |items: &[Sexpr]| items.iter().map(|i| substitute(i, variable, word)).collect();
    let form = match &item.form {
        Form::Word(w) => Form::Word(w.replace(variable, word)),
        Form::Round(items) => Form::Round(all(items)),
        Form::Square(items) => Form::Square(all(items)),
    };
    Sexpr { line: item.line, form }
}

fn parse_rule(item: &Sexpr, schema: Option<Name>) -> Result<Vec<Rule>> {
    let fields = item.round().unwrap_or_default();
    let [keyword, name, class, proof, remarks @ .., body] = fields else {
        return Err(item.error("expected (rule NAME CLASS PROOF [NOTE..] (=> LEFT RIGHT GUARD..))"));
    };
    if keyword.word() != Some("rule") {
        return Err(item.error("expected 'rule'"));
    }
    let name = name.word().ok_or_else(|| item.error("a rule's name is a word"))?;
    let (class, error) = parse_class(class)?;
    let (proof, from) = parse_proof(proof)?;
    let (mut note, mut differs) = (Vec::new(), Vec::new());
    for remark in remarks {
        match &remark.form {
            Form::Square(words) => note.extend(words.iter().filter_map(Sexpr::word)),
            Form::Round(words) if words.first().and_then(Sexpr::word) == Some("differs") => {
                for word in &words[1..] {
                    let known = word.word().and_then(Difference::named);
                    differs.push(known.ok_or_else(|| word.error("expected nan, infinite or signed-zero"))?);
                }
            }
            _ => return Err(remark.error("expected [NOTE..] or (differs ..)")),
        }
    }
    if class == Exactness::Exact && !differs.is_empty() {
        return Err(item.error("an exact rule differs nowhere"));
    }
    let Some([arrow, left, right, guard @ ..]) = body.round() else {
        return Err(body.error("expected (=> LEFT RIGHT GUARD..) or (= LEFT RIGHT GUARD..)"));
    };
    let guard: Vec<Expression> = guard.iter().map(Expression::parse).collect::<Result<_>>()?;
    let (first, second) = (pattern(left)?, pattern(right)?);
    let shown = |l: &Sexpr, r: &Sexpr| {
        let conditions: String = guard.iter().map(|g| format!(" if {g}")).collect();
        format!("{} => {}{conditions}", show(l), show(r))
    };
    let rule = |name: String, left: &Pattern, right: &Pattern, text| {
        let rule = Rule {
            schema: schema.clone().unwrap_or_else(|| name.strip_suffix("-reversed").unwrap_or(&name).into()),
            name: name.as_str().into(),
            class,
            error,
            differs: differs.clone(),
            proof,
            from: from.clone(),
            left: left.clone(),
            right: right.clone(),
            guard: guard.clone(),
            note: note.join(" "),
            text,
        };
        match unbound(&rule) {
            Some(variable) => {
                Err(item.error(format!("the left side of '{}' does not bind ?{variable}", rule.name)))
            }
            None => Ok(rule),
        }
    };
    let forward = rule(name.into(), &first, &second, shown(left, right))?;
    match arrow.word() {
        Some("=>") => Ok(vec![forward]),
        Some("=") => {
            let backward = rule(format!("{name}-reversed"), &second, &first, shown(right, left))?;
            Ok(vec![forward, backward])
        }
        _ => Err(arrow.error("expected => or =")),
    }
}

fn parse_class(item: &Sexpr) -> Result<(Exactness, f64)> {
    match item.word() {
        Some("exact") => return Ok((Exactness::Exact, 0.0)),
        Some("reassociating") => return Ok((Exactness::Reassociating, 0.0)),
        Some("approximate") => return Ok((Exactness::Approximate, DEFAULT_ERROR)),
        _ => {}
    }
    if let Some([word, error]) = item.round()
        && word.word() == Some("approximate")
        && let Some(error) = error.word().and_then(|w| w.parse::<f64>().ok())
        && error > 0.0
    {
        return Ok((Exactness::Approximate, error));
    }
    Err(item.error("expected exact, reassociating, approximate or (approximate ERROR)"))
}

fn parse_proof(item: &Sexpr) -> Result<(Proof, Vec<Name>)> {
    match (item.word(), item.round()) {
        (Some("axiom"), _) => Ok((Proof::Axiom, Vec::new())),
        (Some("derived"), _) => Ok((Proof::Derived, Vec::new())),
        (Some("tested"), _) => Ok((Proof::Tested, Vec::new())),
        (_, Some([word, from @ ..])) if word.word() == Some("from") && !from.is_empty() => {
            let names = from
                .iter()
                .map(|f| f.word().map(Name::from).ok_or_else(|| f.error("expected a rule's name")));
            Ok((Proof::Derived, names.collect::<Result<_>>()?))
        }
        _ => Err(item.error("expected axiom, derived, (from RULE ..) or tested")),
    }
}

fn show(item: &Sexpr) -> String {
    let all = |items: &[Sexpr]| items.iter().map(show).collect::<Vec<_>>().join(" ");
    match &item.form {
        Form::Word(word) => word.clone(),
        Form::Round(items) => format!("({})", all(items)),
        Form::Square(items) => format!("[{}]", all(items)),
    }
}

/// The pattern in a text.
///
/// # Errors
/// If it is no pattern.
pub fn parse_pattern(text: &str) -> Result<Pattern> {
    let items = sexpr::parse(text)?;
    pattern(items.first().ok_or_else(|| Diagnostic::internal("an empty pattern"))?)
}

fn pattern(item: &Sexpr) -> Result<Pattern> {
    let items = match &item.form {
        Form::Word(word) if word == "_" => return Ok(Pattern::Absent),
        Form::Word(word) if word.starts_with('?') => return Ok(Pattern::Variable(word[1..].into())),
        Form::Word(word) => {
            let number = word.parse().map_err(|_| item.error(format!("'{word}' is no pattern")))?;
            return Ok(Pattern::Number(number));
        }
        Form::Square(_) => return Err(item.error("attributes stand behind an operator")),
        Form::Round(items) => items,
    };
    let Some(op) = items.first().and_then(Sexpr::word) else {
        return Err(item.error("expected (OPERATOR ..)"));
    };
    if op == "each" {
        let [_, list, body] = &items[..] else { return Err(item.error("expected (each ?list.. BODY)")) };
        let list = list.word().and_then(list_variable).ok_or_else(|| list.error("expected ?list.."))?;
        return Ok(Pattern::Each { list, body: Box::new(pattern(body)?) });
    }
    if ops::definition(op).is_none() && !matches!(op, special::SUM | special::PRODUCT) {
        return Err(item.error(format!("there is no operator '{op}'")));
    }
    let (mut attrs, mut others, mut rest) = (Vec::new(), None, &items[1..]);
    if let Some(Sexpr { form: Form::Square(given), .. }) = rest.first() {
        rest = &rest[1..];
        for pair in given.chunks(2) {
            let [name, value] = pair else {
                return Err(item.error("attributes are pairs of name and value"));
            };
            let name = name.word().ok_or_else(|| name.error("expected an attribute's name"))?;
            if name == ".." {
                let variable = value.word().and_then(|w| w.strip_prefix('?'));
                others = Some(variable.ok_or_else(|| value.error("expected a variable"))?.into());
                continue;
            }
            if ops::definition(op).is_none_or(|d| d.attribute(name).is_none()) {
                return Err(item.error(format!("'{op}' has no attribute '{name}'")));
            }
            attrs.push((name.into(), Expression::parse(value)?));
        }
    }
    let mut tail = None;
    if let Some(list) = rest.last().and_then(Sexpr::word).and_then(list_variable) {
        tail = Some(list);
        rest = &rest[..rest.len() - 1];
    }
    let operands = rest.iter().map(pattern).collect::<Result<_>>()?;
    Ok(Pattern::Apply { op: op.into(), attrs, others, operands, tail })
}

/// `?xs...` is the list variable `xs`.
fn list_variable(word: &str) -> Option<Name> {
    Some(word.strip_prefix('?')?.strip_suffix("...")?.into())
}

/// A variable of the right side or the guard without a value from the left side.
fn unbound(rule: &Rule) -> Option<Name> {
    let mut bound = BTreeSet::new();
    bind(&rule.left, &mut bound);
    let mut used = BTreeSet::new();
    uses(&rule.right, &mut used);
    rule.guard.iter().for_each(|g| variables(g, &mut used));
    used.into_iter().find(|v| !bound.contains(v) && &**v != "it")
}

/// The variables that a pattern binds where it matches.
fn bind(pattern: &Pattern, into: &mut BTreeSet<Name>) {
    match pattern {
        Pattern::Variable(name) => drop(into.insert(name.clone())),
        Pattern::Apply { attrs, others, operands, tail, .. } => {
            // An attribute is a variable or a list of them. A computed attribute must have its variables
            // elsewhere.
            for (_, expression) in attrs {
                match expression {
                    Expression::Variable(name) => drop(into.insert(name.clone())),
                    Expression::Call(function, items) if function.name == "list" => {
                        into.extend(items.iter().filter_map(|i| match i {
                            Expression::Variable(name) => Some(name.clone()),
                            _ => None,
                        }));
                    }
                    _ => {}
                }
            }
            into.extend(others.iter().chain(tail).cloned());
            operands.iter().for_each(|o| bind(o, into));
        }
        Pattern::Number(_) | Pattern::Absent | Pattern::Each { .. } => {}
    }
}

fn uses(pattern: &Pattern, into: &mut BTreeSet<Name>) {
    match pattern {
        Pattern::Variable(name) => drop(into.insert(name.clone())),
        Pattern::Apply { attrs, others, operands, tail, .. } => {
            attrs.iter().for_each(|(_, e)| variables(e, into));
            into.extend(others.iter().chain(tail).cloned());
            operands.iter().for_each(|o| uses(o, into));
        }
        Pattern::Each { list, body } => {
            into.insert(list.clone());
            uses(body, into);
        }
        Pattern::Number(_) | Pattern::Absent => {}
    }
}

fn variables(expression: &Expression, into: &mut BTreeSet<Name>) {
    match expression {
        Expression::Variable(name) => drop(into.insert(name.clone())),
        Expression::Call(_, arguments) => arguments.iter().for_each(|a| variables(a, into)),
        _ => {}
    }
}
