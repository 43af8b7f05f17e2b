"""Networks with symbolic dimensions at sizes that people run them at, for benches/compare.py.

    python at_sizes.py MODELS OUT_DIR

MODELS holds resnet18_dynamic.onnx and bert_small_dynamic.onnx as materialize.py wrote them. For every size a copy of the
network, OUT_DIR/NAME_SIZE.onnx, and inputs of that size, OUT_DIR/NAME_SIZE/input_I.npy. The copy is as symbolic as
before, so that engines are timed on one compilation for all sizes, but for `resnet18_batch`, whose images have a fixed
height and width and whose batch alone is a symbol: the commonest export. Needs: numpy, onnx.
"""
import pathlib
import sys

import numpy as np
import onnx

# Name, source, which of the first input's dimensions are fixed, sizes.
NETWORKS = [
    ("resnet18", "resnet18_dynamic", [], [(1, 224, 224), (1, 160, 288), (3, 224, 224), (8, 128, 128), (1, 480, 640)]),
    ("resnet18_batch", "resnet18_dynamic", [2, 3], [(1, 224, 224), (4, 224, 224), (8, 224, 224)]),
    ("bert_small", "bert_small_dynamic", [], [(1, 16), (1, 128), (8, 32), (4, 77), (1, 384)]),
]


def inputs(model: onnx.ModelProto, size: tuple[int, ...]) -> list[np.ndarray]:
    """Images, or token numbers and a mask that leaves out the end of every other row."""
    generator = np.random.default_rng(0)
    if len(size) == 3:
        batch, height, width = size
        return [generator.standard_normal((batch, 3, height, width), dtype=np.float32)]
    batch, length = size
    mask = np.ones(size, np.int64)
    mask[1::2, length - length // 4 :] = 0
    return [generator.integers(0, 1000, size), mask][: len(model.graph.input)]


def main() -> None:
    models, out = map(pathlib.Path, sys.argv[1:3])
    for name, source, fixed, sizes in NETWORKS:
        for size in sizes:
            model = onnx.load(models / f"{source}.onnx")
            arrays = inputs(model, size)
            if fixed:
                for axis in fixed:
                    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = arrays[0].shape[axis]
                del model.graph.value_info[:]
            target = out / f"{name}_{'x'.join(map(str, size))}"
            target.mkdir(parents=True, exist_ok=True)
            for index, array in enumerate(arrays):
                np.save(target / f"input_{index}.npy", array)
            onnx.save(model, f"{target}.onnx")


if __name__ == "__main__":
    main()
