__all__ = [
    "SPLITS",
    "TEST",
    "TIME_MAX",
    "TIME_MIN",
    "TRAIN",
    "VAL",
    "Edges",
    "Events",
    "GraphManifest",
    "Nodes",
    "Relation",
    "TemporalGraph",
    "adjacency",
    "read_manifest",
]

from .conversion import adjacency as adjacency
from .events import Events as Events
from .manifest import GraphManifest as GraphManifest, read_manifest as read_manifest
from .nodes import Edges as Edges, Nodes as Nodes
from .relation import Relation as Relation
from .temporal_graph import TemporalGraph as TemporalGraph
from .splits import SPLITS as SPLITS, TEST as TEST, TRAIN as TRAIN, VAL as VAL
from .time_bounds import TIME_MAX as TIME_MAX, TIME_MIN as TIME_MIN
