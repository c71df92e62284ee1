"""Evaluation that can be believed: identical masks, cheap baselines beside every result, intervals."""

from dicmor_lib.evaluation.autoencoder import AutoEncoder
from dicmor_lib.evaluation.baselines import Imputer, MeanFill, ZeroFill
from dicmor_lib.evaluation.bootstrap import Estimate, metric_estimates, paired_differences, resample_counts
from dicmor_lib.evaluation.distances import Distance
from dicmor_lib.evaluation.evaluate import Evaluation, default_imputers, evaluate
from dicmor_lib.evaluation.frame import ShallowFrame
from dicmor_lib.evaluation.gaussian import GaussianConditional
from dicmor_lib.evaluation.labels import Majority, RidgeLastStep, majority_share
from dicmor_lib.evaluation.metrics import METRIC_TITLES, METRICS, sentiment_metrics, weighted_metrics
from dicmor_lib.evaluation.neighbours import NearestNeighbours
from dicmor_lib.evaluation.passes import ModelPass, ShallowSplit, run_pass, shallow_split
from dicmor_lib.evaluation.predictions import PatternPredictions
from dicmor_lib.evaluation.protocol_run import ProtocolEvaluation, evaluate_protocols
from dicmor_lib.evaluation.protocols import ProtocolScore, ProtocolTable, score_protocols
from dicmor_lib.evaluation.published_checks import check_published
from dicmor_lib.evaluation.published_numbers import PublishedRow, published_rows
from dicmor_lib.evaluation.published_tables import published_beside
from dicmor_lib.evaluation.recovery import RecoveryErrors
from dicmor_lib.evaluation.ridge import RidgeImpute
from dicmor_lib.evaluation.table import EvaluationTable, Row, score, score_differences
from dicmor_lib.evaluation.two_sample import TwoSample, two_sample

__all__ = [
    "METRICS",
    "METRIC_TITLES",
    "AutoEncoder",
    "Distance",
    "Estimate",
    "Evaluation",
    "EvaluationTable",
    "GaussianConditional",
    "Imputer",
    "Majority",
    "MeanFill",
    "ModelPass",
    "NearestNeighbours",
    "PatternPredictions",
    "ProtocolEvaluation",
    "ProtocolScore",
    "ProtocolTable",
    "PublishedRow",
    "RecoveryErrors",
    "RidgeImpute",
    "RidgeLastStep",
    "Row",
    "ShallowFrame",
    "ShallowSplit",
    "TwoSample",
    "ZeroFill",
    "check_published",
    "default_imputers",
    "evaluate",
    "evaluate_protocols",
    "majority_share",
    "metric_estimates",
    "paired_differences",
    "published_beside",
    "published_rows",
    "resample_counts",
    "run_pass",
    "score",
    "score_differences",
    "score_protocols",
    "sentiment_metrics",
    "shallow_split",
    "two_sample",
    "weighted_metrics",
]
