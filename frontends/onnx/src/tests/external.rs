//! External data: found beneath the model's folder, refused elsewhere.

use super::models::{FLOAT, float_weight, model};
use crate::{
    ImportOptions, import,
    proto::{GraphProto, StringStringEntryProto, TensorProto, ValueInfoProto},
};
use mlcc_ir::tensor::Tensor;
use prost::Message;
use std::{fs, os::unix::fs::symlink, path::Path};

/// Imports a model in `folder` whose only weight has these entries.
fn weight(folder: &Path, entries: &[(&str, &str)]) -> Result<Tensor, String> {
    let entry =
        |(key, value): &(&str, &str)| StringStringEntryProto { key: (*key).into(), value: (*value).into() };
    let weight = TensorProto {
        raw_data: None,
        external_data: entries.iter().map(entry).collect(),
        data_location: 1,
        ..float_weight("w", &[2], &[])
    };
    assert_eq!(weight.data_type, FLOAT);
    let graph = GraphProto {
        initializer: vec![weight],
        output: vec![ValueInfoProto { name: "w".into(), ty: None }],
        ..GraphProto::default()
    };
    let path = folder.join("model.onnx");
    fs::write(&path, model(18, graph).encode_to_vec()).unwrap();
    match import(&path, &ImportOptions::default()) {
        Ok(imported) => Ok(imported.graph.constant(imported.graph.outputs[0].1).unwrap().clone()),
        Err(diagnostics) => Err(diagnostics[0].message.clone()),
    }
}

#[test]
fn weights_come_from_files_beneath_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data: Vec<u8> = [0.0f32, 1.5, -2.0, 9.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/w.bin"), data).unwrap();
    let entries = [("location", "./data/w.bin"), ("offset", "4"), ("length", "8"), ("checksum", "?")];
    assert_eq!(weight(folder.path(), &entries).unwrap().to_f64(), [1.5, -2.0]);
    let no_length = [("location", "data/w.bin")];
    assert_eq!(weight(folder.path(), &no_length).unwrap().to_f64(), [0.0, 1.5]);
}

#[test]
fn sizes_are_checked_against_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.bin"), [0; 16]).unwrap();
    let failure = |entries: &[(&str, &str)]| weight(folder.path(), entries).unwrap_err();
    let file = ("location", "w.bin");
    let beyond = failure(&[file, ("offset", "12")]);
    assert!(beyond.contains("beyond the end of 'w.bin' (16 bytes)"), "{beyond}");
    let overflow = failure(&[file, ("offset", "18446744073709551615")]);
    assert!(overflow.contains("beyond the end"), "{overflow}");
    let length = failure(&[file, ("length", "4")]);
    assert_eq!(length, "tensor 'w' needs 8 bytes but its external data's length is 4");
    assert!(failure(&[file, ("offset", "-4")]).contains("is not a size"));
    assert!(failure(&[("offset", "0")]).contains("without the key 'location'"));
    assert!(failure(&[("location", "v.bin")]).contains("is missing in"));
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("w.bin"), [0; 8]).unwrap();
    let inner = outside.path().join("model");
    fs::create_dir(&inner).unwrap();
    symlink(outside.path().join("w.bin"), inner.join("link.bin")).unwrap();
    symlink(outside.path(), inner.join("links")).unwrap();
    fs::write(inner.join("own.bin"), [0; 8]).unwrap();
    symlink(inner.join("own.bin"), inner.join("alias.bin")).unwrap();
    fs::create_dir(inner.join("folder")).unwrap();
    let failure = |location: &str| weight(&inner, &[("location", location)]).unwrap_err();
    let absolute = outside.path().join("w.bin");
    assert!(failure(absolute.to_str().unwrap()).contains("has an absolute path"));
    assert!(failure("../w.bin").contains("leads out of the model's folder"));
    assert!(failure("folder/../../w.bin").contains("leads out of the model's folder"));
    for link in ["link.bin", "links/w.bin", "alias.bin"] {
        assert!(failure(link).contains("is behind a symbolic link"), "{link}");
    }
    assert!(failure("folder").contains("is not a regular file"));
    assert!(failure("").contains("names no file"));
    assert!(failure("own.bin/x").contains("not a file"));
}
