//! Diagnostics: whose fault, where, what, why, what to do.

use crate::graph::Location;
use std::fmt;

/// Whose fault an error is; the exit code follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Bad input or usage: exit code 1.
    User,
    /// A valid model that mlcc cannot compile yet: exit code 2.
    Unsupported,
    /// A bug in mlcc: exit code 3.
    Internal,
}

impl Fault {
    /// The process's exit code for this fault.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Fault::User => 1,
            Fault::Unsupported => 2,
            Fault::Internal => 3,
        }
    }
}

/// An error with its place in the model and a way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Whose fault it is.
    pub fault: Fault,
    /// What is wrong, without a final period.
    pub message: String,
    /// The ONNX node it concerns.
    pub location: Option<Location>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error in what the user gave.
    pub fn user(message: impl Into<String>) -> Diagnostic {
        Diagnostic { fault: Fault::User, message: message.into(), location: None, hint: None }
    }

    /// A valid model that is not supported.
    pub fn unsupported(message: impl Into<String>) -> Diagnostic {
        Diagnostic { fault: Fault::Unsupported, message: message.into(), location: None, hint: None }
    }

    /// A bug in mlcc.
    pub fn internal(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            fault: Fault::Internal,
            message: message.into(),
            location: None,
            hint: Some("this is a bug in mlcc; please report it with the model".into()),
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// Adds where, unless a place is known already.
    #[must_use]
    pub fn at(mut self, location: &Location) -> Diagnostic {
        self.location.get_or_insert_with(|| location.clone());
        self
    }
}

/// A number of things, in words: `1 input`, `2 inputs`, `3 kernel launches`.
#[must_use]
pub fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let ending = match number {
        1 => "",
        _ if noun.ends_with("ch") || noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {noun}{ending}")
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.fault {
            Fault::User => "error",
            Fault::Unsupported => "unsupported",
            Fault::Internal => "internal error",
        };
        write!(f, "{kind}: {}", self.message)?;
        if let Some(location) = &self.location {
            write!(f, "\n  at {location}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// A result whose error is a [`Diagnostic`].
pub type Result<T> = std::result::Result<T, Diagnostic>;
