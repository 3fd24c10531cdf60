"""The boats, in a database that fills itself when a thread first connects to it."""

from django.conf import settings
from django.db import models
from django.db.backends.signals import connection_created
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.dispatch import receiver


class Boat(models.Model):
    """One boat in port."""

    name = models.TextField()
    kind = models.TextField()
    home = models.TextField()
    length_m = models.FloatField()
    berth = models.TextField()

    class Meta:
        db_table = "boat"
        managed = False
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


@receiver(connection_created)
def fill(connection: DatabaseWrapper, **_: object) -> None:
    """Make the table, in place of migrations: the boats are the same ones as in examples/site."""
    connection.connection.executescript((settings.SITE / "boats.sql").read_text(encoding="utf-8"))
