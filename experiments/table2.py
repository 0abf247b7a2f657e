"""Table 2 of Choi et al.: five attacks on MNIST with augMNIST and SVHN, by selection of the under-represented examples.

    python -m experiments.table2 --scale=cpu --data_dir=DATA

Cost: smoke 10 minutes; cpu 2.5 hours on two cores; paper 8 x 2,000 models.
The paper: AUROC on all examples 0.50 to 0.53; LiRA on the under-represented ones 0.87 and 0.95 (random), 0.96 and 0.99
(subpopulation), 1.0 (singletons), where its TPR at 0.1% FPR is 100%.
"""

from experiments.reproduction import attack_tables, command


def names(scale: str) -> list[str]:
    """The runs."""
    return attack_tables.names(("mnist_augmnist", "mnist_svhn"), alone="mnist")


def build(measured):
    """The table."""
    return attack_tables.build("table2", measured)


if __name__ == "__main__":
    command.main("table2", __doc__, names, build)
