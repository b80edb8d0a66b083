__all__ = [
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
