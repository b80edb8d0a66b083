__all__ = [
    "Change",
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
    "forecast_interest",
    "interest_changes",
    "interest_over_time",
    "learn_rates",
    "place_changes",
    "places_of",
    "user_profile",
]

from .change_points import Change as Change
from .change_points import activity_changes as activity_changes
from .change_points import interest_changes as interest_changes
from .change_points import place_changes as place_changes
from .cohorts import Cohorts as Cohorts
from .cohorts import InterestGroups as InterestGroups
from .cohorts import cohorts_by_interest as cohorts_by_interest
from .cohorts import cohorts_by_start as cohorts_by_start
from .forecast import Forecast as Forecast
from .forecast import forecast_interest as forecast_interest
from .forecast import learn_rates as learn_rates
from .habitual_places import HabitualPlaces as HabitualPlaces
from .habitual_places import Place as Place
from .habitual_places import places_of as places_of
from .history import History as History
from .over_time import InterestOverTime as InterestOverTime
from .over_time import interest_over_time as interest_over_time
from .profile import Profile as Profile
from .profile import Sentence as Sentence
from .profile import user_profile as user_profile
