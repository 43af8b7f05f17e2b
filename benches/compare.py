"""Times mlcc against other inference engines on the same models, in one run, in turn.

    python compare.py --mlcc target/release/mlcc --models DIR [--only resnet50,...] [--threads 1,2]
                      [--peers ort,openvino] [--rounds 5] [--seconds 1.0] [--compile-flags "..."]
                      [--max-error 1e-5] [--json out.json]

DIR is what testdata/zoo/materialize.py writes: NAME.onnx and NAME/input_I.npy. In each round every
engine runs the model for `--seconds`, one engine after the other, so that a change in the machine's
speed meets all of them. Every engine's inputs and outputs are bound beforehand. Printed per model and
thread count: each engine's median latency, the share of the machine's multiply-add peak that mlcc
reaches, the relative error of mlcc's outputs against ONNX Runtime's, and the ratio best peer / mlcc
(above 1 means that mlcc is ahead), as the median over the rounds. The last line is the geometric mean
of the ratios and the worst one; the exit code is 1 if a model failed or was wrong.

mlcc is called as
    mlcc compile NAME.onnx --target cpu -o FILE
    mlcc bench FILE --threads N --seconds S --input I.npy ... --json     -> {"median_ms": ...} on stdout
    mlcc run FILE --threads N --input I.npy ... --output-dir DIR         -> DIR/output_0.npy, ...
Needs: numpy, onnx, onnxruntime, openvino if it is among the peers, and a C compiler for the peak.
"""
import argparse
import json
import math
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx

HERE = pathlib.Path(__file__).parent


class Failure(Exception):
    """A call of mlcc that failed; its message goes into the report and the next model follows."""


def call(command: list[str]) -> str:
    """Runs mlcc and returns what it printed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"`mlcc {command[1]}` exited with {done.returncode}: {done.stderr.strip().splitlines()[-3:]}")
    return done.stdout


def peak_flops() -> float:
    """Multiply-add peak of one core in FLOP/s, measured by peak.c with the machine's widest vectors."""
    flags = pathlib.Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
    # Enough independent accumulators to hide the latency of two multiply-add units.
    width, accumulators = (16, 24) if "avx512f" in flags else (8, 12)
    with tempfile.TemporaryDirectory() as folder:
        binary = f"{folder}/peak"
        subprocess.run(["cc", "-O3", "-march=native", "-mprefer-vector-width=512", "-ffp-contract=fast",
                        f"-DWIDTH={width}", f"-DACCUMULATORS={accumulators}", str(HERE / "peak.c"), "-o", binary],
                       check=True)
        return float(subprocess.run([binary], capture_output=True, text=True, check=True).stdout.split()[0])


def multiply_adds(path: pathlib.Path) -> float:
    """FLOPs of the model's convolutions and matrix products as written (2 per multiply-add)."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        shapes[value.name] = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    total = 0
    for node in model.graph.node:
        out = shapes.get(node.output[0]) if node.output else None
        if not out:
            continue
        if node.op_type == "Conv":
            total += 2 * math.prod(out) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type == "ConvTranspose":
            total += 2 * math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("MatMul", "Gemm") and shapes.get(node.input[0]):
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            total += 2 * math.prod(out) * shapes[node.input[0]][-2 if transposed else -1]
    return float(total)


def median_time(run, seconds: float) -> float:
    """Median milliseconds of `run`, called for `seconds` and at least three times."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def prepare_ort(path: str, inputs: list[np.ndarray], threads: int):
    """An ONNX Runtime session with bound inputs and outputs: how to run it, how to read its outputs."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for info, value in zip(session.get_inputs(), inputs):
        binding.bind_cpu_input(info.name, value)
    for info in session.get_outputs():
        binding.bind_output(info.name)
    return lambda: session.run_with_iobinding(binding), binding.copy_outputs_to_cpu


def prepare_openvino(path: str, inputs: list[np.ndarray], threads: int):
    """An OpenVINO request in f32 that shares its inputs' memory."""
    import openvino
    compiled = openvino.Core().compile_model(path, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    feeds = dict(enumerate(inputs))
    return lambda: request.infer(feeds, share_inputs=True, share_outputs=True), lambda: None


PEERS = {"ort": prepare_ort, "openvino": prepare_openvino}


def peer_worker(pipe, peer: str, path: str, inputs: list[np.ndarray], threads: int) -> None:
    """The process of one engine: sends its outputs, then one median per request, until it is sent None."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    run, outputs = PEERS[peer](path, inputs, threads)
    run()
    pipe.send(outputs())
    while (seconds := pipe.recv()) is not None:
        pipe.send(median_time(run, seconds))


class Peers:
    """The other engines, each in a process of its own with a model loaded."""

    def __init__(self, names: list[str], path: pathlib.Path, inputs: list[np.ndarray], threads: int):
        context = multiprocessing.get_context("spawn")
        self.workers = {}
        for name in names:
            ours, theirs = context.Pipe()
            process = context.Process(target=peer_worker, args=(theirs, name, str(path), inputs, threads), daemon=True)
            process.start()
            theirs.close()  # so that a worker's death ends our recv
            self.workers[name] = (process, ours)

    def __enter__(self):
        try:
            self.outputs = {name: pipe.recv() for name, (_, pipe) in self.workers.items()}
        except EOFError:
            self.__exit__()
            raise SystemExit("a peer died while it loaded the model; its message stands above") from None
        return self

    def median_times(self, seconds: float) -> dict[str, float]:
        """Each engine's median milliseconds, one engine after the other."""
        medians = {}
        for name, (_, pipe) in self.workers.items():
            pipe.send(seconds)
            medians[name] = pipe.recv()
        return medians

    def __exit__(self, *_):
        for process, pipe in self.workers.values():
            if process.is_alive():
                pipe.send(None)
            process.join()


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    """The norm of the difference over the norm of the reference; infinite where the shapes differ."""
    if got.shape != want.shape:
        return math.inf
    got, want = got.astype(np.float64), want.astype(np.float64)
    return float(np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-300))


def measure(args, name: str, path: pathlib.Path, artifact: str, threads: int, peak: float) -> dict:
    """One row: every engine's times on one model with one number of threads, and mlcc's error."""
    files = sorted((args.models / name).glob("input_*.npy"), key=lambda file: int(file.stem.split("_")[1]))
    flags = ["--threads", str(threads), *(flag for file in files for flag in ("--input", str(file)))]
    rounds, error = [], math.nan
    with Peers(args.peers, path, [np.load(file) for file in files], threads) as peers:
        for _ in range(args.rounds):
            medians = peers.median_times(args.seconds)
            report = call([args.mlcc, "bench", artifact, *flags, "--seconds", str(args.seconds), "--json"])
            rounds.append({**medians, "mlcc": json.loads(report)["median_ms"]})
        reference = peers.outputs.get("ort")
    if reference is not None:
        with tempfile.TemporaryDirectory() as out:
            call([args.mlcc, "run", artifact, *flags, "--output-dir", out])
            # np.max keeps a NaN, which max() could drop.
            error = float(np.max([relative_error(np.load(f"{out}/output_{index}.npy"), want)
                                  for index, want in enumerate(reference)]))
    medians = {engine: statistics.median(one[engine] for one in rounds) for engine in rounds[0]}
    ratio = math.nan
    if args.peers:
        ratio = statistics.median(min(one[peer] for peer in args.peers) / one["mlcc"] for one in rounds)
    share = multiply_adds(path) / (medians["mlcc"] * 1e-3) / (peak * threads)
    wrong = reference is not None and not error <= args.max_error
    return {"model": name, "threads": threads, "ms": medians, "ratio": ratio, "peak_share": share,
            "relative_error": error, "wrong": wrong}


def describe(row: dict) -> str:
    """A row as a line of text."""
    times = "  ".join(f"{engine} {ms:8.3f} ms" for engine, ms in row["ms"].items())
    return (f"{row['model']:24} threads {row['threads']}  {times}  peak {row['peak_share']:5.1%}"
            f"  error {row['relative_error']:.1e}  compile {row['compile_s']:5.2f} s"
            f"  best peer / mlcc {row['ratio']:.3f}" + ("  WRONG" if row["wrong"] else ""))


def parse_arguments() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return [name for name in text.split(",") if name]

    parser = argparse.ArgumentParser(description="Times mlcc against other inference engines.")
    parser.add_argument("--mlcc", required=True)
    parser.add_argument("--models", required=True, type=pathlib.Path)
    parser.add_argument("--only", type=names, default=[], help="names of models; all of the folder by default")
    parser.add_argument("--threads", type=names, default=["1", "2"])
    parser.add_argument("--peers", type=names, default=["ort", "openvino"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--compile-flags", default="")
    parser.add_argument("--max-error", type=float, default=1e-5, help="a larger relative error fails the model")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    unknown = [peer for peer in args.peers if peer not in PEERS]
    if unknown:
        parser.error(f"unknown peer {', '.join(unknown)}; known: {', '.join(PEERS)}")
    args.only = args.only or sorted(path.stem for path in args.models.glob("*.onnx"))
    missing = [name for name in args.only if not (args.models / f"{name}.onnx").exists()]
    if missing:
        parser.error(f"{args.models} holds no {', '.join(missing)}")
    return args


def main() -> None:
    args = parse_arguments()
    peak = peak_flops()
    print(f"one core's multiply-add peak: {peak / 1e9:.0f} GFLOP/s", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            path, artifact = args.models / f"{name}.onnx", f"{folder}/{name}.mlcc"
            try:
                start = time.perf_counter()
                call([args.mlcc, "compile", str(path), "--target", "cpu", "-o", artifact, *args.compile_flags.split()])
                compile_s = time.perf_counter() - start
                for threads in map(int, args.threads):
                    row = measure(args, name, path, artifact, threads, peak) | {"compile_s": compile_s}
                    rows.append(row)
                    print(describe(row), flush=True)
            except Failure as failure:
                print(f"{name}: {failure}", flush=True)
                rows.append({"model": name, "failed": True})
            pathlib.Path(artifact).unlink(missing_ok=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    failed = len({row["model"] for row in rows if row.get("failed") or row.get("wrong")})
    if ratios:
        print(f"geometric mean {math.exp(statistics.fmean(map(math.log, ratios))):.3f}, "
              f"worst {min(ratios):.3f}, {failed} models failed")
    else:
        print(f"nothing measured, {failed} models failed")
    sys.exit(1 if failed or not ratios else 0)


if __name__ == "__main__":
    main()
