"""What the scores of a list are made of."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from graphrec.evidence.shares import LINKED
from graphrec.pictures.palette import INK, PAPER, SHARES, SOFT
from graphrec.pictures.style import short, style
from graphrec.recommendation import RecommendationList


def draw_shares(recommendations: RecommendationList) -> Figure:
    """Draw the shares of each recommended item's score, for one user.

    An item's bar is as long as its score.
    """
    items = recommendations.items
    with style():
        figure, ax = plt.subplots(figsize=(10, 1.1 + 0.42 * max(len(items), 1)), layout="constrained")
        names = [short(item.label, 38) for item in items]
        left = np.zeros(len(items))
        for share, colour in SHARES.items():
            if share == LINKED and not any(share in item.shares for item in items):
                continue
            width = np.array([float(item.shares.get(share, 0.0)) for item in items])
            ax.barh(range(len(items)), width, left=left, color=colour, edgecolor=PAPER, height=0.72, label=share)
            left += width
        for row, item in enumerate(items):
            ax.text(left[row], row, f" {item.score:.3f}", va="center", color=SOFT, fontsize=9)
        ax.set_yticks(range(len(items)), names, color=INK)
        ax.invert_yaxis()
        ax.set_xticks([])
        ax.spines["bottom"].set_visible(False)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, handlelength=1, borderaxespad=0, columnspacing=1.4)
        ax.set_title(f"Why these for {recommendations.user}", pad=34)
        return figure
