"""Building and running images without Docker's engine: buildah and podman as root, on a base made by debootstrap.

SCENEBENCH_IMAGE_STORAGE names a folder that keeps the layers from one run to the next; without it all is removed at the
end. The machine's own certificates and pip settings are lent to the build, and are in no layer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dockerfile_parts import DOCKER

PROGRAMS = ("buildah", "podman", "runc", "debootstrap")
BASE, IMAGE = "localhost/scenebench-base:bookworm", "localhost/scenebench:test"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
OPERATORS = os.environ.get("MMCV_OPS", "0")
"""``MMCV_OPS=1 make test-image`` also builds mmcv's operators, which takes ten minutes and more of one core."""
VARIANT, TORCH_LOCK = os.environ.get("VARIANT", "cuda"), os.environ.get("TORCH_LOCK", "")
"""``cuda`` needs no index but the one that pip uses anyway; ``cpu`` needs a lock, see docker/README.md."""


def why_not() -> str:
    """Why no image can be built here; empty if one can."""
    if os.geteuid() != 0:
        return "building an image this way needs root"
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"no {', '.join(lacking)} here (Debian: apt-get install {' '.join(PROGRAMS)})" if lacking else ""


@dataclass(frozen=True)
class Workshop:
    """A folder with an image storage of its own."""

    folder: Path

    def prepare(self) -> None:
        """Configure the storage and podman, and make the base if it is not there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\nrunroot = "{self.folder}/run"\ngraphroot = "{self.folder}/graph"\n'
        )
        limits = '["nofile=1024:1024", "nproc=4096:4096"]'
        (self.folder / "containers.conf").write_text(
            f'[containers]\ndefault_ulimits = {limits}\n[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n'
        )
        if self.run(["buildah", "inspect", "--type", "image", BASE], check=False).returncode != 0:
            self._make_base()

    def build(self) -> None:
        """Build IMAGE with the command that `make docker-image` runs."""
        lent = [f"-v {place}:{place}:ro" for place in self._lent()]
        settings = {
            "ENGINE": "buildah",
            "IMAGE": IMAGE,
            "BASE": BASE,
            "VARIANT": VARIANT,
            "TORCH_LOCK": TORCH_LOCK,
            "MMCV_OPS": OPERATORS,
            "PIP_CONF": str(self._pip_settings()),
            "BUILD_OPTIONS": " ".join(["--isolation chroot --layers", *lent]),
        }
        self.run([str(DOCKER / "image.sh")], settings, capture=False)

    def run(
        self, command: list[str], settings: dict[str, str] | None = None, check: bool = True, capture: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run ``command`` on this storage."""
        own = {
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
        }
        environment = os.environ | own | (settings or {})
        done = subprocess.run(command, env=environment, capture_output=capture, text=True, check=False, timeout=5000)
        if check and done.returncode != 0:
            raise RuntimeError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def remove(self) -> None:
        """Remove every container and image, and the folder."""
        self.run(["buildah", "rm", "--all"], check=False)
        self.run(["buildah", "rmi", "--all", "--force"], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_base(self) -> None:
        """Debian with Python and pip, as the Dockerfile asks of its base."""
        root = self.folder / "rootfs"
        packages = "--include=python3.11,python3-pip,ca-certificates"
        self.run(["debootstrap", "--variant=minbase", packages, "bookworm", str(root)])
        container = self.run(["buildah", "from", "scratch"]).stdout.strip()
        self.run(["buildah", "copy", "--quiet", container, str(root), "/"])
        self.run(["buildah", "commit", "--quiet", container, BASE])
        self.run(["buildah", "rm", container])
        shutil.rmtree(root)

    def _pip_settings(self) -> Path:
        """This machine's settings of pip as one file."""
        listed = self.run([sys.executable, "-m", "pip", "config", "list"]).stdout.splitlines()
        pairs = [line.partition("=")[::2] for line in listed if line.startswith("global.")]
        lines = [f"{key.removeprefix('global.')} = {value.strip(chr(39))}" for key, value in pairs]
        path = self.folder / "pip.conf"
        path.write_text("[global]\n" + "\n".join(lines) + "\n")
        return path

    def _lent(self) -> list[Path]:
        """What those settings name on this machine: certificates, constraints, folders of packages."""
        words = self._pip_settings().read_text().replace("file://", "").split()
        named = [Path(word) for word in words if word.startswith("/")]
        named = [place.parent if place.name == "simple" else place for place in named]  # an index and its files
        return [place for place in dict.fromkeys((CERTIFICATES, *named)) if place.exists()]
