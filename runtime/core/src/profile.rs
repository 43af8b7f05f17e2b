//! Times of launches, for `mlcc bench --profile`.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The costs of a launch so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaunchProfile {
    /// The index of its kernel.
    pub kernel: u32,
    /// How often it ran.
    pub calls: u64,
    /// The time of all runs together, in nanoseconds, from the first tile's begin to the last one's
    /// end.
    pub nanoseconds: u64,
    /// The time that the threads spent in it together, in nanoseconds.
    pub busy_nanoseconds: u64,
}

/// Tiles of a launch that one thread executed without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The launch, in the order of [`mlcc_format::Plan::launches`].
    pub launch: u32,
    /// The thread; 0 is the caller's.
    pub thread: u32,
    /// The first tile.
    pub first: i64,
    /// How many tiles.
    pub tiles: i64,
    /// When it began, in nanoseconds since the profile was started.
    pub begin: u64,
    /// When it ended, likewise.
    pub end: u64,
}

/// Measures runs.
pub(crate) struct Recorder {
    origin: Instant,
    /// The spans of each thread since the last [`Recorder::collect`].
    threads: Vec<Mutex<Vec<Span>>>,
    pub(crate) launches: Vec<LaunchProfile>,
    /// The spans of all threads in the last run, by begin.
    pub(crate) spans: Vec<Span>,
}

impl Recorder {
    pub(crate) fn new(launches: Vec<LaunchProfile>, threads: usize) -> Recorder {
        let threads = (0..threads).map(|_| Mutex::default()).collect();
        Recorder { origin: Instant::now(), threads, launches, spans: Vec::new() }
    }

    /// Begins a run.
    pub(crate) fn begin_run(&mut self) {
        self.spans.clear();
    }

    /// Runs and records tiles of a launch.
    pub(crate) fn record(&self, launch: usize, thread: usize, tiles: (i64, i64), run: impl FnOnce()) {
        let begin = self.now();
        run();
        let end = self.now();
        let (first, tiles) = (tiles.0, tiles.1 - tiles.0);
        let span = Span { launch: launch as u32, thread: thread as u32, first, tiles, begin, end };
        self.threads[thread].lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }

    /// Adds up the threads' records of a region, in which every launch ran once.
    pub(crate) fn collect(&mut self) {
        let old = self.spans.len();
        for thread in &mut self.threads {
            self.spans.append(thread.get_mut().unwrap_or_else(PoisonError::into_inner));
        }
        let new = &mut self.spans[old..];
        new.sort_by_key(|span| (span.launch, span.begin));
        for spans in new.chunk_by(|a, b| a.launch == b.launch) {
            let entry = &mut self.launches[spans[0].launch as usize];
            let end = spans.iter().map(|span| span.end).max().unwrap_or(0);
            entry.calls += 1;
            entry.nanoseconds += end - spans[0].begin;
            entry.busy_nanoseconds += spans.iter().map(|span| span.end - span.begin).sum::<u64>();
        }
        new.sort_by_key(|span| span.begin);
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }
}
