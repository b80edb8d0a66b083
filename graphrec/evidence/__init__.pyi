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

from .attention_profile import AttentionProfile as AttentionProfile, profile_attention as profile_attention
from .counterfactual import Counterfactual as Counterfactual, counterfactuals as counterfactuals
from .faithfulness import Faithfulness as Faithfulness, measure_faithfulness as measure_faithfulness
from .flow import AttentionFlow as AttentionFlow, attention_flow as attention_flow
from .shares import Recommendation as Recommendation, explain as explain
