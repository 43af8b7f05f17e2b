"""Turns the weightless networks of this folder into ordinary ONNX files with example inputs.

    python materialize.py OUT_DIR [--from FOLDER] [NAME ...]

writes OUT_DIR/NAME.onnx and OUT_DIR/NAME/input_I.npy for each NAME of FOLDER (this one by default;
batch8/, dynamic/ and algebra/ are the other sets). README.md says where the networks come from and
what a recipe is. Every run writes the same bytes. Needs: numpy, onnx.
"""
import argparse
import math
import pathlib
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent

# Variance kept by a convolution followed by its activation, as in He initialisation.
CONVOLUTION_GAIN = 1.8
# Spread of a matrix whose public definition starts it at zero, such as a classifier's head.
HEAD_DEVIATION = 0.02


def normal_parameters(shape: tuple[int, ...], mean: float, deviation: float) -> tuple[float, float]:
    """The mean and deviation that a normal recipe really uses, given the tensor's role."""
    if len(shape) == 4 and min(shape[:2]) >= 1 and deviation:  # a convolution's filter
        return 0.0, (CONVOLUTION_GAIN / np.prod(shape[1:])) ** 0.5
    if len(shape) == 2 and not deviation and not mean:
        return mean, HEAD_DEVIATION
    return mean, deviation


def fill(tensor: TensorProto) -> None:
    """Replaces a tensor's recipe by the numbers it describes; a tensor without one stays as it is."""
    recipe = {entry.key: entry.value for entry in tensor.external_data}
    if "fill" not in recipe:
        return
    name, shape = tensor.name, tuple(tensor.dims)
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    if recipe["fill"] == "uniform":
        values = generator.uniform(float(recipe["low"]), float(recipe["high"]), shape)
    elif recipe["fill"] == "normal":
        mean, deviation = normal_parameters(shape, float(recipe["mean"]), float(recipe["std"]))
        values = generator.standard_normal(shape, dtype=np.float32) * deviation + mean
    else:
        raise SystemExit(f"{name}: unknown recipe fill={recipe['fill']}")
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    tensor.CopyFrom(numpy_helper.from_array(values.astype(dtype), name))


def example_input(value: onnx.ValueInfoProto, generator: np.random.Generator) -> np.ndarray:
    """An input of the declared shape (symbols count as 1): normal floats, token numbers, or a padded mask."""
    kind = value.type.tensor_type
    shape = [dim.dim_value or 1 for dim in kind.shape.dim]
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(shape).astype(dtype)
    if "mask" in value.name:
        mask = np.ones(shape, dtype)
        mask[..., shape[-1] - shape[-1] // 5:] = 0
        return mask
    return generator.integers(0, 1000, shape).astype(dtype)


def materialize(source: pathlib.Path, out: pathlib.Path, name: str) -> None:
    """Writes one network and its inputs."""
    model = onnx.ModelProto()
    model.ParseFromString((source / f"{name}.onnx").read_bytes())
    for tensor in model.graph.initializer:
        fill(tensor)
    (out / f"{name}.onnx").write_bytes(model.SerializeToString())
    folder = out / name
    folder.mkdir(exist_ok=True)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    generator = np.random.default_rng(0)
    for index, value in enumerate(inputs):
        np.save(folder / f"input_{index}.npy", example_input(value, generator))
    parameters = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    print(f"{name}: {len(model.graph.node)} nodes, {parameters / 1e6:.1f} M parameters", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Turns the zoo's recipes into ordinary ONNX files.")
    parser.add_argument("out", type=pathlib.Path, metavar="OUT_DIR")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all of the folder's by default")
    parser.add_argument("--from", dest="source", type=pathlib.Path, default=HERE, metavar="FOLDER")
    args = parser.parse_intermixed_args()
    known = sorted(path.stem for path in args.source.glob("*.onnx"))
    unknown = [name for name in args.names if name not in known]
    if unknown or not known:
        raise SystemExit(f"{args.source} holds no {', '.join(unknown) or 'network'}; it holds: {', '.join(known)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or known:
        materialize(args.source, args.out, name)


if __name__ == "__main__":
    main()
