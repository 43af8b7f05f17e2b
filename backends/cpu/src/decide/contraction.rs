//! Sums of products with an elementwise epilogue: matrix products and convolutions through one
//! micro-kernel.
//!
//! The operand that has the output's contiguous axis gives the columns (N), and the other one gives the rows
//! (M). Axes of both are batches. Columns come to the micro-kernel
//!
//! | Variant | from |
//! |---|---|
//! | `packed` | a constant operand, packed at compile time into panels as wide as the tile |
//! | `direct` | the operand itself, where columns are contiguous (a 1x1 convolution, PV of attention), unless it is large and has many rows |
//! | `gathered` | a constant operand, where each row has an address: pixels of many channels under a tap of a window |
//! | `panel` | a copy in scratch memory, made once for a block of columns (a convolution's rows of the image, a transposed operand) |
//!
//! If an elementwise compute in front makes an operand (`fuse-operand`), it makes it panel by panel, see
//! [`made`]: `made-columns` and `made-rows`.
//!
//! Sources: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"; Chellapilla et al.,
//! "High Performance Convolutional Neural Networks for Document Processing" (im2col). Here im2col is blocked
//! so that the copy stays in the second cache.

mod made;
mod panel;
mod whole;

use super::{
    operand::work,
    plan::Plan,
    refusal::{OrRefuse, Planned, leave, refuse},
    register_tile::UNKNOWN,
    stages::{Stage, estimate, offset, reduction_behind, shared_axes, stays_affine, stride},
};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Combine, Kernel, Role},
    nest::{
        LoopNest, Space,
        names::{AxisName, Purpose, StageName},
    },
    product::{Element, Side},
    scalar::Inst,
};
use mlcc_machine::Machine;
use mlcc_passes::schedule::Step;

/// Nanoseconds of a parallel tile at the multiply-add peak: many times the cost of handing one out.
const TILE_TIME: u64 = 36_000;
/// With fewer rows than this, copying a panel at run time does not pay.
const MIN_ROWS_OF_PANEL: i64 = 4;
/// With this many rows or more, a panel pays even for contiguous columns, if they are [`FAR`] from the core:
/// the copy is read `rows / tile` times. Measured on Zen 4, direct against panel in GFLOP/s: 2048 cubed 94
/// and 113, 2000 cubed 102 and 112, 768 cubed 113 and 114, 512 cubed 115 and 110; 64x2048x2048 97 and 88.
const MIN_ROWS_OF_COPY: i64 = 256;
/// An operand is far if it exceeds this many second caches. Within them, rows whose distance is a power of
/// two do not push each other out often enough to matter.
const FAR: i64 = 2;
/// Fewest channels for which the addresses of a tile's pixels are computed: some ten instructions a row and tap.
const MIN_CHANNELS_OF_GATHER: i64 = 8;
/// Most channels of a group for which windows slide instead: a gathered row serves too few of them.
const MAX_CHANNELS_OF_GROUP: i64 = 8;
/// In images narrower than this, sliding windows fill registers less well than gathered rows, which go on
/// over the ends of an image's rows.
const NARROW: i64 = 16;
/// The reason why a kernel is no contraction.
const NO_PRODUCT: &str = "it is no sum of products of two operands' elements";
/// Greatest work per element of an epilogue that is unrolled over the tile's rows.
const LIGHT_EPILOGUE: i64 = 10;

/// The plan and the name of its variant.
pub(super) fn plan(
    kernel: &Kernel,
    naive: &LoopNest,
    constants: &[Name],
    machine: &Machine,
) -> Planned<(&'static str, Plan)> {
    let mut template = Contraction::recognise(kernel, naive, machine)?;
    let variant = template.decide(constants)?;
    Ok((variant, template.plan))
}

/// The plan if gathered rows are better than windows that slide: for images that are narrow or of unknown
/// width.
pub(super) fn gathered(
    kernel: &Kernel,
    naive: &LoopNest,
    constants: &[Name],
    machine: &Machine,
) -> Planned<(&'static str, Plan)> {
    let mut template = Contraction::recognise(kernel, naive, machine)?;
    let Some([_, width]) = template.pixels_to_gather() else {
        return refuse("it has no image of many channels whose pixels could be gathered");
    };
    if template.static_count(&[width]).is_some_and(|width| width >= NARROW) {
        return leave("its image is so wide that windows slide as well");
    }
    if template.static_count(&template.n).is_some_and(|channels| channels <= MAX_CHANNELS_OF_GROUP) {
        return leave("its groups have few channels");
    }
    match template.decide(constants)? {
        "gathered" => Ok(("gathered", template.plan)),
        variant => leave(format!("its pixels are not gathered but {variant}")),
    }
}

/// The way in which columns come to the micro-kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    Packed,
    Direct,
    Panel,
}

struct Contraction<'a> {
    machine: &'a Machine,
    plan: Plan,
    /// The buffer of an operand that a stage apart makes.
    made: Option<usize>,
    /// The stage that multiplies.
    product: StageName,
    /// Stages with too much work per element to be repeated for every row of a tile.
    heavy: Vec<StageName>,
    /// The accumulator.
    acc: usize,
    /// Buffer of the operand with the columns.
    right: usize,
    /// Axes by role, outermost first.
    batch: Vec<AxisName>,
    m: Vec<AxisName>,
    n: Vec<AxisName>,
    k: Vec<AxisName>,
    lanes: i64,
}

impl<'a> Contraction<'a> {
    fn recognise(kernel: &Kernel, naive: &LoopNest, machine: &'a Machine) -> Planned<Contraction<'a>> {
        let maker = kernel.computes.first().filter(|c| made::is_maker(kernel, c));
        let first =
            kernel.computes.get(usize::from(maker.is_some())).filter(|c| c.combine == Some(Combine::Add));
        let first = first.or_refuse("it sums nothing")?;
        let plan = reduction_behind(kernel, naive, maker)?;
        let product = StageName::new(&first.name, Purpose::Values);
        let mut all = plan.unmerged()?;
        let made = maker.map(|_| all.remove(0).store.buffer);
        let stage = all.iter().find(|s| s.name == product).or_refuse("it has no reduction")?;
        let nest = &plan.nest;
        let heavy = all.iter().filter(|s| s.name != product && work(s) > LIGHT_EPILOGUE);
        let heavy = heavy.map(|s| s.name.clone()).collect();
        let acc = stage.store.buffer;
        let dtype = nest.buffers[acc].dtype;
        let product_of = stage.product();
        let factors = product_of.as_ref().or_refuse(NO_PRODUCT)?;
        let elements = factors.bare().filter(|e| e.iter().all(|e| e.is_padded_with_zero()));
        let [x, y] = elements.or_refuse(NO_PRODUCT)?.map(|e| e.tensor);
        let is_made = |b: usize| made == Some(b);
        let given = |b: usize| nest.buffers[b].role == Role::Input || is_made(b);
        let same = [x, y].into_iter().all(|b| nest.buffers[b].dtype == dtype && given(b));
        if made.is_some() && !is_made(x) && !is_made(y) {
            return refuse("what stands in front of the product makes none of its operands");
        }
        if !same || !matches!(dtype, DType::F32 | DType::F64) || x == y {
            let types = [x, y].map(|b| nest.buffers[b].dtype);
            let [a, b] = types;
            return refuse(match x == y {
                true => "it is a product of a tensor with itself".to_owned(),
                false => format!("the micro-kernel takes no product of {a} by {b} in {dtype}"),
            });
        }
        let free: Vec<&AxisName> = stage.axes.iter().filter(|a| !a.reduced).map(|a| &a.name).collect();
        let shared = shared_axes(&all);
        if shared.len() != free.len()
            || !all.iter().all(|s| s.axes.iter().filter(|a| !a.reduced).count() == free.len())
        {
            return refuse("its stages have different axes");
        }
        // The axis along which the results are contiguous.
        let last = all.last().or_refuse("it computes nothing")?;
        let contiguous = free.iter().find(|a| {
            stride(&nest.buffers[last.store.buffer], &last.store.index, &last.full(a))
                .is_some_and(|s| s.is(1))
        });
        let contiguous = contiguous.or_refuse("its results are contiguous along no axis")?;
        let columns = factors
            .only(&stage.full(contiguous))
            .or_refuse("the axis along which results are contiguous is in both operands or in none")?;
        let right = [x, y][columns];
        let with = |side: Side| -> Vec<AxisName> {
            free.iter().filter(|a| factors.side(&stage.full(a)) == side).map(|a| (*a).clone()).collect()
        };
        let mut batch = with(Side::Both);
        batch.extend(with(Side::Neither));
        let k = stage.axes.iter().filter(|a| a.reduced).map(|a| a.name.clone()).collect();
        let (m, n) = (with(Side::Only(1 - columns)), with(Side::Only(columns)));
        let lanes = i64::from(machine.lanes(dtype.size()));
        Ok(Contraction { machine, plan, made, product, heavy, acc, right, batch, m, n, k, lanes })
    }

    fn full(&self, name: &AxisName) -> Name {
        self.product.axis(name)
    }

    fn stage(&self) -> Planned<Stage> {
        self.plan.unmerged()?.into_iter().find(|s| s.name == self.product).or_refuse(NO_PRODUCT)
    }

    /// The operand that gives the columns.
    fn right<'s>(&self, stage: &'s Stage) -> Option<Element<'s>> {
        stage.product()?.elements()?.into_iter().find(|e| e.tensor == self.right).copied()
    }

    /// The operand that gives the rows.
    fn left<'s>(&self, stage: &'s Stage) -> Option<Element<'s>> {
        stage.product()?.elements()?.into_iter().find(|e| e.tensor != self.right).copied()
    }

    fn extent(&self, name: &AxisName) -> Option<Expr> {
        let stage = self.stage().ok()?;
        stage.axes.into_iter().find(|a| a.name == *name).map(|a| a.extent)
    }

    fn count(&self, name: &AxisName) -> i64 {
        self.extent(name).map_or(1, |e| estimate(&e, &self.plan.nest.ranges))
    }

    fn static_count(&self, names: &[AxisName]) -> Option<i64> {
        names.iter().try_fold(1i64, |n, a| n.checked_mul(self.extent(a)?.as_const()?))
    }

    /// Possible numbers of rows.
    fn row_counts(&self) -> Vec<i64> {
        let rows = self.m.iter().try_fold(Expr::from(1), |n, a| Some(n * self.extent(a)?));
        let rows = rows.unwrap_or_else(|| Expr::from(UNKNOWN));
        let sizes = &self.plan.nest.ranges;
        let mut symbols = Vec::new();
        rows.collect_symbols(&mut symbols);
        let counts = sizes.samples(|size| size(&rows)).unwrap_or_default();
        // Nothing is known about a lone symbol: it may be one row or thousands.
        let unknown = counts.first() == Some(&1) && symbols.iter().any(|s| sizes.get(s).is_any());
        if unknown || counts.is_empty() { vec![UNKNOWN] } else { counts }
    }

    /// Brings all stages' axes into an order; reduction axes follow.
    fn reorder(&mut self, order: &[&[AxisName]]) -> Planned<()> {
        Ok(self.plan.reorder(&order.concat(), &self.product, (&self.k, 0))?)
    }

    /// Fuses neighbouring axes where that leaves index expressions affine.
    fn fuse_all(&mut self, mut axes: Vec<AxisName>, reduced: bool) -> Vec<AxisName> {
        let mut at = axes.len();
        while at >= 2 {
            at -= 1;
            let (outer, inner) = (axes[at - 1].clone(), axes[at].clone());
            let fuse = |s: &StageName| Step::Fuse { outer: s.axis(&outer), inner: s.axis(&inner) };
            let mut steps = if reduced { vec![fuse(&self.product)] } else { self.plan.in_each(fuse) };
            // The maker of an operand has both axes or neither.
            steps.extend(self.maker_with(&inner).map(fuse));
            if self.plan.attempt_all(steps, &stays_affine) {
                axes.splice(at - 1..=at, [outer.fused(&inner)]);
            }
        }
        axes
    }

    /// Merges all stages' loops over the axes, which are outermost.
    fn merge(&mut self, axes: &[AxisName]) -> Planned<()> {
        self.plan.merge(axes, &self.product)
    }

    fn decide(&mut self, constants: &[Name]) -> Planned<&'static str> {
        let groups = [self.batch.clone(), self.m.clone(), self.n.clone()];
        self.reorder(&[&groups[0], &groups[1], &groups[2]])?;
        self.order_maker()?;
        self.m = self.fuse_all(self.m.clone(), false);
        self.n = self.fuse_all(self.n.clone(), false);
        self.k = self.fuse_all(self.k.clone(), true);
        let gathered = self.gather_pixels();
        let columns = self.columns(constants)?;
        // One axis gives the tile's rows, the others are batches.
        while self.m.len() > 1 {
            self.batch.push(self.m.remove(0));
        }
        if let Some(buffer) = self.made {
            return self.made_operand(buffer, columns);
        }
        match columns {
            Columns::Packed | Columns::Direct => {
                while self.n.len() > 1 {
                    self.batch.push(self.n.remove(0));
                }
                self.order_reduction()?;
                self.whole_operand(columns)?;
            }
            Columns::Panel => self.panelled()?,
        }
        Ok(match columns {
            _ if gathered => "gathered",
            Columns::Packed => "packed",
            Columns::Direct => "direct",
            Columns::Panel => "panel",
        })
    }

    /// Makes one axis of an image's rows and columns of pixels, so that a tile goes on into the next row. It
    /// does so if an image's size is not known or windows reach out of it. The micro-kernel then gathers its
    /// rows, each by an address of its own for all channels. Returns whether it did.
    fn gather_pixels(&mut self) -> bool {
        let Some([h, w]) = self.pixels_to_gather() else { return false };
        let steps = self.plan.in_each(|s| Step::Fuse { outer: s.axis(&h), inner: s.axis(&w) });
        let joined = self.plan.attempt_all(steps, &|_, _| true);
        if joined {
            let at = self.m.len() - 2;
            self.m.splice(at.., [h.fused(&w)]);
        }
        joined
    }

    /// The axes of an image's rows and columns, if its pixels are to be gathered.
    fn pixels_to_gather(&self) -> Option<[AxisName; 2]> {
        let stage = self.stage().ok()?;
        let left = self.left(&stage)?;
        let [.., h, w] = &self.m[..] else { return None };
        let fixed = self.static_count(&[h.clone(), w.clone()]).is_some();
        let contiguous = |k: &&AxisName| {
            stride(&self.plan.nest.buffers[left.tensor], left.index, &stage.full(k)).is_some_and(|s| s.is(1))
        };
        let mut channels = self.k.iter().filter(contiguous).map(|k| self.count(k));
        let wanted = !fixed || left.outside.is_some();
        let pays = self.made.is_none() && channels.any(|count| count >= MIN_CHANNELS_OF_GATHER);
        (wanted && pays).then(|| [h.clone(), w.clone()])
    }

    /// Distance in elements, in the operand with the rows, of neighbouring points of an axis, if static.
    fn left_stride(&self, axis: &AxisName) -> Option<i64> {
        let stage = self.stage().ok()?;
        let left = self.left(&stage)?;
        stride(&self.plan.nest.buffers[left.tensor], left.index, &stage.full(axis))?.as_const()
    }

    /// Number of reads of a buffer in all stages.
    fn reads(&self, buffer: usize) -> Planned<usize> {
        let all = self.plan.unmerged()?;
        let insts = all.iter().flat_map(|s| &s.store.body.insts);
        Ok(insts.filter(|(i, _)| matches!(i, Inst::Read { tensor, .. } if *tensor == buffer)).count())
    }

    /// Bytes between rows of the operand with the rows; 0 if not static.
    fn row_stride(&self) -> i64 {
        let elements = self.m.last().and_then(|m| self.left_stride(m)).unwrap_or(0);
        elements * self.plan.nest.buffers[self.acc].dtype.size() as i64
    }

    /// Puts the reduction axis along which rows are contiguous last, if there are several.
    fn order_reduction(&mut self) -> Planned<()> {
        // Longer loops first among equals.
        let distance = |k: &AxisName| (self.left_stride(k).map_or(i64::MAX, i64::abs), -self.count(k));
        let last = (0..self.k.len()).min_by_key(|&k| distance(&self.k[k])).or_refuse("it sums nothing")?;
        let name = self.k.remove(last);
        self.k.push(name);
        Ok(())
    }

    fn columns(&self, constants: &[Name]) -> Planned<Columns> {
        let stage = self.stage()?;
        let buffer = &self.plan.nest.buffers[self.right];
        let Element { index, outside, .. } = self.right(&stage).or_refuse(NO_PRODUCT)?;
        let n = self.n.last().or_refuse("it has no columns")?;
        let element = buffer.dtype.size() as i64;
        let static_size = buffer.dims.iter().all(|d| d.as_const().is_some());
        let bounded = [&self.batch, &self.n, &self.k].into_iter().all(|axes| {
            let mut used = axes.iter().filter(|a| index.iter().any(|e| e.uses_axis(&stage.full(a))));
            used.all(|a| self.extent(a).is_some_and(|e| e.as_const().is_some()))
        });
        let once = self.reads(self.right)? == 1;
        if constants.contains(&buffer.name) && static_size && bounded && outside.is_none() && once {
            return Ok(Columns::Packed);
        }
        let unit = stride(buffer, index, &stage.full(n)).is_some_and(|s| s.is(1));
        let address = offset(buffer, index);
        let regular = self.k.len() == 1
            && address.split_axis(&stage.full(&self.k[0])).is_some_and(|(c, _)| !c.uses_axis(&stage.full(n)));
        let rows = self.static_count(&self.m);
        let bytes = self.static_count(&[self.k.as_slice(), &self.n].concat()).map(|e| e * element);
        let far = bytes.is_some_and(|b| b > FAR * self.machine.l2_bytes as i64);
        let copied = far && rows.is_some_and(|r| r >= MIN_ROWS_OF_COPY);
        if unit && regular && outside.is_none() && !copied {
            return Ok(Columns::Direct);
        }
        let rows = rows.unwrap_or(i64::MAX);
        if rows < MIN_ROWS_OF_PANEL {
            return refuse(format!(
                "columns are not contiguous, and copying them for {rows} rows does not pay"
            ));
        }
        Ok(Columns::Panel)
    }

    /// Gives the remaining rows or columns a micro-kernel of their own. `inner` is the tile's axis, and
    /// `outer` counts the tiles. All stages share the loops over `outer`.
    fn peel(&mut self, outer: &AxisName, inner: &AxisName) {
        self.plan.attempt(Step::Remainder { outer: self.full(outer), inner: self.full(inner) });
    }

    /// Turns the loops inside a register tile into the micro-kernel, and the others into vectors.
    fn micro_kernel(&mut self, m: Option<&AxisName>, n: &AxisName) -> Planned<()> {
        let acc = self.plan.nest.buffers[self.acc].name.clone();
        self.plan.step(Step::Place { buffer: acc, space: Space::Register })?;
        let (row, col) = (m.map(AxisName::inner), n.inner());
        // Loops of the reduction that could not be fused go around the tile.
        if self.k.len() > 1 {
            let (last, rest) = self.k.split_last().or_refuse("it sums nothing")?;
            let mut axes: Vec<Name> = rest.iter().map(|a| self.full(a)).collect();
            axes.extend(row.iter().map(|r| self.full(r)));
            axes.extend([self.full(&col), self.full(last)]);
            self.plan.step(Step::Reorder { axes })?;
        }
        let step = Step::Tensorize {
            m: row.as_ref().map_or("-".into(), |r| self.full(r)),
            n: self.full(&col),
            k: self.full(self.k.last().or_refuse("it sums nothing")?),
            lanes: self.lanes as u32,
        };
        self.plan.step(step)?;
        for stage in self.plan.stages.clone().iter().filter(|s| **s != self.product) {
            let light = !self.heavy.contains(stage);
            self.plan.beside_tile(stage, (row.as_ref(), &col), light, self.lanes)?;
        }
        Ok(())
    }
}
