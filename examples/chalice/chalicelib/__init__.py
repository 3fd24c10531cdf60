"""What the application is made of; Chalice packs this folder with app.py."""
