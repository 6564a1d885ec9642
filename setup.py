"""Packaging only: dependencies are read from requirements/, the version from rsseg/__init__.py."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


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
    """Puts configs, tools and the model index beside the package, where `mim` looks for them."""

    def run(self) -> None:
        """Build as usual, then copy into `rsseg/.mim` (not for editable installs)."""
        super().run()
        if getattr(self, "editable_mode", False):
            return
        target = Path(self.build_lib) / "rsseg" / ".mim"
        shutil.rmtree(target, ignore_errors=True)
        for folder in ("configs", "tools"):
            shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(ROOT / "model-index.yml", target)


setup(
    name="rsseg",
    version=version(),
    description="Remote-sensing segmentation on MMSegmentation: detection boxes to land-cover maps",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The rsseg authors",
    license="Apache-2.0",
    keywords="remote sensing, semantic segmentation, mmsegmentation, segment anything, land cover",
    packages=find_packages(include=["rsseg", "rsseg.*"]),
    package_data={"rsseg": ["**/*.json", "**/*.csv", "**/*.css", "**/*.js", "**/*.html"]},
    include_package_data=False,
    python_requires=">=3.10",
    install_requires=requirements("runtime"),
    extras_require={
        "mm": requirements("mminstall"),
        "optional": requirements("optional"),
        "sam2": requirements("sam2"),
        "tests": requirements("tests"),
    },
    entry_points={"console_scripts": ["rsseg = rsseg.cli:main"]},
    cmdclass={"build_py": BuildWithMim},
    zip_safe=False,
)
