__all__ = [
    "draw_attention_profile",
    "draw_ego",
    "draw_ego_interactive",
    "draw_embedding",
    "draw_faithfulness",
    "draw_flow",
    "draw_forecast",
    "draw_groups",
    "draw_hour_of_week",
    "draw_interest",
    "draw_map_interactive",
    "draw_places",
    "draw_retention",
    "draw_shares",
]

from .attention_profile import draw_attention_profile as draw_attention_profile
from .ego import draw_ego as draw_ego
from .embedding import draw_embedding as draw_embedding
from .faithfulness import draw_faithfulness as draw_faithfulness
from .flow import draw_flow as draw_flow
from .interactive import draw_ego_interactive as draw_ego_interactive, draw_map_interactive as draw_map_interactive
from .interest import draw_forecast as draw_forecast, draw_groups as draw_groups, draw_retention as draw_retention
from .places import draw_places as draw_places
from .shares import draw_shares as draw_shares
from .stream import draw_interest as draw_interest
from .week import draw_hour_of_week as draw_hour_of_week
