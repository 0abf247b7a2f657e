"""A bag-of-words classifier of real text: from which library is the documentation of a function?

    python -m mia_tf.train --task=experiments/audits/tasks/docs_text.py:task --num_experiments=64

The texts are the docstrings of NumPy's, SciPy's and scikit-learn's public functions and classes, without the names that
name their library. They need no download; their number depends on the installed versions.
"""

import importlib
import inspect
import re

import keras
import numpy as np
from keras import layers
from sklearn.feature_extraction.text import CountVectorizer

import mia_tf

PACKAGES = {
    "numpy": ("numpy", "numpy.linalg", "numpy.fft", "numpy.random", "numpy.polynomial"),
    "scipy": ("scipy.stats", "scipy.signal", "scipy.special", "scipy.optimize", "scipy.sparse", "scipy.linalg"),
    "sklearn": ("sklearn.metrics", "sklearn.preprocessing", "sklearn.linear_model", "sklearn.datasets"),
}
WORDS, LENGTH = 4000, 60


def read_texts():
    """Names, libraries and first paragraphs of documented functions and classes, each text once."""
    texts = {}
    for library, modules in PACKAGES.items():
        for module in map(importlib.import_module, modules):
            for name, value in sorted(vars(module).items()):
                text = re.sub(r"(numpy|np\.|scipy|sklearn|scikit.learn)\S*", "", inspect.getdoc(value) or "")
                if callable(value) and not name.startswith("_") and len(text) > 200:
                    texts.setdefault(text, (f"{module.__name__}.{name}", library))
    names, libraries = zip(*texts.values(), strict=True)
    return names, libraries, list(texts)


def as_tokens(texts):
    """(N, LENGTH) int32: the first known words of each text, 0 for none."""
    vectorizer = CountVectorizer(max_features=WORDS).fit(texts)
    split, known = vectorizer.build_analyzer(), vectorizer.vocabulary_
    tokens = np.zeros((len(texts), LENGTH), np.int32)
    for row, text in zip(tokens, texts, strict=True):
        ids = [known[word] + 1 for word in split(text) if word in known][:LENGTH]
        row[: len(ids)] = ids
    return tokens


def build():
    tokens = keras.Input((LENGTH,), dtype="int32")
    bag = layers.GlobalAveragePooling1D()(layers.Embedding(WORDS + 1, 32)(tokens))
    model = keras.Model(tokens, layers.Dense(len(PACKAGES), "softmax")(layers.Dense(32, "relu")(bag)))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


names, libraries, texts = read_texts()
task = mia_tf.KerasTask(build, as_tokens(texts), libraries, ids=names, epochs=15, batch_size=32)
