"""Packaging only: dependencies are read from requirements/, the version from rsseg/__init__.py."""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# Python runs it as it starts, so that mmengine finds our configs whoever imports it; see rsseg/imports.py.
STARTUP = "import _rsseg_startup as startup; startup.watch_mmengine()"


def version() -> str:
    """The version string in rsseg/__init__.py, read as text so that nothing is imported."""
    text = (ROOT / "rsseg" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError('rsseg/__init__.py: no line of the form __version__ = "1.2.3"')
    return found.group(1)


def requirements(name: str) -> list[str]:
    """The requirements in requirements/<name>.txt, without comments and blank lines."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    bare = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [line for line in bare if line]


class BuildWithMim(build_py):
    """Adds what mim and mmengine look for: configs, tools, lists, the model index, and a start-up file."""

    def run(self) -> None:
        """Build as usual, then fill `rsseg/.mim`: with copies, or with links for an editable installation."""
        super().run()
        editable = getattr(self, "editable_mode", False)
        mim = (ROOT if editable else Path(self.build_lib)) / "rsseg" / ".mim"
        shutil.rmtree(mim, ignore_errors=True)
        for name in ("configs", "tools", "data/splits", "model-index.yml"):
            (mim / name).parent.mkdir(parents=True, exist_ok=True)
            (link if editable else copy)(ROOT / name, mim / name)
        # An editable installation takes from here what is no link to the checkout.
        modules = Path(self.get_finalized_command("install").install_lib if editable else self.build_lib)
        if not editable or any(modules.glob("rsseg-*.dist-info")):
            shutil.copy2(ROOT / "rsseg" / "imports.py", modules / "_rsseg_startup.py")
            (modules / "rsseg.pth").write_text(f"{STARTUP}{'; startup.watch_pkg_resources()' if editable else ''}\n")


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, without what Python leaves behind."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def link(source: Path, target: Path) -> None:
    """A relative link, or a copy where the system allows no links."""
    try:
        target.symlink_to(os.path.relpath(source, target.parent), target_is_directory=source.is_dir())
    except OSError:
        copy(source, target)


setup(
    name="rsseg",
    version=version(),
    description="Remote-sensing segmentation on MMSegmentation: detection boxes to land-cover maps",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The rsseg authors",
    license="Apache-2.0",
    keywords="remote sensing, semantic segmentation, mmsegmentation, segment anything, land cover",
    project_urls={
        "MMSegmentation": "https://github.com/open-mmlab/mmsegmentation",
        "SAMRS paper": "https://arxiv.org/abs/2305.02034",
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Environment :: GPU :: NVIDIA CUDA",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: GIS",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["rsseg", "rsseg.*"]),
    package_data={
        "rsseg": [
            "py.typed",
            "*.pyi",
            "**/*.json",
            "**/*.csv",
            "**/*.css",
            "**/*.js",
            "**/*.mjs",
            "**/*.txt",
            "**/*.html",
        ]
    },
    exclude_package_data={"rsseg": ["serving/node_modules/*"]},  # what npm leaves where the page was built
    include_package_data=False,
    python_requires=">=3.10",
    install_requires=requirements("runtime"),
    extras_require={
        "log": requirements("log"),
        "mm": requirements("mminstall"),
        "optional": requirements("optional"),
        "export": requirements("export"),
        "demo": requirements("demo"),
        "sam2": requirements("sam2"),
        "hub": requirements("hub"),
        "hf": requirements("hf"),
        "serve": requirements("serve"),
        "remote": requirements("remote"),
        "ray": requirements("ray"),
        "tests": requirements("tests"),
        "docs": requirements("docs"),
    },
    entry_points={"console_scripts": ["rsseg = rsseg.cli:main"]},
    cmdclass={"build_py": BuildWithMim},
    zip_safe=False,
)
