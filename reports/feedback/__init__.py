"""What feedback buys: each answer with feedback beside answers without, image by image."""

from reports.feedback.comparison import Comparison
from reports.feedback.study import feedback_figures, feedback_tables

__all__ = ["Comparison", "feedback_figures", "feedback_tables"]
