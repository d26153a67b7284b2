"""
Catalogues: dicts that know the field's common names.

Every one is a dict, so a plain dict does as well wherever one is expected:

    Properties(revenue=49.5, currency="EUR").set("gift", True)
    {"revenue": 49.5, "currency": "EUR", "gift": True}
"""

from penstock.fields._catalogue import Catalogue
from penstock.fields._commerce import Ecommerce, Product, Properties
from penstock.fields._context import (
    App,
    Campaign,
    Context,
    Device,
    Location,
    Network,
    OperatingSystem,
    PageInfo,
    Referrer,
    ScreenInfo,
)
from penstock.fields._integrations import Integrations
from penstock.fields._people import Address, Company, Traits

__all__ = [
    "Address",
    "App",
    "Campaign",
    "Catalogue",
    "Company",
    "Context",
    "Device",
    "Ecommerce",
    "Integrations",
    "Location",
    "Network",
    "OperatingSystem",
    "PageInfo",
    "Product",
    "Properties",
    "Referrer",
    "ScreenInfo",
    "Traits",
]
