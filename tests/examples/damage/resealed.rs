//! Damage behind the checksums: an encoded plan or manifest is altered and written into an artifact that is
//! sound otherwise.

use std::path::Path;

use fastrand::Rng;
use mlcc_format::{Artifact, ArtifactWriter, Manifest, Plan};
use mlcc_runtime::{LoadOptions, Model};

use crate::models::Sound;

/// Whether such an artifact is accepted. It is not run: where the plan of a kernel was altered, the kernel's
/// own accesses are, and code is trusted. All else is done that a run begins with.
pub(crate) fn load(sound: &Sound, rng: &mut Rng, options: &LoadOptions, file: &Path) -> Result<bool, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut plan = postcard::to_stdvec(sound.artifact.plan()).map_err(|e| text(&e))?;
    let mut manifest = serde_json::to_vec(sound.artifact.manifest()).map_err(|e| text(&e))?;
    let target = if rng.u32(..4) == 0 { &mut manifest } else { &mut plan };
    for _ in 0..1usize << rng.u32(..3) {
        alter(target, rng);
    }
    let (Ok(plan), Ok(manifest)) =
        (postcard::from_bytes::<Plan>(&plan), serde_json::from_slice::<Manifest>(&manifest))
    else {
        return Ok(false);
    };
    let mut writer = ArtifactWriter::create(file).map_err(|e| text(&e))?;
    writer.add_weight(sound.artifact.weights()).map_err(|e| text(&e))?;
    writer.finish(&manifest, &plan, sound.artifact.code()).map_err(|e| text(&e))?;
    let Ok(artifact) = Artifact::open(file) else { return Ok(false) };
    let Ok(model) = Model::from_artifact(artifact, options) else { return Ok(false) };
    let rank = model.signature().inputs.first().map_or(0, |input| input.dims.len());
    for size in [0, 1, 3, 1 << 40, i64::MAX] {
        // Either verdict is right.
        let _ = model.output_shapes(&[&vec![size; rank]]);
    }
    let _ = model.output_shapes(&[sound.input.dims()]);
    let _ = model.plan().memory_use();
    Ok(true)
}

fn alter(bytes: &mut Vec<u8>, rng: &mut Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.usize(..bytes.len());
    match rng.u32(..4) {
        0 => bytes[at] ^= 1 << rng.u32(..8),
        1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, rng.u8(..)][rng.usize(..6)],
        2 => drop(bytes.remove(at)),
        _ => bytes.insert(at, rng.u8(..)),
    }
}
