__all__ = [
    "AttentionFlow",
    "AttentionProfile",
    "Counterfactual",
    "Faithfulness",
    "Recommendation",
    "attention_flow",
    "counterfactuals",
    "explain",
    "measure_faithfulness",
    "profile_attention",
]

from .attention_profile import AttentionProfile as AttentionProfile
from .attention_profile import profile_attention as profile_attention
from .counterfactual import Counterfactual as Counterfactual
from .counterfactual import counterfactuals as counterfactuals
from .faithfulness import Faithfulness as Faithfulness
from .faithfulness import measure_faithfulness as measure_faithfulness
from .flow import AttentionFlow as AttentionFlow
from .flow import attention_flow as attention_flow
from .shares import Recommendation as Recommendation
from .shares import explain as explain
