//! Writing and reading of the file: round trips, shared weights, every kind of damage.

use mlcc_format::{Artifact, ArtifactWriter, Blob, FORMAT_VERSION, FormatError, SectionKind};

/// Whether a loaded artifact has the same content as the one that was written.
fn same_content(artifact: &Artifact) -> bool {
    let (manifest, plan) = crate::common::plan(Blob { offset: 0, len: 16 });
    artifact.manifest() == &manifest && artifact.plan() == &plan && artifact.code() == [0xc3; 100]
}

#[test]
fn what_was_written_is_read_back() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.mlcc");
    let bytes = crate::common::write(&path);
    let artifact = Artifact::open(&path).expect("opens");
    assert!(same_content(&artifact));
    assert_eq!(artifact.weights()[..4], 1f32.to_le_bytes());
    assert_eq!(artifact.file_len(), bytes.len() as u64);
    artifact.verify_weights().expect("weights are sound");
    for section in artifact.sections() {
        assert_eq!(section.offset % 4096, 0, "{section:?}");
    }
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("lists").flatten().collect();
    assert_eq!(names.len(), 1, "no temporary file is left: {names:?}");
}

#[test]
fn writing_twice_gives_the_same_bytes() {
    let folder = tempfile::tempdir().expect("folder");
    let (a, b) = (folder.path().join("a.mlcc"), folder.path().join("b.mlcc"));
    assert_eq!(crate::common::write(&a), crate::common::write(&b));
}

#[test]
fn equal_weights_are_stored_once_and_aligned() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.mlcc");
    let mut writer = ArtifactWriter::create(&path).expect("creates");
    let large: Vec<u8> = (0..700_001u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut other = large.clone();
    other[700_000] ^= 1;
    let blobs: Vec<Blob> = [&large[..], &[7; 3], &other, &large, &[7; 3], &[], &[7; 4]]
        .into_iter()
        .map(|bytes| writer.add_weight(bytes).expect("writes"))
        .collect();
    let (manifest, plan) = crate::common::plan(blobs[0]);
    writer.finish(&manifest, &plan, &[0xc3]).expect("finishes");
    assert_eq!((blobs[0], blobs[1]), (blobs[3], blobs[4]));
    assert_ne!(blobs[0], blobs[2]);
    let artifact = Artifact::open(&path).expect("opens");
    artifact.verify_weights().expect("weights are sound");
    for (blob, bytes) in blobs.iter().zip([&large[..], &[7; 3], &other]) {
        assert_eq!(blob.offset % 64, 0);
        let at = blob.offset as usize;
        assert_eq!(&artifact.weights()[at..at + bytes.len()], bytes);
    }
    assert!(artifact.weights().len() < 3 * large.len());
}

#[test]
fn an_abandoned_artifact_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("folder");
    let mut writer = ArtifactWriter::create(folder.path().join("a.mlcc")).expect("creates");
    writer.add_weight(&[1, 2, 3]).expect("writes");
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 0);
}

#[test]
fn each_flipped_byte_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let mut bytes = crate::common::write(&folder.path().join("a.mlcc"));
    let artifact = Artifact::from_bytes(&bytes).expect("sound");
    let weights = artifact.sections().iter().find(|s| s.kind == SectionKind::Weights).copied();
    let weights = weights.map(|s| s.offset as usize..(s.offset + s.len) as usize).expect("weights");
    for i in 0..bytes.len() {
        let flip = 1 << (i % 8);
        bytes[i] ^= flip;
        let loaded = Artifact::from_bytes(&bytes);
        match loaded {
            Ok(artifact) => {
                assert!(weights.contains(&i), "byte {i} was altered unnoticed");
                assert!(same_content(&artifact));
                assert!(artifact.verify_weights().is_err(), "byte {i} of the weights was altered unnoticed");
            }
            Err(error) => {
                assert!(!weights.contains(&i), "byte {i} is a weight, yet: {error}");
                assert!(error.hint().is_some(), "{error}");
            }
        }
        bytes[i] ^= flip;
    }
}

#[test]
fn each_truncation_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let bytes = crate::common::write(&folder.path().join("a.mlcc"));
    for len in 0..bytes.len() {
        let error = Artifact::from_bytes(&bytes[..len]).expect_err("cut");
        match error {
            FormatError::Length { actual, .. } => assert_eq!(actual, len as u64),
            FormatError::NotAnArtifact(_) => assert_eq!(len, 0),
            other => panic!("cut to {len}: {other}"),
        }
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(Artifact::from_bytes(&longer), Err(FormatError::Length { .. })));
}

#[test]
fn other_versions_and_other_files_are_told_apart() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.mlcc");
    let mut bytes = crate::common::write(&path);
    bytes[8] += 1;
    let error = Artifact::from_bytes(&bytes).expect_err("newer");
    assert!(matches!(error, FormatError::Version { found, .. } if found == FORMAT_VERSION + 1), "{error}");
    let other = [0x7f, b'E', b'L', b'F'].repeat(100);
    assert!(matches!(Artifact::from_bytes(&other), Err(FormatError::NotAnArtifact(_))));
    assert!(matches!(Artifact::open(folder.path()), Err(FormatError::NotAnArtifact(_))));
    let missing = Artifact::open(folder.path().join("missing")).expect_err("missing");
    assert!(matches!(missing, FormatError::Io { .. }), "{missing}");
}
