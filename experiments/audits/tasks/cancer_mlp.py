"""A Keras network on scikit-learn's breast-cancer table, with its own Adam and dropout; also with DP-SGD.

python -m mia_tf.train --task=experiments/audits/tasks/cancer_mlp.py:task --num_experiments=64
python -m mia_tf.train --task=experiments/audits/tasks/cancer_mlp.py:private --num_experiments=64 --logdir=runs/dp
"""

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

import mia_tf

x, y = load_breast_cancer(return_X_y=True)
x = StandardScaler().fit_transform(x)


def build():
    layers = [keras.Input((30,)), keras.layers.Dense(128, "relu"), keras.layers.Dropout(0.1)]
    model = keras.Sequential([*layers, keras.layers.Dense(128, "relu"), keras.layers.Dense(2, "softmax")])
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    return model


CLASSES = ["malignant", "benign"]
task = mia_tf.KerasTask(build, x, y, epochs=60, batch_size=32, classes=CLASSES)
privacy = mia_tf.PrivacyConfig(target_epsilon=3.2, delta=1e-3)
private = mia_tf.KerasTask(build, x, y, epochs=60, batch_size=32, classes=CLASSES, dp=privacy)
