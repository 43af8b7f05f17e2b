"""Times matrix products of mlcc against other inference engines, in one run, in turn.

    python gemm.py --mlcc target/release/mlcc [--only square,vit,197x768x3072,...] [--threads 1,2]
                   [--peers ort,openvino] [--rounds 3] [--seconds 0.2] [--write docs/benchmarks.md]

Every shape is an ONNX model of one MatMul: `197x768x3072` is M x K x N with a constant B, `a` at the end
means that B is an input too. In each round every engine runs the model for `--seconds`, one after the other.
Printed per shape and number of threads: GFLOP/s of each engine (GB/s of B for matrix-vector products,
which are bound by memory), the share of the cores' multiply-add peak, the median over the rounds of best
peer / mlcc (above 1 means that mlcc is ahead) and the relative error against numpy in f64. `--write`
puts the table into a Markdown file between the lines `<!-- gemm -->` and `<!-- /gemm -->`. The exit code is 1
if a result was wrong.
"""
import argparse
import json
import math
import pathlib
import statistics
import sys
import tempfile

import numpy as np
import onnx

from compare import Peers, call, peak_flops, relative_error
from section import processor, table, write_section

GROUPS = {
    "square": ["256x256x256", "384x384x384", "512x512x512", "768x768x768", "1024x1024x1024", "1536x1536x1536",
               "2048x2048x2048"],
    "vit": ["197x768x768", "197x768x2304", "197x768x3072", "197x3072x768"],
    "bert": ["128x768x768", "128x768x3072", "128x3072x768"],
    "gpt2": ["64x768x768", "64x768x2304", "64x768x3072", "64x3072x768", "64x768x50257"],
    "mlp": ["3136x96x384", "3136x384x96", "784x192x768", "784x768x192", "196x384x1536", "196x1536x384",
            "49x768x3072", "49x3072x768", "3136x96x288"],
    "head": ["8x768x1000", "8x2048x1000", "8x4096x4096"],
    "vector": ["1x2048x1000", "1x768x3072", "1x4096x4096", "1x768x50257"],
    "odd": ["61x333x555", "197x100x47", "199x1023x1025", "15x4096x1024", "29x512x65"],
    "activations": ["512x512x512a", "1024x1024x1024a", "197x768x197a"],
}
MAX_ERROR = 1e-5


def write_model(folder: pathlib.Path, shape: str) -> list[np.ndarray]:
    """Writes SHAPE.onnx and SHAPE/input_I.npy; returns A and B."""
    m, k, n = map(int, shape.removesuffix("a").split("x"))
    random = np.random.default_rng(m * 31 + k * 7 + n)
    a, b = (random.standard_normal(size, dtype=np.float32) for size in ((m, k), (k, n)))
    tensor = lambda name, size: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, size)
    constant = not shape.endswith("a")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["a", "b"], ["y"])], "gemm",
        [tensor("a", (m, k))] + ([] if constant else [tensor("b", (k, n))]), [tensor("y", (m, n))],
        [onnx.numpy_helper.from_array(b, "b")] if constant else [])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / f"{shape}.onnx")
    (folder / shape).mkdir()
    for index, value in enumerate([a] if constant else [a, b]):
        np.save(folder / shape / f"input_{index}.npy", value)
    return [a, b]


def measure(args, folder: pathlib.Path, shape: str, threads: int, operands: list[np.ndarray]) -> dict:
    """One row: every engine's rate, mlcc's error."""
    m, k, n = map(int, shape.removesuffix("a").split("x"))
    files = sorted((folder / shape).glob("input_*.npy"))
    flags = ["--threads", str(threads), *(flag for file in files for flag in ("--input", str(file)))]
    artifact = str(folder / f"{shape}.mlcc")
    rounds = []
    with Peers(args.peers, folder / f"{shape}.onnx", operands[:len(files)], threads) as peers:
        for _ in range(args.rounds):
            medians = peers.median_times(args.seconds)
            report = call([args.mlcc, "bench", artifact, *flags, "--seconds", str(args.seconds), "--json"])
            rounds.append({**medians, "mlcc": json.loads(report)["median_ms"]})
    call([args.mlcc, "run", artifact, *flags, "--output-dir", str(folder / "out")])
    want = operands[0].astype(np.float64) @ operands[1].astype(np.float64)
    error = relative_error(np.load(folder / "out" / "output_0.npy"), want)
    amount = 4 * k * n if m == 1 else 2 * m * k * n
    rates = {engine: amount / statistics.median(one[engine] for one in rounds) / 1e6 for engine in rounds[0]}
    ratio = math.nan
    if args.peers:
        ratio = statistics.median(min(one[peer] for peer in args.peers) / one["mlcc"] for one in rounds)
    return {"shape": shape, "threads": threads, "rates": rates, "ratio": ratio, "error": error, "vector": m == 1}


def describe(rows: list[dict], peers: list[str], peak: float) -> str:
    """The rows as a Markdown table."""
    names = {"ort": "ONNX Runtime", "openvino": "OpenVINO"}
    head = ["M x K x N", "Threads", "mlcc", "of peak", *(names[peer] for peer in peers), "best peer / mlcc", "error"]
    lines = []
    for row in rows:
        rate = lambda engine: f"{row['rates'][engine]:.1f}" + (" GB/s" if row["vector"] else "")
        share = "" if row["vector"] else f"{row['rates']['mlcc'] * 1e9 / peak / row['threads']:.0%}"
        shape = row["shape"].removesuffix("a") + (", B an input" if row["shape"].endswith("a") else "")
        lines.append([shape, str(row["threads"]), rate("mlcc"), share, *map(rate, peers), f"{row['ratio']:.2f}",
                      f"{row['error']:.1e}"])
    return table(head, lines)


def parse_arguments() -> argparse.Namespace:
    names = lambda text: [name for name in text.split(",") if name]
    parser = argparse.ArgumentParser(description="Times matrix products against other inference engines.")
    parser.add_argument("--mlcc", required=True)
    parser.add_argument("--only", type=names, default=list(GROUPS), help="groups or shapes; all groups by default")
    parser.add_argument("--threads", type=names, default=["1", "2"])
    parser.add_argument("--peers", type=names, default=["ort", "openvino"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--write", type=pathlib.Path, help="Markdown file with the markers")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    peak = peak_flops()
    print(f"one core's multiply-add peak: {peak / 1e9:.0f} GFLOP/s", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for shape in [shape for name in args.only for shape in GROUPS.get(name, [name])]:
            operands = write_model(folder, shape)
            call([args.mlcc, "compile", str(folder / f"{shape}.onnx"), "--target", "cpu",
                  "-o", str(folder / f"{shape}.mlcc")])
            for threads in map(int, args.threads):
                rows.append(measure(args, folder, shape, threads, operands))
                rates = "  ".join(f"{engine} {rate:7.1f}" for engine, rate in rows[-1]["rates"].items())
                share = rows[-1]["rates"]["mlcc"] * 1e9 / peak / threads
                print(f"{shape:18} threads {threads}  {rates}  " + ("GB/s       " if rows[-1]["vector"] else f"peak {share:5.1%}")
                      + f"  best peer / mlcc {rows[-1]['ratio']:.3f}  error {rows[-1]['error']:.1e}", flush=True)
    wrong = [row["shape"] for row in rows if not row["error"] <= MAX_ERROR]
    summary = ""
    if args.peers:
        ratios = [row["ratio"] for row in rows]
        summary = f"Geometric mean {math.exp(statistics.fmean(map(math.log, ratios))):.3f}, worst {min(ratios):.3f}."
    print(summary + (f" Wrong: {', '.join(wrong)}." if wrong else ""))
    if args.write:
        write_section(args.write, "gemm",
                      f"{processor()}; multiply-add peak {peak / 1e9:.0f} GFLOP/s a core. Rates are GFLOP/s, of "
                      f"matrix-vector products GB/s of B; {args.rounds} rounds of {args.seconds:g} s.\n\n"
                      f"{describe(rows, args.peers, peak)}" + (f"\n{summary}\n" if summary else ""))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
