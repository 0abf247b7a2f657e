"""The parts of TF-Privacy that work with Keras 3, imported in the one way that does.

TF-Privacy's own __init__ imports its Keras 2 optimizers and TensorFlow's removed Estimator; it skips them
where it finds this attribute.
"""

import sys

sys.__dict__["skip_tf_privacy_import"] = True

from tensorflow_privacy.privacy.dp_query import gaussian_query  # noqa: E402
from tensorflow_privacy.privacy.fast_gradient_clipping import clip_grads  # noqa: E402
from tensorflow_privacy.privacy.fast_gradient_clipping import layer_registry as registry  # noqa: E402

GaussianSumQuery = gaussian_query.GaussianSumQuery
compute_clip_weights = clip_grads.compute_clip_weights
layer_registry = registry
