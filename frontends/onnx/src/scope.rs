//! Names and their meanings, in a graph, in the body of a function, in a branch.

use mlcc_ir::graph::ValueId;
use std::collections::HashMap;

/// The meaning of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A value of the graph.
    Value(ValueId),
    /// An optional parameter of a function, without an argument.
    Absent,
    /// A value that could not be imported. Nodes that depend on it are left out without further
    /// errors.
    Poisoned,
}

/// Names by nesting; a function's body does not see its caller's names.
#[derive(Debug)]
pub(crate) struct Scopes<'m> {
    levels: Vec<Level<'m>>,
}

#[derive(Debug, Default)]
struct Level<'m> {
    names: HashMap<&'m str, Slot>,
    isolated: bool,
}

impl<'m> Scopes<'m> {
    /// The scope of the model's graph.
    pub(crate) fn new() -> Scopes<'m> {
        Scopes { levels: vec![Level::default()] }
    }

    /// Opens a scope: of a function if `isolated`, else of a nested graph.
    pub(crate) fn push(&mut self, isolated: bool) {
        self.levels.push(Level { names: HashMap::new(), isolated });
    }

    /// Closes the innermost scope.
    pub(crate) fn pop(&mut self) {
        self.levels.pop();
    }

    /// The meaning of a name, searched from the innermost scope outwards.
    pub(crate) fn get(&self, name: &str) -> Option<Slot> {
        for level in self.levels.iter().rev() {
            if let Some(slot) = level.names.get(name) {
                return Some(*slot);
            }
            if level.isolated {
                return None;
            }
        }
        None
    }

    /// Gives a name its meaning in the innermost scope; false if it already has one there.
    pub(crate) fn define(&mut self, name: &'m str, slot: Slot) -> bool {
        match self.levels.last_mut() {
            Some(level) => level.names.insert(name, slot).is_none(),
            None => false,
        }
    }
}
