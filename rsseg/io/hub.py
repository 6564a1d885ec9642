"""Files on the Hugging Face hub, by addresses such as ``hf://owner/name@revision/FILE#sha256=DIGITS``, each checked.

``rsseg push`` writes a list of checksums beside its files, and whoever reads them here compares; a file of a repository
without such a list is compared with the hub's own checksum, where its cache has one.  Revision, file and checksum may
be left out: the revision is then ``main``, the file ``model.safetensors``.  A branch moves; pin a repository by the 40
digits of a commit, or a file by its SHA-256.  ``HF_HUB_OFFLINE=1`` reads the cache alone.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rsseg.errors import ConfigError, DataError, MissingPackageError
from rsseg.io.files import sha256_of
from rsseg.io.sums import read_sums

__all__ = [
    "CONFIG",
    "SUMS",
    "WEIGHTS",
    "HubAddress",
    "commit_of",
    "config_of",
    "explained",
    "fetch",
    "hub_library",
    "is_hub",
    "local_config",
    "local_file",
    "weights_of",
]

WEIGHTS, CONFIG, SUMS = "model.safetensors", "config.py", "SHA256SUMS"
"""Names of the files that ``rsseg push`` writes."""
_ADDRESS = re.compile(
    r"hf:/{1,2}(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>refs/pr/\d+|[\w.-]+))?(/(?P<file>[^#@]+))?"
    r"(#sha256=(?P<sha256>[0-9a-f]{64}))?",
    re.ASCII,
)
_DIGITS = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubAddress:
    """What an address names.

    Attributes:
        repo: Owner and name.
        revision: Branch, tag or commit.
        file: A file of the repository; ``""`` for none in particular.
        sha256: What the file must have; ``""`` where the address does not say.
    """

    repo: str
    revision: str = "main"
    file: str = ""
    sha256: str = ""

    @classmethod
    def parse(cls, text: str) -> HubAddress:
        """Read an address; one that has been a ``Path`` and lost a slash is read as well.

        Raises:
            ConfigError: It has another form.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or {"..", ".", ""} & set((found["file"] or "x").split("/")):
            raise ConfigError(
                f"{text}: is no address of a model; expected hf://OWNER/NAME, with @REVISION, /FILE and "
                "#sha256=DIGITS (64 of them, in lower case) where you like"
            )
        return cls(found["repo"], found["revision"] or "main", found["file"] or "", found["sha256"] or "")

    def __str__(self) -> str:
        end = f"#sha256={self.sha256}" if self.sha256 else ""
        return f"hf://{self.repo}@{self.revision}{f'/{self.file}' if self.file else ''}{end}"


def is_hub(path: str | os.PathLike[str] | None) -> bool:
    """Whether a path is an address on the hub."""
    return path is not None and os.fspath(path).startswith("hf:/")


def local_file(path: str | os.PathLike[str]) -> Path:
    """The file that a path names: itself, or where the cache keeps it, downloaded if need be and checked.

    Args:
        path: A path, or an address of :class:`HubAddress`; one without a file is that of the weights.

    Raises:
        ConfigError: The address has another form.
        DataError: The content is not what its checksum says.
        OSError: It cannot be had from the hub.
    """
    if not is_hub(path):
        return Path(path).expanduser()
    address = HubAddress.parse(os.fspath(path))
    return fetch(address if address.file else replace(address, file=WEIGHTS))


def local_config(path: str | os.PathLike[str]) -> Path:
    """The config of a repository on the hub; a weights file in the address does not matter.  Errors as above."""
    address = HubAddress.parse(os.fspath(path))
    own = address if address.file.endswith(".py") else replace(address, file=CONFIG, sha256="")
    return fetch(own)


def config_of(config: str | None, checkpoint: str | os.PathLike[str] | None) -> str:
    """The config to use: as named, else that of the repository of a checkpoint on the hub.

    Raises:
        ConfigError: There is neither.
    """
    if config is not None:
        return config
    if checkpoint is None:
        raise ConfigError("name the model: --config and --checkpoint, or --checkpoint hf://OWNER/NAME alone")
    if not is_hub(checkpoint):
        raise ConfigError(
            f"{checkpoint}: name its config with --config; only a model on the hub (hf://...) has its own"
        )
    return str(replace(HubAddress.parse(os.fspath(checkpoint)), file=CONFIG, sha256=""))


def weights_of(config: str | os.PathLike[str], checkpoint: str | os.PathLike[str] | None) -> str | None:
    """The weights to use: as named, else those beside a config on the hub; None where there are neither."""
    if checkpoint is None and is_hub(config):
        return str(replace(HubAddress.parse(os.fspath(config)), file=WEIGHTS, sha256=""))
    return None if checkpoint is None else os.fspath(checkpoint)


def fetch(address: HubAddress) -> Path:
    """A file of a repository, from the cache or the hub.

    Its checksum is taken once for each file and process.

    Args:
        address: With a file.

    Raises:
        DataError: The content is not what the address, the repository's checksums, or the hub's say.
        OSError: There is no such file or repository, or the hub cannot be reached.
    """
    sums = _download(replace(address, file=SUMS), optional=True)
    if sums is not None:  # all files of one commit, also where a branch moves meanwhile
        address = replace(address, revision=commit_of(sums) or address.revision)
    path = sums if address.file == SUMS and sums is not None else _download(address)
    assert path is not None
    expected = {"the address": address.sha256}
    if address.file != SUMS:
        expected["its SHA256SUMS"] = read_sums(sums).get(address.file, "") if sums is not None else ""
    expected["the hub's cache"] = path.resolve().name if _DIGITS.fullmatch(path.resolve().name) else ""
    stated = {source: digest for source, digest in expected.items() if digest}
    found = path.stat()
    digest = _sha256(path, found.st_size, found.st_mtime_ns) if stated else ""
    for source, value in stated.items():
        if value != digest:
            raise DataError(
                f"{address}: the SHA-256 of {path} is {digest}, but {source} says {value}; nothing was loaded. Delete "
                "that file to download it again"
            )
    return path


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, size: int, modified: int) -> str:
    return sha256_of(path)


def commit_of(path: Path) -> str | None:
    """The commit that a file of the cache belongs to: its folder below ``snapshots``."""
    parts = path.parts
    found = parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-2] else ""
    return found if re.fullmatch("[0-9a-f]{40}", found) else None


def _download(address: HubAddress, optional: bool = False) -> Path | None:
    hub = hub_library()
    try:
        with explained(address):
            return Path(hub.hf_hub_download(address.repo, address.file, revision=address.revision))
    except FileNotFoundError:
        if optional:
            return None
        raise


def hub_library() -> Any:
    """The package ``huggingface_hub``.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingPackageError(
            'addresses hf://... need huggingface_hub. Run: python -m pip install "rsseg[hub]"'
        ) from error
    return huggingface_hub


@contextmanager
def explained(address: HubAddress) -> Iterator[None]:
    """Errors of the hub as those of files, with what to do next.

    Raises:
        FileNotFoundError: There is no such file, or it is not in the cache and cannot be downloaded.
        OSError: The repository cannot be reached.
    """
    from huggingface_hub import errors

    page = f"https://huggingface.co/{address.repo}"
    try:
        yield
    except errors.LocalEntryNotFoundError as error:
        raise FileNotFoundError(
            f"{address}: is not in the cache, and the hub is not reached (HF_HUB_OFFLINE=1, or no network). Download "
            "it where there is a network, or name a local file"
        ) from error
    except errors.GatedRepoError as error:
        raise OSError(
            f"{address}: its owner asks for consent; fill in the form and accept the licence at {page}, then log in: "
            "hf auth login"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise OSError(f"{address}: there is no such repository; a private one needs a login: hf auth login") from error
    except errors.RevisionNotFoundError as error:
        raise OSError(f"{address}: there is no such revision; {page} lists branches, tags and commits") from error
    except errors.EntryNotFoundError as error:
        raise FileNotFoundError(
            f"{address}: there is no such file; name one of {page}: hf://OWNER/NAME/FILE"
        ) from error
    except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled) as error:
        if getattr(getattr(error, "response", None), "status_code", None) in (401, 403):
            raise OSError(
                f"{address}: access is refused; log in with a token that may read it: hf auth login. Where {page} "
                "shows a form, fill it in first"
            ) from error
        raise OSError(f"{address}: the hub cannot be used ({str(error).splitlines()[0]})") from error
    except errors.HFValidationError as error:
        raise ConfigError(f"{address}: {error}") from error
