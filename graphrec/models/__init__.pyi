__all__ = [
    "AlsConfig",
    "BprConfig",
    "Ease",
    "EaseConfig",
    "Factors",
    "ItemKNN",
    "ItemKNNConfig",
    "ItemScorer",
    "LightGCN",
    "LightGCNConfig",
    "ModelConfig",
    "Ranker",
    "Ranking",
    "Sasrec",
    "SasrecConfig",
    "ScoreRanker",
    "Stgat",
    "StgatRanker",
]

from .item_to_item import Ease as Ease
from .item_to_item import EaseConfig as EaseConfig
from .item_to_item import ItemKNN as ItemKNN
from .item_to_item import ItemKNNConfig as ItemKNNConfig
from .lightgcn import LightGCN as LightGCN
from .lightgcn import LightGCNConfig as LightGCNConfig
from .matrix_factorization import AlsConfig as AlsConfig
from .matrix_factorization import BprConfig as BprConfig
from .matrix_factorization import Factors as Factors
from .ranker import Ranker as Ranker
from .ranker import Ranking as Ranking
from .ranking import StgatRanker as StgatRanker
from .sasrec import Sasrec as Sasrec
from .sasrec import SasrecConfig as SasrecConfig
from .score_ranker import ItemScorer as ItemScorer
from .score_ranker import ScoreRanker as ScoreRanker
from .stgat import ModelConfig as ModelConfig
from .stgat import Stgat as Stgat
