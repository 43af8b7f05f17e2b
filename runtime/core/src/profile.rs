//! Times of launches, for `mlcc bench --profile`.

/// What a launch cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaunchProfile {
    /// The index of its kernel.
    pub kernel: u32,
    /// How often it ran.
    pub calls: u64,
    /// The time of all runs together, in nanoseconds, from the barrier before to the barrier after.
    pub nanoseconds: u64,
}
