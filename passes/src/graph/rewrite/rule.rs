//! Rules as data: `{name, class, proof, left side, right side, guard}`, read from the rule file.

use super::{
    expression::{Expression, Value},
    sexpr::{self, Form, Sexpr},
    term::special,
};
use mlcc_ir::{Name, diagnostic::Result, ops};

/// What a rule does to the bits of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exactness {
    /// The same bits, computed by the reference interpreter.
    Exact,
    /// Equal over the real numbers; floating-point rounding differs.
    Reassociating,
    /// Equal up to a stated error only.
    Approximate,
}

/// Where a rule's truth comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is one of the audited axioms.
    Axiom,
    /// It follows from the axioms; `cargo xtask rules` derives it.
    Derived,
    /// Its values were compared exhaustively or by sampling only, as the rule's class allows.
    Tested,
}

/// A rewrite rule in one direction.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique name; the reverse direction of `name` is `name-reversed`.
    pub name: Name,
    /// Its effect on rounding.
    pub class: Exactness,
    /// Why it holds.
    pub proof: Proof,
    /// What it replaces.
    pub left: Pattern,
    /// What by.
    pub right: Pattern,
    /// Conditions; all must hold.
    pub guard: Vec<Expression>,
    /// One line for the documentation.
    pub note: String,
    /// The rule as it stands in the file: both sides and the guard.
    pub text: String,
}

/// A term with variables.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// Any class.
    Variable(Name),
    /// A tensor whose elements all have this value; as a replacement, a scalar.
    Number(f64),
    /// An optional operand that is absent.
    Absent,
    /// For each class of a list variable (`?xs...`), as `?it`: a replacement only.
    Each {
        /// The list.
        list: Name,
        /// What is made of each.
        body: Box<Pattern>,
    },
    /// An operator.
    Apply {
        /// Its mnemonic.
        op: Name,
        /// Attributes given; others must have their defaults, unless `others` binds them.
        attrs: Vec<(Name, Expression)>,
        /// A variable for all attributes that are not given.
        others: Option<Name>,
        /// Operands.
        operands: Vec<Pattern>,
        /// A list variable for all operands that follow.
        tail: Option<Name>,
    },
}

/// All rules of a text, in order; one that is stated as an equation counts as two.
///
/// # Errors
/// Where the text is not a list of rules.
pub(super) fn parse(text: &str) -> Result<Vec<Rule>> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut items = Vec::new();
    for item in sexpr::parse(text)? {
        expand(item, &mut items)?;
    }
    for item in items {
        for rule in parse_rule(&item)? {
            if rules.iter().any(|r| r.name == rule.name) {
                return Err(item.error(format!("there are two rules '{}'", rule.name)));
            }
            rules.push(rule);
        }
    }
    Ok(rules)
}

/// `(for $f (a b ..) RULE ..)` states the rules once for each of the words, which take the place of `$f`.
fn expand(item: Sexpr, into: &mut Vec<Sexpr>) -> Result<()> {
    let fields = item.round().unwrap_or_default();
    if fields.first().and_then(Sexpr::word) != Some("for") {
        into.push(item);
        return Ok(());
    }
    let [_, variable, words, rules @ ..] = fields else {
        return Err(item.error("expected (for $VARIABLE (WORD ..) RULE ..)"));
    };
    let (Some(variable), Some(words)) = (variable.word(), words.round()) else {
        return Err(item.error("expected (for $VARIABLE (WORD ..) RULE ..)"));
    };
    for word in words {
        let word = word.word().ok_or_else(|| word.error("expected a word"))?;
        for rule in rules {
            expand(substitute(rule, variable, word), into)?;
        }
    }
    Ok(())
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

fn parse_rule(item: &Sexpr) -> Result<Vec<Rule>> {
    let fields = item.round().unwrap_or_default();
    let [keyword, name, class, proof, note @ .., body] = fields else {
        return Err(item.error("expected (rule NAME CLASS PROOF [NOTE..] (=> LEFT RIGHT GUARD..))"));
    };
    if keyword.word() != Some("rule") {
        return Err(item.error("expected 'rule'"));
    }
    let name = name.word().ok_or_else(|| item.error("a rule's name is a word"))?;
    let class = match class.word() {
        Some("exact") => Exactness::Exact,
        Some("reassociating") => Exactness::Reassociating,
        Some("approximate") => Exactness::Approximate,
        _ => return Err(class.error("expected exact, reassociating or approximate")),
    };
    let proof = match proof.word() {
        Some("axiom") => Proof::Axiom,
        Some("derived") => Proof::Derived,
        Some("tested") => Proof::Tested,
        _ => return Err(proof.error("expected axiom, derived or tested")),
    };
    let note: Vec<&str> = match note {
        [] => Vec::new(),
        [Sexpr { form: Form::Square(words), .. }] => words.iter().filter_map(Sexpr::word).collect(),
        [other, ..] => return Err(other.error("expected [NOTE..]")),
    };
    let Some([arrow, left, right, guard @ ..]) = body.round() else {
        return Err(body.error("expected (=> LEFT RIGHT GUARD..) or (= LEFT RIGHT GUARD..)"));
    };
    let guard: Vec<Expression> = guard.iter().map(Expression::parse).collect::<Result<_>>()?;
    let (first, second) = (parse_pattern(left)?, parse_pattern(right)?);
    let shown = |l: &Sexpr, r: &Sexpr| {
        let conditions: String = guard.iter().map(|g| format!(" if {g}")).collect();
        format!("{} => {}{conditions}", show(l), show(r))
    };
    let rule = |name: String, left: &Pattern, right: &Pattern, text| Rule {
        name: name.as_str().into(),
        class,
        proof,
        left: left.clone(),
        right: right.clone(),
        guard: guard.clone(),
        note: note.join(" "),
        text,
    };
    let forward = rule(name.into(), &first, &second, shown(left, right));
    match arrow.word() {
        Some("=>") => Ok(vec![forward]),
        Some("=") => {
            let backward = rule(format!("{name}-reversed"), &second, &first, shown(right, left));
            Ok(vec![forward, backward])
        }
        _ => Err(arrow.error("expected => or =")),
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

fn parse_pattern(item: &Sexpr) -> Result<Pattern> {
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
        return Ok(Pattern::Each { list, body: Box::new(parse_pattern(body)?) });
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
    let operands = rest.iter().map(parse_pattern).collect::<Result<_>>()?;
    Ok(Pattern::Apply { op: op.into(), attrs, others, operands, tail })
}

/// `?xs...` is the list variable `xs`.
fn list_variable(word: &str) -> Option<Name> {
    Some(word.strip_prefix('?')?.strip_suffix("...")?.into())
}

impl Pattern {
    /// The mnemonic of the outermost operator.
    #[must_use]
    pub fn op(&self) -> Option<&Name> {
        match self {
            Pattern::Apply { op, .. } => Some(op),
            _ => None,
        }
    }
}

/// A variable's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Binding {
    Class(egg::Id),
    Classes(Vec<egg::Id>),
    Value(Value),
    Attrs(mlcc_ir::attributes::Attrs),
}

/// Values of variables by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bindings(Vec<(Name, Binding)>);

impl Bindings {
    pub(super) fn get(&self, name: &str) -> Option<&Binding> {
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, b)| b)
    }

    pub(super) fn set(&mut self, name: &Name, value: Binding) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.clone(), value)),
        }
    }

    pub(super) fn class(&self, name: &str) -> Option<egg::Id> {
        match self.get(name)? {
            Binding::Class(id) => Some(*id),
            _ => None,
        }
    }
}
