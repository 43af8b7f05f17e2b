//! Schedules and PTX for NVIDIA GPUs.
