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

from .change_points import ChangePoint as ChangePoint
from .change_points import activity_changes as activity_changes
from .change_points import interest_changes as interest_changes
from .change_points import place_changes as place_changes
from .cohorts import Cohorts as Cohorts
from .cohorts import InterestGroups as InterestGroups
from .cohorts import cohorts_by_interest as cohorts_by_interest
from .cohorts import cohorts_by_start as cohorts_by_start
from .forecast import Forecast as Forecast
from .forecast import fit_activity_rates as fit_activity_rates
from .forecast import forecast_interest as forecast_interest
from .history import History as History
from .over_time import InterestOverTime as InterestOverTime
from .over_time import interest_over_time as interest_over_time
from .places import HabitualPlaces as HabitualPlaces
from .places import Place as Place
from .places import habitual_places as habitual_places
from .profile import Profile as Profile
from .profile import Sentence as Sentence
from .profile import user_profile as user_profile
