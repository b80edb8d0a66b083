__all__ = [
    "draw_ego",
    "draw_embedding",
    "draw_faithfulness",
    "draw_flow",
    "draw_groups",
    "draw_interest",
    "draw_outlook",
    "draw_places",
    "draw_profile",
    "draw_retention",
    "draw_shares",
    "hour_of_week",
    "interactive_ego",
    "interactive_map",
]

from .attention_profile import draw_profile as draw_profile
from .ego import draw_ego as draw_ego
from .embedding import draw_embedding as draw_embedding
from .faithfulness import draw_faithfulness as draw_faithfulness
from .flow import draw_flow as draw_flow
from .interactive import interactive_ego as interactive_ego
from .interactive import interactive_map as interactive_map
from .interest import draw_groups as draw_groups
from .interest import draw_outlook as draw_outlook
from .interest import draw_retention as draw_retention
from .places import draw_places as draw_places
from .shares import draw_shares as draw_shares
from .stream import draw_interest as draw_interest
from .week import hour_of_week as hour_of_week
