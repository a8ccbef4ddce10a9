"""Starting ``mage`` as a user does, finding its workers, and reading what it made."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mage.scenes.cli import main
from mage.scenes.dataset.codec import decode_sample
from mage.scenes.dataset.schema import Sample
from mage.scenes.dataset.tar import TarIndex

SETTINGS = ["city.extent=160", "output.shard_size=1", "output.gsd=1.0"]
TINY = ["--size", "64", "--spp", "1", *(word for setting in SETTINGS for word in ("--set", setting))]


def mage(*arguments: str | Path, check: bool = True, seconds: float = 240) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mage.scenes.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What ``mage`` says of what it cannot do, in one line without a traceback; in this process, which is quicker."""
    with pytest.raises(SystemExit) as end:
        main(list(map(str, arguments)))
    said = capsys.readouterr().err
    assert end.value.code == 2, said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if line.startswith("error:")]) == 1
    return said


def labels_of(root: Path) -> dict[str, bytes]:
    found = {}
    for shard in sorted((root / "shards").glob("*.tar")):
        with TarIndex(shard) as tar:
            for key in tar.keys:
                for field in tar.members(key):
                    if field not in ("pre.png", "post.png"):
                        found[f"{key}.{field}"] = tar.read(key, field)
    return found


def samples_of(root: Path) -> list[Sample]:
    """All samples of a dataset, decoded."""
    found = []
    for shard in sorted((root / "shards").glob("*.tar")):
        with TarIndex(shard) as tar:
            found += [decode_sample(partial(tar.read, key)) for key in tar.keys]
    return found


def shard_hashes(root: Path) -> dict[str, str]:
    return {f.name: json.loads(f.read_text())["labels_sha256"] for f in sorted((root / "shards").glob("*.json"))}


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mage.scenes.cli", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(condition: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def workers_of(root: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if b"mage.generator.runners.worker" in words and parent in _drivers(root):
            found.append(int(process.name))
    return found


def _drivers(root: Path) -> set[int]:
    wanted = str(root).encode()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "cmdline").read_bytes().split(b"\0"):
                found.add(int(process.name))
        except OSError:
            continue
    return found
