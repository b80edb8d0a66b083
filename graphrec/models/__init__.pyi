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
    "ModelEntry",
    "ModelHyperparameters",
    "Ranker",
    "Ranking",
    "Sasrec",
    "SasrecConfig",
    "ScoreRanker",
    "Slit",
    "SlitConfig",
    "Stgat",
    "StgatRanker",
    "register",
]

from .item_to_item import Ease as Ease, EaseConfig as EaseConfig, ItemKNN as ItemKNN, ItemKNNConfig as ItemKNNConfig
from .lightgcn import LightGCN as LightGCN, LightGCNConfig as LightGCNConfig
from .matrix_factorization import AlsConfig as AlsConfig, BprConfig as BprConfig, Factors as Factors
from .ranker import Ranker as Ranker, Ranking as Ranking
from .ranking import StgatRanker as StgatRanker
from .registry import ModelEntry as ModelEntry, ModelHyperparameters as ModelHyperparameters, register as register
from .sasrec import Sasrec as Sasrec, SasrecConfig as SasrecConfig
from .score_ranker import ItemScorer as ItemScorer, ScoreRanker as ScoreRanker
from .slit import Slit as Slit, SlitConfig as SlitConfig
from .stgat import ModelConfig as ModelConfig, Stgat as Stgat
