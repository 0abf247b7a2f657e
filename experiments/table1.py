"""Table 1 of Choi et al.: sizes and accuracies of the mixtures with random under-represented examples.

    python -m experiments.table1 --scale=cpu --data_dir=DATA

Cost: smoke 7 minutes; cpu 1 hour for the MNIST mixtures and 80 minutes for CIFAR-10's, on two cores, and nothing
more where the runs are there; paper 7 x 2,000 models.
The paper: all of D_O's training images 96 to 99%, of D_U's 79 to 90%; test images of D_O 88 to 99%, of D_U 35 to 66%.
"""

from experiments import runs
from experiments.reproduction import accuracy_tables, command


def names(scale: str) -> list[str]:
    """The runs."""
    return ["mnist", "cifar10", *(f"{mixture}_random" for mixture in (*runs.MNIST, *runs.CIFAR10))]


def build(measured):
    """The table."""
    return accuracy_tables.build("table1", measured)


if __name__ == "__main__":
    command.main("table1", __doc__, names, build)
