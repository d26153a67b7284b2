"""Where events go: a dialect, an address, a key and limits. Cheap to import, safe to pickle."""

from penstock.destinations._base import Destination
from penstock.destinations.collector import Collector
from penstock.destinations.dreamdata import Dreamdata
from penstock.destinations.posthog import PostHog
from penstock.destinations.rudderstack import RudderStack
from penstock.destinations.segment import Segment
from penstock.destinations.urls import destination_from_url, destinations_from_urls
from penstock.destinations.webhook import Webhook

__all__ = [
    "Collector",
    "Destination",
    "Dreamdata",
    "PostHog",
    "RudderStack",
    "Segment",
    "Webhook",
    "destination_from_url",
    "destinations_from_urls",
]
