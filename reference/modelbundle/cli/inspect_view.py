"""What `inspect` prints for people: identity, components, parameters, needs, what is missing.

print_inspection(inspect(bundle), None)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from modelbundle.cli.printing import (
    MAX_ROWS,
    listed,
    many,
    page,
    section,
    shape,
    shown,
    size,
    table,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from modelbundle.bundle import Tensor
    from modelbundle.core.manifest import CustomObject, Port, Signature
    from modelbundle.inspection import Inspection, Part
    from modelbundle.inspection.layer_totals import LayerTotal


def print_inspection(answer: Inspection, tensors: Iterable[Tensor] | None) -> None:
    """Print the answer, with a table of `tensors` where they were asked for."""
    with page() as out:
        _identity(out, answer)
        section(out, "Components", _components(answer.parts))
        if answer.layers:
            section(out, _parameters(answer), _layers(answer.layers, whole=tensors is not None))
        if answer.dtypes:
            section(out, "Tensors", _totals(answer))
        if tensors is not None:
            section(out, "By name", _tensors(tensors))
        if answer.manifest.signatures:
            section(out, "Signatures", *map(_signature, answer.manifest.signatures))
        section(out, "Needs", *_needs(answer))
        section(out, "Missing", *(Text(f"· {shown(text)}") for text in answer.missing))
        section(out, "Hazards", *_hazards(answer))


def _identity(out: Console, answer: Inspection) -> None:
    title = Text(shown(answer.title), style="bold")
    version = shown(answer.manifest.version)
    title.append(f"   model bundle {version}, {answer.layout}", style="dim")
    out.print(title)
    out.print(Text(answer.digest, style="cyan"))
    sizes = answer.sizes
    text = f"{size(sizes.stored)} stored, {size(sizes.sources)} come back"
    if sizes.composed:
        text += f", {size(sizes.composed)} of it composed from shared bytes"
    out.print(Text(text))


def _components(parts: Iterable[Part]) -> RenderableType:
    made = table("component", "kind", ">files", ">size", "")
    for part in parts:
        name = Text("└ " if part.derived_from else "").append(shown(_short(part)))
        about = ", ".join(filter(None, (part.details, part.written_by)))
        kind = Text(shown(part.kind), style="green")
        made.add_row(name, kind, f"{part.files:,}", size(part.bytes), Text(about, style="dim"))
    return made


def _short(part: Part) -> str:
    """A component's id, without that of the component it was taken from."""
    return part.id.removeprefix(part.derived_from) if part.derived_from else part.id


def _parameters(answer: Inspection) -> Text:
    title = Text("Parameters", style="bold")
    found = answer.parameters
    counts = {"trainable": found.trainable, "non-trainable": found.non_trainable}
    counts["of no stated role"] = found.count - found.trainable - found.non_trainable
    told = [f"{count:,} {name}" for name, count in counts.items() if count]
    return title.append(f"   {found.count:,}: {', '.join(told) or 'none'}", style="not bold")


def _layers(layers: Sequence[LayerTotal], *, whole: bool) -> RenderableType:
    made = table("layer", "class", ">parameters", ">trainable", ">size", "dtypes")
    limit = len(layers) if whole else MAX_ROWS
    for layer in layers[:limit]:
        made.add_row(
            shown(layer.name) or Text("(no layer)", style="dim"),
            Text(shown(layer.class_name or ""), style="green"),
            f"{layer.parameters:,}",
            f"{layer.trainable:,}" if layer.trainable or layer.non_trainable else "",
            size(layer.bytes),
            Text(listed(layer.dtypes), style="dim"),
        )
    if len(layers) > limit:
        made.add_row(Text(f"… {len(layers) - limit:,} more (use --tensors)", style="dim"))
    return made


def _totals(answer: Inspection) -> RenderableType:
    made = table("", "", ">tensors", ">elements", ">size")
    for label, totals in (("dtype", answer.dtypes), ("role", answer.roles)):
        for total in totals:
            figures = f"{total.tensors:,}", f"{total.elements:,}", size(total.bytes)
            made.add_row(Text(label, style="dim"), shown(total.name), *figures)
    return made


def _tensors(tensors: Iterable[Tensor]) -> RenderableType:
    made = table("tensor", "dtype", "shape", ">size", "role", "place")
    for tensor in tensors:
        row = tensor.row
        place = Text(f"{shown(row.file)}@{row.offset}", style="dim")
        facts = row.dtype, shape(row.shape), size(row.length), row.role
        made.add_row(shown(row.name), *facts, place)
    return made


def _signature(signature: Signature) -> Text:
    text = Text(shown(signature.name), style="green")
    text.append(f"({_ports(signature.inputs)}) → ({_ports(signature.outputs)})", style="not green")
    return text.append(f"   {shown(signature.component)}", style="dim")


def _ports(ports: Sequence[Port]) -> str:
    return ", ".join(f"{shown(port.name)}: {port.dtype}{shape(port.shape)}" for port in ports)


def _needs(answer: Inspection) -> Iterator[RenderableType]:
    needs = answer.manifest.requirements
    made = table("", "")
    if needs.layers:
        made.add_row(Text("Keras classes", style="dim"), listed(sorted(needs.layers)))
    objects = sorted(needs.custom_objects, key=lambda custom: custom.registered_name)
    for custom in objects[:MAX_ROWS]:
        made.add_row(Text("custom", style="yellow"), _custom(custom))
    if len(objects) > MAX_ROWS:
        made.add_row("", Text(f"… {len(objects) - MAX_ROWS:,} more (use --json)", style="dim"))
    if needs.ops:
        made.add_row(
            Text(many(len(needs.ops), "operation"), style="dim"), listed(sorted(needs.ops))
        )
    if made.row_count:
        yield made


def _custom(custom: CustomObject) -> Text:
    text = Text(shown(custom.class_name), style="bold")
    module = f" from module {shown(custom.module)}" if custom.module else ""
    registered = custom.registered_name != custom.class_name
    name = f", registered as {shown(custom.registered_name)}" if registered else ""
    return text.append(f"{module}{name}", style="not bold")


def _hazards(answer: Inspection) -> Iterator[RenderableType]:
    """What a loader could be made to do; a bundle only carries it."""
    for hazard in answer.hazards[:MAX_ROWS]:
        text = Text(f"{hazard.kind}", style="yellow")
        place = f" in layer {hazard.layer}" if hazard.layer else ""
        yield text.append(f"{place}: {hazard.detail}", style="not yellow")
    if len(answer.hazards) > MAX_ROWS:
        yield Text(f"… {len(answer.hazards) - MAX_ROWS:,} more (use --json)", style="dim")
    if answer.hazards:
        yield Text("carried as they are; nothing here runs or opens them", style="dim")
