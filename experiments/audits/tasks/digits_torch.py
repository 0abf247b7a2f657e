"""A PyTorch network on scikit-learn's digits, where PyTorch is installed: the program never sees the framework.

python -m mia_tf.train --task=experiments/audits/tasks/digits_torch.py:task --num_experiments=64
"""

import torch
from sklearn.datasets import load_digits

import mia_tf

x, y = load_digits(return_X_y=True)
x, targets = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)


def train_and_predict(rows, seed):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), 0.005)
    rows = torch.as_tensor(rows)
    for _ in range(20):
        for batch in rows[torch.randperm(len(rows))].split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[batch]), targets[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        return model(x).numpy()


task = mia_tf.Task(train_and_predict, labels=y)
