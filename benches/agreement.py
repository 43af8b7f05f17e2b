"""Compares the time that `mlcc bench` prints with the wall time of the process, measured from outside.

    python agreement.py --mlcc target/release/mlcc [MODEL.onnx ...] [--models DIR] [--threads 1] [--rounds 5]
                        [--seconds 0.5] [--write docs/benchmarks.md]

A process that makes 2N runs and one that makes N differ by N runs: loading, the first run and the process itself
cancel out. In every round `mlcc bench ARTIFACT --runs N` and `--runs 2N` run one after the other, in an order that
changes from round to round, with N runs for about `--seconds`. Printed per model and number of threads, as medians
over the rounds: (wall(2N) - wall(N)) / N; the same from what bench said, its mean times its runs, which is what the
wall has to agree with on a busy machine, too; the median that bench printed, which leaves out disturbed runs; and
the ratios of the first to the other two. Without models a convolution and a matrix product made here
are timed; models given as paths, and all of the folder given with `--models`, come on top. `--write` puts the
table into a Markdown file between the lines `<!-- agreement -->` and `<!-- /agreement -->`.
"""
import argparse
import json
import math
import pathlib
import statistics
import tempfile
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compare import call
from section import processor, table, write_section

HEAD = ["Model", "Threads", "N", "a run by the wall, ms", "by bench's mean, ms", "by bench's median, ms", "wall / mean",
        "wall / median"]


def write_model(path: pathlib.Path, operation: str, data: list[int], weights: list[int], out: list[int], **attributes) -> None:
    """Writes a model of one operation of an input and weights."""
    value = np.random.default_rng(0).standard_normal(weights, dtype=np.float32)
    tensor = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    graph = helper.make_graph([helper.make_node(operation, ["x", "w"], ["y"], **attributes)], path.stem,
                              [tensor("x", data)], [tensor("y", out)], [numpy_helper.from_array(value, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def own_models(folder: pathlib.Path) -> list[pathlib.Path]:
    """A convolution and a matrix product."""
    convolution, product = folder / "convolution_64x56x56.onnx", folder / "matmul_512x512x512.onnx"
    write_model(convolution, "Conv", [1, 64, 56, 56], [64, 64, 3, 3], [1, 64, 56, 56], pads=[1, 1, 1, 1])
    write_model(product, "MatMul", [512, 512], [512, 512], [512, 512])
    return [convolution, product]


def timed(command: list[str]) -> tuple[float, dict]:
    """Milliseconds that the process took, and its report."""
    start = time.perf_counter()
    report = call(command)
    return (time.perf_counter() - start) * 1e3, json.loads(report)


def measure(args, artifact: str, inputs: list[pathlib.Path], threads: int) -> dict:
    """One row: the time of a run by the wall and by bench, in milliseconds, and the ratios."""
    command = [args.mlcc, "bench", artifact, "--json", "--threads", str(threads)]
    command += [flag for path in inputs for flag in ("--input", str(path))]
    count = max(1, math.ceil(args.seconds * 1e3 / timed([*command, "--runs", "9"])[1]["median_ms"]))
    rounds = []
    for index in range(args.rounds):
        wall, total, medians = {}, {}, []
        for runs in [count, 2 * count] if index % 2 == 0 else [2 * count, count]:
            wall[runs], report = timed([*command, "--runs", str(runs)])
            if report["runs"] != runs:
                raise SystemExit(f"asked for {runs} runs, `mlcc bench` reports {report['runs']}")
            total[runs] = report["mean_ms"] * runs
            medians.append(report["median_ms"])
        difference = lambda of: (of[2 * count] - of[count]) / count
        one = {"wall": difference(wall), "mean": difference(total), "median": statistics.median(medians)}
        rounds.append({**one, "wall / mean": one["wall"] / one["mean"], "wall / median": one["wall"] / one["median"]})
    return {"runs": count, **{key: statistics.median(one[key] for one in rounds) for key in rounds[0]}}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares what `mlcc bench` says with the wall time of processes.")
    parser.add_argument("--mlcc", required=True)
    parser.add_argument("models_given", nargs="*", type=pathlib.Path, metavar="MODEL.onnx")
    parser.add_argument("--models", type=pathlib.Path, help="a folder of models, with NAME/input_I.npy where it has them")
    parser.add_argument("--threads", type=lambda text: [int(count) for count in text.split(",")], default=[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long N runs take")
    parser.add_argument("--write", type=pathlib.Path, help="Markdown file with the markers")
    args = parser.parse_args()
    if args.rounds < 1 or args.seconds <= 0:
        parser.error("--rounds must be at least 1, --seconds above 0")
    return args


def main() -> None:
    args = parse_arguments()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        in_folder = sorted(args.models.glob("*.onnx")) if args.models else []
        for path in [*own_models(folder), *args.models_given, *in_folder]:
            artifact = str(folder / f"{path.stem}.mlcc")
            call([args.mlcc, "compile", str(path), "--target", "cpu", "-o", artifact])
            inputs = sorted(path.with_suffix("").glob("input_*.npy"))
            for threads in args.threads:
                row = measure(args, artifact, inputs, threads)
                times = [f"{row[key]:.3f}" for key in ("wall", "mean", "median", "wall / mean", "wall / median")]
                rows.append([path.stem, str(threads), str(row["runs"]), *times])
                print("  ".join(f"{name} {value}" for name, value in zip(HEAD, rows[-1])), flush=True)
    if args.write:
        write_section(args.write, "agreement",
                      f"{processor()}; medians over {args.rounds} rounds, N runs take about {args.seconds:g} s.\n\n"
                      + table(HEAD, rows))


if __name__ == "__main__":
    main()
