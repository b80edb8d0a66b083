__all__ = [
    "EvaluationProtocol",
    "EvaluationResult",
    "GraphrecError",
    "ModelConfig",
    "Queries",
    "RecommendationList",
    "Run",
    "RunConfig",
    "TemporalGraph",
    "TrainingConfig",
    "errors",
    "evaluate",
    "evaluation",
    "evidence",
    "explain",
    "graph",
    "interest",
    "metrics",
    "models",
    "pictures",
    "queries",
    "recommend",
    "report",
    "runs",
    "subgraph",
    "train",
    "training",
]

from . import (
    errors as errors,
    evaluation as evaluation,
    evidence as evidence,
    graph as graph,
    interest as interest,
    metrics as metrics,
    models as models,
    pictures as pictures,
    queries as queries,
    report as report,
    runs as runs,
    subgraph as subgraph,
    training as training,
)
from .errors import GraphrecError as GraphrecError
from .evaluation.evaluation import evaluate as evaluate
from .evaluation.result import EvaluationResult as EvaluationResult
from .evidence.shares import explain as explain
from .graph.temporal_graph import TemporalGraph as TemporalGraph
from .models.stgat import ModelConfig as ModelConfig
from .queries.protocol import EvaluationProtocol as EvaluationProtocol
from .queries.query import Queries as Queries
from .recommendation import RecommendationList as RecommendationList, recommend as recommend
from .runs.config import RunConfig as RunConfig, TrainingConfig as TrainingConfig
from .runs.run import Run as Run
from .training.trainer import train as train
