"""A shop in Django, in one file: a line in MIDDLEWARE, and the settings beside it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.urls import path
from shop import client, cookie, order, port

if TYPE_CHECKING:
    from collections.abc import Callable

settings.configure(
    DEBUG=False,
    SECRET_KEY="only for this example",
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=[
        "penstock.web.django.AnalyticsMiddleware",  # first
        "django.contrib.sessions.middleware.SessionMiddleware",
    ],
    # Without Django's own users; with them, ``USER`` is not needed.
    ANALYTICS={
        "CLIENT": client,
        "COOKIE": cookie,
        "USER": lambda request: request.session.get("user"),
    },
)


def product(request: HttpRequest, sku: str) -> HttpResponse:
    client.track(event="Product Viewed", properties={"sku": sku})
    return HttpResponse(f"<h1>{sku}</h1>")


def login(request: HttpRequest, user: str) -> HttpResponse:
    request.session["user"] = user
    client.login(user, {"plan": "pro"})
    return HttpResponse(f"Hello {user}")


def logout(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    client.logout()
    return HttpResponse("Bye")


def buy(request: HttpRequest, sku: str) -> HttpResponse:
    client.track(event="Order Completed", properties=order(sku))
    return HttpResponse("Thank you")


_VIEWS: dict[str, Callable[..., HttpResponse]] = {
    "products/<sku>": product,
    "login/<user>": login,
    "logout": logout,
    "orders/<sku>": buy,
}
urlpatterns = [path(route, view) for route, view in _VIEWS.items()]

if __name__ == "__main__":
    execute_from_command_line([sys.argv[0], "runserver", "--noreload", f"127.0.0.1:{port()}"])
