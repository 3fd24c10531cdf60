# cython: language_level=3
"""`wsgi.input` (PEP 3333): a body that the engine has gathered, or will when the application first reads it."""

from io import BytesIO


cdef class Input:
    """A readable binary file.

    The body is complete before the application is called, in memory or in a temporary file, so reading never
    waits for the client. The exception is a client that asked `Expect: 100-continue`: the first read sends it
    the 100 and gathers the body then, so that an application can refuse an upload without receiving it.

    Raises:
        OSError: from any read, when such a client does not send what it promised.
    """

    cdef object file(self):
        if self.inner is None:
            source, self.source = self.source, None
            self.inner = BytesIO() if source is None else source.gather()
        return self.inner

    def read(self, size=-1):
        return self.file().read(size)

    def readline(self, size=-1):
        return self.file().readline(size)

    def readlines(self, hint=-1):
        return self.file().readlines(hint)

    def readinto(self, target):
        return self.file().readinto(target)

    def seek(self, offset, whence=0):
        return self.file().seek(offset, whence)

    def tell(self):
        return self.file().tell()

    def readable(self):
        return True

    def seekable(self):
        return True

    def __iter__(self):
        return self

    def __next__(self):
        line = self.file().readline()
        if not line:
            raise StopIteration
        return line

    def close(self):
        """Do nothing: the engine closes the body when the request is over (an application must not, by PEP 3333)."""
