"""How many events the next weeks of a user will see, and of which themes: expectations with intervals.

Activity is a Poisson rate that wanders. What is known of it is a gamma distribution; a step's events are added to it,
then it keeps its mean and a part ``discount`` of its weight (power discounting, Harvey and Fernandes 1989, Journal of
Business & Economic Statistics 7(4)). The next step is then negative binomial. How much is kept, and what is known of
people in general, are the values of a small grid under which the past of 500 users at most was likeliest.

Shares of themes are a Dirichlet distribution whose weights are the user's own events, each worth half after 45 days,
and one event spread over the themes alike; a theme's events are drawn from both. benchmarks/interest.md measures
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

KEEP = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)
"""Parts of what is known that may be kept from step to step."""
SHAPES = (0.3, 0.6, 1.0, 2.0, 4.0)
"""Shapes of the gamma distribution of people in general; the smaller, the more they differ."""
HALF_LIFE_DAYS = 45
"""Age at which an event says half as much of the themes to come."""
MOST_USERS, MOST_STEPS = 500, 104
"""Users and latest steps from which ``discount`` and people in general are learned."""
FAINTEST = 0.01
"""Least shape of a gamma distribution, for people who have been quiet for long."""
DRAWS = 4_000
"""Draws of the themes' events; an end of an interval moves by an event at most from seed to seed."""


@dataclass(frozen=True)
class Forecast:
    """What is expected of ``h`` steps of time that follow each other from ``until`` on."""

    user: str
    """The user's own id."""
    until: int
    """UTC seconds; only events strictly before it count."""
    step_days: int
    """Length of a step in days."""
    level: float
    """Probability that an interval holds what will be."""
    start: NDArray[np.int64]
    """[h] first second of each step on the user's own clock (UTC seconds plus the offset)."""
    events: NDArray[np.int64]
    """[h] number of events that is as likely to be passed as not: the median, which errs least."""
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
    """How rates of events wander, and what they are among people in general."""

    discount: float
    """Part of what is known that a step leaves."""
    alpha: float
    """Shape of the gamma distribution of the rates of people in general."""
    beta: float
    """Its inverse scale: ``alpha / beta`` events a step are their mean."""

    def after(
        self, events: NDArray[np.int64], known: NDArray[np.bool_] | None = None, ahead: int = 0
    ) -> NDArray[np.float64]:
        """Shape and rate of what is known just before each step, [w + ahead, 2, users].

        ``events`` are [w, users]; where ``known`` is not true, the user was not there yet. Of the steps ``ahead``
        nothing is seen.
        """
        known = np.ones(events.shape, dtype=bool) if known is None else known
        shape, rate = np.full(events.shape[1], self.alpha), np.full(events.shape[1], self.beta)
        states = []
        for count, there in zip(events, known, strict=True):
            states.append((shape, rate))
            shape = np.where(there, np.maximum(self.discount * (shape + count), FAINTEST), shape)
            rate = np.where(there, self.discount * (rate + 1), rate)
        for _ in range(ahead):
            states.append((shape, rate))
            shape, rate = np.maximum(self.discount * shape, FAINTEST), self.discount * rate
        return np.array(states).reshape(-1, 2, events.shape[1])


def forecast_interest(
    graph: TemporalGraph,
    user: str,
    until: int,
    steps: int = 4,
    step_days: int = 7,
    level: float = 0.8,
    seed: int = 0,
    rates: ActivityRates | None = None,
) -> Forecast:
    """Expect the next ``steps`` of a user from the events strictly before ``until`` (UTC seconds).

    The first step begins at ``until``, or just after the log's last event if that is earlier. ``seed`` is that of the
    draws; ``rates`` are those of ``fit_activity_rates`` as of the same time, to learn them once for many users.

    Raises InputError for an unknown user, one without an event before ``until``, no step, a step under one day,
    or a level that is not between 0 and 1.
    """
    if steps < 1 or not 0 < level < 1:
        raise InputError(f"forecast: at least 1 step and a level between 0 and 1 expected, got {steps} and {level}")
    view, history = graph.as_of(until), History.before(graph, user, until).check()
    counts = history.whole_steps(step_days)[:, None]
    rates = rates or fit_activity_rates(view, step_days)
    known = rates.after(counts, ahead=steps)[-steps:, :, 0]  # [h, 2]
    chance = known[:, 1] / (1 + known[:, 1])
    tail = (1 - level) / 2
    low, middle, high = (
        np.asarray(nbinom.ppf(end, known[:, 0], chance)).astype(np.int64) for end in (tail, 0.5, 1 - tail)
    )
    codes, column = np.unique(history.item, return_inverse=True)
    themes = themes_of(view, codes, np.bincount(column))
    share, drawn = _themes(history, themes.membership[column], known, step_days, np.random.default_rng(seed))
    return Forecast(
        user=user,
        until=until,
        step_days=step_days,
        level=level,
        start=history.local_until + np.arange(steps) * step_days * DAY,
        events=middle,
        events_interval=np.stack((low, high), axis=1),
        themes=themes.names,
        share=share,
        theme_interval=_between(drawn, tail),
    )


def fit_activity_rates(view: TemporalGraph, step_days: int = 7) -> ActivityRates:
    """How rates wander, from the steps before the view's horizon, counted back from it."""
    events, known = _counts(view, step_days)
    mean = max(float(events[known].mean()) if known.any() else 1.0, 1e-6)
    choices = [ActivityRates(keep, shape, shape / mean) for keep in KEEP for shape in SHAPES]
    return max(choices, key=lambda rates: _likelihood(rates, events, known))


def _likelihood(rates: ActivityRates, events: NDArray[np.int64], known: NDArray[np.bool_]) -> float:
    """Log-likelihood of each step's events after those before it."""
    before = rates.after(events, known)
    shape, rate = before[:, 0][known], before[:, 1][known]
    count = events[known]
    of_each = gammaln(count + shape) - gammaln(shape) + shape * np.log(rate) - (count + shape) * np.log1p(rate)
    return float(of_each.sum())  # less the factorials of the counts, which are the same for all


def _counts(view: TemporalGraph, step_days: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Events of some users a step, the earliest first, and where the users were there before, [w, users] each."""
    events = view.events
    if not len(events):
        return np.zeros((0, 0), dtype=np.int64), np.zeros((0, 0), dtype=bool)
    present = torch.unique(events.user).cpu().numpy()
    sample = present[np.linspace(0, len(present) - 1, min(len(present), MOST_USERS)).astype(np.int64)]
    place = np.full(len(view.nodes["user"]), -1)
    place[sample] = np.arange(len(sample))
    user = place[events.user.cpu().numpy()]
    time = events.time.cpu().numpy()[user >= 0]
    user = user[user >= 0]
    back = (min(view.horizon, int(events.time[-1]) + 1) - 1 - time) // (step_days * DAY)
    earliest = np.zeros(len(sample), dtype=np.int64)
    np.maximum.at(earliest, user, back)
    steps = min(int(back.max()) + 1, MOST_STEPS)
    kept = back < steps
    counts = np.bincount(back[kept] * len(sample) + user[kept], minlength=steps * len(sample)).reshape(steps, -1)
    return counts[::-1], np.arange(steps)[::-1, None] < earliest


def _themes(
    history: History,
    membership: NDArray[np.float64],
    known: NDArray[np.float64],
    step_days: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Expected shares [h, themes] and draws of the themes' events [draws, h, themes]."""
    age = (history.until - history.time) / DAY
    weight = 0.5 ** (age / HALF_LIFE_DAYS) @ membership + 1 / membership.shape[1]  # [themes]
    draws = []
    for shape, rate in known:
        weight = weight * 0.5 ** (step_days / HALF_LIFE_DAYS)
        part = np.maximum(rng.standard_gamma(weight, (DRAWS, len(weight))), 1e-300)
        total = rng.negative_binomial(shape, rate / (1 + rate), DRAWS)
        draws.append(rng.multinomial(total, part / part.sum(axis=1, keepdims=True)))
    return np.tile(weight / weight.sum(), (len(known), 1)), np.stack(draws, axis=1)


def _between(drawn: NDArray[np.int64], tail: float) -> NDArray[np.int64]:
    """Lowest and highest of the draws [draws, ...] once a ``tail`` on either side is left out, [..., 2]."""
    ends = [np.quantile(drawn, end, axis=0, method="inverted_cdf") for end in (tail, 1 - tail)]
    return np.stack(ends, axis=-1).astype(np.int64)
