"""A convolutional Keras network with batch normalization on scikit-learn's 1,797 digits of 8 x 8 pixels.

python -m mia_tf.train --task=experiments/audits/tasks/digits_cnn.py:task --num_experiments=64
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

import mia_tf

x, y = load_digits(return_X_y=True)


def build():
    inputs = z = keras.Input((8, 8, 1))
    for filters in (16, 32):
        z = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(layers.Conv2D(filters, 3, padding="same")(z)))
    outputs = layers.Dense(10)(layers.Flatten()(layers.MaxPooling2D()(z)))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.002), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


task = mia_tf.KerasTask(build, x.reshape(-1, 8, 8, 1) / 16, y, epochs=10, batch_size=32)
