"""Which picture and which XML file a line of a VOC list means: by the letter in VOC's own data, by sense in others'."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path, PureWindowsPath

from benchmarks.datasets.readers.lists import read_lines
from benchmarks.datasets.samples import Fault
from benchmarks.datasets.tree import Tree
from scenebench.pictures import IMAGE_SUFFIXES, suffix_of

IMAGES, ANNOTATIONS = "JPEGImages", "Annotations"
_LABELLED = re.compile(r"(.*\S)\s+(?:-1|0|1)")  # as lines of the lists of single classes end


class VocFiles:
    """The files of one of VOC's own years: ``JPEGImages/<stem>.jpg`` and ``Annotations/<stem>.xml``, no other."""

    def __init__(self, tree: Tree, fault: Fault, prefix: str = "") -> None:
        self.tree, self.fault, self.prefix = tree, fault, prefix

    @property
    def notes(self) -> list[str]:
        """What is unusual and no fault, in words."""
        return []

    def image(self, stem: str) -> str:
        """Path of a stem's picture."""
        return f"{self.prefix}{IMAGES}/{stem}.jpg"

    def annotation(self, stem: str) -> str:
        """Path of a stem's XML file."""
        return f"{self.prefix}{ANNOTATIONS}/{stem}.xml"

    def stems(self, listed_in: str) -> list[str]:
        """The stems that a list of ``ImageSets`` names, each once."""
        stems = self.read_list(read_lines(self.tree, listed_in))
        seen: set[str] = set()
        for stem in stems:
            if stem in seen:
                self.fault("list", self.tree.path(listed_in), f"names {stem} twice")
            seen.add(stem)
        return list(dict.fromkeys(stems))

    def read_list(self, lines: list[str]) -> list[str]:
        """The first field of each line: lists of single classes carry a second one."""
        return [line.split()[0] for line in lines]

    def compare_name(self, stem: str, path: Path, named: str) -> None:
        """Look at what an XML file says in ``<filename>``."""
        if named and Path(named).stem != stem:
            self.fault("list", path, f"says that it belongs to {named}")

    def report_unpaired(self) -> None:
        """Look for pictures without an XML file, and the other way round."""
        images = {Path(name).stem for name in self.tree.files(IMAGES)}
        annotations = {Path(name).stem for name in self.tree.files(ANNOTATIONS)}
        for stem in sorted(images - annotations):
            self.fault("unlisted", self.tree.path(self.image(stem)), f"has no {self.annotation(stem)}")
        for stem in sorted(annotations - images):
            self.fault("missing", self.tree.path(self.annotation(stem)), f"has no {self.image(stem)}")


class OwnFiles(VocFiles):
    """Anybody's files in that layout.

    Pictures of every suffix that is read; two of one stem are a fault. A name may hold blanks. ``<filename>`` is what
    the picture was called when it was annotated, often with a path of another computer: an XML file belongs to its own
    stem. What no list names need not be complete.
    """

    def __init__(self, tree: Tree, fault: Fault) -> None:
        super().__init__(tree, fault)
        self._listed: set[str] = set()
        self._otherwise_named: list[str] = []
        self._unpaired: list[str] = []
        self._pictures_in = cache(self._pictures_of)

    @property
    def notes(self) -> list[str]:
        """How many XML files name another picture, and what no list names and is not complete."""
        notes = []
        if self._otherwise_named:
            notes.append(
                f"{len(self._otherwise_named)} XML files name another picture in <filename>, such as "
                f"{self._otherwise_named[0]}; each was taken for the picture of its own name"
            )
        if self._unpaired:
            notes.append(f"left out, for no list names them: {len(self._unpaired)} files such as {self._unpaired[0]}")
        return notes

    def image(self, stem: str) -> str:
        """Path of a stem's picture, of whatever suffix."""
        folder, _, name = stem.rpartition("/")
        return _joined(IMAGES, folder, self._pictures_in(folder).get(name, f"{name}.jpg"))

    def annotation(self, stem: str) -> str:
        """Path of a stem's XML file, which may be called ``.XML``."""
        usual = f"{ANNOTATIONS}/{stem}.xml"
        return (
            usual if self.tree.has_file(usual) or not self.tree.has_file(f"{usual[:-4]}.XML") else f"{usual[:-4]}.XML"
        )

    def read_list(self, lines: list[str]) -> list[str]:
        """Stems, with or without a suffix, with or without the label of a single class.

        A line is a name as a whole where there is such a picture: ``im 1`` is ``im 1.jpg`` if that is there, and
        ``im.jpg`` with label 1 if not. Where every line ends in a label, and without it is a picture, it is one.
        """
        whole = [self._stem(line) for line in lines]
        if None in whole:
            parted = [self._stem(match[1]) if (match := _LABELLED.fullmatch(line)) else None for line in lines]
            if None not in parted:
                whole = parted
            else:
                whole = [one or other for one, other in zip(whole, parted, strict=True)]
        stems = [stem if stem is not None else line for stem, line in zip(whole, lines, strict=True)]
        self._listed.update(stems)
        return stems

    def compare_name(self, stem: str, path: Path, named: str) -> None:
        """Count an XML file that names another picture."""
        file = PureWindowsPath(named).name  # which also knows the other slash
        if named and stem.rpartition("/")[2] not in (file, PureWindowsPath(file).stem):
            self._otherwise_named.append(f"{path.name} '{named}'")

    def report_unpaired(self) -> None:
        """Count what has no partner and is in no list."""
        images = set(self._pictures_in(""))
        annotations = {name[:-4] for name in self.tree.files(ANNOTATIONS) if suffix_of(name) == ".xml"}
        lone_images = [self.image(stem) for stem in sorted(images - annotations - self._listed)]
        lone_annotations = [self.annotation(stem) for stem in sorted(annotations - images - self._listed)]
        self._unpaired = [
            *(f"{path} (without an XML file)" for path in lone_images),
            *(f"{path} (without a picture)" for path in lone_annotations),
        ]

    def _stem(self, name: str) -> str | None:
        """The stem that ``name`` is or begins with, if there is such a picture."""
        folder, _, last = name.rpartition("/")
        pictures = self._pictures_in(folder)
        if last in pictures:
            return name
        stem = last[: -len(suffix_of(last))] if suffix_of(last) in IMAGE_SUFFIXES else ""
        return _joined(folder, stem) if pictures.get(stem) == last else None

    def _pictures_of(self, folder: str) -> dict[str, str]:
        """The pictures right in a folder below ``JPEGImages``, by stem."""
        pictures: dict[str, str] = {}
        place = _joined(IMAGES, folder)
        for name in sorted(self.tree.files(place)):
            suffix = suffix_of(name)
            if suffix not in IMAGE_SUFFIXES:
                continue
            stem = name[: -len(suffix)]
            if stem in pictures:
                message = f"and {name} have one stem, so that it is not clear to which the annotation belongs"
                self.fault("list", self.tree.path(f"{place}/{pictures[stem]}"), message)
            pictures.setdefault(stem, name)
        return pictures


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)
