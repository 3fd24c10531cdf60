"""What the three framework pages show."""

NAMES = ("Teapot", "Cup", "Saucer", "Kettle", "Spoon", "Tray", "Jug", "Strainer", "Caddy", "Cosy")
CONTEXT = {
    "title": "Catalogue",
    "items": [{"name": name, "price": f"{12.5 + number:.2f}"} for number, name in enumerate(NAMES)],
    "note": "Prices & <delivery> are for the mainland.",
}
