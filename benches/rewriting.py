"""Times graphs compiled with rewriting against the same graphs without, in one run, in turn.

    python rewriting.py --mlcc target/release/mlcc [--only seed,merges,norm,chain,algebra,networks,...] [--threads 1]
                        [--models DIR] [--rounds 5] [--seconds 0.2] [--write docs/benchmarks.md]

    seed      A@B + A@C at 256, 1024 and 2048, all inputs; beside them ONNX Runtime's single product A@B
    merges    attention's three projections (BERT base) and a gated feed-forward part (LLaMA's proportions), with 1,
              16 and 128 tokens
    norm      convolution, batch norm, ReLU
    chain     three 1000x1000 matrices and a vector, multiplied from the left: 667 times the multiply-adds that it
              takes from the right
    algebra   the graphs of testdata/zoo/algebra
    networks  the networks of testdata/zoo

Names of single graphs serve, too. DIR holds NAME.onnx and NAME/input_I.npy of the last two, as `cargo xtask zoo` writes
them. In each round ONNX Runtime and both artifacts run, one after the other. Printed per graph: milliseconds as
medians over the rounds, off / on as the median of the rounds' ratios, multiply-adds times two in the kernels of both
(as `mlcc bench --profile` counts them), the rules that were used, and the relative errors of both against ONNX
Runtime. `--write` puts the tables into a Markdown file between the lines `<!-- rewriting -->` and
`<!-- /rewriting -->`. The exit code is 1 if a result was wrong.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compare import Peers, call, relative_error
from section import processor, table, write_section

GROUPS = {
    "seed": ["seed_256", "seed_1024", "seed_2048"],
    "merges": ["qkv_1", "qkv_16", "qkv_128", "gate_up_1", "gate_up_16", "gate_up_128"],
    "norm": ["conv_bn"],
    "chain": ["chain_1000"],
    "algebra": ["distributed_sums", "gate_up_mlp", "lora", "matrix_chain", "parallel_convolutions", "repvgg_branches",
                "scales_and_transposes", "separate_qkv_s16"],
    "networks": ["bert_base_s128", "convnext_tiny", "densenet121", "efficientnet_b0", "gpt2_s64", "mobilenet_v2",
                 "regnet_y_400mf", "resnet50", "shufflenet_v2_x1_0", "squeezenet1_1", "swin_t", "vit_b_16"],
}
TITLES = {"seed": "A@B + A@C", "merges": "Products of one operand", "norm": "Convolution and batch norm",
          "chain": "A chain of matrices", "algebra": "Graphs with redundancy", "networks": "Networks"}
# `off` is as it was written, so both are compared with ONNX Runtime, whose own error is of this order.
MAX_ERROR = 1e-5


class Graph:
    """A model under construction."""

    def __init__(self):
        self.random = np.random.default_rng(3)
        self.nodes, self.inputs, self.weights, self.values = [], [], [], []

    def input(self, name: str, *size: int) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, size))
        self.values.append(self.random.standard_normal(size, dtype=np.float32))
        return name

    def weight(self, *size: int, around: float = 0.0) -> str:
        """Weights that keep the size of what they are multiplied with."""
        value = self.random.standard_normal(size, dtype=np.float32) / np.sqrt(np.prod(size[:-1]) or 1) + around
        self.weights.append(numpy_helper.from_array(value.astype(np.float32), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def op(self, kind: str, *operands: str, **attributes) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, operands, [name], name=name, **attributes))
        return name

    def save(self, folder: pathlib.Path, name: str, output: str) -> None:
        result = helper.make_empty_tensor_value_info(output)
        graph = helper.make_graph(self.nodes, name, self.inputs, [result], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(onnx.shape_inference.infer_shapes(model), folder / f"{name}.onnx")
        (folder / name).mkdir(exist_ok=True)
        for at, value in enumerate(self.values):
            np.save(folder / name / f"input_{at}.npy", value)


def seed(folder: pathlib.Path, name: str, size: int) -> None:
    """A@B + A@C, and the single product beside it."""
    for single in (False, True):
        g = Graph()
        a, b = g.input("a", size, size), g.input("b", size, size)
        out = g.op("MatMul", a, b)
        if not single:
            out = g.op("Add", out, g.op("MatMul", a, g.input("c", size, size)))
        g.save(folder, f"{name}_single" if single else name, out)


def qkv(folder: pathlib.Path, name: str, tokens: int) -> None:
    """Attention of BERT base: twelve heads of 64."""
    g = Graph()
    x, heads = g.input("x", tokens, 768), []
    shape = numpy_helper.from_array(np.array([tokens, 12, 64]), "heads")
    g.weights.append(shape)
    for perm in ([1, 0, 2], [1, 2, 0], [1, 0, 2]):
        projected = g.op("Add", g.op("MatMul", x, g.weight(768, 768)), g.weight(768))
        heads.append(g.op("Transpose", g.op("Reshape", projected, shape.name), perm=perm))
    g.weights.append(numpy_helper.from_array(np.float32(0.125), "scale"))
    scores = g.op("Softmax", g.op("Mul", g.op("MatMul", heads[0], heads[1]), "scale"), axis=-1)
    g.save(folder, name, g.op("MatMul", scores, heads[2]))


def gate_up(folder: pathlib.Path, name: str, tokens: int) -> None:
    """The feed-forward part of a small LLaMA."""
    g = Graph()
    x = g.input("x", tokens, 1024)
    gate, up = (g.op("MatMul", x, g.weight(1024, 2816)) for _ in range(2))
    gated = g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)
    g.save(folder, name, g.op("MatMul", gated, g.weight(2816, 1024)))


def conv_bn(folder: pathlib.Path, name: str, _: int) -> None:
    """A layer of ResNet-50 as it was trained."""
    g = Graph()
    y = g.op("Conv", g.input("x", 1, 64, 56, 56), g.weight(64, 64, 3, 3), pads=[1, 1, 1, 1])
    scale, bias, mean = g.weight(64, around=1.0), g.weight(64), g.weight(64)
    g.weights.append(numpy_helper.from_array(g.random.uniform(0.5, 2.0, 64).astype(np.float32), "variance"))
    g.save(folder, name, g.op("Relu", g.op("BatchNormalization", y, scale, bias, mean, "variance")))


def chain(folder: pathlib.Path, name: str, size: int) -> None:
    """((A B) C) v."""
    g = Graph()
    a, b, c = (g.input(n, size, size) for n in "abc")
    g.save(folder, name, g.op("MatMul", g.op("MatMul", g.op("MatMul", a, b), c), g.input("v", size, 1)))


MAKERS = {"seed": seed, "qkv": qkv, "gate_up": gate_up, "conv": conv_bn, "chain": chain}


def make(folder: pathlib.Path, name: str) -> bool:
    """Writes a graph of this file; false if it is not one."""
    own = [n for group in ("seed", "merges", "norm", "chain") for n in GROUPS[group]]
    if name not in own:
        return False
    kind, _, size = name.rpartition("_")
    MAKERS[kind](folder, name, int(size) if size.isdigit() else 0)
    return True


def compiled(args, model: pathlib.Path, out: pathlib.Path, *flags: str) -> str:
    """Compiles; returns what `--explain-rewrites` says."""
    command = [args.mlcc, "compile", str(model), "--target", "cpu", "-o", str(out), "--explain-rewrites", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def rules(explained: str) -> str:
    """The rules that were used, each once."""
    found = re.findall(r"^  ([a-z][a-z0-9-]+) .* at node ", explained, re.M)
    return ", ".join(dict.fromkeys(found))


def floating_operations(profile: str) -> float:
    """FLOPs of all kernels in a profile: rate times time."""
    rows = re.findall(r"^\s+([\d.]+)\s+[\d.]+%\s+\d+\s+([\d.]+)\s", profile, re.M)
    return sum(float(ms) * 1e6 * float(rate) for ms, rate in rows)


def measure(args, folder: pathlib.Path, models: pathlib.Path, name: str, threads: int) -> dict:
    """One row."""
    files = sorted((models / name).glob("input_*.npy"), key=lambda file: int(file.stem.split("_")[1]))
    flags = ["--threads", str(threads), *(flag for file in files for flag in ("--input", str(file)))]
    ways = {"off": ["--rewrites", "off"], "on": []}
    said = {way: compiled(args, models / f"{name}.onnx", folder / f"{name}.{way}.mlcc", *extra)
            for way, extra in ways.items()}
    bench = lambda way, *more: call([args.mlcc, "bench", str(folder / f"{name}.{way}.mlcc"), *flags, *more])
    single = models / f"{name}_single.onnx"
    peer_inputs = [np.load(file) for file in files]
    rounds, errors = [], {}
    with Peers(["ort"], models / f"{name}.onnx", peer_inputs, threads) as peers, \
            Peers(["ort"] if single.exists() else [], single, peer_inputs[:2], threads) as one_product:
        for way in ways:
            out = folder / f"{name}.{way}.out"
            call([args.mlcc, "run", str(folder / f"{name}.{way}.mlcc"), *flags, "--output-dir", str(out)])
            wants = peers.outputs["ort"]
            errors[way] = max(relative_error(np.load(out / f"output_{at}.npy"), want)
                              for at, want in enumerate(wants))
        for _ in range(args.rounds):
            times = {way: json.loads(bench(way, "--seconds", str(args.seconds), "--json"))["median_ms"] for way in ways}
            single_time = one_product.median_times(args.seconds).get("ort")
            rounds.append({**times, **peers.median_times(args.seconds), "single": single_time})
    operations = {way: floating_operations(bench(way, "--seconds", str(args.seconds), "--profile")) for way in ways}
    row = {"name": name, "threads": threads, "errors": errors, "operations": operations, "rules": rules(said["on"])}
    row |= {key: statistics.median(one[key] for one in rounds) for key in ("off", "on", "ort")}
    row["ratio"] = statistics.median(one["off"] / one["on"] for one in rounds)
    if single.exists():
        row["single"] = statistics.median(one["off"] / one["single"] / 2 for one in rounds)
    return row


def cells(row: dict) -> list[str]:
    """A row of the table."""
    amount = lambda flops: f"{flops / 1e9:.3g}" if flops else ""
    less = row["operations"]["off"] / (row["operations"]["on"] or float("inf"))
    single = f"{row['single']:.2f}" if "single" in row else ""
    return [row["name"], str(row["threads"]), f"{row['ort']:.3f}", f"{row['off']:.3f}", f"{row['on']:.3f}",
            f"{row['ratio']:.2f}", single, f"{amount(row['operations']['off'])} / {amount(row['operations']['on'])}",
            f"{less:.2f}", row["rules"], f"{row['errors']['off']:.1e}", f"{row['errors']['on']:.1e}"]


HEAD = ["Graph", "Threads", "ONNX Runtime, ms", "off, ms", "on, ms", "off / on", "off / two products of ONNX Runtime",
        "GFLOP off / on", "fewer", "rules", "error off", "error on"]


def parse_arguments() -> argparse.Namespace:
    names = lambda text: [name for name in text.split(",") if name]
    parser = argparse.ArgumentParser(description="Times graphs with rewriting against the same ones without.")
    parser.add_argument("--mlcc", required=True)
    parser.add_argument("--only", type=names, default=list(GROUPS), help="groups or graphs; all by default")
    parser.add_argument("--threads", type=names, default=["1"])
    parser.add_argument("--models", type=pathlib.Path, help="folder of the zoo's graphs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--write", type=pathlib.Path, help="Markdown file with the markers")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    titles = {name: TITLES[group] for group, names in GROUPS.items() for name in names}
    tables: dict[str, list[dict]] = {}
    print("  ".join(HEAD), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name in [name for wanted in args.only for name in GROUPS.get(wanted, [wanted])]:
            models = folder if make(folder, name) else args.models
            if models is None:
                raise SystemExit(f"{name} lies in the zoo: --models DIR is missing")
            for threads in map(int, args.threads):
                row = measure(args, folder, models, name, threads)
                tables.setdefault(titles.get(name, "Others"), []).append(row)
                print("  ".join(cells(row)), flush=True)
    rows = [row for part in tables.values() for row in part]
    wrong = [row["name"] for row in rows if not max(row["errors"].values()) <= MAX_ERROR]
    if wrong:
        print(f"Wrong: {', '.join(wrong)}.")
    if args.write:
        text = f"{processor()}; {args.rounds} rounds of {args.seconds:g} s; errors are against ONNX Runtime.\n"
        for title, part in tables.items():
            text += f"\n**{title}**\n\n{table(HEAD, [cells(row) for row in part])}"
        write_section(args.write, "rewriting", text)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
