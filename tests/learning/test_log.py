"""What a training tells: lines, a table, curves, a bar."""

from __future__ import annotations

import csv

import pytest
from toys import Stripes, ToyNet

from mage.learning import Supervised, TensorBoard, fit, log
from mage.scenes.errors import MissingExtraError

ARGUMENTS = {"batch": 2, "device": "cpu"}


def test_the_table_holds_what_the_log_holds(tmp_path):
    run = fit(Supervised(ToyNet()), Stripes(), out=tmp_path / "run", steps=3, **ARGUMENTS)
    rows = list(csv.DictReader((run.path / "log.csv").read_text().splitlines()))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == run.log()
    assert list(rows[0]) == ["step", "loss", "gradient", "segmentation", "lr", "seconds"]


def test_losses_that_come_and_go_have_columns_of_their_own(tmp_path):
    class Growing(Supervised):
        calls = 0

        def losses(self, batch):
            self.calls += 1
            losses = super().losses(batch)
            return losses | {"late": losses["segmentation"] * 0} if self.calls > 1 else losses

    run = fit(Growing(ToyNet()), Stripes(), out=tmp_path / "run", steps=2, **ARGUMENTS)
    rows = list(csv.DictReader((run.path / "log.csv").read_text().splitlines()))
    assert [row["late"] for row in rows] == ["", "0.0"]


def test_whoever_watches_gets_every_line_once(tmp_path):
    seen = []
    arguments = ARGUMENTS | {"out": tmp_path / "run", "watch": seen.append}
    fit(Supervised(ToyNet()), Stripes(), steps=2, **arguments)
    run = fit(Supervised(ToyNet()), Stripes(), steps=4, resume=True, **arguments)
    assert seen == run.log()
    assert [line["step"] for line in seen] == [1, 2, 3, 4]


def test_the_bar_shows_loss_rate_and_the_time_that_is_left(tmp_path, capsys):
    fit(Supervised(ToyNet()), Stripes(), out=tmp_path / "run", steps=2, progress=True, **ARGUMENTS)
    line = capsys.readouterr().err.splitlines()[-1].split("\r")[-1]
    assert "2/2" in line
    assert "step/s" in line or "s/step" in line
    assert "<" in line
    assert "loss=" in line
    assert "lr=" in line


def test_tensorboard_reads_what_is_written_for_it(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the package tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    watch = TensorBoard(tmp_path / "events")
    run = fit(Supervised(ToyNet()), Stripes(), out=tmp_path / "run", steps=3, watch=watch, **ARGUMENTS)
    watch.close()
    found = EventAccumulator(str(tmp_path / "events"))
    found.Reload()
    assert set(found.Tags()["scalars"]) == {"loss", "gradient", "segmentation", "lr", "seconds"}
    assert [event.step for event in found.Scalars("loss")] == [1, 2, 3]
    assert [event.value for event in found.Scalars("loss")] == pytest.approx([line["loss"] for line in run.log()])


def test_a_missing_tensorboard_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"mage-eo\[tensorboard\]"):
        TensorBoard(tmp_path)
    assert not list(tmp_path.iterdir())
