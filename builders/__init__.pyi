__all__ = [
    "ColumnMapping",
    "append_to_graph",
    "build_graph",
    "forget_user",
    "inspect_log",
    "simulate_city",
]

from .append import append_to_graph as append_to_graph
from .build import build_graph as build_graph
from .forget.erasure import forget_user as forget_user
from .inspection import inspect_log as inspect_log
from .mapping.column_mapping import ColumnMapping as ColumnMapping
from .simulation.simulated_log import simulate_city as simulate_city
