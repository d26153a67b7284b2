"""
Importing a file of events: read rows, map each to a call of the client, remember how far it came.

Plain functions and small classes without a command line; `penstock.cli.import_` puts them together.
"""

from penstock.importing.calls import Call, Calls
from penstock.importing.checkpoint import Busy, Checkpoint, Progress
from penstock.importing.ids import MessageIds
from penstock.importing.pace import Pace, rate_from
from penstock.importing.plan import Plan, PlanError, Property, field_name, property_from
from penstock.importing.rejects import Rejects
from penstock.importing.rows import BadRow, BadValue, Row, SourceError
from penstock.importing.run import Importer
from penstock.importing.source import FORMATS, CsvOptions, Source

__all__ = [
    "FORMATS",
    "BadRow",
    "BadValue",
    "Busy",
    "Call",
    "Calls",
    "Checkpoint",
    "CsvOptions",
    "Importer",
    "MessageIds",
    "Pace",
    "Plan",
    "PlanError",
    "Progress",
    "Property",
    "Rejects",
    "Row",
    "Source",
    "SourceError",
    "field_name",
    "property_from",
    "rate_from",
]
