"""A GPU as Cycles sees it: what is chosen, whether labels are the CPU's to the byte, pictures a second, how busy it is.

Run: ``python benchmarks/gpu.py [FOLDER] [SECONDS]``; within SECONDS (280) it writes ``results.json`` and
``pictures.png`` into FOLDER and prints a table as it goes. A part that fails is told of and left out. Without a GPU the
same parts run, tiny, on the CPU.

Speed is taken while all workers work: from the moment the last of them is ready until a window has passed, then the
run is interrupted. A labelled pixel is one of one date.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mage.generator.preview import first_sample

WINDOW = 12.0  # seconds
# pixels, metres per pixel, workers; a city is 640 m wide
RUNS = ((512, 0.5, 16), (1024, 0.5, 16), (512, 0.5, 1), (1024, 0.5, 4), (1024, 0.5, 1), (2048, 0.3, 16), (512, 0.5, 32))
TINY = ((64, 1.0, 1), (64, 1.0, 2))
Result = dict[str, Any]


class Bench:
    """The time that is left, and what was found."""

    def __init__(self, out: Path, seconds: float) -> None:
        self.out, self.end = out, time.monotonic() + seconds
        self.found: Result = {"cpus": os.cpu_count(), "runs": []}
        self.scratch = Path(tempfile.mkdtemp(prefix="mage-gpu-"))
        self.gpu = False

    @property
    def left(self) -> float:
        """Seconds."""
        return max(self.end - time.monotonic(), 0.0)

    def part(self, name: str, work: Callable[[], Any], needs: float) -> None:
        """Run a part if there is time, and keep what is found whatever becomes of it."""
        if self.left < needs:
            say(f"{name}: left out, {self.left:.0f} s remain")
            return
        try:
            work()
        except Exception as error:  # the other parts go on
            say(f"{name}: failed: {type(error).__name__}: {error}")
            self.found.setdefault("failed", []).append(f"{name}: {error}")
        (self.out / "results.json").write_text(json.dumps(self.found, indent=1) + "\n")

    def start(self, root: Path, *options: str) -> subprocess.Popen[str]:
        """``mage generate``."""
        command = [sys.executable, "-m", "mage.scenes.cli", "generate", *options, "--out", str(root)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def generate(self, name: str, *options: str) -> Path:
        """A small dataset, made whole."""
        root = self.scratch / name
        done = self.start(root, *options)
        try:
            said = done.communicate(timeout=max(self.left - 5, 1))[1]
        except subprocess.TimeoutExpired:
            done.send_signal(signal.SIGINT)
            done.communicate(timeout=20)
            raise RuntimeError("no time left") from None
        if done.returncode:
            raise RuntimeError(said.strip().splitlines()[-1])
        return root


def say(line: str) -> None:
    """A line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def events(root: Path, kind: str) -> list[Result]:
    """What a run's workers told."""
    lines = [line for log in sorted(root.glob("logs/*.jsonl")) for line in log.read_text().splitlines()]
    return [event for event in (json.loads(line) for line in lines) if event["event"] == kind]


def look(bench: Bench) -> None:
    """The machine, by ``mage doctor`` and nvidia-smi."""
    done = subprocess.run([sys.executable, "-m", "mage.scenes.cli", "doctor", "--json"], capture_output=True, text=True)
    found = json.loads(done.stdout)
    bench.found["doctor"] = {key: found[key] for key in ("platform", "cpus", "memory_gib", "blender", "problems")}
    bench.gpu = bool(found["blender"].get("devices"))
    say(f"doctor: {found['cpus']} CPUs, Blender {found['blender']}")
    for problem in found["problems"]:
        say(f"doctor: {problem}")
    if not bench.gpu:
        say("no GPU that Cycles can use: the same parts follow, tiny, on the CPU")


def choose(bench: Bench, device: str) -> None:
    """A small dataset on a device; labels beside the CPU's, and the picture."""
    small = ["--size", "256" if bench.gpu else "64", "--count", "2", "--set", "output.shard_size=1"]
    small += ["--workers", "1", "--set", "city.extent=400"]
    start = time.monotonic()
    for recipe in ("flood", "earthquake"):
        root = bench.generate(f"{device}-{recipe}", recipe, *small, "--device", device)
        taken = events(root, "ready")[0]["device"]
        seconds = time.monotonic() - start
        line = f"--device {device}, {recipe}: rendered on {taken}, {seconds:.0f} s"
        result = {"device": device, "recipe": recipe, "taken": taken, "seconds": seconds}
        result["fallbacks"] = [event["message"] for event in events(root, "fallback")]
        line += "".join(f"; {message}" for message in result["fallbacks"])
        beside = bench.scratch / f"cpu-{recipe}"
        if device != "cpu" and beside.exists():
            result["labels_equal"] = labels(root) == labels(beside)
            result["psnr"] = [psnr(root, beside, date) for date in ("pre", "post")]
            line += f"; labels equal to the CPU's: {result['labels_equal']}; PSNR {result['psnr']} dB"
        bench.found.setdefault("choice", []).append(result)
        say(line)


def labels(root: Path) -> list[str]:
    """Checksums of all label members, shard by shard."""
    return [json.loads(path.read_text())["labels_sha256"] for path in sorted((root / "shards").glob("*.json"))]


def psnr(root: Path, beside: Path, date: str) -> float:
    """Of the first sample's pictures, dB; both have the same sensor noise."""
    apart = first_sample(root).images[date].astype(float) - first_sample(beside).images[date]
    return round(float(10 * np.log10(255**2 / max(np.mean(apart**2), 1e-9))), 1)


def speed(bench: Bench, size: int, gsd: float, workers: int, *options: str) -> None:
    """Labelled megapixels a second in a window of a run, and how busy the GPU and the processors were."""
    root = bench.scratch / f"{size}-{workers}-{len(bench.found['runs'])}"
    window = WINDOW if bench.gpu else 6.0
    driver = bench.start(
        root, "flood", "--size", str(size), "--gsd", str(gsd), "--workers", str(workers), "--count", "50000",
        "--set", "output.shard_size=1", *([] if bench.gpu else ["--set", "city.extent=160"]), *options,
    )  # fmt: skip
    watch = Watch()
    try:
        while len(events(root, "ready")) < workers or not any(root.glob("shards/*.json")):
            if driver.poll() is not None:
                raise RuntimeError(str(driver.communicate()[1]).strip().splitlines()[-1])
            if bench.left < 5:
                raise RuntimeError("no time left")
            time.sleep(0.1)
        begin = time.time()
        watch.mark()
        time.sleep(min(window, bench.left))
        busy = watch.busy()
        end = time.time()
    finally:
        driver.send_signal(signal.SIGINT)
        try:
            driver.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            driver.kill()
    samples = [event for event in events(root, "shard") if begin < event["time"] <= end]  # one a shard
    mean = {stage: round(float(np.mean([s["seconds"].get(stage, 0) for s in samples])), 3) for stage in STAGES}
    rate = len(samples) * 2 * size**2 / 1e6 / (end - begin)
    result = {"size": size, "gsd": gsd, "workers": workers, "options": options, "samples": len(samples)}
    result |= {"seconds": end - begin, "mpx_per_s": rate, **busy, "stages": mean}
    result["device"] = events(root, "ready")[0]["device"]
    result["fallbacks"] = [event["message"] for event in events(root, "fallback")]
    bench.found["runs"].append(result)
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in mean.items())
    say(
        f"{size:5d} px {workers:3d} workers {' '.join(options):22s} {len(samples):5d} pairs {rate:7.2f} Mpx/s   GPU "
        f"{busy['gpu']} %, CPU {busy['cpu']} %, GPU memory {busy['gpu_mib']} MiB   s a pair: {stages}"
    )
    shutil.rmtree(root, ignore_errors=True)


STAGES = ("labels", "ground", "render", "sensor")


class Watch:
    """How busy GPUs and processors are, by nvidia-smi and the kernel."""

    def __init__(self) -> None:
        self.smi = None
        if shutil.which("nvidia-smi"):
            query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
            self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the watch
            self.smi = subprocess.Popen([*query, "-lms", "200"], stdout=self.log, stderr=subprocess.DEVNULL)

    def mark(self) -> None:
        """The window begins."""
        self.ticks = self._ticks()
        if self.smi is not None:
            self.log.seek(0, os.SEEK_END)
            self.at = self.log.tell()

    def busy(self) -> Result:
        """Mean percentages since then, None where nothing tells; and the most memory of the GPU."""
        idle, every = (b - a for a, b in zip(self.ticks, self._ticks(), strict=True))
        result: Result = {"cpu": round(100 * (1 - idle / max(every, 1))), "gpu": None, "gpu_mib": None}
        if self.smi is not None:
            self.smi.terminate()
            self.smi.wait()
            self.log.seek(self.at)
            rows = [line.split(",") for line in self.log.read().splitlines()[1:] if line.count(",") == 1]
            if rows:
                result["gpu"] = round(float(np.mean([float(row[0]) for row in rows])))
                result["gpu_mib"] = max(int(row[1]) for row in rows)
        return result

    @staticmethod
    def _ticks() -> tuple[int, int]:
        try:
            numbers = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        except OSError:
            return 0, 0
        return numbers[3] + numbers[4], sum(numbers[:8])


def pictures(bench: Bench) -> None:
    """The first flood's picture after, of every device and engine, side by side."""
    roots = [bench.scratch / name for name in ("cpu-flood", "auto-flood", "eevee")]
    images = [first_sample(root).images["post"] for root in roots if (root / "dataset.json").exists()]
    cv2.imwrite(str(bench.out / "pictures.png"), np.concatenate(images, axis=1)[..., ::-1])


def eevee(bench: Bench) -> None:
    """A small dataset by EEVEE, and its speed."""
    size = "256" if bench.gpu else "64"
    small = ["--size", size, "--count", "1", "--engine", "eevee", "--set", "city.extent=400"]
    start = time.monotonic()
    root = bench.generate("eevee", "flood", *small)
    say(f"EEVEE: drawn by {events(root, 'ready')[0]['device']}, {time.monotonic() - start:.0f} s")
    if bench.gpu:
        speed(bench, 1024, 0.5, 8, "--engine", "eevee")


def main() -> None:
    """Print and write all that is found."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "out/gpu")
    out.mkdir(parents=True, exist_ok=True)
    bench = Bench(out, float(sys.argv[2]) if len(sys.argv) > 2 else 280.0)
    bench.part("look", lambda: look(bench), 0)
    bench.part("cpu", lambda: choose(bench, "cpu"), 20)
    bench.part("auto", lambda: choose(bench, "auto"), 20)
    runs = RUNS if bench.gpu else TINY
    for size, gsd, workers in runs[:4]:
        bench.part(f"{size} px", lambda s=size, g=gsd, w=workers: speed(bench, s, g, w), 25)  # type: ignore[misc]
    bench.part("EEVEE", lambda: eevee(bench), 40)
    bench.part("optix", lambda: choose(bench, "optix"), 20 if bench.gpu else 1e9)
    for size, gsd, workers in runs[4:]:
        bench.part(f"{size} px", lambda s=size, g=gsd, w=workers: speed(bench, s, g, w), 25)  # type: ignore[misc]
    bench.part("pictures", lambda: pictures(bench), 0)
    bench.part("cuda", lambda: choose(bench, "cuda"), 20 if bench.gpu else 1e9)  # compiles for minutes, perhaps
    shutil.rmtree(bench.scratch, ignore_errors=True)
    say(f"done; {out / 'results.json'}")


if __name__ == "__main__":
    main()
