//! All small terms of a family, bottom up.
//!
//! Only a term that differs from all smaller ones is an operand of larger ones. A term with a known
//! fingerprint is half of a candidate and is not extended, as in the rule synthesis of Ruler (Nandi et al.,
//! OOPSLA 2021) and in the enumeration by fingerprints of TASO (Jia et al., SOSP 2019).

use super::{
    environment::{Environment, apply, environments, fingerprint},
    notation,
    vocabulary::Family,
};
use mlcc_ir::{attributes::Attrs, tensor::Tensor};
use mlcc_rewriting::{rule::Pattern, term::special};
use std::collections::BTreeMap;

/// Two terms with one fingerprint.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// Whether bits are the same, or only rounded numbers.
    pub(super) exact: bool,
    /// The term found later: it has as many operators, or more.
    pub(super) left: Pattern,
    pub(super) right: Pattern,
}

/// The result for a family.
#[derive(Default)]
pub(super) struct Enumerated {
    /// Terms that were evaluated.
    pub(super) terms: usize,
    /// Terms that differ from all others.
    pub(super) distinct: usize,
    pub(super) pairs: Vec<Pair>,
}

/// A term that differs from those before it.
struct Known {
    pattern: Pattern,
    depth: usize,
    /// The operator in it that terms may have only once.
    single: Option<usize>,
    /// Whether there is a variable in it.
    varies: bool,
    values: Vec<Option<Tensor>>,
}

impl Known {
    fn leaf(pattern: Pattern, values: Vec<Option<Tensor>>) -> Known {
        let varies = !matches!(pattern, Pattern::Number(_));
        Known { pattern, depth: 0, single: None, varies, values }
    }
}

/// An operator that terms are made with.
struct Call<'a> {
    template: &'a Pattern,
    /// Its attributes in each environment, if they have a value there.
    attrs: Vec<Option<Attrs>>,
    commutes: bool,
    /// Its number, if terms have only one operator of its kind.
    single: Option<usize>,
    /// Operators of the term.
    size: usize,
}

struct Enumeration<'a> {
    family: &'a Family,
    environments: Vec<Environment>,
    known: Vec<Known>,
    /// Terms by their number of operators.
    by_size: Vec<Vec<usize>>,
    exact: BTreeMap<u128, usize>,
    real: BTreeMap<u128, usize>,
    found: Enumerated,
}

/// Enumerates a family's terms.
pub(super) fn enumerate(family: &Family) -> Enumerated {
    let mut all = Enumeration {
        family,
        environments: environments(family.space),
        known: Vec::new(),
        by_size: vec![Vec::new(); family.operators + 1],
        exact: BTreeMap::new(),
        real: BTreeMap::new(),
        found: Enumerated::default(),
    };
    all.leaves();
    for size in 1..=family.operators {
        for at in 0..family.templates.len() {
            all.extend(at, size);
        }
    }
    all.found.distinct = all.known.len();
    all.found
}

impl Enumeration<'_> {
    fn leaves(&mut self) {
        for name in self.family.variables {
            let values = self.environments.iter().map(|e| e.leaf(name)).collect();
            self.add(Known::leaf(Pattern::Variable((*name).into()), values), 0);
        }
        for &number in self.family.numbers {
            let values = self.environments.iter().map(|e| e.number(number)).collect();
            self.add(Known::leaf(Pattern::Number(number), values), 0);
        }
    }

    /// Terms of that many operators whose outermost is the template's.
    fn extend(&mut self, at: usize, size: usize) {
        let template = &self.family.templates[at];
        let Pattern::Apply { op, operands, .. } = template else { return };
        let own = notation::operators(template);
        let Some(inner) = size.checked_sub(own) else { return };
        let call = Call {
            template,
            attrs: self.environments.iter().map(|e| e.attrs(template)).collect(),
            commutes: matches!(&**op, special::SUM | special::PRODUCT) || self.commutes(template),
            single: (at < self.family.single).then_some(at),
            size,
        };
        self.choose(&call, inner, operands.len(), &mut Vec::new());
    }

    /// Whether an operator's two operands may change places, as far as values of variables tell. If they may,
    /// this is a pair too.
    fn commutes(&mut self, template: &Pattern) -> bool {
        let Pattern::Apply { operands, .. } = template else { return false };
        if operands.len() != 2 {
            return false;
        }
        let variables = 0..self.family.variables.len();
        for (a, b) in variables.clone().flat_map(|a| (a + 1..variables.end).map(move |b| (a, b))) {
            let [first, second] = [[a, b], [b, a]].map(|o| self.term(template, &o));
            let print = |values: &[Option<Tensor>]| fingerprint(&self.environments, values, true);
            let Some(wanted) = print(&first.values) else { continue };
            if print(&second.values) != Some(wanted) {
                return false;
            }
            let pair = Pair { exact: true, left: second.pattern, right: first.pattern };
            self.found.pairs.push(pair);
            return true;
        }
        false
    }

    /// Chooses the remaining `left` operands, with `inner` operators together.
    fn choose(&mut self, call: &Call<'_>, inner: usize, left: usize, chosen: &mut Vec<usize>) {
        if left == 0 {
            self.build(call, chosen);
            return;
        }
        let sizes = if left == 1 { inner..=inner } else { 0..=inner };
        for operators in sizes {
            for at in 0..self.by_size[operators].len() {
                let id = self.by_size[operators][at];
                // Operands whose order does not matter are taken in one order.
                if call.commutes && chosen.last().is_some_and(|&last| id < last) {
                    continue;
                }
                chosen.push(id);
                self.choose(call, inner - operators, left - 1, chosen);
                chosen.pop();
            }
        }
    }

    fn build(&mut self, call: &Call<'_>, chosen: &[usize]) {
        let operands = || chosen.iter().map(|&c| &self.known[c]);
        let depth = 1 + operands().map(|o| o.depth).max().unwrap_or(0);
        let mut single: Vec<usize> = operands().filter_map(|o| o.single).chain(call.single).collect();
        single.dedup();
        // A term without variables is a constant, and constants are folded anyway.
        let varies = operands().any(|o| o.varies);
        if varies && depth <= self.family.depth && single.len() <= 1 {
            let term = self.term_with(call.template, &call.attrs, chosen);
            self.add(Known { depth, single: single.first().copied(), ..term }, call.size);
        }
    }

    fn term(&self, template: &Pattern, operands: &[usize]) -> Known {
        let attrs: Vec<Option<Attrs>> = self.environments.iter().map(|e| e.attrs(template)).collect();
        self.term_with(template, &attrs, operands)
    }

    /// The template's operator on known terms, with its attributes in each environment.
    fn term_with(&self, template: &Pattern, attributes: &[Option<Attrs>], chosen: &[usize]) -> Known {
        let operands: Vec<&Known> = chosen.iter().map(|&c| &self.known[c]).collect();
        let Pattern::Apply { op, attrs, others, .. } = template else {
            return Known::leaf(Pattern::Absent, Vec::new());
        };
        let value = |(at, attrs): (usize, &Option<Attrs>)| {
            let tensors: Option<Vec<Tensor>> = operands.iter().map(|o| o.values[at].clone()).collect();
            apply(op, attrs.as_ref()?, &tensors?)
        };
        let values = attributes.iter().enumerate().map(value).collect();
        let pattern = Pattern::Apply {
            op: op.clone(),
            attrs: attrs.clone(),
            others: others.clone(),
            operands: operands.iter().map(|o| o.pattern.clone()).collect(),
            tail: None,
        };
        Known::leaf(pattern, values)
    }

    /// Whether most of a term's real values are not numbers: equality with it says little.
    fn is_hardly_defined(&self, values: &[Option<Tensor>]) -> bool {
        let real = self.environments.iter().zip(values).find(|(e, _)| !e.exact).and_then(|(_, v)| v.as_ref());
        real.is_some_and(|tensor| {
            let numbers = tensor.to_f64().into_iter().filter(|v| v.is_finite()).count();
            numbers * 4 < tensor.elements()
        })
    }

    /// Notes a term: as half of a pair if its fingerprint is known, as a new one otherwise.
    fn add(&mut self, mut term: Known, size: usize) {
        let Some(exact) = fingerprint(&self.environments, &term.values, true) else { return };
        if self.is_hardly_defined(&term.values) {
            return;
        }
        self.found.terms += 1;
        let is_float = term.values.iter().flatten().next().is_some_and(|t| t.dtype.is_float());
        let real = if is_float { fingerprint(&self.environments, &term.values, false) } else { None };
        let same = |at: &usize| self.known[*at].pattern.clone();
        let known = self.exact.get(&exact).map(|at| (true, same(at)));
        let known = known.or_else(|| self.real.get(&real?).map(|at| (false, same(at))));
        if let Some((exact, right)) = known {
            self.found.pairs.push(Pair { exact, left: term.pattern, right });
            return;
        }
        let id = self.known.len();
        self.exact.insert(exact, id);
        if let Some(real) = real {
            self.real.insert(real, id);
        }
        // The largest terms are no operands.
        if size == self.family.operators {
            term.values.clear();
        }
        self.known.push(term);
        self.by_size[size].push(id);
    }
}
