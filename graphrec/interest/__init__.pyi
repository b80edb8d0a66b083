__all__ = [
    "ChangePoint",
    "Cohorts",
    "Forecast",
    "HabitualPlaces",
    "History",
    "InterestGroups",
    "InterestOverTime",
    "Place",
    "Profile",
    "Sentence",
    "activity_changes",
    "cohorts_by_interest",
    "cohorts_by_start",
    "fit_activity_rates",
    "forecast_interest",
    "habitual_places",
    "interest_changes",
    "interest_over_time",
    "place_changes",
    "user_profile",
]

from .change_points import (
    ChangePoint as ChangePoint,
    activity_changes as activity_changes,
    interest_changes as interest_changes,
    place_changes as place_changes,
)
from .cohorts import (
    Cohorts as Cohorts,
    InterestGroups as InterestGroups,
    cohorts_by_interest as cohorts_by_interest,
    cohorts_by_start as cohorts_by_start,
)
from .forecast import (
    Forecast as Forecast,
    fit_activity_rates as fit_activity_rates,
    forecast_interest as forecast_interest,
)
from .history import History as History
from .over_time import InterestOverTime as InterestOverTime, interest_over_time as interest_over_time
from .places import HabitualPlaces as HabitualPlaces, Place as Place, habitual_places as habitual_places
from .profile import Profile as Profile, Sentence as Sentence, user_profile as user_profile
