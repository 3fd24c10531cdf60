"""A Chalice page: the root of a first tutorial site."""

from chalice import Chalice, Response

app = Chalice(app_name="notes")
PAGE = "<!doctype html><title>Notes</title><ul><li>Teapot, 12.50</li></ul>" + "<p>Nothing else yet.</p>" * 40


@app.route("/")
def page() -> Response:
    return Response(PAGE, headers={"Content-Type": "text/html; charset=utf-8"})
