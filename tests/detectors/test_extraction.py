"""Extraction loses nothing and doubles nothing, whenever it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detectors.errors import InputError
from detectors.extraction import extract, list_pictures
from detectors.features.opening import open_features
from detectors.scene import Scene, SceneObject


class MeanColourDetector:
    """Two regions a picture whose features are its mean colour; slow on demand."""

    def __init__(self, pause: float = 0.0, stop_after: int | None = None) -> None:
        self.pause = pause
        self.left = stop_after

    def detect(self, images: Sequence[Image.Image], image_ids: Sequence[str]) -> list[Scene]:
        scenes = []
        for image, image_id in zip(images, image_ids, strict=True):
            if self.left is not None:
                if self.left == 0:
                    raise KeyboardInterrupt
                self.left -= 1
            time.sleep(self.pause)
            mean = np.asarray(image).reshape(-1, 3).mean(axis=0).astype(np.float32)
            objects = [SceneObject(str(i), "thing", 0.5, (i, i, 9, 9)) for i in range(2)]
            scene = Scene(image_id, image.width, image.height, objects)
            scene.features = np.stack([mean, mean + 1])
            scenes.append(scene)
        return scenes


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(13):
        Image.new("RGB", (10, 10), (number * 15, 10, 20)).save(folder / f"p{number:02d}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    return folder


def content(path: Path) -> dict[str, bytes]:
    with open_features(path) as reader:
        return {
            image_id: reader.read(image_id).features.tobytes()
            + reader.read(image_id).boxes.tobytes()
            for image_id in reader.image_ids
        }


def test_unreadable_pictures_are_skipped_counted_and_listed(pictures: Path, tmp_path: Path) -> None:
    report = extract(pictures, tmp_path / "out.h5", MeanColourDetector, part_size=4)
    assert (report.pictures, report.written) == (14, 13)
    lines = (tmp_path / "out.failures.jsonl").read_text().splitlines()
    assert [Path(json.loads(line)["image"]).name for line in lines] == ["broken.jpg"]
    assert not (tmp_path / "out.h5.parts").exists()


def test_interrupted_runs_end_with_the_content_of_an_uninterrupted_one(
    pictures: Path, tmp_path: Path
) -> None:
    extract(pictures, tmp_path / "whole.h5", MeanColourDetector, part_size=3)
    for stop_after in range(13):
        target = tmp_path / f"cut{stop_after}.h5"
        with pytest.raises(KeyboardInterrupt):
            extract(
                pictures, target, lambda n=stop_after: MeanColourDetector(stop_after=n), part_size=3
            )
        assert not target.exists()
        extract(pictures, target, MeanColourDetector, part_size=3)
        assert content(target) == content(tmp_path / "whole.h5")


def test_a_killed_process_is_resumed_without_loss(pictures: Path, tmp_path: Path) -> None:
    extract(pictures, tmp_path / "whole.h5", MeanColourDetector, part_size=2)
    target = tmp_path / "killed.h5"
    code = (
        "from detectors.extraction import extract;"
        "from tests.detectors.test_extraction import MeanColourDetector;"
        f"extract({str(pictures)!r}, {str(target)!r},"
        " lambda: MeanColourDetector(pause=0.02), part_size=2)"
    )
    root = Path(__file__).resolve().parents[2]
    for pause in (0.05, 0.12, 0.2):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=root)
        deadline = time.monotonic() + 30
        while not (tmp_path / "killed.h5.parts").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    extract(pictures, target, MeanColourDetector, part_size=2)
    assert content(target) == content(tmp_path / "whole.h5")


def test_parts_of_another_run_are_not_mixed_in(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        extract(pictures, tmp_path / "o.h5", lambda: MeanColourDetector(stop_after=5), part_size=2)
    Image.new("RGB", (10, 10)).save(pictures / "new.png")
    with pytest.raises(InputError, match="parts of another run"):
        extract(pictures, tmp_path / "o.h5", MeanColourDetector, part_size=2)


def test_a_detector_without_features_is_refused(pictures: Path, tmp_path: Path) -> None:
    class Bare(MeanColourDetector):
        def detect(self, images, image_ids):
            scenes = super().detect(images, image_ids)
            scenes[0].features = None
            return scenes

    with pytest.raises(InputError, match="gives no region features"):
        extract(pictures, tmp_path / "o.h5", Bare)


def test_folders_without_pictures_and_double_ids_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures"):
        list_pictures(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        list_pictures(tmp_path / "absent")
    for name in ("a.png", "a.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    with pytest.raises(InputError, match="same image id"):
        list_pictures(tmp_path)


def test_worker_processes_give_the_same_content(pictures: Path, tmp_path: Path) -> None:
    extract(pictures, tmp_path / "one.h5", MeanColourDetector, part_size=3)
    report = extract(pictures, tmp_path / "two.h5", MeanColourDetector, part_size=3, workers=2)
    assert (report.pictures, report.written) == (14, 13)
    assert content(tmp_path / "two.h5") == content(tmp_path / "one.h5")
    assert list(content(tmp_path / "two.h5")) == [f"p{number:02d}" for number in range(13)]


def test_lists_and_tars_give_what_the_folder_gives(pictures: Path, tmp_path: Path) -> None:
    extract(pictures, tmp_path / "folder.h5", MeanColourDetector)
    names = [item.name for item in sorted(pictures.iterdir())]
    (pictures / "list.txt").write_text("\n".join(reversed(names)) + "\n\n")
    extract(pictures / "list.txt", tmp_path / "list.h5", MeanColourDetector)
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for name in names:
            archive.add(pictures / name, f"some/{name}")
        (tmp_path / "p00.json").write_text("{}")
        archive.add(tmp_path / "p00.json", "some/p00.json")
    report = extract(tmp_path / "shard.tar", tmp_path / "tar.h5", MeanColourDetector, part_size=5)
    assert report.failures[0]["image"].endswith("shard.tar/some/broken.jpg")
    for name in ("list", "tar"):
        assert content(tmp_path / f"{name}.h5") == content(tmp_path / "folder.h5")


def test_lists_that_cannot_be_read_are_named(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="neither a tar nor a text file"):
        list_pictures(tmp_path / "bytes.txt")
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        archive.add(pictures / "p00.png", "a.png")
        archive.add(pictures / "p01.png", "folder/a.png")
    with pytest.raises(InputError, match="same image id"):
        list_pictures(tmp_path / "shard.tar")
    with pytest.raises(InputError, match="engine: expected one of local, ray"):
        extract(pictures, tmp_path / "o.h5", MeanColourDetector, engine="spark")


@pytest.mark.slow
def test_a_local_two_worker_ray_cluster_gives_the_same_content(
    pictures: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray.data", reason="Ray Data is not installed (extra `ray`)")
    extract(pictures, tmp_path / "here.h5", MeanColourDetector, part_size=3)
    report = extract(
        pictures, tmp_path / "ray.h5", MeanColourDetector, part_size=3, workers=2, engine="ray"
    )
    assert (report.pictures, report.written) == (14, 13)
    assert content(tmp_path / "ray.h5") == content(tmp_path / "here.h5")
