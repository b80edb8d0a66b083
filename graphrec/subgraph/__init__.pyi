__all__ = [
    "as_hetero_data",
    "centralities",
    "co_visited",
    "communities",
    "difference",
    "ego",
    "find_motifs",
    "model_neighbourhood",
    "path_between",
    "personalised_pagerank",
    "write_subgraph",
]

from .centrality import centralities as centralities
from .community import communities as communities
from .ego_network import difference as difference
from .ego_network import ego as ego
from .export import as_hetero_data as as_hetero_data
from .export import write_subgraph as write_subgraph
from .motifs import co_visited as co_visited
from .motifs import find_motifs as find_motifs
from .neighbourhood import model_neighbourhood as model_neighbourhood
from .pagerank import personalised_pagerank as personalised_pagerank
from .shortest_path import path_between as path_between
