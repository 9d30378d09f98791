"""modelbundle: a model artifact that every language can read and every engine can be held to.

    import modelbundle as mb

    mb.pack("old_model.h5", "old.modelbundle")
    bundle = mb.open("old.modelbundle")
    bundle.tensors["dense/kernel"].numpy()

No framework is imported here, nor by packing, inspecting, validating or unpacking. Each name is
loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelbundle.bundle import Bundle, Tensor
    from modelbundle.bundle import open_bundle as open
    from modelbundle.comparing import diff
    from modelbundle.copying import copy
    from modelbundle.core.findings import BundleError, Finding, UnsupportedError
    from modelbundle.keras.binding import transfer
    from modelbundle.keras.binding_report import BindingError, BindingReport
    from modelbundle.keras.export_report import ExportReport
    from modelbundle.making import pack
    from modelbundle.reviving.report import ReviveError, ReviveReport
    from modelbundle.reviving.revive import revive
    from modelbundle.rules import Report, validate
    from modelbundle.unpacking import unpack

__version__ = "0.1.0"

__all__ = [
    "BindingError",
    "BindingReport",
    "Bundle",
    "BundleError",
    "ExportReport",
    "Finding",
    "Report",
    "ReviveError",
    "ReviveReport",
    "Tensor",
    "UnsupportedError",
    "copy",
    "diff",
    "open",
    "pack",
    "revive",
    "transfer",
    "unpack",
    "validate",
]

_HOMES = {
    "BindingError": "modelbundle.keras.binding_report",
    "BindingReport": "modelbundle.keras.binding_report",
    "Bundle": "modelbundle.bundle",
    "BundleError": "modelbundle.core.findings",
    "ExportReport": "modelbundle.keras.export_report",
    "Finding": "modelbundle.core.findings",
    "Report": "modelbundle.rules",
    "ReviveError": "modelbundle.reviving.report",
    "ReviveReport": "modelbundle.reviving.report",
    "Tensor": "modelbundle.bundle",
    "UnsupportedError": "modelbundle.core.findings",
    "copy": "modelbundle.copying",
    "diff": "modelbundle.comparing",
    "pack": "modelbundle.making",
    "revive": "modelbundle.reviving.revive",
    "transfer": "modelbundle.keras.binding",
    "unpack": "modelbundle.unpacking",
    "validate": "modelbundle.rules",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "open":
        return import_module("modelbundle.bundle").open_bundle
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
