"""An ONNX model for tests of golden vectors."""

from __future__ import annotations


def affine() -> bytes:
    """y = x·w + b for x of shape (n, 3), with weights that are whole or halves."""
    from onnx import TensorProto, helper

    product = helper.make_node("MatMul", ["x", "w"], ["t"])
    total = helper.make_node("Add", ["t", "b"], ["y"])
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        [product, total],
        "main",
        [helper.make_tensor_value_info("x", floats, ["n", 3])],
        [helper.make_tensor_value_info("y", floats, ["n", 2])],
        [
            helper.make_tensor("w", floats, [3, 2], [1, 2, 3, 4, 5, 6]),
            helper.make_tensor("b", floats, [2], [0.5, -0.5]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data
