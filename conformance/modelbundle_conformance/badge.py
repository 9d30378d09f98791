"""The badge of a claim: an SVG that is written only where the claim is proven.

badge("Reader", "core")
"""

from __future__ import annotations

from modelbundle_conformance import STANDARD

_GLYPH = 6.6
"""Width of a character, in pixels."""


def badge(role: str, level: str) -> str:
    """The badge of a role at a level."""
    left, right = "modelbundle", f"{role}, {level.capitalize()}, {STANDARD}"
    split = round(len(left) * _GLYPH) + 14
    width = split + round(len(right) * _GLYPH) + 14
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img"
 aria-label="{left}: {right}"><title>{left}: {right}</title>
<rect width="{split}" height="20" fill="#444"/>
<rect x="{split}" width="{width - split}" height="20" fill="#1a6e34"/>
<g fill="#fff" font-family="Verdana, sans-serif" font-size="11" text-anchor="middle">
<text x="{split / 2}" y="14">{left}</text>
<text x="{(split + width) / 2}" y="14">{right}</text></g></svg>
"""
