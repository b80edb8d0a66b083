"""A picture of whether the evidence shown is what a score rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphrec.evidence.faithfulness import Faithfulness
from graphrec.pictures import palette
from graphrec.pictures.palette import FAINT, SOFT, WASH
from graphrec.pictures.style import style


def draw_faithfulness(found: Faithfulness) -> Figure:
    """Draw the deletion and insertion curves, evidence against as many random events, and print the figure.

    Without a question that has evidence there is nothing to draw but that.
    """
    with style():
        figure, (deletion, insertion) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
        _draw_curves(deletion, found, found.deletion, found.deletion_at_random, "taken out")
        _draw_curves(insertion, found, found.insertion, found.insertion_at_random, "put in, with nothing else")
        if found.gap is not None:
            error = "" if found.gap_error is None else f" ± {found.gap_error:.3f}"
            says = f"the score falls {found.gap:.3f}{error} farther without the evidence than without random events"
        else:
            says = "no question's best item has events behind it"
        figure.suptitle("Is what is shown what counts?", x=0.01, ha="left", fontsize=13, fontweight="bold")
        note = f"{says} · {found.questions:,} questions, {found.events:.1f} events each"
        figure.supxlabel(note, x=0.01, ha="left", fontsize=10, color=SOFT)
        return figure


def _draw_curves(ax: Axes, found: Faithfulness, evidence: Sequence[float], random: Sequence[float], words: str) -> None:
    ax.axhline(1, color=FAINT, linewidth=1, zorder=0)
    if evidence:
        steps = np.array(found.steps)
        ax.fill_between(steps, evidence, random, color=WASH, zorder=0)
        for curve, colour, name in (
            (evidence, palette.SHARES["my history"], "the evidence"),
            (random, SOFT, "as many at random"),
        ):
            ax.plot(steps, curve, color=colour, linewidth=2.2, marker="o", markersize=4.5)
            label = f"{name}  {curve[-1]:.2f}"
            ax.annotate(label, (1, curve[-1]), (6, 0), textcoords="offset points", va="center", color=colour)
        ax.set_xticks(steps, [f"{100 * step:.0f}" for step in steps[:-1]] + [f"{steps[-1]:.0%}"])
    ax.set_ylim(0, None)
    ax.set_title(f"events {words}", fontsize=10.5, pad=6)
    ax.set_ylabel("part of the best item's score")
