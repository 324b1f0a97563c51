"""Pictures to features: small networks that a laptop trains, and ResNet-18.

``encoder`` is what all have in common, ``small_cnn``, ``resnet`` and ``vit`` are the
kinds, ``spatial_softmax`` turns maps into places, ``tokens`` gives a map to a
transformer.
"""

from ml.vision.encoder import ImageEncoder
from ml.vision.kinds import ENCODERS, make_encoder
from ml.vision.resnet import ResNet18
from ml.vision.small_cnn import SmallCNN
from ml.vision.spatial_softmax import SpatialSoftmax
from ml.vision.tokens import ImageTokens
from ml.vision.vit import ViT

__all__ = [
    "ENCODERS",
    "ImageEncoder",
    "ImageTokens",
    "ResNet18",
    "SmallCNN",
    "SpatialSoftmax",
    "ViT",
    "make_encoder",
]
