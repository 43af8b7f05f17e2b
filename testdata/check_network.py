"""Compares mlcc with ONNX Runtime on one network.

    python check_network.py MLCC_BINARY MODEL.onnx [--threads 1,2] [--samples 3] [--max-error 1e-5]
                            [--shapes batch=2,height=97,width=131]... [--compile-only]

The model is compiled once. Each sample is a set of random inputs, seeded by its number; a model with
symbolic dimensions runs one sample at each of three odd shapes (or at those given by --shapes, one
flag per shape), all from the one artifact. The error of an output is that of its norm:
|got - want| / |want| in float64, and a case's is its worst output's; dtype and shape must be equal.
One line per case, then `N passed, N failed`; the exit code is 1 if a case failed.
Needs: numpy, onnxruntime.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

DTYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(int8)": np.int8, "tensor(int16)": np.int16, "tensor(int32)": np.int32, "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8, "tensor(uint16)": np.uint16, "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64, "tensor(bool)": np.bool_,
}

# Sizes that a symbolic dimension takes by default, by its name: odd, unequal, no multiple of a vector.
ODD_SIZES = {"batch": (1, 3, 2), "height": (97, 131, 225), "width": (131, 97, 193), "sequence": (7, 33, 77)}
OTHER_SIZES = (3, 5, 9)

# A process that takes longer than this hangs.
TIMEOUT_SECONDS = 600


class Failure(Exception):
    """A case that did not run to its end."""


def call(command: list[str]) -> None:
    """Runs mlcc; a failure carries the end of what it wrote."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure(f"`{command[1]}` still ran after {TIMEOUT_SECONDS} s") from None
    if done.returncode:
        tail = "\n    ".join(done.stderr.strip().splitlines()[-12:])
        raise Failure(f"`{' '.join(command)}` exited with {done.returncode}\n    {tail}")


def default_bindings(inputs) -> list[dict[str, int]]:
    """Three sizes for each symbol of the inputs; a single empty binding for a model without symbols."""
    symbols = sorted({dim for value in inputs for dim in value.shape if not isinstance(dim, int)}, key=str)
    if not symbols:
        return [{}]
    return [{symbol: ODD_SIZES.get(symbol, OTHER_SIZES)[k] for symbol in symbols} for k in range(3)]


def parse_bindings(text: str) -> dict[str, int]:
    """`batch=2,height=97` as a dictionary."""
    try:
        pairs = [part.split("=", 1) for part in text.split(",")]
        return {name: int(size) for name, size in pairs}
    except ValueError:
        raise SystemExit(f"--shapes {text}: expected SYMBOL=SIZE,SYMBOL=SIZE") from None


def padded_mask(shape: list[int], dtype, sample: int) -> np.ndarray:
    """Ones, then zeros: each row of each sample pads another part, and none is all padding."""
    mask = np.ones(shape, dtype)
    length = shape[-1]
    for row, values in enumerate(mask.reshape(-1, length)):
        padding = length * (1 + (sample + row) % 3) // 5
        values[length - min(padding, length - 1):] = 0
    return mask


def random_input(value, binding: dict[str, int], sample: int, generator: np.random.Generator) -> np.ndarray:
    """An input of a sample: normal floats, token numbers, bits, or a mask with padding in it."""
    missing = [dim for dim in value.shape if not isinstance(dim, int) and dim not in binding]
    if missing:
        raise SystemExit(f"input {value.name}: no size given for {', '.join(map(str, missing))}")
    if value.type not in DTYPES:
        raise SystemExit(f"input {value.name}: {value.type} is not known here")
    shape = [dim if isinstance(dim, int) else binding[dim] for dim in value.shape]
    dtype = np.dtype(DTYPES[value.type])
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(shape).astype(dtype)
    if "mask" in value.name:
        return padded_mask(shape, dtype, sample)
    high = 2 if dtype == np.bool_ else min(1000, np.iinfo(dtype).max)
    return generator.integers(0, high, shape).astype(dtype)


def relative_error(got: np.ndarray, want: np.ndarray, name: str) -> float:
    """The norm of the difference over the norm of the reference."""
    if got.dtype != want.dtype or got.shape != want.shape:
        raise Failure(f"output {name} is {got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}")
    got, want = got.astype(np.float64), want.astype(np.float64)
    return float(np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-300))


def run_case(mlcc: str, artifact: pathlib.Path, files: list[pathlib.Path], want, names, threads: int) -> float:
    """Runs the artifact once; the worst error over its outputs."""
    with tempfile.TemporaryDirectory() as out:
        flags = [flag for file in files for flag in ("--input", str(file))]
        call([mlcc, "run", str(artifact), "--threads", str(threads), *flags, "--output-dir", out])
        errors = []
        for index, (reference, name) in enumerate(zip(want, names)):
            file = pathlib.Path(out, f"output_{index}.npy")
            if not file.exists():
                raise Failure(f"`run` wrote no {file.name}")
            errors.append(relative_error(np.load(file), reference, name))
        # max() would drop a NaN that does not come first.
        return float(np.max(errors))


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares mlcc with ONNX Runtime on one network.")
    parser.add_argument("mlcc")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--samples", type=int, help="random inputs per shape; 3, or 1 where the shapes vary")
    parser.add_argument("--max-error", type=float, default=1e-5)
    parser.add_argument("--compile-only", action="store_true", help="this machine cannot run the code")
    parser.add_argument("--shapes", action="append", type=parse_bindings, metavar="SYMBOL=SIZE,...")
    args = parser.parse_args()
    threads = [int(count) for count in args.threads.split(",")]

    session = onnxruntime.InferenceSession(str(args.model), providers=["CPUExecutionProvider"])
    inputs, names = session.get_inputs(), [value.name for value in session.get_outputs()]
    bindings = args.shapes or default_bindings(inputs)
    samples = args.samples or (3 if len(bindings) == 1 else 1)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        artifact = pathlib.Path(folder, "model.mlcc")
        start = time.perf_counter()
        try:
            call([args.mlcc, "compile", str(args.model), "-o", str(artifact)])
        except Failure as failure:
            print(f"{args.model.stem}: FAILED {failure}\n0 passed, {len(bindings) * samples * len(threads)} failed")
            sys.exit(1)
        print(f"{args.model.stem}: compiled in {time.perf_counter() - start:.2f} s", flush=True)
        if args.compile_only:
            print("compiled only")
            return
        for number, (binding, sample) in enumerate((b, s) for b in bindings for s in range(samples)):
            generator = np.random.default_rng(number)
            values = [random_input(value, binding, sample, generator) for value in inputs]
            files = [pathlib.Path(folder, f"input_{index}.npy") for index in range(len(values))]
            for file, value in zip(files, values):
                np.save(file, value)
            want = session.run(None, {info.name: value for info, value in zip(inputs, values)})
            shape = "".join(f" {symbol}={size}" for symbol, size in binding.items())
            for count in threads:
                label = f"{args.model.stem:24}{shape}  sample {sample}  threads {count}"
                try:
                    error = run_case(args.mlcc, artifact, files, want, names, count)
                    right = error <= args.max_error
                    print(f"{label}  error {error:.1e}  {'ok' if right else 'WRONG'}", flush=True)
                except Failure as failure:
                    right = False
                    print(f"{label}  FAILED {failure}", flush=True)
                passed, failed = passed + right, failed + (not right)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
