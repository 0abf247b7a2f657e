"""What a long run says while it works."""

from mia_tf.progress import Progress


def test_a_model_that_begins_anew_takes_its_epochs_back(capsys):
    progress = Progress(num_models=2, epochs=4, terminal=True)
    for _ in range(3):
        progress.epoch(0)
    progress.restarted(0)
    for _ in range(4):
        progress.epoch(0)
    progress.finished(0, "")
    progress.close()
    assert "1/2 models  50%" in capsys.readouterr().err.split("\r")[-1]
