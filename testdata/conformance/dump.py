"""Writes the ONNX node tests of the installed onnx package as directories that any runner can read.

    python dump.py OUT_DIR

writes OUT_DIR/node/NAME/model.onnx and OUT_DIR/node/NAME/test_data_set_K/{input,output}_I.pb. A value
is a TensorProto, SequenceProto or OptionalProto, as the model's signature says. Beside them go the
package's own data: OUT_DIR/simple, OUT_DIR/pytorch-operator, OUT_DIR/pytorch-converted, each in the
same form, and the networks of OUT_DIR/light. onnx 1.23.2 holds 1884 node tests (56 MB).
Needs: onnx, numpy, pillow (for ImageDecoder).
"""
import argparse
import pathlib
import shutil
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

PACKAGED = ("simple", "pytorch-operator", "pytorch-converted")


def to_proto(value, info: onnx.ValueInfoProto):
    """The value as the protobuf message that its declared type asks for."""
    kind = info.type.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.from_list([np.asarray(element) for element in value], info.name)
    if kind == "optional_type":
        return numpy_helper.from_optional(value, info.name)
    if isinstance(value, onnx.TensorProto):
        proto = onnx.TensorProto()
        proto.CopyFrom(value)
        proto.name = info.name
        return proto
    return numpy_helper.from_array(np.asarray(value), info.name)


def write_case(case, folder: pathlib.Path) -> None:
    """Writes one test: its model and every set of inputs and expected outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    graph = case.model.graph
    for number, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{number}"
        data.mkdir(exist_ok=True)
        for kind, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            for index, (value, info) in enumerate(zip(values, infos)):
                (data / f"{kind}_{index}.pb").write_bytes(to_proto(value, info).SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the ONNX node tests as test directories.")
    parser.add_argument("out", type=pathlib.Path, metavar="OUT_DIR")
    out = parser.parse_args().out
    # The cases compute their expected values; some do it with overflows that are part of the test.
    warnings.filterwarnings("ignore")
    cases = collect_testcases(None)
    for case in cases:
        write_case(case, out / "node" / case.name)
    data = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
    for group in PACKAGED:
        for folder in sorted(path for path in (data / group).iterdir() if path.is_dir()):
            shutil.copytree(folder, out / group / folder.name, dirs_exist_ok=True)
    (out / "light").mkdir(exist_ok=True)
    for file in sorted((data / "light").iterdir()):
        shutil.copy(file, out / "light")
    print(f"{len(cases)} node tests")


if __name__ == "__main__":
    main()
