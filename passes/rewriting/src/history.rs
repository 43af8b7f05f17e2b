//! The history of rules on a block's terms: the rule that made each term, and the rules that a choice of
//! terms needs.

use super::{
    extract::Choice, facts::Classes, import::Imported, report::Applied, saturate::Firing, term::Term,
    transformations::MERGE_PRODUCTS,
};
use egg::{Id, Language};
use mlcc_ir::{Name, graph::Location};
use std::collections::{BTreeMap, BTreeSet};

/// Applications of rules to a block, in order.
pub(super) struct History<'a> {
    classes: &'a Classes,
    firings: Vec<Firing>,
    /// The firing that made each term that is not the block's own.
    births: BTreeMap<Term, usize>,
}

impl History<'_> {
    pub(super) fn of(imported: &Imported, firings: Vec<Firing>) -> History<'_> {
        let classes = &imported.classes;
        let mut births = BTreeMap::new();
        for (at, firing) in firings.iter().enumerate() {
            for term in &firing.made {
                births.entry(canonical(classes, term)).or_insert(at);
            }
        }
        for term in &imported.terms {
            births.remove(&canonical(classes, term));
        }
        History { classes, firings, births }
    }

    /// Products that were merged in the search: the whole, and the classes of its parts, in order.
    pub(super) fn merges(&self) -> BTreeMap<Id, Vec<Id>> {
        let mut merges: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
        for firing in self.firings.iter().filter(|f| *f.rule == *MERGE_PRODUCTS.name) {
            let parts = firing.made.iter().filter(|t| &*t.head.op == "slice");
            for whole in parts.filter_map(|t| t.operands.first()) {
                let products = merges.entry(self.classes.find(*whole)).or_default();
                let product = self.classes.find(firing.root);
                if !products.contains(&product) {
                    products.push(product);
                }
            }
        }
        merges
    }

    /// The rule that made a term; `None` if it is the block's own.
    pub(super) fn rule_of(&self, term: &Term) -> Option<&Name> {
        self.births.get(term).map(|f| &self.firings[*f].rule)
    }

    /// The firings that a choice depends on, in order: firings that made its terms, and firings that made the
    /// terms these matched.
    pub(super) fn used(&self, choice: &Choice) -> impl Iterator<Item = &Firing> {
        let birth = |term: &Term| self.births.get(&canonical(self.classes, term)).copied();
        let mut used = BTreeSet::new();
        let mut pending: Vec<usize> = choice.values().filter_map(birth).collect();
        while let Some(at) = pending.pop() {
            if used.insert(at) {
                pending.extend(self.firings[at].matched.iter().filter_map(birth));
            }
        }
        used.into_iter().map(|at| &self.firings[at])
    }

    /// The rules that a choice depends on and the places where they were applied. `location` gives the place
    /// of a class.
    pub(super) fn applied(&self, choice: &Choice, location: impl Fn(Id) -> Location) -> Vec<Applied> {
        let mut applied: Vec<Applied> = Vec::new();
        for firing in self.used(choice) {
            let place = location(firing.root);
            match applied.iter_mut().find(|a| a.rule == firing.rule) {
                Some(entry) if entry.places.contains(&place) => {}
                Some(entry) => entry.places.push(place),
                None => applied.push(Applied { rule: firing.rule.clone(), places: vec![place], saved: None }),
            }
        }
        applied
    }
}

fn canonical(classes: &Classes, term: &Term) -> Term {
    term.clone().map_children(|id| classes.find(id))
}
