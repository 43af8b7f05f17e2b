//! The little language of guards and attribute values: functions of types and of bound attributes.

use super::{
    facts::Classes,
    functions::function,
    rule::{Binding, Bindings},
    sexpr::{Form, Sexpr},
};
use mlcc_ir::{Name, attributes::Attr, diagnostic::Result, expr::Expr};
use std::fmt;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A variable: of a class or of an attribute.
    Variable(Name),
    /// An integer.
    Int(i64),
    /// A float, written with a point.
    Float(f64),
    /// A word: `true`, `false` or a string.
    Word(Name),
    /// A function of [`FUNCTIONS`].
    Call(&'static Function, Vec<Expression>),
}

/// A value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A size or an attribute.
    Int(Expr),
    /// A list of sizes.
    List(Vec<Expr>),
    /// A condition or a flag.
    Bool(bool),
    /// A float attribute.
    Float(f64),
    /// A string attribute, or the name of an element type.
    Str(Name),
    /// A class: only functions take it.
    Class(egg::Id),
}

/// A function of the language.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Names of its arguments; `..` stands for more of the last one.
    pub arguments: &'static str,
    /// A description of the function.
    pub summary: &'static str,
    pub(super) run: fn(&Classes, &[Value]) -> Option<Value>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Variable(name) => write!(f, "?{name}"),
            Expression::Int(value) => write!(f, "{value}"),
            Expression::Float(value) => write!(f, "{value:?}"),
            Expression::Word(word) => write!(f, "{word}"),
            Expression::Call(function, arguments) => {
                write!(f, "({}", function.name)?;
                arguments.iter().try_for_each(|a| write!(f, " {a}"))?;
                write!(f, ")")
            }
        }
    }
}

impl Expression {
    pub(super) fn parse(item: &Sexpr) -> Result<Expression> {
        let items = match &item.form {
            Form::Word(word) => {
                return Ok(if let Some(name) = word.strip_prefix('?') {
                    Expression::Variable(name.into())
                } else if let Ok(value) = word.parse() {
                    Expression::Int(value)
                } else if let Ok(value) = word.parse() {
                    Expression::Float(value)
                } else {
                    Expression::Word(word.as_str().into())
                });
            }
            Form::Square(items) => {
                let list = function("list").ok_or_else(|| item.error("no lists"))?;
                return Ok(Expression::Call(
                    list,
                    items.iter().map(Expression::parse).collect::<Result<_>>()?,
                ));
            }
            Form::Round(items) => items,
        };
        let (Some(name), arguments) =
            (items.first().and_then(Sexpr::word), items.get(1..).unwrap_or_default())
        else {
            return Err(item.error("expected (FUNCTION ..)"));
        };
        let function = function(name).ok_or_else(|| item.error(format!("there is no function '{name}'")))?;
        let wanted = function.arguments.split_whitespace().count();
        if !function.arguments.ends_with("..") && arguments.len() != wanted {
            return Err(item.error(format!("'{name}' takes {wanted} arguments")));
        }
        Ok(Expression::Call(function, arguments.iter().map(Expression::parse).collect::<Result<_>>()?))
    }

    /// The value; `None` if a part has no value, which makes a guard false.
    pub fn evaluate(&self, classes: &Classes, bindings: &Bindings) -> Option<Value> {
        match self {
            Expression::Variable(name) => match bindings.get(name)? {
                Binding::Class(id) => Some(Value::Class(*id)),
                Binding::Value(value) => Some(value.clone()),
                _ => None,
            },
            Expression::Int(value) => Some(Value::Int(Expr::from(*value))),
            Expression::Float(value) => Some(Value::Float(*value)),
            Expression::Word(word) => Some(match &**word {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => Value::Str(word.clone()),
            }),
            Expression::Call(function, arguments) => {
                let values: Option<Vec<Value>> =
                    arguments.iter().map(|a| a.evaluate(classes, bindings)).collect();
                (function.run)(classes, &values?)
            }
        }
    }

    /// Whether it is computed, not matched, and one of its variables has no value yet.
    pub(super) fn is_computed_from_unbound(&self, bindings: &Bindings) -> bool {
        let Expression::Call(function, arguments) = self else { return false };
        let is_unbound = |argument: &Expression| match argument {
            Expression::Variable(name) => bindings.get(name).is_none(),
            call => call.is_computed_from_unbound(bindings),
        };
        if function.name == "list" {
            // Variables in a list are matched.
            return arguments.iter().any(|a| a.is_computed_from_unbound(bindings));
        }
        arguments.iter().any(is_unbound)
    }

    /// Whether the value is true.
    pub fn holds(&self, classes: &Classes, bindings: &Bindings) -> bool {
        self.evaluate(classes, bindings) == Some(Value::Bool(true))
    }
}

impl Value {
    /// An attribute as a value.
    #[must_use]
    pub fn of(attr: &Attr) -> Option<Value> {
        Some(match attr {
            Attr::Bool(value) => Value::Bool(*value),
            Attr::Int(value) => Value::Int(Expr::from(*value)),
            Attr::Float(value) => Value::Float(*value),
            Attr::Str(value) => Value::Str(value.clone()),
            Attr::DType(dtype) => Value::Str(dtype.mlir_name().into()),
            Attr::Ints(values) => Value::List(values.iter().map(|&v| Expr::from(v)).collect()),
            Attr::Exprs(values) => Value::List(values.clone()),
            _ => return None,
        })
    }

    /// As an attribute.
    #[must_use]
    pub fn attribute(&self) -> Option<Attr> {
        Some(match self {
            Value::Bool(value) => Attr::Bool(*value),
            Value::Int(value) => match value.as_const() {
                Some(value) => Attr::Int(value),
                None => Attr::Exprs(vec![value.clone()]),
            },
            Value::Float(value) => Attr::Float(*value),
            Value::Str(value) => Attr::Str(value.clone()),
            Value::List(values) => match values.iter().map(Expr::as_const).collect() {
                Some(values) => Attr::Ints(values),
                None => Attr::Exprs(values.clone()),
            },
            Value::Class(_) => return None,
        })
    }
}
