"""A Flask page from a Jinja template."""

from flask import Flask, render_template

from bench.apps.items import CONTEXT

app = Flask(__name__)


@app.get("/")
def page() -> str:
    return render_template("page.html", **CONTEXT)
