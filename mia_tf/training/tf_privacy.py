"""The parts of TF-Privacy that work with Keras 3, imported in the one way that does.

TF-Privacy's own __init__ imports its Keras 2 optimizers and TensorFlow's removed Estimator; it skips them
where it finds this attribute.
"""

import sys

sys.skip_tf_privacy_import = True

from tensorflow_privacy.privacy.dp_query.gaussian_query import GaussianSumQuery  # noqa: E402
from tensorflow_privacy.privacy.fast_gradient_clipping import layer_registry  # noqa: E402
from tensorflow_privacy.privacy.fast_gradient_clipping.clip_grads import compute_clip_weights  # noqa: E402

__all__ = ["GaussianSumQuery", "compute_clip_weights", "layer_registry"]
