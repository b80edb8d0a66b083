"""Forecast of a user's events per step of time and of their themes, with intervals.

Activity is a Poisson rate that changes over time. The belief about it is a gamma distribution: a step's events are
added to it, then it keeps its mean and a share ``discount`` of its weight (power discounting, Harvey and Fernandes
1989, Journal of Business & Economic Statistics 7(4)). The next step is then negative binomial. The discount and the
prior of all users are the values of a small grid with the largest likelihood of the past of 500 users at most.

Shares of themes are a Dirichlet distribution whose weights are the user's own events, each worth half after 45 days,
and one event spread evenly over the themes; a theme's events are drawn from both. benchmarks/interest.md measures
errors and intervals beside naive forecasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import nbinom

from graphrec.errors import InputError
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.interest.history import History
from graphrec.interest.themes import themes_of
from graphrec.time_units import DAY

DISCOUNTS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)
"""Grid of the discount per step."""
ALPHAS = (0.3, 0.6, 1.0, 2.0, 4.0)
"""Grid of the prior's shape; the smaller, the more users differ."""
HALF_LIFE_DAYS = 45
"""Age at which an event counts half towards the themes to come."""
MAX_USERS, MAX_STEPS = 500, 104
"""Users and latest steps that discount and prior are fitted to."""
MIN_ALPHA = 0.01
"""Smallest shape of a belief, for users who have been inactive for long."""
N_DRAWS = 4_000
"""Draws of the themes' events; an end of an interval moves by an event at most from seed to seed."""


@dataclass(frozen=True)
class Forecast:
    """Forecast of the ``h`` steps of time from ``until`` on."""

    user: str
    """The user's own id."""
    until: int
    """UTC seconds; only events strictly before it count."""
    step_days: int
    """Length of a step in days."""
    level: float
    """Coverage probability of the intervals."""
    start: NDArray[np.int64]
    """[h] first second of each step in local time (UTC seconds plus the offset)."""
    events: NDArray[np.int64]
    """[h] median number of events, which has the smallest absolute error."""
    events_interval: NDArray[np.int64]
    """[h, 2] lowest and highest number of events."""
    themes: tuple[str, ...]
    """Names of the themes, the most frequent so far first."""
    share: NDArray[np.float64]
    """[h, themes] expected share of each theme; rows sum to 1."""
    theme_interval: NDArray[np.int64]
    """[h, themes, 2] lowest and highest number of events of each theme."""


@dataclass(frozen=True)
class ActivityRates:
    """Model of event rates: their discount per step, and their prior over all users."""

    discount: float
    """Share of its weight that a belief keeps per step."""
    alpha: float
    """Shape of the prior gamma distribution of a user's rate."""
    beta: float
    """Its inverse scale: the mean is ``alpha / beta`` events per step."""

    def filter(
        self, events: NDArray[np.int64], present: NDArray[np.bool_] | None = None, ahead: int = 0
    ) -> NDArray[np.float64]:
        """Alpha and beta of the belief just before each step, [w + ahead, 2, users].

        ``events`` are [w, users]; a user is ``present`` after the first event. The ``ahead`` steps are unobserved.
        """
        present = np.ones(events.shape, dtype=bool) if present is None else present
        alpha, beta = np.full(events.shape[1], self.alpha), np.full(events.shape[1], self.beta)
        beliefs = []
        for count, mask in zip(events, present, strict=True):
            beliefs.append((alpha, beta))
            alpha = np.where(mask, np.maximum(self.discount * (alpha + count), MIN_ALPHA), alpha)
            beta = np.where(mask, self.discount * (beta + 1), beta)
        for _ in range(ahead):
            beliefs.append((alpha, beta))
            alpha, beta = np.maximum(self.discount * alpha, MIN_ALPHA), self.discount * beta
        return np.array(beliefs).reshape(-1, 2, events.shape[1])


def forecast_interest(
    graph: TemporalGraph,
    user: str,
    *,
    until: int,
    steps: int = 4,
    step_days: int = 7,
    level: float = 0.8,
    seed: int = 0,
    rates: ActivityRates | None = None,
) -> Forecast:
    """Forecast the next ``steps`` of a user from the events strictly before ``until`` (UTC seconds).

    The first step begins at ``until``, or just after the log's last event if that is earlier. ``seed`` is that of the
    draws; ``rates`` are those of ``fit_activity_rates`` as of the same time, to fit them once for many users.

    Raises InputError for an unknown user, one without an event before ``until``, no step, a step under one day,
    or a level that is not between 0 and 1.
    """
    if steps < 1 or not 0 < level < 1:
        raise InputError(f"forecast: at least 1 step and a level between 0 and 1 expected, got {steps} and {level}")
    view, history = graph.as_of(until), History.before(graph, user, until).check()
    counts = history.whole_steps(step_days)[:, None]
    rates = rates or fit_activity_rates(view, step_days)
    belief = rates.filter(counts, ahead=steps)[-steps:, :, 0]  # [h, 2]
    alpha, beta = belief.T
    tail = (1 - level) / 2
    low, median, high = (
        np.asarray(nbinom.ppf(quantile, alpha, beta / (1 + beta))).astype(np.int64)
        for quantile in (tail, 0.5, 1 - tail)
    )
    codes, column = np.unique(history.item, return_inverse=True)
    themes = themes_of(view, codes, np.bincount(column))
    share, draws = _draw_themes(history, themes.membership[column], belief, step_days, np.random.default_rng(seed))
    ends = [np.quantile(draws, quantile, axis=0, method="inverted_cdf") for quantile in (tail, 1 - tail)]
    return Forecast(
        user=user,
        until=until,
        step_days=step_days,
        level=level,
        start=history.local_until + np.arange(steps) * step_days * DAY,
        events=median,
        events_interval=np.stack((low, high), axis=1),
        themes=themes.names,
        share=share,
        theme_interval=np.stack(ends, axis=-1).astype(np.int64),
    )


def fit_activity_rates(view: TemporalGraph, step_days: int = 7) -> ActivityRates:
    """The most likely rates of the grid, from the steps before the view's horizon, counted back from it."""
    events, present = _count_steps(view, step_days)
    mean = max(float(events[present].mean()) if present.any() else 1.0, 1e-6)
    grid = [ActivityRates(discount, alpha, alpha / mean) for discount in DISCOUNTS for alpha in ALPHAS]
    return max(grid, key=lambda rates: _log_likelihood(rates, events, present))


def _log_likelihood(rates: ActivityRates, events: NDArray[np.int64], present: NDArray[np.bool_]) -> float:
    """Log-likelihood of each step's events given those before it, less their factorials, which all rates share."""
    belief, count = rates.filter(events, present), events[present]
    alpha, beta = belief[:, 0][present], belief[:, 1][present]
    terms = gammaln(count + alpha) - gammaln(alpha) + alpha * np.log(beta) - (count + alpha) * np.log1p(beta)
    return float(terms.sum())


def _count_steps(view: TemporalGraph, step_days: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Events of a sample of users per step, the earliest first, and the steps after each user's first, [w, users]."""
    events = view.events
    if not len(events):
        return np.zeros((0, 0), dtype=np.int64), np.zeros((0, 0), dtype=bool)
    active = torch.unique(events.user).cpu().numpy()
    sample = active[np.linspace(0, len(active) - 1, min(len(active), MAX_USERS)).astype(np.int64)]
    column = np.full(len(view.nodes["user"]), -1)
    column[sample] = np.arange(len(sample))
    user = column[events.user.cpu().numpy()]
    time, user = events.time.cpu().numpy()[user >= 0], user[user >= 0]
    back = (min(view.horizon, int(events.time[-1]) + 1) - 1 - time) // (step_days * DAY)
    earliest = np.zeros(len(sample), dtype=np.int64)
    np.maximum.at(earliest, user, back)
    steps = min(int(back.max()) + 1, MAX_STEPS)
    recent = back < steps
    counts = np.bincount(back[recent] * len(sample) + user[recent], minlength=steps * len(sample)).reshape(steps, -1)
    return counts[::-1], np.arange(steps)[::-1, None] < earliest


def _draw_themes(
    history: History,
    membership: NDArray[np.float64],
    belief: NDArray[np.float64],
    step_days: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Expected shares [h, themes] and draws of the themes' events [draws, h, themes]."""
    age = (history.until - history.time) / DAY
    weight = 0.5 ** (age / HALF_LIFE_DAYS) @ membership + 1 / membership.shape[1]  # [themes]
    draws = []
    for alpha, beta in belief:
        weight = weight * 0.5 ** (step_days / HALF_LIFE_DAYS)
        share = np.maximum(rng.standard_gamma(weight, (N_DRAWS, len(weight))), 1e-300)
        total = rng.negative_binomial(alpha, beta / (1 + beta), N_DRAWS)
        draws.append(rng.multinomial(total, share / share.sum(axis=1, keepdims=True)))
    return np.tile(weight / weight.sum(), (len(belief), 1)), np.stack(draws, axis=1)
