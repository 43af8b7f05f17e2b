"""Compiles networks for another CPU, runs them by a given program, compares with ONNX Runtime.

    python check_emulated.py MLCC_BINARY --target-cpu CPU --runner 'EMULATOR ... run_raw' MODEL.onnx...
                             [--threads 2] [--max-error 1e-5]

The runner is the runtime's example `run_raw`, in an emulator where it is not for this machine; it is
called with an artifact, a number of threads, a folder and inputs. One line per network, then
`N passed, N failed`; the exit code is 1 if one failed. Needs: numpy, onnxruntime.
"""
import argparse
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

from check_network import Failure, TIMEOUT_SECONDS, call, random_input, relative_error

# QEMU loads whole vectors where x86 loads the lanes under a mask, and stops at a page that does not exist. So
# the C library is to take all memory from one heap, with much of it at the end.
ENVIRONMENT = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TOP_PAD_": str(64 << 20)}

NAMES = {
    "float32": "f32", "float64": "f64", "float16": "f16", "int8": "i8", "int16": "i16", "int32": "i32",
    "int64": "i64", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64", "bool": "bool",
}


def form(array: np.ndarray) -> str:
    """Shape and type as run_raw reads and prints them: 1x3x224x224xf32."""
    return "x".join([*map(str, array.shape), NAMES[array.dtype.name]])


def run_raw(runner: list[str], artifact: pathlib.Path, threads: int, values, want) -> float:
    """Runs the artifact once; the worst error over its outputs."""
    with tempfile.TemporaryDirectory() as name:
        folder, inputs = pathlib.Path(name), []
        for index, value in enumerate(values):
            file = folder / f"input_{index}.bin"
            np.ascontiguousarray(value).tofile(file)
            inputs.append(f"{form(value)}={file}")
        command = [*runner, str(artifact), str(threads), str(folder), *inputs]
        try:
            done = subprocess.run(
                command, env=ENVIRONMENT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise Failure(f"it still ran after {TIMEOUT_SECONDS} s") from None
        if done.returncode:
            raise Failure(f"`{shlex.join(command)}` exited with {done.returncode}\n    {done.stderr.strip()[-1000:]}")
        forms = done.stdout.split()
        if forms != [form(reference) for reference in want]:
            raise Failure(f"the outputs are {forms}, expected {[form(reference) for reference in want]}")
        errors = []
        for index, reference in enumerate(want):
            got = np.fromfile(folder / f"output_{index}.bin", reference.dtype).reshape(reference.shape)
            errors.append(relative_error(got, reference, str(index)))
        # max() would drop a NaN that does not come first.
        return float(np.max(errors))


def check(args, model: pathlib.Path, runner: list[str]) -> str:
    """Compiles and runs one network; what to say about it."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    values = [random_input(value, {}, 0, generator) for value in session.get_inputs()]
    want = session.run(None, {info.name: value for info, value in zip(session.get_inputs(), values)})
    with tempfile.TemporaryDirectory() as folder:
        artifact = pathlib.Path(folder, "model.mlcc")
        start = time.perf_counter()
        call([args.mlcc, "compile", str(model), "--target-cpu", args.target_cpu, "-o", str(artifact)])
        compiled = time.perf_counter()
        error = run_raw(runner, artifact, args.threads, values, want)
        ran = time.perf_counter()
    if not error <= args.max_error:
        raise Failure(f"error {error:.1e}")
    return f"error {error:.1e}  compiled in {compiled - start:.1f} s, ran in {ran - compiled:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description="Checks networks on another CPU, emulated.")
    parser.add_argument("mlcc")
    parser.add_argument("models", type=pathlib.Path, nargs="+")
    parser.add_argument("--target-cpu", required=True)
    parser.add_argument("--runner", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-error", type=float, default=1e-5)
    args = parser.parse_args()
    runner = shlex.split(args.runner)
    failed = 0
    for model in args.models:
        label = f"{model.stem:24}{args.target_cpu:14}"
        try:
            print(f"{label}{check(args, model, runner)}", flush=True)
        except Failure as failure:
            failed += 1
            print(f"{label}FAILED {failure}", flush=True)
    print(f"{len(args.models) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
