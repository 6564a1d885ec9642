"""Routes of the work of the model."""

from __future__ import annotations

from fastapi import APIRouter

from rsseg.serving.state import State

__all__ = ["router"]


def router(state: State) -> APIRouter:
    """Routes of a server."""
    return APIRouter()
