//! The number of threads if the caller does not set it.

use crate::Error;

/// The variable that sets the number of threads if no number is given. Without it there is one thread for each CPU
/// that the process may use.
pub const THREADS_VARIABLE: &str = "MLCC_THREADS";

/// The number of threads if none is given: the value of [`THREADS_VARIABLE`], or one for each CPU that the process may
/// use.
///
/// # Errors
/// If the variable does not hold a number of threads.
pub fn default_threads() -> Result<usize, Error> {
    match std::env::var_os(THREADS_VARIABLE).filter(|value| !value.is_empty()) {
        None => Ok(cpus()),
        Some(value) => parse(&value.to_string_lossy()),
    }
}

/// The CPUs that the process may use.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn parse(value: &str) -> Result<usize, Error> {
    value.parse().ok().filter(|threads| *threads > 0).ok_or_else(|| Error::Variable {
        name: THREADS_VARIABLE,
        value: value.to_owned(),
        expected: "a number of threads, 1 or more",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_threads_is_1_or_more() {
        assert_eq!(parse("16").unwrap(), 16);
        for value in ["0", "-1", "two", "1,5", "99999999999999999999"] {
            let error = parse(value).unwrap_err().to_string();
            assert!(error.contains("MLCC_THREADS") && error.contains(value), "{error}");
        }
    }
}
