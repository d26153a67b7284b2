"""
A request's context for every event that is made while it is served.

ASGI, WSGI, Django, Flask, Celery and AWS Lambda: each integration is a module that imports its
framework when it is used. All of them take the options of `Settings`. docs/web.md is the manual.
"""

from __future__ import annotations

from penstock.web.settings import Settings

__all__ = ["Settings"]
