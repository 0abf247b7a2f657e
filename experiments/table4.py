"""Table 4 of Choi et al.: sizes and accuracies of the mixtures with highly memorized examples (singletons).

    python -m experiments.table4 --scale=cpu --data_dir=DATA

Cost: that of the singletons' runs and of those they are chosen by: smoke 10 minutes; cpu 2 hours for the MNIST
mixtures and 2 for CIFAR-10's, on two cores; paper 10 x 2,000 models.
The paper: 209 to 2,153 singletons; all of D_U's training images 70 to 73%, test images of D_U 11 to 50%.
"""

from experiments import runs
from experiments.reproduction import accuracy_tables, command


def names(scale: str) -> list[str]:
    """The runs."""
    return [f"{mixture}_singletons" for mixture in (*runs.MNIST, *runs.CIFAR10)]


def build(measured):
    """The table."""
    return accuracy_tables.build("table4", measured)


if __name__ == "__main__":
    command.main("table4", __doc__, names, build)
