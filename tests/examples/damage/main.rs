//! Damages artifacts and loads them: `damage [--cases N] [--seed N] [--case N] [--marker FILE]`.
//!
//! Each case is one artifact with one kind of damage, made from the seed and the case's number alone. A
//! file that differs from the sound one in any byte must be refused; with its weights trusted, all that
//! differs outside of the weights must be. A file that the damage left as it was must give the right
//! values. Then come plans and manifests that are damaged *behind* their checksums, as a faulty compiler
//! makes them: whether they are refused is the plan's verifier to decide, but nothing may panic or hang.
//!
//! The marker is a file with the case that each thread is at, for whoever finds that this program crashed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program that talks")]

mod kinds;
mod models;
mod resealed;

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use kinds::KINDS;
use mlcc_format::{Artifact, SectionKind};
use mlcc_runtime::{LoadOptions, Model, Pool};
use models::Sound;

/// One in so many artifacts is written to a file and mapped from there.
const FILES: u64 = 32;
/// For so many damaged files one that is damaged behind its checksums.
const RESEALED: u64 = 10;
/// So many failures are shown.
const SHOWN: usize = 20;

struct Arguments {
    cases: u64,
    seed: u64,
    case: Option<u64>,
    marker: Option<PathBuf>,
}

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
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments { cases: 100_000, seed: 1, case: None, marker: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or("an option without its value")?;
        match word.as_str() {
            "--cases" => arguments.cases = value.parse()?,
            "--seed" => arguments.seed = value.parse()?,
            "--case" => arguments.case = Some(value.parse()?),
            "--marker" => arguments.marker = Some(value.into()),
            _ => return Err(format!("there is no option {word}").into()),
        }
    }
    Ok(arguments)
}

fn run() -> Result<bool, Box<dyn Error>> {
    let arguments = arguments()?;
    let sound = models::compile()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let marker = arguments.marker.as_ref().map(File::create).transpose()?;
    let folder = mlcc_tests::program::temporary_folder();
    let total = Mutex::new((Counts::default(), Vec::new()));
    let work = |thread: u64| -> Result<(), mlcc_runtime::Error> {
        let pools = [Arc::new(Pool::new(1)?), Arc::new(Pool::new(2)?)];
        let file = folder.path().join(format!("{thread}.mlcc"));
        let (mut counts, mut failures) = (Counts::default(), Vec::new());
        let cases = match arguments.case {
            Some(case) => case..(case + 1).min(case + u64::from(thread == 0)),
            None => 0..arguments.cases,
        };
        for case in cases.filter(|case| arguments.case.is_some() || case % threads == thread) {
            if let Some(marker) = &marker {
                // Without it a crash is harder to find, and nothing else.
                let _ = marker.write_at(&case.to_le_bytes(), thread * 8);
            }
            let mut rng =
                Rng::with_seed(arguments.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(case));
            let pool = Arc::clone(&pools[usize::from(rng.u32(..16) == 0)]);
            let options = LoadOptions { pool: Some(pool), ..LoadOptions::default() };
            let this_case = Case { number: case, all: &sound, options: &options, file: &file };
            let one = || this_case.run(&mut rng, &mut counts);
            let outcome = catch_unwind(AssertUnwindSafe(one)).unwrap_or_else(|_| Err("a panic".into()));
            failures.extend(outcome.err().map(|why| (case, why)));
        }
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        total.0 += counts;
        total.1.extend(failures);
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let own = work(0);
        others.into_iter().map(|other| other.join().unwrap_or(Ok(()))).fold(own, Result::and)
    })?;
    let (counts, failures) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(report(&arguments, counts, failures))
}

fn report(arguments: &Arguments, counts: Counts, mut failures: Vec<(u64, String)>) -> bool {
    failures.sort();
    for (case, why) in failures.iter().take(SHOWN) {
        println!("case {case} (seed {}): {why}", arguments.seed);
    }
    println!(
        "{} damaged artifacts: {} refused, {} left as they were and right; {} damaged behind their checksums: {} \
         refused, {} accepted; {} failures",
        counts.refused + counts.unchanged,
        counts.refused,
        counts.unchanged,
        counts.resealed_refused + counts.resealed_accepted,
        counts.resealed_refused,
        counts.resealed_accepted,
        failures.len()
    );
    failures.is_empty()
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.refused += other.refused;
        self.unchanged += other.unchanged;
        self.resealed_refused += other.resealed_refused;
        self.resealed_accepted += other.resealed_accepted;
    }
}

/// What a case is made from, and how it is loaded.
struct Case<'a> {
    number: u64,
    all: &'a [Sound],
    options: &'a LoadOptions,
    /// Where a file may be written.
    file: &'a Path,
}

impl Case<'_> {
    fn run(&self, rng: &mut Rng, counts: &mut Counts) -> Result<(), String> {
        let Case { number, all, options, file } = *self;
        let sound = &all[rng.usize(..all.len())];
        let kind = KINDS[rng.usize(..KINDS.len())];
        let bytes = kind.apply(sound, all, rng);
        match loaded(&bytes, sound, number.is_multiple_of(FILES).then_some(file), options) {
            Ok(None) => counts.refused += 1,
            Ok(Some(model)) => {
                // Only a file that is the sound one, or another sound one, comes this far.
                let twin = all.iter().find(|one| one.bytes == bytes);
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
        if number.is_multiple_of(RESEALED) {
            match resealed::load(sound, rng, options, file)? {
                true => counts.resealed_accepted += 1,
                false => counts.resealed_refused += 1,
            }
        }
        Ok(())
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
