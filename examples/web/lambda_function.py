"""
A function for AWS Lambda, and a gateway of a few lines to try it here.

    python lambda_function.py 8000
"""

from __future__ import annotations

from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from shop import client, order, port

from penstock.web.aws_lambda import handler


@handler(client)
def main(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What the platform calls; everything is delivered before it returns."""
    sku = event["rawPath"].rpartition("/")[2]
    client.set_user(event["headers"].get("x-user"))
    client.track(event="Order Completed", properties=order(sku))
    return {"statusCode": 200, "body": "Thank you"}


class Gateway(BaseHTTPRequestHandler):
    """API Gateway, as far as this needs it: payload format 2.0."""

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "requestContext": {
                "http": {"method": "POST", "sourceIp": self.client_address[0]},
            },
        }
        try:
            answer = main(event, None)
        except Exception:  # noqa: BLE001 - the platform answers for a function that failed
            answer = {"statusCode": 502, "body": "Internal Server Error"}
        body = answer["body"].encode()
        self.send_response(answer["statusCode"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        HTTPServer(("127.0.0.1", port()), Gateway).serve_forever()
