"""Why this item: the score taken apart, how attention flows, what if, and whether that is so."""
