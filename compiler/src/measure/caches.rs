//! The sizes of this machine's caches, from the system or from the time of a load.

use std::{hint::black_box, path::Path, time::Instant};

/// Data caches of a core in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caches {
    /// First level.
    pub l1: u64,
    /// Lines of the first level that share an index.
    pub l1_ways: u64,
    /// Second level.
    pub l2: u64,
    /// The last level; equal to the second level if there is no other.
    pub last: u64,
}

/// The number of ways assumed for a first cache if the system names none.
const WAYS: u64 = 8;

impl Caches {
    /// Asks the system; if it gives no answer, times loads.
    #[must_use]
    pub fn of_this_machine() -> Caches {
        Caches::from_system(Path::new("/sys/devices/system/cpu/cpu0/cache")).unwrap_or_else(|| {
            let times: Vec<_> = sizes().map(|bytes| (bytes, load_time(bytes))).collect();
            Caches::from_times(&times)
        })
    }

    /// The caches that Linux describes in a folder with an entry for each cache.
    fn from_system(folder: &Path) -> Option<Caches> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let field = |name: &str| {
                let text = std::fs::read_to_string(entry.path().join(name)).ok()?;
                Some(text.trim().to_owned())
            };
            if field("type").is_some_and(|t| t == "Data" || t == "Unified")
                && let (Some(level), Some(size)) = (field("level"), field("size").and_then(|s| bytes(&s)))
            {
                let ways = field("ways_of_associativity").and_then(|w| w.parse().ok()).filter(|w| *w > 0);
                found.push((level.parse::<u32>().ok()?, size, ways.unwrap_or(WAYS)));
            }
        }
        found.sort_unstable();
        let &(_, l1, l1_ways) = found.iter().find(|c| c.0 == 1)?;
        let l2 = found.iter().find(|c| c.0 == 2).map_or(l1, |c| c.1);
        let last = found.last().map_or(l2, |c| c.1).max(l2);
        Some(Caches { l1, l1_ways, l2, last })
    }

    /// Finds the sizes at which the time of a load grows; `times` are sizes in ascending order with
    /// nanoseconds.
    fn from_times(times: &[(u64, f64)]) -> Caches {
        /// A level ends where a load takes half as long again as within the level.
        const STEP: f64 = 1.5;
        let mut levels = Vec::new();
        let mut base = times.first().map_or(1.0, |t| t.1);
        for pair in times.windows(2) {
            if pair[1].1 > base * STEP {
                levels.push(pair[0].0);
                base = pair[1].1;
            } else {
                base = base.min(pair[1].1);
            }
        }
        // A step takes several sizes if the next level answers slowly; of neighbouring sizes the first
        // counts.
        levels.dedup_by(|b, a| *b <= *a * 2);
        let l1 = levels.first().copied().unwrap_or(32 << 10);
        let l2 = levels.get(1).copied().unwrap_or(l1.max(256 << 10));
        Caches { l1, l1_ways: WAYS, l2, last: levels.last().copied().unwrap_or(l2).max(l2) }
    }
}

/// `32K`, `1024K`, `32M`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_shl(shift).filter(|n| *n > 0)
}

/// Sizes whose load times are compared.
fn sizes() -> impl Iterator<Item = u64> {
    (14..=27).map(|exponent| 1 << exponent)
}

/// Nanoseconds of a load that depends on the one before it. The loads go through all lines of that many
/// bytes in an order that no prefetcher knows.
fn load_time(bytes: u64) -> f64 {
    const LINE: usize = 64 / size_of::<usize>();
    const LOADS: usize = 1 << 18;
    let lines = (bytes as usize / 64).max(2);
    // One cycle through all lines (Sattolo), from a fixed seed.
    let mut order: Vec<usize> = (0..lines).collect();
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    for i in (1..lines).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        order.swap(i, (seed % i as u64) as usize);
    }
    let mut next = vec![0usize; lines * LINE];
    for (line, to) in order.iter().enumerate() {
        next[line * LINE] = to * LINE;
    }
    let mut at = 0;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let began = Instant::now();
        for _ in 0..LOADS {
            at = next[at];
        }
        at = black_box(at);
        best = best.min(began.elapsed().as_secs_f64() * 1e9 / LOADS as f64);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_names_its_caches() {
        let folder = tempfile::tempdir().unwrap();
        for (index, level, kind, size, ways) in [
            (0, "1", "Data", "48K", "12"),
            (1, "1", "Instruction", "32K", "8"),
            (2, "2", "Unified", "2048K", "16"),
            (3, "3", "Unified", "36M", "12"),
        ] {
            let entry = folder.path().join(format!("index{index}"));
            std::fs::create_dir(&entry).unwrap();
            for (name, text) in
                [("level", level), ("type", kind), ("size", size), ("ways_of_associativity", ways)]
            {
                std::fs::write(entry.join(name), format!("{text}\n")).unwrap();
            }
        }
        let caches = Caches::from_system(folder.path()).unwrap();
        assert_eq!(caches, Caches { l1: 48 << 10, l1_ways: 12, l2: 2 << 20, last: 36 << 20 });
        assert_eq!(Caches::from_system(&folder.path().join("index1/absent")), None);
        assert_eq!((bytes("12x"), bytes(""), bytes("3G")), (None, None, Some(3 << 30)));
    }

    #[test]
    fn loads_take_longer_beyond_a_cache() {
        let levels = [(32 << 10, 1.1), (1 << 20, 3.8), (32 << 20, 12.0)];
        let time = |bytes: u64| levels.iter().find(|l| bytes <= l.0).map_or(80.0, |l| l.1);
        let times: Vec<_> = sizes().map(|bytes| (bytes, time(bytes))).collect();
        let caches = Caches::from_times(&times);
        assert_eq!((caches.l1, caches.l2, caches.last), (32 << 10, 1 << 20, 32 << 20));
        // A clock that shows no differences.
        let caches = Caches::from_times(&[(1 << 14, 1.0), (1 << 15, 1.0)]);
        assert!(caches.l1 <= caches.l2 && caches.l2 <= caches.last);
    }
}
