//! Schedules and code for CPUs.
