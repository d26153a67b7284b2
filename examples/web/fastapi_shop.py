"""A shop in FastAPI: handlers in threads and coroutines see the same request."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from shop import client, cookie, order, port

from penstock.web.asgi import AnalyticsMiddleware

app = FastAPI()
app.add_middleware(AnalyticsMiddleware, client=client, cookie=cookie)


@app.get("/products/{sku}", response_class=HTMLResponse)
async def product(sku: str) -> str:
    client.track(event="Product Viewed", properties={"sku": sku})
    return f"<h1>{sku}</h1>"


@app.post("/login/{user}")
def login(user: str) -> str:
    client.login(user, {"plan": "pro"})
    return f"Hello {user}"


@app.post("/logout")
def logout() -> str:
    client.logout()
    return "Bye"


@app.post("/orders/{sku}")
def buy(sku: str, user: str | None = None) -> str:
    if user is not None:  # whoever is logged in; a real shop has a session for it
        client.set_user(user)
    client.track(event="Order Completed", properties=order(sku))
    return "Thank you"


if __name__ == "__main__":
    uvicorn.run(app, port=port(), log_level="warning")
