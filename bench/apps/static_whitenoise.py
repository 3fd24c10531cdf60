"""WhiteNoise before an application, as its guide has it."""

from whitenoise import WhiteNoise

from bench.apps.hello_wsgi import app as hello
from bench.static import FOLDER

app = WhiteNoise(hello, root=str(FOLDER), prefix="static/")
