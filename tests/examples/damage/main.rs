//! Damages artifacts and loads them, with the options of [`mlcc_tests::cases`].
//!
//! Each case is one artifact with one kind of damage. A
//! file that differs from the sound one in any byte must be refused; with its weights trusted, all that
//! differs outside of the weights must be. A file that the damage left as it was must give the right
//! values. Then come plans and manifests that are damaged *behind* their checksums, as a faulty compiler
//! makes them: whether they are refused is the plan's verifier to decide, but nothing may panic or hang.

#![expect(clippy::print_stdout, reason = "a command-line program that talks")]

mod kinds;
mod models;
mod resealed;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use fastrand::Rng;
use kinds::{KINDS, Kind};
use mlcc_format::{Artifact, SectionKind};
use mlcc_runtime::{LoadOptions, Model, Pool};
use mlcc_tests::cases::{self, Arguments, Cases};
use models::Sound;

/// One in so many artifacts is written to a file and mapped from there.
const FILES: u64 = 32;
/// For so many damaged files one that is damaged behind its checksums.
const RESEALED: u64 = 10;

/// What became of the cases.
#[derive(Clone, Copy, Default)]
struct Counts {
    refused: u64,
    /// The damage changed nothing, and the values were right.
    unchanged: u64,
    resealed_refused: u64,
    resealed_accepted: u64,
}

fn main() -> ExitCode {
    cases::exit_code(run())
}

fn run() -> Result<usize, Box<dyn Error>> {
    let arguments = Arguments::read("build/damage", &mut |_, _| Ok(false))?;
    let damage = Damage { arguments: &arguments, sound: models::compile()? };
    let (counts, failures) = arguments.run(&damage)?;
    let mut total = Counts::default();
    counts.into_iter().for_each(|counts| total += counts);
    println!(
        "{} damaged artifacts: {} refused, {} left as they were and right; {} damaged behind their checksums: {} \
         refused, {} accepted; {failures} failures",
        total.refused + total.unchanged,
        total.refused,
        total.unchanged,
        total.resealed_refused + total.resealed_accepted,
        total.resealed_refused,
        total.resealed_accepted,
    );
    Ok(failures)
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.refused += other.refused;
        self.unchanged += other.unchanged;
        self.resealed_refused += other.resealed_refused;
        self.resealed_accepted += other.resealed_accepted;
    }
}

struct Damage<'a> {
    arguments: &'a Arguments,
    sound: Vec<Sound>,
}

/// What one thread has.
struct Worker {
    /// Pools of one thread and of two.
    pools: [Arc<Pool>; 2],
    /// Where a file may be written.
    file: PathBuf,
    counts: Counts,
}

/// A damaged artifact.
struct Damaged<'a> {
    sound: &'a Sound,
    kind: Kind,
    bytes: Vec<u8>,
    two_threads: bool,
    /// For what is damaged further.
    rng: Rng,
}

impl Damage<'_> {
    fn input(&self, case: u64) -> Damaged<'_> {
        let mut rng = Rng::with_seed(self.arguments.seed_of(case));
        let two_threads = rng.u32(..16) == 0;
        let sound = &self.sound[rng.usize(..self.sound.len())];
        let kind = KINDS[rng.usize(..KINDS.len())];
        let bytes = kind.apply(sound, &self.sound, &mut rng);
        Damaged { sound, kind, bytes, two_threads, rng }
    }
}

impl Cases for Damage<'_> {
    type Worker = Worker;
    type Counts = Counts;

    fn worker(&self, thread: usize) -> Result<Worker, String> {
        let pool = |threads| Pool::new(threads).map(Arc::new).map_err(|error| error.to_string());
        let file = self.arguments.keep.join(format!("{thread}.mlcc"));
        Ok(Worker { pools: [pool(1)?, pool(2)?], file, counts: Counts::default() })
    }

    fn run(&self, worker: &mut Worker, case: u64) -> Result<(), String> {
        let Worker { pools, file, counts } = worker;
        let Damaged { sound, kind, bytes, two_threads, mut rng } = self.input(case);
        let pool = Arc::clone(&pools[usize::from(two_threads)]);
        let options = &LoadOptions { pool: Some(pool), ..LoadOptions::default() };
        match loaded(&bytes, sound, case.is_multiple_of(FILES).then_some(file), options) {
            Ok(None) => counts.refused += 1,
            Ok(Some(model)) => {
                // Only a file that is the sound one, or another sound one, comes this far.
                let twin = self.sound.iter().find(|one| one.bytes == bytes);
                let twin = twin.ok_or_else(|| format!("{}: a damaged file was loaded", kind.name))?;
                let outputs =
                    model.run_owned(&[twin.input.as_ref()]).map_err(|e| format!("{}: {e}", kind.name))?;
                if outputs[0].data() != twin.output {
                    return Err(format!("{}: wrong values", kind.name));
                }
                counts.unchanged += 1;
            }
            Err(why) => return Err(format!("{}: {why}", kind.name)),
        }
        if case.is_multiple_of(RESEALED) {
            match resealed::load(sound, &mut rng, options, file)? {
                true => counts.resealed_accepted += 1,
                false => counts.resealed_refused += 1,
            }
        }
        Ok(())
    }

    fn counts(&self, worker: Worker) -> Counts {
        let _ = std::fs::remove_file(&worker.file);
        worker.counts
    }

    fn keep(&self, case: u64) {
        self.arguments.keep("artifact", case, &self.input(case).bytes);
    }
}

/// The model of a file, or none where it is refused.
fn loaded(
    bytes: &[u8],
    sound: &Sound,
    file: Option<&Path>,
    options: &LoadOptions,
) -> Result<Option<Model>, String> {
    let artifact = match file {
        Some(path) => {
            std::fs::write(path, bytes).map_err(|error| error.to_string())?;
            Artifact::open(path)
        }
        None => Artifact::from_bytes(bytes),
    };
    let artifact = match artifact {
        Ok(artifact) => artifact,
        Err(error) if error.to_string().is_empty() => return Err("an error without a text".into()),
        Err(_) => return Ok(None),
    };
    // Nothing has looked at the weights so far: all else must be as it was.
    let is_weight = |at: usize| {
        let holds = |s: &mlcc_format::Section| (s.offset as usize..(s.offset + s.len) as usize).contains(&at);
        artifact.sections().iter().any(|s| s.kind == SectionKind::Weights && holds(s))
    };
    let differs = |(at, (a, b)): (usize, (&u8, &u8))| a != b && !is_weight(at);
    let same = bytes.len() == sound.bytes.len() && !bytes.iter().zip(&sound.bytes).enumerate().any(differs);
    // Two artifacts joined at their begin are the second one.
    if !same && artifact.verify_weights().is_err() {
        return Err("damage outside of the weights was not found".into());
    }
    Ok(Model::from_artifact(artifact, options).ok())
}
