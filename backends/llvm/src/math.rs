//! stub
use crate::emit::builder::{Builder, Kind, Val};
use mlcc_ir::scalar::UnaryOp;
pub(crate) fn unary<'c>(b: &Builder<'c>, op: UnaryOp, x: Val<'c>) -> Val<'c> { let _ = (op, Kind::I1); b.neg(x) }
pub(crate) fn remainder<'c>(b: &Builder<'c>, x: Val<'c>, y: Val<'c>) -> Val<'c> { b.add(x,y) }
pub(crate) fn power<'c>(b: &Builder<'c>, x: Val<'c>, y: Val<'c>) -> Val<'c> { b.add(x,y) }
pub(crate) fn integer_power<'c>(b: &Builder<'c>, x: Val<'c>, y: Val<'c>, _signed: bool) -> Val<'c> { b.add(x,y) }
