"""Shows what a classifier said, beside ONNX Runtime's answer to the same input.

    python show_result.py MODEL.onnx OUTPUT.npy INPUT.npy [INPUT.npy ...]

Prints the five highest values of the first output, the same classes' values by ONNX Runtime, and the
relative error in norm; the exit code is 1 where that is above 1e-5. Needs: numpy, onnxruntime.
"""
import sys

import numpy as np
import onnxruntime

MAX_ERROR = 1e-5


def main() -> None:
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    model, output, *inputs = sys.argv[1:]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    feeds = {info.name: np.load(file) for info, file in zip(session.get_inputs(), inputs)}
    want = session.run(None, feeds)[0].astype(np.float64).ravel()
    got = np.load(output).astype(np.float64).ravel()
    if got.shape != want.shape:
        raise SystemExit(f"mlcc returned {got.size} values, ONNX Runtime {want.size}")
    print("class        mlcc  ONNX Runtime")
    for index in np.argsort(-got, kind="stable")[:5]:
        print(f"{index:5} {got[index]:11.6f} {want[index]:13.6f}")
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    print(f"relative error against ONNX Runtime: {error:.1e}")
    sys.exit(0 if error <= MAX_ERROR else 1)


if __name__ == "__main__":
    main()
