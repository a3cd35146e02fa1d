"""Folders of images and .npz files, and the folders of their corrupted copies; without torch."""

from bench.pictures.archive import Archive
from bench.pictures.folder import Folder
from bench.pictures.originals import Corrupt, Originals, Pixels, write_file

__all__ = ["Archive", "Corrupt", "Folder", "Originals", "Pixels", "write_file"]
