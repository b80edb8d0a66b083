__all__ = [
    "as_hetero_data",
    "centralities",
    "co_occurring_items",
    "communities",
    "difference",
    "ego",
    "item_transitions",
    "model_neighbourhood",
    "pagerank_agreement",
    "personalised_pagerank",
    "shortest_path",
    "write_subgraph",
]

from .centrality import centralities as centralities
from .community import communities as communities
from .ego_network import difference as difference, ego as ego
from .export import as_hetero_data as as_hetero_data, write_subgraph as write_subgraph
from .item_pairs import co_occurring_items as co_occurring_items, item_transitions as item_transitions
from .neighbourhood import model_neighbourhood as model_neighbourhood
from .pagerank import pagerank_agreement as pagerank_agreement, personalised_pagerank as personalised_pagerank
from .paths import shortest_path as shortest_path
