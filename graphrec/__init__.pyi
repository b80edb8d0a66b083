__all__ = [
    "EvaluationProtocol",
    "GraphrecError",
    "ModelConfig",
    "Queries",
    "Recommendation",
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
)
from . import (
    evaluation as evaluation,
)
from . import (
    evidence as evidence,
)
from . import (
    graph as graph,
)
from . import (
    interest as interest,
)
from . import (
    metrics as metrics,
)
from . import (
    models as models,
)
from . import (
    pictures as pictures,
)
from . import (
    queries as queries,
)
from . import (
    report as report,
)
from . import (
    runs as runs,
)
from . import (
    subgraph as subgraph,
)
from . import (
    training as training,
)
from .errors import GraphrecError as GraphrecError
from .evaluation.evaluation import evaluate as evaluate
from .evidence.shares import Recommendation as Recommendation
from .evidence.shares import explain as explain
from .graph.temporal_graph import TemporalGraph as TemporalGraph
from .models.stgat import ModelConfig as ModelConfig
from .queries.protocol import EvaluationProtocol as EvaluationProtocol
from .queries.query import Queries as Queries
from .recommendation import recommend as recommend
from .runs.config import RunConfig as RunConfig
from .runs.config import TrainingConfig as TrainingConfig
from .runs.run import Run as Run
from .training.trainer import train as train
