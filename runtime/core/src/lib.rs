//! Loads and executes artifacts.
