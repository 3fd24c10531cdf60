"""A FastAPI page from a Jinja template."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from bench.apps.items import CONTEXT

app = FastAPI()
templates = Jinja2Templates(Path(__file__).parent / "templates")


@app.get("/")
async def page(request: Request) -> HTMLResponse:
    return templates.TemplateResponse(request, "page.html", CONTEXT)
