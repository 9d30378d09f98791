"""How exactly a portable graph contracts: what it leaves open is set to what was asked for.

TensorFlow lowers with the precision of contractions left open (`DEFAULT`), and so does JAX; a GPU
computes these in tf32. JAX's own setting does not reach a graph that was lowered before, so the
graph is written again with each of them said.

    artifact = in_float32(artifact)
"""

from __future__ import annotations

from typing import Any

CONTRACTIONS = frozenset(
    {
        "stablehlo.convolution", "stablehlo.dot", "stablehlo.dot_general", "stablehlo.dynamic_conv",
    }
)  # fmt: skip

_HIGHEST = "[#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]"


def in_float32(artifact: bytes) -> bytes:
    """The portable artifact with the highest precision for its contractions, which is float32's.

    One that names its algorithm keeps it.
    """
    from jaxlib.mlir import ir
    from jaxlib.mlir.dialects import stablehlo

    dialect: Any = stablehlo
    with ir.Context() as context:
        dialect.register_dialect(context)
        module = dialect.deserialize_portable_artifact(context, artifact)
        highest = ir.Attribute.parse(_HIGHEST)

        def visit(operation: Any) -> Any:
            if operation.name in CONTRACTIONS and "algorithm" not in operation.attributes:
                operation.attributes["precision_config"] = highest
            return ir.WalkResult.ADVANCE

        module.operation.walk(visit)
        made: bytes = dialect.serialize_portable_artifact(module, dialect.get_current_version())
        return made
