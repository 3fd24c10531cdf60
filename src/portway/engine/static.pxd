# cython: language_level=3
from libc.stdint cimport int64_t, uint64_t

from portway.engine.base cimport Strand
from portway.engine.connection cimport Connection
from portway.engine.core cimport Engine
from portway.engine.folder cimport Folder, Kind, Opened
from portway.engine.reply cimport Buffer, Reply
from portway.engine.table cimport Redirect


cdef class StaticEngine(Engine):
    cdef int know(self, Connection c, Strand strand, const char* data) except -1
    cdef int serve_file(
        self, Connection c, Strand strand, const char* data, Folder folder, const char* path, size_t size
    ) except -1
    cdef int look(self, Strand strand, Folder folder, const char* name, Opened* file) except -1
    cdef int serve_opened(
        self, Connection c, Strand strand, const char* data, Folder folder, char* path, size_t size, Opened* file
    ) except -1
    cdef int put_cache_line(self, Buffer* out, Folder folder, const char* path, size_t size) except -1
    cdef int prefer(
        self, Strand strand, const char* data, Folder folder, char* name, size_t size, Opened* file
    ) except -2
    cdef int promise(
        self, Connection c, Strand strand, Reply* reply, Opened* file, uint64_t at, uint64_t size
    ) except -1
    cdef int promise_parts(
        self, Connection c, Strand strand, Reply* reply, Kind* kind, int count, Opened* file
    ) except -1
    cdef int send_parts(self, Connection c, Strand strand, int fd) except -1
    cdef int outside(self, Connection c, Strand strand, uint64_t size) except -1
    cdef int not_found(self, Connection c, Strand strand, Folder folder) except -1
    cdef int trouble(self, Connection c, Strand strand, Folder folder, const char* name, int problem) except -1
    cdef int send_on(
        self, Connection c, Strand strand, const char* data, Redirect redirect, const char* star, size_t size
    ) except -1
    cdef int add_slash(self, Connection c, Strand strand, const char* data, const char* path, size_t size) except -1
    cdef int plain(self, Connection c, Strand strand, int status, const char* fields) except -1
