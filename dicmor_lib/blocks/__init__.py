"""The building blocks of DiCMoR, one box of the paper's figure per file. They import torch and nothing above them."""

from dicmor_lib.blocks.attention import CrossModalAttention, Encoder, EncoderLayer, causal_mask, position_code
from dicmor_lib.blocks.coupling import AffineCoupling, CouplingNetwork
from dicmor_lib.blocks.flow import Flow, collapse
from dicmor_lib.blocks.fusion import MultimodalTransformer
from dicmor_lib.blocks.joint_prior import JointPrior
from dicmor_lib.blocks.mixing import InvertibleMixing
from dicmor_lib.blocks.prior import ClassPrior, sentiment_class
from dicmor_lib.blocks.recovery import RCAB, ChannelAttention, Recovery
from dicmor_lib.blocks.shallow import ShallowConv, ShallowIdentity

__all__ = [
    "AffineCoupling",
    "ChannelAttention",
    "ClassPrior",
    "CouplingNetwork",
    "CrossModalAttention",
    "Encoder",
    "EncoderLayer",
    "Flow",
    "InvertibleMixing",
    "JointPrior",
    "MultimodalTransformer",
    "RCAB",
    "Recovery",
    "ShallowConv",
    "ShallowIdentity",
    "causal_mask",
    "collapse",
    "position_code",
    "sentiment_class",
]
