//! `compute_at(buffer, at)`: the stage that makes a temporary moves inside the loop over `at`, and makes only
//! the elements that an iteration reads there.
//!
//! ```text
//! for p.h: t[p.h] = f(x[p.h])               for c.h.o
//! for c.h.o                            =>     for p.h in 0..6: t[p.h] = f(x[4 * c.h.o + p.h])
//!   for c.h.i for c.r                         for c.h.i for c.r
//!     y[..] += w[c.r] * t[4 c.h.o + ..]         y[..] += w[c.r] * t[c.h.i + c.r]
//! ```
//!
//! Elements that several iterations read are made in each of them. The stage's axes keep their names, and
//! axes of one iteration are left out. [`super::merge()`] joins loops of equal extent and makes each element
//! once; here no loops have to correspond.
//!
//! Legal if one elementwise stage makes all of the temporary, everything that reads it lies inside `at` and
//! reads it at one index, and the part of this index inside `at` has constant bounds. The inputs of the stage
//! must not change until then.

use super::{
    panel::each_read,
    ranges::Ranges,
    region::Region,
    tree::{buffer_named, find_loop, map_body, no_axis, rewrite_inside, simplify, writes},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    kernel::Role,
    nest::{Loop, LoopNest, Mapping, Node, Space, Store},
    scalar::Inst,
};

/// Makes the elements of `buffer` where they are read, inside the loop over `at`.
///
/// # Errors
/// If the stage is not elementwise, its elements are needed elsewhere, or its inputs change.
pub fn compute_at(nest: &LoopNest, buffer: &str, at: &str) -> Result<LoopNest> {
    let refuse = |why: String| Err(Diagnostic::user(why));
    let id = buffer_named(nest, buffer)?;
    let b = &nest.buffers[id];
    if b.role != Role::Temporary || b.space == Space::Shared {
        return refuse(format!("'{buffer}' is not a temporary of its threads"));
    }
    if find_loop(&nest.body, at).is_none() {
        return Err(no_axis(nest, at));
    }
    let makers: Vec<usize> = (0..nest.body.len()).filter(|&n| writes(&nest.body[n], id)).collect();
    let maker = match &makers[..] {
        &[maker] => Stage::of(nest, &nest.body[maker], id).map(|stage| (maker, stage)),
        _ => None,
    };
    let Some((maker, stage)) = maker else {
        return refuse(format!("'{buffer}' is not made by one elementwise stage"));
    };
    let later = &nest.body[maker + 1..];
    let from = |i: &Inst| if let Inst::Read { tensor, .. } = i { Some(*tensor) } else { None };
    for read in stage.store.body.insts.iter().filter_map(|(i, _)| from(i)) {
        if later.iter().any(|n| writes(n, read)) {
            let name = &nest.buffers[read].name;
            return refuse(format!("'{name}', of which '{buffer}' is made, changes before it is used"));
        }
    }
    let (mut all, mut inside) = (0, 0);
    each_read(&nest.body, &mut Ranges::outside(nest), id, &mut |read, ranges| {
        all += 1;
        inside += usize::from(ranges.names().any(|n| **n == *at) && read.outside.is_none());
    });
    if all != inside {
        return refuse(format!("'{buffer}' is read outside of '{at}', or out of its bounds"));
    }

    let mut rest = nest.clone();
    rest.body.remove(maker);
    let mut sizes: Option<Vec<i64>> = None;
    let mut moved = rewrite_inside(&rest, at, &mut |mut nodes, around| {
        let region = Region::of(nest, &nodes, around, id)?;
        if sizes.as_ref().is_some_and(|s| *s != region.sizes) {
            let message = format!("the loops over '{at}' read parts of different sizes");
            return Err(Diagnostic::user(message));
        }
        let mut out = vec![stage.inside(nest, &region, around)];
        region.redirect(&mut nodes, (id, id));
        sizes = Some(region.sizes);
        out.extend(nodes);
        Ok(out)
    })?;
    let sizes = sizes.unwrap_or_default();
    moved.buffers[id].dims = sizes.into_iter().filter(|s| *s != 1).map(Expr::from).collect();
    Ok(moved)
}

/// The stage that makes all elements of a buffer.
struct Stage<'a> {
    /// Loops, outermost first, with the dimension that each walks along.
    loops: Vec<(&'a Loop, usize)>,
    store: &'a Store,
}

impl<'a> Stage<'a> {
    /// `None` unless each loop walks along all of one dimension.
    fn of(nest: &LoopNest, mut node: &'a Node, buffer: usize) -> Option<Stage<'a>> {
        let mut around = Vec::new();
        let store = loop {
            match node {
                Node::Loop(l) if l.mapping == Mapping::Serial => {
                    let [inner] = &l.body[..] else { return None };
                    around.push(l);
                    node = inner;
                }
                Node::Store(s) => break s,
                _ => return None,
            }
        };
        let plain = store.buffer == buffer
            && store.combine.is_none()
            && !store.checked
            && store.guards.is_empty()
            && !store
                .body
                .insts
                .iter()
                .any(|(i, _)| matches!(i, Inst::Read { tensor, .. } if *tensor == buffer));
        let dims = &nest.buffers[buffer].dims;
        let dimension = |l: &&'a Loop| {
            let d = store.index.iter().position(|e| e.as_axis().is_some_and(|a| *a == l.axis))?;
            (l.extent == dims[d]).then_some((*l, d))
        };
        let loops: Vec<_> = around.iter().map(dimension).collect::<Option<_>>()?;
        let walked = |d: usize| loops.iter().filter(|(_, of)| *of == d).count() == 1;
        let whole = (0..dims.len()).all(|d| walked(d) || dims[d].is(1) && store.index[d].is(0));
        (plain && whole).then_some(Stage { loops, store })
    }

    /// The stage for the elements of a region.
    fn inside(&self, nest: &LoopNest, region: &Region, around: &Ranges) -> Node {
        let mut element: Vec<Expr> = region.first.clone();
        for (l, d) in &self.loops {
            if region.sizes[*d] != 1 {
                element[*d] = element[*d].clone() + Expr::axis(&l.axis);
            }
        }
        let of_region = |e: &Expr| {
            // A name stands for elements of the buffer in `e` and of the region in the result, so all are
            // replaced at once.
            e.substitute(&|atom| {
                let (_, d) = self.loops.iter().find(|(l, _)| Expr::axis(&l.axis).as_atom() == Some(atom))?;
                Some(element[*d].clone())
            })
        };
        let mut ranges = around.clone();
        for (l, d) in &self.loops {
            ranges.push_axis(l.axis.clone(), Expr::from(region.sizes[*d]));
        }
        let dims = &nest.buffers[self.store.buffer].dims;
        let mut guards = Vec::new();
        for (e, dim) in element.iter().zip(dims) {
            // The last block may reach beyond the elements that there are.
            if !ranges.in_bounds(e, dim) {
                guards.push((Expr::from(-1), e.clone()));
                guards.push((e.clone(), dim.clone()));
            }
        }
        let index: Vec<(usize, Expr)> = self
            .loops
            .iter()
            .filter(|(_, d)| region.sizes[*d] != 1)
            .map(|(l, d)| (*d, Expr::axis(&l.axis)))
            .collect();
        let mut order = index.clone();
        order.sort_by_key(|(d, _)| *d);
        let store = Node::Store(Store {
            index: order.into_iter().map(|(_, e)| e).collect(),
            body: map_body(&self.store.body, &of_region),
            guards,
            ..self.store.clone()
        });
        let node =
            self.loops.iter().rev().filter(|(_, d)| region.sizes[*d] != 1).fold(store, |inner, (l, d)| {
                Node::Loop(Loop { extent: Expr::from(region.sizes[*d]), body: vec![inner], ..(*l).clone() })
            });
        simplify(std::slice::from_ref(&node), &mut around.clone()).pop().unwrap_or(node)
    }
}
