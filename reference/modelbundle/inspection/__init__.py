"""What a bundle carries, lacks and needs, from its manifest and index alone."""

from modelbundle.inspection.report import Inspection, Part, inspect, tensor_rows

__all__ = ["Inspection", "Part", "inspect", "tensor_rows"]
