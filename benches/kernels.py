"""Times single kernels of mlcc against other inference engines: attention, softmax, layer norm, GELU.

    python kernels.py --mlcc target/release/mlcc [--only attention,gelu-1024,...] [--threads 1,2]
                      [--peers ort,openvino] [--rounds 3] [--seconds 0.5] [--write docs/benchmarks.md]

Makes a model for each kernel, and measures it as compare.py does: all engines in turn in one run, ratios
as medians over the rounds, the error against ONNX Runtime. Kernels whose operands are larger than four
times the last cache are also compared with the memory's bandwidth: bytes read and written per second, as a
share of what a copy of 512 MB in all reaches in the same run, with cached or with non-temporal stores,
whichever is faster, in the median of some rounds (copy.c). `--write` puts the table between the markers in a Markdown file.
"""
import argparse
import math
import pathlib
import subprocess
import sys
import tempfile
import types

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compare import PEERS, Failure, call, measure, peak_flops
from section import processor, write_section

HERE = pathlib.Path(__file__).parent
COPY_MEGABYTES = 256
HEADS, WIDTH = 12, 64


def model(nodes: list, inputs: dict, output: list[int], constants: dict) -> onnx.ModelProto:
    """A model of f32 tensors with one output, y."""
    value = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    graph = helper.make_graph(
        nodes, "kernel", [value(name, dims) for name, dims in inputs.items()], [value("y", output)],
        [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def attention(length: int) -> onnx.ModelProto:
    """Attention as exporters spell it out, without a mask."""
    node, dims = helper.make_node, [1, HEADS, length, WIDTH]
    nodes = [node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]), node("MatMul", ["q", "kt"], ["s"]),
             node("Mul", ["s", "scale"], ["scaled"]), node("Softmax", ["scaled"], ["p"], axis=-1),
             node("MatMul", ["p", "v"], ["y"])]
    return model(nodes, {name: dims for name in "qkv"}, dims, {"scale": 1 / math.sqrt(WIDTH)})


def softmax(rows: int, columns: int) -> onnx.ModelProto:
    return model([helper.make_node("Softmax", ["x"], ["y"], axis=-1)], {"x": [rows, columns]}, [rows, columns], {})


def layer_norm(rows: int, columns: int) -> onnx.ModelProto:
    rng = np.random.default_rng(1)
    node = helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["y"], axis=-1)
    return model([node], {"x": [rows, columns]}, [rows, columns],
                 {"scale": rng.standard_normal(columns), "bias": rng.standard_normal(columns)})


def gelu(elements: int) -> onnx.ModelProto:
    """GELU as exporters spell it out, then a scale."""
    node = helper.make_node
    nodes = [node("Div", ["x", "root"], ["a"]), node("Erf", ["a"], ["b"]), node("Add", ["b", "one"], ["c"]),
             node("Mul", ["x", "c"], ["d"]), node("Mul", ["d", "half"], ["e"]), node("Mul", ["e", "scale"], ["y"])]
    return model(nodes, {"x": [elements]}, [elements],
                 {"root": math.sqrt(2), "one": 1.0, "half": 0.5, "scale": 1.7})


def kernels() -> dict:
    """Every kernel by name: how to make it, and the bytes that it must read and write."""
    rows = lambda m, n: 8 * m * n
    all = {f"attention-{s}": (lambda s=s: attention(s), 16 * HEADS * WIDTH * s) for s in (128, 256, 512, 1024, 2048, 4096)}
    all["softmax-4096x4096"] = (lambda: softmax(4096, 4096), rows(4096, 4096))
    for m, n in [(128, 768), (197, 768), (3136, 96), (4096, 1024), (32768, 1024)]:
        all[f"layer-norm-{m}x{n}"] = (lambda m=m, n=n: layer_norm(m, n), rows(m, n))
    for n in [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24]:
        all[f"gelu-{n}"] = (lambda n=n: gelu(n), 8 * n)
    return all


def copy_bandwidth(threads: int) -> float:
    """Bytes read and written per second by the fastest copy with that many threads."""
    with tempfile.TemporaryDirectory() as folder:
        binary = f"{folder}/copy"
        subprocess.run(["cc", "-O3", "-march=native", "-pthread", f"-DMEGABYTES={COPY_MEGABYTES}",
                        str(HERE / "copy.c"), "-o", binary], check=True)
        return float(subprocess.run([binary, str(threads)], capture_output=True, text=True, check=True).stdout)


def last_cache() -> int:
    """Bytes of the last-level cache."""
    sizes = [path.read_text().strip() for path in pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    unit = {"K": 1 << 10, "M": 1 << 20}
    return max((int(size[:-1]) * unit[size[-1]] for size in sizes), default=32 << 20)


def table(rows: list[dict], bandwidth: dict[int, float], peak: float) -> str:
    """The rows as Markdown."""
    cpu = processor()
    copies = ", ".join(f"{rate / 1e9:.1f} GB/s with {threads} thread{'s' * (threads > 1)}"
                       for threads, rate in bandwidth.items())
    lines = [f"{cpu}; multiply-add peak {peak / 1e9:.0f} GFLOP/s a core, copies {copies}.", "",
             "| Kernel | Threads | mlcc, ms | ORT, ms | OpenVINO, ms | best peer / mlcc | of peak | of bandwidth | relative error |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        ms = row["ms"]
        time = lambda engine: f"{ms[engine]:.4f}" if engine in ms else ""
        of_peak = f"{row['peak_share']:.0%}" if row["peak_share"] else ""
        of_bandwidth = f"{row['bandwidth_share']:.0%}" if row["bandwidth_share"] else ""
        lines.append(f"| {row['model']} | {row['threads']} | {time('mlcc')} | {time('ort')} | {time('openvino')} | "
                     f"{row['ratio']:.2f} | {of_peak} | {of_bandwidth} | {row['relative_error']:.1e} |")
    ratios = [row["ratio"] for row in rows]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return "\n".join([*lines, "", f"Geometric mean {mean:.2f}, worst {min(ratios):.2f}."])


def parse_arguments() -> argparse.Namespace:
    names = lambda text: [name for name in text.split(",") if name]
    parser = argparse.ArgumentParser(description="Times single kernels against other inference engines.")
    parser.add_argument("--mlcc", required=True)
    parser.add_argument("--only", type=names, default=[], help="names or beginnings of names of kernels")
    parser.add_argument("--threads", type=names, default=["1", "2"])
    parser.add_argument("--peers", type=names, default=["ort", "openvino"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--max-error", type=float, default=1e-5, help="a larger relative error fails the kernel")
    parser.add_argument("--write", type=pathlib.Path, help="a Markdown file that receives the table")
    args = parser.parse_args()
    unknown = [peer for peer in args.peers if peer not in PEERS]
    if unknown:
        parser.error(f"unknown peer {', '.join(unknown)}; known: {', '.join(PEERS)}")
    return args


def main() -> None:
    args = parse_arguments()
    chosen = {name: kernel for name, kernel in kernels().items()
              if not args.only or any(name.startswith(only) for only in args.only)}
    threads = [int(count) for count in args.threads]
    peak, large = peak_flops(), 4 * last_cache()
    bandwidth = {count: copy_bandwidth(count) for count in threads}
    rows, failed = [], False
    rng = np.random.default_rng(0)
    for name, (make, size) in chosen.items():
        with tempfile.TemporaryDirectory() as folder:
            path, artifact = pathlib.Path(folder, f"{name}.onnx"), f"{folder}/{name}.mlcc"
            proto = make()
            onnx.save(proto, path)
            (path.parent / name).mkdir()
            for index, value in enumerate(proto.graph.input):
                dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
                np.save(path.parent / name / f"input_{index}.npy", rng.standard_normal(dims, np.float32))
            try:
                call([args.mlcc, "compile", str(path), "--target", "cpu", "-o", artifact])
                settings = types.SimpleNamespace(**{**vars(args), "models": path.parent})
                for count in threads:
                    row = measure(settings, name, path, artifact, count, peak)
                    rate = size / (row["ms"]["mlcc"] * 1e-3)
                    row["bandwidth_share"] = rate / bandwidth[count] if size >= large else None
                    rows.append(row)
                    failed |= row["wrong"]
                    times = "  ".join(f"{engine} {ms:9.4f} ms" for engine, ms in row["ms"].items())
                    share = row["bandwidth_share"]
                    print(f"{name:24} threads {count}  {times}  peak {row['peak_share']:5.1%}"
                          + (f"  bandwidth {share:5.1%}" if share else "")
                          + f"  error {row['relative_error']:.1e}  best peer / mlcc {row['ratio']:.3f}"
                          + ("  WRONG" if row["wrong"] else ""), flush=True)
            except Failure as failure:
                print(f"{name:24} failed: {failure}", flush=True)
                failed = True
    print(", ".join(f"copy with {count} threads {rate / 1e9:.1f} GB/s" for count, rate in bandwidth.items()))
    if args.write and rows:
        write_section(args.write, "kernels", table(rows, bandwidth, peak) + "\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
