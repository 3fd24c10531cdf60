# cython: language_level=3
from portway.engine.connection cimport Connection
from portway.engine.base cimport Listener, Strand
from portway.engine.core cimport Engine


cdef object base_environ(Engine engine, Listener listener, bint multithread, bint multiprocess)
cdef dict make_environ(Engine engine, Connection c, Strand strand, const char* data)
cdef object method_name(const char* data, size_t size)
cdef object percent_decoded(const char* data, size_t size)
cdef object latin1(const char* data, size_t size)
cdef object local_address(Connection c, Listener listener)
