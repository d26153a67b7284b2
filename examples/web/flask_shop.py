"""A shop in Flask: one line gives every event its request."""

from __future__ import annotations

from flask import Flask, session
from shop import client, cookie, order, port

from penstock.web.flask import Analytics

app = Flask(__name__)
app.secret_key = "only for this example"
Analytics(app, client, cookie=cookie, user=lambda: session.get("user"))


@app.get("/products/<sku>")
def product(sku: str) -> str:
    client.track(event="Product Viewed", properties={"sku": sku})
    return f"<h1>{sku}</h1>"


@app.post("/login/<user>")
def login(user: str) -> str:
    session["user"] = user
    client.login(user, {"plan": "pro"})
    return f"Hello {user}"


@app.post("/logout")
def logout() -> str:
    session.clear()
    client.logout()
    return "Bye"


@app.post("/orders/<sku>")
def buy(sku: str) -> str:
    client.track(event="Order Completed", properties=order(sku))
    queue_receipt(sku)
    return "Thank you"


def queue_receipt(sku: str) -> None:
    """The receipt is a worker's business, if there is one; see worker.py."""
    import worker

    if worker.app is not None:
        worker.receipt.delay(sku)


if __name__ == "__main__":
    app.run(port=port())
