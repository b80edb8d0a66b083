"""Colours of every picture and of the report, distinguishable for colour-blind readers and in grey print."""

from __future__ import annotations

INK, SOFT, FAINT, WASH, PAPER = "#1f2933", "#66717d", "#dfe4ea", "#f6f8fa", "#ffffff"
"""Text, secondary text, hair lines, tinted ground and background."""

TYPES = {"user": "#1f2933", "item": "#3b6fb6", "location": "#2a9d8f"}
"""Node types."""

SHARES = {
    "my history": "#3b6fb6",
    "what people do next": "#e8a33d",
    "what happens here": "#2a9d8f",
    "what is linked": "#5b3a8c",
    "semantic space": "#b5446e",
}
"""Where a score comes from, in the order in which it is shown."""

SHARES_ON_DARK = {
    "my history": "#7aa7e8",
    "what people do next": "#f0b95c",
    "what happens here": "#4fc1b3",
    "what is linked": "#a98be0",
    "semantic space": "#e07a9f",
}
"""The same on a dark ground."""

THEMES = ("#3b6fb6", "#e8a33d", "#2a9d8f", "#b5446e", "#88ccee", "#999933", "#5b3a8c", "#c9ced6")
"""Themes of interest; after Paul Tol's muted scheme, https://personal.sron.nl/~pault/."""

SEQUENCE = ("#f4f7fb", "#cfe0f1", "#8fb8de", "#3b6fb6", "#1d3e73", "#0d1f40")
"""Little to much."""
