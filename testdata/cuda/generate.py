"""Writes the models of this folder: one kernel of each kind that the CUDA backend emits.

    python generate.py

They have odd sizes, so that a block's last tile is a partial one. Needs: onnx.
"""
import pathlib

from onnx import TensorProto, checker, helper

HERE = pathlib.Path(__file__).parent


def value(name: str, *shape: int):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def write(name: str, nodes, inputs, outputs) -> None:
    graph = helper.make_graph(nodes, name, inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model, full_check=True)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def main() -> None:
    write("elementwise", [
        helper.make_node("Mul", ["x", "y"], ["product"], "multiply"),
        helper.make_node("Sigmoid", ["product"], ["z"], "gate"),
    ], [value("x", 37, 1021), value("y", 1021)], [value("z", 37, 1021)])
    write("row_reduction", [
        helper.make_node("Softmax", ["x"], ["y"], "softmax", axis=-1),
    ], [value("x", 37, 1021)], [value("y", 37, 1021)])
    write("matmul", [
        helper.make_node("MatMul", ["a", "b"], ["c"], "product"),
    ], [value("a", 257, 131), value("b", 131, 193)], [value("c", 257, 193)])


if __name__ == "__main__":
    main()
